"""The same trial many times: what it draws, and what torch answers, do not depend on the layer and are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...oracle.budget import Reference
from ...oracle.vjp import Case
from ..adapt import Layer
from ..domain import Situation
from ..laws.law import Bench, Broken, Law
from ..trial import Trial, quiet


@dataclass(frozen=True)
class Break:
    """The first law that broke, after how many draws, and how."""

    law: str
    examples: int
    finding: str


@dataclass(frozen=True)
class _Scene:
    """One draw: its cases, each with the oracle's answer, which is computed when it is first asked for."""

    situation: Situation
    cases: Sequence[Case]
    references: dict[int, tuple[Case, Reference]]


class Rehearsal:
    """A trial of some laws, to be repeated with layers of one contract."""

    def __init__(self, trial: Trial, laws: Sequence[Law]) -> None:
        self.layer = trial.layer
        self._trial = trial
        self._acts: dict[Any, tuple[list[Law], list[_Scene]]] = {}
        for law in laws:
            self._acts.setdefault(law.strategy, ([], []))[0].append(law)

    def first_break(self, layer: Layer) -> Break | None:
        """Try the laws as a trial does until one breaks, without shrinking; None where all hold.

        An exception where no law expects one, as in building the layer, breaks them too.
        """
        drawn = 0
        with quiet():
            for laws, scenes in self._acts.values():
                if not scenes:
                    scenes.extend(self._scene(situation) for situation in self._trial.draws(laws[0]))
                for scene in scenes:
                    drawn += 1
                    law = laws[0]
                    try:
                        bench = self._bench(layer, scene)
                        for case in scene.cases:
                            for law in laws:
                                law.judge(bench, case)
                    except Broken as broken:
                        return Break(law.name, drawn, str(broken))
                    except Exception as error:
                        return Break(law.name, drawn, f"it raised {type(error).__name__}: {error}")
        return None

    def _scene(self, situation: Situation) -> _Scene:
        cases = list(situation.cases())
        bench = Bench(self.layer.contract, self.layer.build(situation.config), situation.config, self.layer.build)
        return _Scene(situation, cases, {id(case): (case, Reference(bench.torch(case), case)) for case in cases})

    def _bench(self, layer: Layer, scene: _Scene) -> Bench:
        config = scene.situation.config
        # A copy: what laws ask of other cases is not kept.
        return Bench(layer.contract, layer.build(config), config, layer.build, _references=dict(scene.references))
