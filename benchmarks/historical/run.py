"""Tries every bug and its correct version with gradjury's defaults; prints a table, recall, examples to detection."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import gradjury
from gradjury.properties.contract import Contract

from . import BUGS, Bug

EXAMPLES = 100


@dataclass(frozen=True)
class Outcome:
    """How the two versions of one bug fared; each is what was found against it, sorted by when it was found."""

    bug: Bug
    correct: list[gradjury.Failure]
    faulty: list[gradjury.Failure]

    @property
    def found(self) -> bool:
        """Whether the faulty version broke a law; beside a correct one that does so too, that shows nothing."""
        return bool(self.faulty) and not self.correct

    @property
    def after(self) -> int:
        """Examples to detection by the quickest law."""
        return self.faulty[0].found_after

    @property
    def verdict(self) -> str:
        """Who is at fault, in a word, from the first law that asked the referee; else what was found."""
        verdicts = [failure.verdict for failure in self.faulty if failure.verdict is not None]
        return verdicts[0].fault.value if verdicts else self.faulty[0].finding


def findings(layer: Any, contract: str | Contract, examples: int, seed: int, scripts: Path) -> list[gradjury.Failure]:
    """The laws that a layer breaks, the quickest found first."""
    try:
        own = tempfile.mkdtemp(dir=scripts)  # one bug is not told what was found of another
        gradjury.check_layer(layer, to=contract, examples=examples, seed=seed, scripts=own)
    except gradjury.CheckFailed as failed:
        if not failed.result.failures:
            raise  # everything was excluded: no answer, and a defect of the benchmark
        return sorted(failed.result.failures, key=lambda failure: failure.found_after)
    return []


def outcomes(bugs: Iterable[Bug], examples: int = EXAMPLES, seed: int = 0) -> Iterator[Outcome]:
    """Each bug tried; a correct version that several share is tried once."""
    known: dict[tuple[Any, str], list[gradjury.Failure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scripts = Path(folder)
        for bug in bugs:
            key = bug.correct, bug.layer
            if key not in known:
                known[key] = findings(bug.correct, bug.contract, examples, seed, scripts)
            yield Outcome(bug, known[key], findings(bug.faulty, bug.contract, examples, seed, scripts))


def table(tried: Iterable[Outcome]) -> Table:
    """One row a bug."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("bug", "project", "layer", "found by", "after", "verdict", "correct version"):
        grid.add_column(name, justify="right" if name == "after" else "left", overflow="fold")
    for outcome in tried:
        bug = outcome.bug
        laws = ", ".join(failure.law for failure in outcome.faulty if failure.found_after == outcome.after)
        row = (laws, str(outcome.after), outcome.verdict) if outcome.found else ("MISSED", "", "")
        passed = f"FALSE ALARM: {', '.join(f.law for f in outcome.correct)}" if outcome.correct else "passes"
        grid.add_row(bug.name, bug.project, bug.layer, *row, passed)
    return grid


def summary(tried: list[Outcome]) -> str:
    """Recall, examples to detection, false alarms."""
    counts = sorted(outcome.after for outcome in tried if outcome.found)
    layers = {(outcome.bug.correct, outcome.bug.layer): outcome.correct for outcome in tried}
    alarms = sum(map(bool, layers.values()))
    detection = f"median {statistics.median(counts):g}, most {counts[-1]}" if counts else "none"
    return (
        f"recall {len(counts)} of {len(tried)}; examples to detection: {detection}; "
        f"false alarms {alarms} of {len(layers)} correct layers"
    )


@click.command()
@click.option("--examples", default=EXAMPLES, show_default=True, help="Examples for each law of each layer.")
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same examples.")
@click.option("-k", "keyword", default="", help="Only bugs whose name, project or layer contains this.")
def main(examples: int, seed: int, keyword: str) -> None:
    """Exit status 0 where every bug is found and every correct version passes, else 1."""
    word = keyword.lower()
    bugs = [bug for bug in BUGS if word in f"{bug.name} {bug.project} {bug.layer}".lower()]
    if not bugs:
        raise click.UsageError(f"no bug matches {keyword!r}")
    started, tried = time.perf_counter(), []
    for outcome in outcomes(bugs, examples, seed):
        tried.append(outcome)
        state = f"found after {outcome.after}" if outcome.found else "MISSED"
        alarm = ", FALSE ALARM" if outcome.correct else ""
        click.echo(f"{len(tried)}/{len(bugs)} {outcome.bug.name}: {state}{alarm}", err=True)
    Console(width=160).print(table(tried))
    click.echo(f"\n{summary(tried)} (seed {seed}, {examples} examples a law, {time.perf_counter() - started:.0f} s)")
    raise SystemExit(0 if all(outcome.found and not outcome.correct for outcome in tried) else 1)
