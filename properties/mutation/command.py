"""`gradjury mutate`: plant faults in layers and see which the trial notices.

Exit status 0: enough are killed and no declaration is stale; 1: not so; 2: it could not run.
"""

from __future__ import annotations

import os
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..files import write_json
from ..session import EXAMPLES, SCRIPTS
from ..targets import Target, TargetError, parse_fixed
from .campaign import campaign
from .crew import JobError
from .report import Rows, as_dict, show

Declared = dict[str, dict[str, str]]


@click.command()
@click.argument("layers", nargs=-1, metavar="[MODULE:LAYER]...")
@click.option("--to", metavar="NAME", help="The contract the layer answers to, by torch's name; default: its own name.")
@click.option("--examples", default=EXAMPLES, show_default=True, type=click.IntRange(min=1), help="Examples a law.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The same seed draws the same examples."
)
@click.option(
    "--fixed", multiple=True, metavar="OPTION=VALUE", help="An option the layer has no choice about; repeatable."
)
@click.option(
    "--strict/--lenient",
    default=None,
    help="Whether to try the laws on NaN, infinities and refusals; default: for our own layers.",
)
@click.option(
    "--equivalent",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file: a table for a layer, or for a module that layers run, of mutants by id that nothing can tell "
    "from the original, with reasons.",
)
@click.option("-k", "keyword", default="", metavar="TEXT", help="Only mutants whose id contains this.")
@click.option(
    "--together",
    is_flag=True,
    help="Judge the trials of all these layers as one suite: a mutant of code that several layers run needs to be "
    "killed by one of them.",
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file."
)
@click.option("-j", "--jobs", default=0, type=click.IntRange(min=0), help="Processes; default: one a core.")
def mutate(
    layers: tuple[str, ...],
    to: str | None,
    examples: int,
    seed: int,
    fixed: tuple[str, ...],
    strict: bool | None,
    equivalent: Path | None,
    keyword: str,
    together: bool,
    json_file: Path | None,
    jobs: int,
) -> None:
    """Plant faults in layers, one at a time, and see which the trial notices; without arguments, in gradjury's own.

    A layer is named package.module:Layer; package.module names all that were adapted there (gradjury.adapt), whose
    faults are planted in what a trial runs of their own package. The faults are those people make in gradients. They
    are planted in a copy of the source, in another process: no file is changed. Exit status 0: at least 99 % of the
    mutants of each layer that are not declared equivalent are killed; 1: fewer, or a declaration is stale; 2: it could
    not run.
    """
    if json_file is not None and not json_file.resolve().parent.is_dir():
        raise click.UsageError(f"the folder of {json_file} does not exist")
    options: dict[str, Any] = {
        "strict": strict,
        "examples": examples,
        "seed": seed,
        "scripts": str(SCRIPTS.resolve()),
        "fixed": parse_fixed(fixed),
    }
    targets = Target.find(layers, to, **options)
    for target in targets:
        target.checks()  # what cannot be loaded is refused before any process is started
    declared = read_declared(equivalent) if equivalent else {}
    known = {t.attribute for t in targets} | set(sys.modules)
    unknown = [] if layers else [name for name in declared if name not in known]
    if unknown:
        raise TargetError(f"{equivalent} has tables for {', '.join(unknown)}, which is no layer or module of our own")
    started = time.perf_counter()
    try:
        with Rows(Console(), [target.attribute for target in targets]) as rows:
            found = campaign(
                targets, jobs or os.cpu_count() or 1, declared, rows.take, together=together, keyword=keyword
            )
    except JobError as error:
        raise TargetError(str(error)) from error
    show(Console(), found, time.perf_counter() - started, seed)
    passed = all(findings.passed for findings in found)
    if json_file is not None:
        results = [as_dict(findings) for findings in found]
        write_json(json_file, {"seed": seed, "examples": examples, "passed": passed, "layers": results})
    sys.exit(0 if passed else 1)


def read_declared(file: Path) -> Declared:
    """The declarations in a TOML file; TargetError where it is none, or gives a mutant without a reason."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{file} is not TOML: {error}") from error
    for layer, table in data.items():
        if not isinstance(table, dict) or not all(isinstance(r, str) and r.strip() for r in table.values()):
            raise TargetError(f"{file}: [{layer}] must be a table of mutants by id, each with its reason as text")
    return data
