"""The terminal's view of a run: one row a layer, filled in from events as they come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .events import ACCURACY, Drawn, Event, Failed, LawResult, Result
from .explain import explain_failure


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
            broken = [law.law for law in self.result.laws if not law.passed]
            verdict = Text(f"GUILTY: {', '.join(broken)}", style="bold red")
        worst = f"{self.worst:.2f}" if self.done else ""
        ulps = f"{self.result.ulps:.2g}" if self.result else ""
        time = f"{self.seconds:.1f} s" if self.result else ""
        laws = f"{self.done}/{self.laws}"
        return [Text(self.layer), Text(str(self.examples)), Text(laws), verdict, Text(worst), Text(ulps), Text(time)]


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
        """An event of the layer in this row."""
        self._rows[number].take(event)

    def finish(self, number: int, result: Result, seconds: float) -> None:
        """The layer in this row has been tried."""
        row = self._rows[number]
        row.result, row.seconds = result, seconds
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
        table.add_column("time", justify="right")
        for row in self._rows:
            table.add_row(*row.cells())
        return table


def summary(console: Console, results: list[Result], seconds: float, seed: int) -> None:
    """The findings in full, then one line."""
    for result in results:
        for failure in result.failures:
            console.print()
            console.print(Text(explain_failure(failure)), soft_wrap=True)
        for law in result.laws:
            if law.vacuous:
                console.print(
                    Text(
                        f"\n{result.layer}: the law {law.law} judged nothing: all {law.elements} elements were excluded"
                    )
                )
    laws = [law for result in results for law in result.laws]
    broken = sum(not law.passed for law in laws)
    state = "all hold" if not broken else f"{broken} broken"
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
