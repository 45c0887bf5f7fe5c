"""The command line: `gradjury check`, and the other commands from files of their own.

Exit status of a check 0: all laws hold; 1: one is broken; 2: it could not run.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from .board import Board, show_coverage, summary
from .events import Result
from .explain import result_as_dict
from .files import write_json
from .gate.command import gate
from .mutation.command import mutate
from .pool import try_all
from .replay import replay
from .scaffold.command import init
from .session import EXAMPLES, SCRIPTS
from .targets import Target, TargetError, parse_fixed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradjury")
def main() -> None:
    """Put hand-written backward passes on trial."""


main.add_command(mutate)
main.add_command(replay)
main.add_command(init)
main.add_command(gate)


@main.command()
@click.argument("layers", nargs=-1, metavar="[MODULE:LAYER]...")
@click.option("--to", metavar="NAME", help="The contract the layer answers to, by torch's name; default: its own name.")
@click.option("--examples", default=EXAMPLES, show_default=True, type=click.IntRange(min=1), help="Examples a law.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The same seed draws the same examples."
)
@click.option(
    "-k", "keyword", default="", metavar="TEXT", help="Only checks whose name (Conv2d-gradients) contains this."
)
@click.option(
    "--fixed", multiple=True, metavar="OPTION=VALUE", help="An option the layer has no choice about; repeatable."
)
@click.option(
    "--strict/--lenient",
    default=None,
    help="Whether to try the laws on NaN, infinities and refusals; default: for our own layers.",
)
@click.option("--coverage", is_flag=True, help="Also show what was drawn, its gaps, and options that change nothing.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file."
)
@click.option(
    "--scripts",
    default=SCRIPTS,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for reproduction scripts.",
)
@click.option("-j", "--jobs", default=0, type=click.IntRange(min=0), help="Processes; default: one a core.")
def check(
    layers: tuple[str, ...],
    to: str | None,
    examples: int,
    seed: int,
    keyword: str,
    fixed: tuple[str, ...],
    strict: bool | None,
    coverage: bool,
    json_file: Path | None,
    scripts: Path,
    jobs: int,
) -> None:
    """Try layers against their contracts; without arguments, gradjury's own.

    A layer is named package.module:Layer; package.module names all that were adapted there (gradjury.adapt).
    Exit status 0: all laws hold; 1: one is broken; 2: it could not run.
    """
    if json_file is not None and not json_file.resolve().parent.is_dir():
        raise click.UsageError(f"the folder of {json_file} does not exist")
    options: dict[str, Any] = {
        "strict": strict,
        "examples": examples,
        "seed": seed,
        "scripts": str(scripts.resolve()),
        "keyword": keyword,
        "fixed": parse_fixed(fixed),
        "coverage": coverage,
    }
    targets = Target.find(layers, to, **options)
    counted = [(target, count) for target in targets if (count := len(target.checks()))]
    if not counted:
        raise TargetError(f"no check's name contains {keyword!r}; names look like Conv2d-gradients")
    started = time.perf_counter()
    with Board(Console(), [(target.attribute, count) for target, count in counted]) as board:
        results = try_all([target for target, _ in counted], jobs or os.cpu_count() or 1, board)
    show_coverage(Console(), results)
    summary(Console(), results, time.perf_counter() - started, seed)
    if json_file is not None:
        _write_json(json_file, results, examples, seed)
    sys.exit(0 if all(result.passed for result in results) else 1)


def _write_json(file: Path, results: list[Result], examples: int, seed: int) -> None:
    data = {
        "seed": seed,
        "examples": examples,
        "passed": all(result.passed for result in results),
        "layers": [result_as_dict(result) for result in results],
    }
    write_json(file, data)


if __name__ == "__main__":
    main()
