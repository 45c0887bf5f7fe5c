"""The terminal's view of a run: one row a layer, filled in from events as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .coverage import CONTENTS, SHAPES, Coverage
from .events import ACCURACY, Drawn, Event, Failed, LawResult, Result
from .explain import error_size, explain_failure, explain_vacuity


@dataclass
class Row:
    """What is known of one layer so far."""

    layer: str
    laws: int = 0
    doing: str = "waiting"
    examples: int = 0
    done: int = 0
    broken: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    result: Result | None = None

    def take(self, event: Event) -> None:
        """Note one event."""
        if isinstance(event, Drawn):
            self.doing = f"{event.law} {event.examples}"
        elif isinstance(event, Failed):
            self.broken += 1
            self.doing = f"shrinking {event.law}"
        else:
            self.done += 1
            self.examples += event.result.examples
            if event.result.passed:
                self.worst = max(self.worst, event.result.worst)

    def cells(self) -> list[Text]:
        """The row of the table."""
        if self.result is None:
            verdict = Text(self.doing, style="red" if self.broken else "dim")
        elif self.result.passed:
            verdict = Text("all hold", style="green")
        else:
            broken = [law.law for law in self.result.laws if law.failure is not None]
            vacuous = [law.law for law in self.result.laws if law.vacuous]
            states = (("GUILTY", broken), ("VACUOUS", vacuous))
            verdict = Text("; ".join(f"{state}: {', '.join(laws)}" for state, laws in states if laws), style="bold red")
        caught = self.result.blindest if self.result else None
        sees = "" if caught is None else error_size(caught)
        worst = f"{self.worst:.2f}" if self.done else ""
        ulps = f"{self.result.ulps:.2g}" if self.result else ""
        time = f"{self.seconds:.1f} s" if self.result else ""
        laws = f"{self.done}/{self.laws}"
        numbers = (worst, ulps, sees, time)
        return [Text(self.layer), Text(str(self.examples)), Text(laws), verdict, *map(Text, numbers)]


class Board:
    """All rows, redrawn in place on a terminal; elsewhere each row is printed once, when it is finished."""

    def __init__(self, console: Console, names: list[tuple[str, int]]) -> None:
        self._console = console
        self._rows = [Row(name, laws) for name, laws in names]
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=False)

    def __enter__(self) -> Board:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._console.print(self._table())

    def take(self, number: int, event: Event) -> None:
        """An event of the layer in this row; one that comes after its result has nothing to add."""
        if self._rows[number].result is None:
            self._rows[number].take(event)

    def finish(self, number: int, result: Result, seconds: float) -> None:
        """The layer in this row has been tried."""
        row = self._rows[number]
        row.result, row.seconds = result, seconds
        # From another process, the result may come before the last of its events.
        row.done, row.worst = len(result.laws), result.worst
        row.examples = sum(law.examples for law in result.laws)
        if not self._console.is_terminal:
            print(*(cell.plain for cell in row.cells()), sep="  ", file=self._console.file, flush=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("layer", no_wrap=True)
        table.add_column("examples", justify="right")
        table.add_column("laws", justify="right")
        table.add_column("verdict", overflow="fold")
        table.add_column("worst error\nin budgets", justify="right")
        table.add_column("median error\nin ULPs", justify="right")
        table.add_column("sees errors\nof (float64)", justify="right")
        table.add_column("time", justify="right")
        for row in self._rows:
            table.add_row(*row.cells())
        return table


def summary(console: Console, results: list[Result], seconds: float, seed: int) -> None:
    """The findings in full, then one line."""
    for result in results:
        for text in result.skipped:
            console.print(Text(f"\n{result.layer}: skipped {text}", style="yellow"), soft_wrap=True)
        for failure in result.failures:
            console.print()
            console.print(Text(explain_failure(failure)), soft_wrap=True)
        for law in result.laws:
            for reason in explain_vacuity(law):
                console.print(Text(f"\n{result.layer}: the law {law.law} is vacuous: {reason}"), soft_wrap=True)
    laws = [law for result in results for law in result.laws]
    broken = sum(not law.passed for law in laws)
    vacuous = sum(law.vacuous for law in laws)
    counts = [f"{n} {what}" for n, what in ((broken - vacuous, "broken"), (vacuous, "vacuous")) if n]
    state = ", ".join(counts) or "all hold"
    style = "bold red" if broken else "bold green"
    examples, cases = sum(law.examples for law in laws), sum(law.cases for law in laws)
    console.print()
    if any(law.kinds for law in laws):
        console.print(Text(_points(laws)))
    console.print(
        Text(f"{len(results)} layers, {len(laws)} laws: {state}", style=style),
        Text(f"({examples} examples, {cases} cases, seed {seed}, {seconds:.1f} s)"),
    )


def _points(laws: list[LawResult]) -> str:
    """What kinds of points were drawn for the gradients, and how many elements nobody could judge."""
    kinds: Counter[str] = Counter()
    for law in laws:
        kinds.update(law.kinds)
    judged = [law for law in laws if law.law in ACCURACY or law.kinds]
    elements, excluded = sum(law.elements for law in judged), sum(law.excluded for law in judged)
    shown = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    share = f"{excluded / elements:.2%}" if elements else "none"
    return f"points of the outputs: {shown}; excluded: {excluded:,} of {elements:,} elements ({share})"


def show_coverage(console: Console, results: list[Result]) -> None:
    """What each layer was tried on, where that was asked for: values, options, and what is missing."""
    for result in results:
        c = result.coverage
        if c is None:
            continue
        console.print(Text(f"\n{result.layer}: drawn in {c.examples} examples, {c.cases} cases", style="bold"))
        ranks = "; ".join(f"{name} {_counts(ranks)}" for name, ranks in c.ranks.items())
        lines = {"dtypes": _counts(c.dtypes), "ranks": ranks, "edits": _counts(c.edits)}
        if c.pairs:
            (one, other), count = min(c.pairs.items(), key=lambda item: item[1])
            lines["pairs"] = f"{len(c.pairs)} pairs of options away from default; rarest: {one} and {other}, {count}"
        for title, text in lines.items():
            console.print(Padding(Text(f"{title}: {text}"), (0, 0, 0, 2)))
        console.print(Padding(_arrays_table(c), (0, 0, 0, 2)))
        if c.options:
            console.print(Padding(_options_table(c), (0, 0, 0, 2)))
        for name in c.ignored:
            console.print(Text(f"  accepted and ignored: {name}", style="bold red"))
        for gap in c.gaps:
            console.print(Text(f"  gap: {gap}", style="yellow"), soft_wrap=True)


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


MOST_VALUES = 5
SIGNS = {"positive": "> 0", "negative": "< 0", "zero": "0", "negative zero": "-0"}


def _arrays_table(c: Coverage) -> Table:
    """One row an input and cotangent: how many cases show each thing."""
    table = Table("cases with", box=None, pad_edge=False, header_style="dim")
    kinds = (*CONTENTS, *SHAPES)
    for kind in kinds:
        table.add_column(SIGNS.get(kind, kind), justify="right", no_wrap=True)
    for name, counts in c.contents.items():
        table.add_row(name, *(str(counts[kind]) for kind in kinds))
    return table


def _options_table(c: Coverage) -> Table:
    """One row an option; the cases that were asked again with its default, and whose answers changed."""
    table = Table("option", box=None, pad_edge=False, header_style="dim")
    for title in ("away from\ndefault", "changed\ntorch", "changed\nlayer"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("values", overflow="fold")
    for o in c.options:
        values = [f"{value}: {count}" for value, count in o.values.items()]
        more = [f"{len(values) - MOST_VALUES} more"] if len(values) > MOST_VALUES else []
        changes = [f"{n}/{o.asked}" for n in (o.shown, o.honoured)] if o.asked else ["", ""]
        away = "" if o.away is None else str(o.away)
        table.add_row(o.name, away, *changes, ", ".join(values[:MOST_VALUES] + more))
    return table
