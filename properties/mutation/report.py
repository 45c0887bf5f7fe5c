"""How a campaign is shown: a line a layer while it runs, a table, the survivors, and the same as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .campaign import Fate, Findings, Progress

SHOWN = 110  # characters of a source line


@dataclass
class Rows:
    """Layers that are being tried, with what is known so far: redrawn in place on a terminal; elsewhere a line is
    printed when a layer begins to be tried, and when it is done.
    """

    console: Console
    names: list[str]
    totals: dict[int, int] = field(default_factory=dict)
    done: dict[int, int] = field(default_factory=dict)
    alive: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._live = Live(console=self.console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Rows:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def take(self, progress: Progress) -> None:
        """Note one step."""
        number, fate = progress.layer, progress.fate
        self.totals[number] = progress.mutants
        if fate is not None:
            self.done[number] = self.done.get(number, 0) + 1
            self.alive[number] = self.alive.get(number, 0) + (fate.state == "survived")
        if not self.console.is_terminal and self.done.get(number, 0) in (0, progress.mutants):
            words = (self.names[number], self.done.get(number, 0), "of", progress.mutants, "mutants tried")
            print(*words, file=self.console.file, flush=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for header in ("layer", "mutants", "tried", "survived"):
            table.add_column(header, justify="left" if header == "layer" else "right")
        for number, name in enumerate(self.names):
            counts = [kept.get(number, "") for kept in (self.totals, self.done, self.alive)]
            table.add_row(name, *map(str, counts))
        return table


def show(console: Console, found: list[Findings], seconds: float, seed: int) -> None:
    """The table, the survivors with what was changed, the stale declarations, then one line."""
    console.print(_table(found))
    for findings in found:
        for fate in findings.survivors:
            console.print(Text("\n" + "\n".join(_explain(findings, fate))), soft_wrap=True)
        for name in findings.stale:
            words = f"\n{findings.layer}: declared equivalent, but it is killed or no longer exists: {name}"
            console.print(Text(words, style="bold red"), soft_wrap=True)
    mutants = len({fate.mutant.id for findings in found for fate in findings.fates})
    survived = len({fate.mutant.id for findings in found for fate in findings.survivors})
    passed = all(findings.passed for findings in found)
    state = "all killed" if not survived else f"{survived} survived"
    console.print()
    console.print(
        Text(f"{len(found)} layers, {mutants} mutants: {state}", style="bold green" if passed else "bold red"),
        Text(f"(seed {seed}, {seconds:.1f} s)"),
    )


def _table(found: list[Findings]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True)
    for header in ("mutants", "killed", "by\nraising", "elsewhere", "timed\nout", "survived", "equivalent", "rate"):
        table.add_column(header, justify="right")
    table.add_column("median\nexamples", justify="right")
    for one in found:
        counts = (one.count("killed"), one.raised, one.elsewhere, one.count("timed out"), one.count("survived"))
        cells = [len(one.fates), *counts, one.count("equivalent"), f"{one.rate:.1f} %", f"{one.median:g}"]
        table.add_row(one.layer, *map(str, cells), style="" if one.passed else "red")
    return table


def _explain(findings: Findings, fate: Fate) -> list[str]:
    mutant = fate.mutant
    why = f" ({fate.reason})" if fate.reason else ""
    return [
        f"{findings.layer}: survived{why}: {mutant.operator}, {_near(mutant.file)}:{mutant.lines[0]}",
        f"  - {_cut(mutant.minus)}",
        f"  + {_cut(mutant.plus)}",
        f"  {mutant.id}",
    ]


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def _near(file: str) -> str:
    """A path from here where that is shorter."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def as_dict(findings: Findings) -> dict[str, Any]:
    """The findings of a layer as plain data, for JSON."""
    return {
        "layer": findings.layer,
        "mutants": len(findings.fates),
        "rate": findings.rate,
        "median_examples": findings.median,
        "passed": findings.passed,
        "stale": list(findings.stale),
        "fates": [
            {
                "id": fate.mutant.id,
                "operator": fate.mutant.operator,
                "module": fate.mutant.module,
                "line": fate.mutant.lines[0],
                "original": fate.mutant.minus,
                "mutant": fate.mutant.plus,
                "state": fate.state,
                "law": fate.law,
                "examples": fate.examples,
                "reason": fate.reason,
                "elsewhere": fate.elsewhere,
            }
            for fate in findings.fates
        ],
    }
