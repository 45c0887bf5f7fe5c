"""`gradjury replay`: what was found before, tried again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .check import Check
from .corpus import CorpusError, Entry, load
from .laws.law import Broken
from .session import CORPUS, SCRIPTS
from .targets import Target
from .trial import Trial, quiet

FIXED, FAILING, CANNOT = "FIXED", "STILL FAILING", "CANNOT RUN"
STYLES = {FIXED: "green", FAILING: "bold red", CANNOT: "yellow"}


@dataclass(frozen=True)
class Replayed:
    """One file of the corpus, and how it fared."""

    file: Path
    entry: Entry | None
    state: str
    reason: str = ""


@click.command()
@click.argument("layers", nargs=-1, metavar="[MODULE:LAYER]...")
@click.option("--to", metavar="NAME", help="The contract the layers answer to, by torch's name; default: their own.")
@click.option(
    "--scripts",
    default=SCRIPTS,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help=f"The folder for what is found; the counterexamples are in {CORPUS}/ there.",
)
def replay(layers: tuple[str, ...], to: str | None, scripts: Path) -> None:
    """Try again what was found before, and say of each counterexample whether it is FIXED or STILL FAILING.

    Counterexamples are data, and nothing is imported because a file says so: name the layers as for `check`. Without
    arguments gradjury's own are tried. Exit status 0: all are fixed; 1: one still fails; 2: one cannot run.
    """
    folder = scripts / CORPUS
    found = list(load(folder))
    if not found:
        raise click.ClickException(f"{folder} holds no counterexamples")
    names = {(entry.layer, entry.contract) for _, entry in found if isinstance(entry, Entry)}
    targets = Target.find(layers, to, strict=True, scripts=str(scripts))
    mine = [target for target in targets if layers or (target.attribute, target.attribute) in names]
    checks = [check for target in mine for check in target.checks()]
    with quiet():
        done = [_try(file, entry, checks) for file, entry in found]
    _show(done)
    states = {one.state for one in done}
    sys.exit(1 if FAILING in states else 2 if CANNOT in states else 0)


def _try(file: Path, entry: Entry | CorpusError, checks: list[Check]) -> Replayed:
    if isinstance(entry, CorpusError):
        return Replayed(file, None, CANNOT, str(entry))
    mine = [check for check in checks if entry.concerns(check.layer)]
    if not mine:
        return Replayed(file, entry, CANNOT, f"name the layer: gradjury replay package.module:{entry.layer}")
    check = next((check for check in mine if check.law.name == entry.law), None)
    if check is None:
        return Replayed(file, entry, CANNOT, f"there is no law {entry.law} for it")
    try:
        Trial(check.layer, scripts=check.scripts).replay(check.law, entry)
    except Broken as broken:
        return Replayed(file, entry, FAILING, str(broken).rstrip(": "))
    except CorpusError as error:
        return Replayed(file, entry, CANNOT, str(error))
    return Replayed(file, entry, FIXED)


def _show(done: list[Replayed]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("counterexample", "layer", "law", "state", ""):
        table.add_column(title, overflow="fold")
    for one in done:
        layer, law = (one.entry.layer, one.entry.law) if one.entry else ("", "")
        state = Text(one.state, style=STYLES[one.state])
        table.add_row(Text(one.file.name), Text(layer), Text(law), state, Text(one.reason))
    console = Console()
    if not console.is_terminal:  # nothing to fit the lines into
        console = Console(width=max(200, console.width))
    console.print(table)
    counts = [f"{sum(one.state == state for one in done)} {state}" for state in STYLES]
    console.print(Text(", ".join(counts)))
