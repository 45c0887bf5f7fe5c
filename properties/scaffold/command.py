"""`gradjury init`: a first test file for a package.

Exit status 0: it was written; 2: there is no such package, nothing in it looks like a layer, or the file exists.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ..files import write_text
from ..targets import TargetError
from .naming import Plan, plan
from .reading import find_layers
from .sources import Package, read_package
from .writing import literal, write


@click.command()
@click.argument("package")
@click.option(
    "--output",
    default="test_gradients.py",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Write over a file that exists.")
def init(package: str, output: Path, force: bool) -> None:
    """Read PACKAGE, list what looks like layers, and write a test file to start from.

    PACKAGE is a name that can be imported, or the path of a folder or file. It is read, not run. Which contract a layer
    answers to, and how, is guessed from names: the file is yours to correct.
    """
    from .. import contracts

    if not output.resolve().parent.is_dir():
        raise click.UsageError(f"the folder of {output} does not exist")
    if output.exists() and not force:
        raise TargetError(f"{output} exists; give another file with --output, or --force to write over it")
    console = Console()
    read = read_package(package)
    for file, reason in read.unreadable.items():
        console.print(f"not read: {file}: {reason}", style="yellow", markup=False, highlight=False)
    plans = [plan(found, contracts.ALL) for found in find_layers(read.modules)]
    if not plans:
        raise TargetError(
            f"nothing in {package} looks like a layer: no class or pair of functions with a forward and a backward, no "
            "function with its derivative, no tape's module"
        )
    _show(console, plans)
    write_text(output, write(plans, read.local))
    _say_what_next(console, read, output, plans)


def _show(console: Console, plans: Sequence[Plan]) -> None:
    heads = ("layer", "style", "contract", "fixed, or what is missing")
    table = Table(*(Column(head, overflow="fold") for head in heads))
    for p in plans:
        fixed = ", ".join(f"{name}={literal(value)}" for name, value in p.fixed.items())
        cells = [f"{p.found.module}:{p.found.name}", str(p.found.style), p.contract or "", p.obstacle or fixed]
        table.add_row(*map(escape, cells))
    console.print(table)


def _say_what_next(console: Console, package: Package, output: Path, plans: Sequence[Plan]) -> None:
    ready = sum(not p.obstacle for p in plans)
    where = f"PYTHONPATH={shlex.quote(str(package.root))} " if package.root else ""
    console.print(
        f"{output}: {ready} layers to try, {len(plans) - ready} in comments. Correct it, then run", markup=False
    )
    console.print(
        f"    {where}python -m pytest {shlex.quote(str(output))}", markup=False, highlight=False, soft_wrap=True
    )
