"""A trial: a layer, some laws, as many examples as asked for; what fails is shrunk by Hypothesis and written out."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity

from ..oracle.autograd import deterministic_torch
from ..oracle.compare import compare
from ..oracle.referee import Fault, Verdict
from ..oracle.vjp import Case, ask
from .adapt import Layer
from .certificate import Selection
from .contract import WhereError
from .corpus import CorpusError, Entry, NotPlainError, entry_of, load, save
from .domain import Situation
from .events import Done, Drawn, Event, Failed, Failure, LawResult
from .inquest import Finding, Inquest, place_of
from .laws.agreement import GRADIENTS
from .laws.law import Bench, Broken, Law, Tally, common_strategy
from .script import script_source, write_script
from .session import CORPUS, EXAMPLES, SCRIPTS
from .twins import call_arguments

Emit = Callable[[Event], None]
Watch = Callable[[Situation, Sequence[Case]], None]

# A run of Hypothesis begins with the simplest example, and if it is of ten, with a second nearly as simple; after ten
# it tries five variations of each further one. So of 100 examples in one run about 25 have values of their own; of the
# simplest and runs of eight more, about 95.
FRESH = 8


@dataclass
class Record:
    """How one law has fared so far."""

    law: Law
    examples: int = 0
    cases: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    selection: Selection = field(default_factory=Selection)
    broken: Broken | None = None
    place: tuple[Situation, int] | None = None
    replayed: tuple[Path, Entry] | None = None
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """A layer on trial; the same seed draws the same examples. `watch` sees what is drawn from the whole domain."""

    layer: Layer
    examples: int = EXAMPLES
    seed: int = 0
    scripts: Path = SCRIPTS
    emit: Emit = lambda event: None  # noqa: ARG005
    watch: Watch | None = None

    def run(self, laws: list[Law]) -> list[LawResult]:
        """Try the laws, in groups that draw from the same strategy and share the draws and the oracle's answers."""
        groups: dict[Any, list[Law]] = {}
        for law in laws:
            groups.setdefault(law.strategy, []).append(law)
        results = {}
        with quiet():
            for group in groups.values():
                records = [Record(law) for law in group]
                self._replay(records)
                self._search(records, shrink=False)
                for record in records:
                    results[record.law.name] = self._close(record)
        return [results[law.name] for law in laws]

    def _close(self, record: Record) -> LawResult:
        failure = None
        started = time.perf_counter()
        if record.broken is not None:
            self.emit(Failed(self.layer.name, record.law.name, record.broken.what))
            failure = self._shrink(record) if record.replayed is None else self._found_again(record)
        certificates = record.selection.measure(record.law.judge) if failure is None else ()
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
            ulps=statistics.median(record.tally.ulps or [0.0]),
            kinds=dict(record.tally.kinds),
            seconds=record.seconds,
            failure=failure,
            certificates=certificates,
            skipped=tuple(record.skipped),
        )
        self.emit(Done(result))
        return result

    @property
    def corpus(self) -> Path:
        """The folder of the counterexamples that were found before."""
        return self.scripts / CORPUS

    @cached_property
    def _kept(self) -> list[tuple[Path, Entry | CorpusError]]:
        return list(load(self.corpus))

    def _replay(self, records: list[Record]) -> None:
        """What was found before is tried first; a law that it breaks is not searched."""
        for record in records:
            for file, entry in self._kept:
                if isinstance(entry, CorpusError):
                    record.skipped.append(f"{file}: {entry}")
                elif entry.concerns(self.layer) and entry.law == record.law.name and record.broken is None:
                    try:
                        self.replay(record.law, entry, record.tally)
                    except Broken as broken:
                        record.broken, record.replayed = broken, (file, entry)
                    except CorpusError as error:
                        record.skipped.append(f"{file}: {error}")

    def replay(self, law: Law, entry: Entry, tally: Tally | None = None) -> None:
        """Try a counterexample again: Broken where the law still is, CorpusError where the case makes no sense now."""
        reason = entry.outside(self.layer)
        if reason is not None:
            raise CorpusError(reason)
        try:
            bench = self._bench(entry.case.config)
            bench.tally = tally or bench.tally
            bench.torch(entry.case)(**entry.case.inputs)  # torch takes it
            if entry.before is not None:
                bench.ask(entry.before)
            law.judge(bench, entry.case)
        except Broken:
            raise
        except Exception as error:
            raise CorpusError(f"{type(error).__name__}: {error}") from error

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
        """All examples, the simplest and then runs of FRESH more."""
        for start in range(1, max(self.examples, 2), FRESH):
            self._draw_some(law, phases, each, start, min(FRESH, self.examples - start) + 1)

    def _draw_some(
        self, law: Law, phases: tuple[Phase, ...], each: Callable[[Situation], None], start: int, examples: int
    ) -> None:
        """One run of Hypothesis, with a seed of its own; the simplest example, its first, is new just once."""
        drawn = itertools.count()
        settings = hypothesis.settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )

        @hypothesis.seed(f"{self.seed}-{start}")
        @settings
        @hypothesis.given(law.strategy(self.layer.contract, self.layer.fixed))
        def judged(situation: Situation) -> None:
            if start == 1 or next(drawn) > 0:
                each(situation)

        try:
            judged()
        except WhereError as error:
            error.__notes__ = []  # Hypothesis adds the contract in full
            raise
        except hypothesis.errors.Unsatisfiable as error:
            if start > 1:
                return
            with_fixed = f" with {call_arguments(self.layer.fixed)}" if self.layer.fixed else ""
            where = " and where=… lets through" if self.layer.contract.narrowing.where else ""
            raise ValueError(
                f"{self.layer.contract.name} has no configuration{with_fixed} that torch takes{where}"
            ) from error

    def _judge(self, records: list[Record], situation: Situation, shrink: bool) -> None:
        bench = self._bench(situation.config)
        trying = [record for record in records if record.broken is None or shrink]
        for record in trying:
            record.examples += 1
        cases = list(situation.cases())
        for number, case in enumerate(cases):
            for record in trying:
                if record.broken is None or shrink:
                    self._judge_case(record, bench, situation, number, case, shrink)
        for record in trying:
            if record.law is GRADIENTS and record.broken is None:
                record.selection.offer(bench, cases)
        if self.watch is not None and not shrink and trying and trying[0].law.strategy is common_strategy:
            self.watch(situation, cases)
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
        assert record.place is not None
        finding = self._inquire(again.broken, again.place[0], record.place[0])
        before = self._needed_before(again.law, *again.place)
        asked = again.place[0].case(again.place[1])
        failure = self._failure(again.law, again.broken, asked, before, finding)
        failure = replace(failure, found_after=record.examples, repeatable=repeatable)
        try:
            return replace(failure, kept=save(self.corpus, entry_of(failure, asked, before)))
        except NotPlainError:  # a configuration that holds a function: the script has it
            return failure

    def _found_again(self, record: Record) -> Failure:
        """A counterexample that was replayed; what was said of it when it was found still goes."""
        assert record.broken is not None
        assert record.replayed is not None
        file, entry = record.replayed
        finding = Finding(entry.diagnosis, entry.matters)
        failure = self._failure(record.law, record.broken, entry.case, entry.before, finding)
        return replace(failure, kept=file, replayed=True)

    @cached_property
    def _findings(self) -> dict[int | str, Finding]:
        return {}

    def _inquire(self, broken: Broken, smallest: Situation, found: Situation) -> Finding:
        """How the array that the law names is wrong: several laws may name the same, and there is one answer."""
        place = place_of(broken.what)
        if place is None:
            return Finding()
        if place not in self._findings:
            inquest = Inquest(self.layer, place, self.seed)
            self._findings[place] = inquest.hold(smallest, broken.case, found)
        return self._findings[place]

    def _failure(
        self,
        law: Law,
        broken: Broken,
        asked: Case,
        before: Case | None,
        finding: Finding,
    ) -> Failure:
        """The finding in its smallest case, with verdict and script; `asked`: the case that the law was asked about."""
        layer, case = self.layer, broken.case
        adapted = layer.build(asked.config)
        with contextlib.suppress(Exception):  # only to see the form of its answer; what it raises is on trial elsewhere
            ask(adapted, asked)
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
            verdict=self._verdict(broken, finding, after_another=before is not None),
            script=write_script(self.scripts, f"{layer.contract.name}-{layer.name}-{law.name}", source),
            shown=f"{layer.name}({call_arguments(layer.arguments(case.config))})",
            found_after=0,
            seed=self.seed,
            after_another=before is not None,
            diagnosis=finding.diagnosis,
            matters=finding.matters,
        )

    def _verdict(self, broken: Broken, finding: Finding, *, after_another: bool) -> Verdict | None:
        """The referee's verdict on the smallest case.

        A convention may show only on a case that is not degenerate, and seem to be another on one that is: the typical
        case decides.
        """
        if broken.verdict is None:
            return None
        if after_another:
            fault = Fault.BACKWARD if broken.what.startswith("gradient") else Fault.FORWARD
            return Verdict(fault, "a new layer answers this case rightly: something is kept from an earlier call")
        smallest, one = broken.verdict(), finding.typical
        if one is None or smallest.fault not in (Fault.FORWARD, Fault.CONVENTION):
            return smallest
        bench = self._bench(one.case.config)
        index = compare(one.got, one.expected).index
        typical = bench.verdict(one.case, one.place, index)
        return typical if Fault.CONVENTION in (smallest.fault, typical.fault) else smallest

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
