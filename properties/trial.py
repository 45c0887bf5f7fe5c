"""A trial: one law, one layer, as many examples as asked for; what fails is shrunk by Hypothesis and written out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity

from ..oracle.autograd import deterministic_torch
from ..oracle.vjp import Case
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
class Trial:
    """One law on trial against one layer."""

    layer: Layer
    law: Law
    examples: int = EXAMPLES
    seed: int = 0
    scripts: Path = SCRIPTS
    emit: Emit = lambda event: None  # noqa: ARG005
    _drawn: int = 0
    _cases: int = 0
    _tally: Tally = field(default_factory=Tally)
    _broken: Broken | None = None
    _place: tuple[Situation, int] = field(init=False)
    _found_after: int = 0

    def run(self) -> LawResult:
        """Try the law; what the layer prints or warns meanwhile is its own affair."""
        started = time.perf_counter()
        repeatable = True
        with deterministic_torch(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                self._search()
            except Broken:
                pass  # kept by _judge, with its place
            except hypothesis.errors.Flaky:
                repeatable = False
            failure = self._failure(self._broken, repeatable) if self._broken else None
        result = LawResult(
            layer=self.layer.name,
            contract=self.layer.contract.name,
            law=self.law.name,
            examples=self._found_after if failure else self._drawn,
            cases=self._cases,
            elements=self._tally.elements,
            excluded=self._tally.excluded,
            worst=self._tally.worst,
            seconds=time.perf_counter() - started,
            failure=failure,
        )
        self.emit(Done(result))
        return result

    def _search(self) -> None:
        settings = hypothesis.settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )

        @hypothesis.seed(self.seed)
        @settings
        @hypothesis.given(self.law.strategy(self.layer.contract, self.layer.fixed))
        def judged(situation: Situation) -> None:
            self._judge(situation)

        judged()

    def _judge(self, situation: Situation) -> None:
        bench = self._bench(situation.config)
        searching = self._broken is None
        if searching:
            self._drawn += 1
            bench.tally = self._tally
        number = 0
        try:
            for number, case in enumerate(situation.cases()):
                self._cases += searching
                self.law.judge(bench, case)
        except Broken as broken:
            if searching:
                self._found_after = self._drawn
                self.emit(Failed(self.layer.name, self.law.name, broken.what))
            self._broken, self._place = broken, (situation, number)
            raise
        if searching:
            self.emit(Drawn(self.layer.name, self.law.name, self._drawn))

    def _bench(self, config: Mapping[str, Any]) -> Bench:
        return Bench(self.layer.contract, self.layer.build(config), config, self.layer.build)

    def _failure(self, broken: Broken, repeatable: bool) -> Failure:
        """The finding in its smallest case, with verdict and script."""
        layer, case, law = self.layer, broken.case, self.law
        before = self._needed_before()
        name = f"{layer.contract.name}-{layer.name}-{law.name}"
        source = script_source(
            layer.build(self._place[0].config),
            case,
            f"{layer.name} breaks the law {law.name}: {law.statement}. {broken.what} is wrong. {broken.finding}",
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
            script=write_script(self.scripts, name, source),
            shown=f"{layer.name}({call_arguments(layer.arguments(case.config))})",
            found_after=self._found_after,
            seed=self.seed,
            repeatable=repeatable,
            after_another=before is not None,
        )

    def _needed_before(self) -> Case | None:
        """The earlier sub-case without which a new layer passes the failing one; None where it fails alone."""
        situation, number = self._place
        if self._fails(situation, number):
            return None
        for earlier in range(number):
            if self._fails(situation, earlier, number):
                return situation.case(earlier)
        return None

    def _fails(self, situation: Situation, *numbers: int) -> bool:
        """Whether a new layer breaks the law in the last of these sub-cases, after answering the others."""
        bench = self._bench(situation.config)
        try:
            for number in numbers[:-1]:
                bench.ask(situation.case(number))
            self.law.judge(bench, situation.case(numbers[-1]))
        except Broken:
            return True
        return False
