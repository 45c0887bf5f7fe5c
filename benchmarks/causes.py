"""Planted faults with known cause: what the referee and the diagnosis say of each, and how often they are right.

From the checkout, with the environment of `make test`:

    python -m benchmarks.causes [NAME]...

Names choose among the causes: those whose layer's name contains one of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the causes are test data

from causes import CAUSES
from causes.gather import table, try_cause


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Put the causes on trial and print the table."""
    chosen = [cause for cause in CAUSES if not names or any(name in cause.name for name in names)]
    outcomes = []
    with tempfile.TemporaryDirectory() as scripts:
        for cause in chosen:
            click.echo(f"{len(outcomes) + 1} of {len(chosen)}: {cause.name}", err=True)
            outcomes.append(try_cause(cause, Path(scripts)))
    click.echo(table(outcomes))


if __name__ == "__main__":
    main()
