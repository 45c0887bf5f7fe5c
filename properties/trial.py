"""A trial: a layer, some laws, as many examples as asked for; what fails is shrunk by Hypothesis and written out."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity

from ..oracle.autograd import deterministic_torch
from ..oracle.vjp import Case, ask
from .adapt import Layer
from .contract import call_arguments
from .domain import Situation
from .events import Done, Drawn, Event, Failed, Failure, LawResult
from .laws.law import Bench, Broken, Law, Tally
from .script import script_source, write_script

Emit = Callable[[Event], None]
EXAMPLES = 100
SCRIPTS = Path("gradjury-scripts")


@dataclass
class Record:
    """How one law has fared so far."""

    law: Law
    examples: int = 0
    cases: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    broken: Broken | None = None
    place: tuple[Situation, int] | None = None


@dataclass(frozen=True)
class Trial:
    """A layer on trial; the same seed draws the same examples."""

    layer: Layer
    examples: int = EXAMPLES
    seed: int = 0
    scripts: Path = SCRIPTS
    emit: Emit = lambda event: None  # noqa: ARG005

    def run(self, laws: list[Law]) -> list[LawResult]:
        """Try the laws, in groups that draw from the same strategy and share the draws and the oracle's answers."""
        groups: dict[Any, list[Law]] = {}
        for law in laws:
            groups.setdefault(law.strategy, []).append(law)
        results = {}
        with quiet():
            for group in groups.values():
                records = [Record(law) for law in group]
                self._search(records, shrink=False)
                for record in records:
                    results[record.law.name] = self._close(record)
        return [results[law.name] for law in laws]

    def _close(self, record: Record) -> LawResult:
        failure = None
        if record.broken is not None:
            self.emit(Failed(self.layer.name, record.law.name, record.broken.what))
            started = time.perf_counter()
            failure = self._shrink(record)
            record.seconds += time.perf_counter() - started
        result = LawResult(
            layer=self.layer.name,
            contract=self.layer.contract.name,
            law=record.law.name,
            examples=record.examples,
            cases=record.cases,
            elements=record.tally.elements,
            excluded=record.tally.excluded,
            worst=record.tally.worst,
            seconds=record.seconds,
            failure=failure,
        )
        self.emit(Done(result))
        return result

    def _search(self, records: list[Record], *, shrink: bool) -> None:
        """Draw examples and judge them; a broken law is not tried further, or raises for Hypothesis to shrink."""
        phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
        self._draw(records[0].law, phases, lambda situation: self._judge(records, situation, shrink))

    def draws(self, law: Law) -> list[Situation]:
        """What a law is tried on, in order, without trying it."""
        found: list[Situation] = []
        self._draw(law, (Phase.generate,), found.append)
        return found

    def _draw(self, law: Law, phases: tuple[Phase, ...], each: Callable[[Situation], None]) -> None:
        settings = hypothesis.settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )

        @hypothesis.seed(self.seed)
        @settings
        @hypothesis.given(law.strategy(self.layer.contract, self.layer.fixed))
        def judged(situation: Situation) -> None:
            each(situation)

        try:
            judged()
        except hypothesis.errors.Unsatisfiable as error:
            fixed = call_arguments(self.layer.fixed)
            raise ValueError(
                f"{self.layer.contract.name} has no configuration with {fixed} that torch takes"
            ) from error

    def _judge(self, records: list[Record], situation: Situation, shrink: bool) -> None:
        bench = self._bench(situation.config)
        trying = [record for record in records if record.broken is None or shrink]
        for record in trying:
            record.examples += 1
        for number, case in enumerate(situation.cases()):
            for record in trying:
                if record.broken is None or shrink:
                    self._judge_case(record, bench, situation, number, case, shrink)
        if trying:
            self.emit(Drawn(self.layer.name, trying[0].law.name, trying[0].examples))

    def _judge_case(
        self, record: Record, bench: Bench, situation: Situation, number: int, case: Case, shrink: bool
    ) -> None:
        bench.tally = record.tally
        record.cases += 1
        started = time.perf_counter()
        try:
            record.law.judge(bench, case)
        except Broken as broken:
            record.broken, record.place = broken, (situation, number)
            if shrink:
                raise
        finally:
            record.seconds += time.perf_counter() - started

    def _bench(self, config: Mapping[str, Any]) -> Bench:
        return Bench(self.layer.contract, self.layer.build(config), config, self.layer.build)

    def _shrink(self, record: Record) -> Failure:
        """Search again for this law alone: the same seed finds the same example, and Hypothesis shrinks it."""
        again = Record(record.law, broken=record.broken, place=record.place)
        repeatable = False
        try:
            self._search([again], shrink=True)
        except Broken:
            repeatable = True
        except hypothesis.errors.Flaky:
            pass
        assert again.broken is not None
        assert again.place is not None
        return self._failure(again.law, again.broken, again.place, record.examples, repeatable)

    def _failure(
        self, law: Law, broken: Broken, place: tuple[Situation, int], found_after: int, repeatable: bool
    ) -> Failure:
        """The finding in its smallest case, with verdict and script."""
        layer, case = self.layer, broken.case
        before = self._needed_before(law, *place)
        adapted = layer.build(place[0].config)
        with contextlib.suppress(Exception):  # only to see the form of its answer; what it raises is on trial elsewhere
            ask(adapted, place[0].case(place[1]))
        source = script_source(
            adapted,
            case,
            f"{layer.name} breaks the law {law.name}: {law.statement}. Wrong here: {broken.what}. {broken.finding}",
            broken.script(),
            before,
        )
        return Failure(
            layer=layer.name,
            contract=layer.contract.name,
            law=law.name,
            statement=law.statement,
            what=broken.what,
            finding=broken.finding,
            case=case,
            comparison=broken.comparison,
            verdict=broken.verdict() if broken.verdict else None,
            script=write_script(self.scripts, f"{layer.contract.name}-{layer.name}-{law.name}", source),
            shown=f"{layer.name}({call_arguments(layer.arguments(case.config))})",
            found_after=found_after,
            seed=self.seed,
            repeatable=repeatable,
            after_another=before is not None,
        )

    def _needed_before(self, law: Law, situation: Situation, number: int) -> Case | None:
        """The earlier sub-case without which a new layer passes the failing one; None where it fails alone."""
        if not self._fails(law, situation, number):
            for earlier in range(number):
                if self._fails(law, situation, earlier, number):
                    return situation.case(earlier)
        return None

    def _fails(self, law: Law, situation: Situation, *numbers: int) -> bool:
        """Whether a new layer breaks the law in the last of these sub-cases, after answering the others."""
        bench = self._bench(situation.config)
        try:
            for number in numbers[:-1]:
                bench.ask(situation.case(number))
            law.judge(bench, situation.case(numbers[-1]))
        except Broken:
            return True
        return False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """torch set up for the oracle's work; what a layer warns about meanwhile is its own affair."""
    with deterministic_torch(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
