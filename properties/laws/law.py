"""What a law is, the bench it judges at, and the evidence it leaves where it is broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...oracle.autograd import torch_vjp
from ...oracle.budget import ALLOWED, Expected, Reference
from ...oracle.compare import Comparison, compare
from ...oracle.referee import Fault, Verdict, judge_gradient, judge_output, judge_refusal
from ...oracle.vjp import Answer, Array, Case, Place, Vjp, arrays_of, outputs_of
from ..contract import DTYPES, Contract
from ..domain import Situation
from ..styles.base import Adapted, StyleError


@dataclass
class Tally:
    """How much was judged: elements compared, those that had to be excluded, the worst error in budgets, that of each
    array in ULPs, and how many outputs were at which kind of point, for the laws that look.
    """

    elements: int = 0
    excluded: int = 0
    worst: float = 0.0
    ulps: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, comparison: Comparison) -> None:
        """Count one comparison."""
        self.count(comparison.elements, comparison.excluded)
        self.worst = max(self.worst, comparison.ratio)
        if comparison.elements:
            self.ulps.append(comparison.ulps)

    def count(self, elements: int, excluded: int = 0) -> None:
        """Count elements that were judged without a budget."""
        self.elements += elements
        self.excluded += excluded


# Lines of source, or what makes them, where that is costly.
Script = list[str] | Callable[[], list[str]]


class Broken(Exception):  # noqa: N818 - a verdict, not an error of ours
    """A law does not hold for this case.

    `what` names the thing that is wrong ("gradient of weight"), `finding` says how. `verdict` and `script` (the lines
    of a reproduction script that decide `wrong`) are costly or long, so they are made for the smallest case only.
    """

    def __init__(
        self,
        what: str,
        finding: str,
        case: Case,
        *,
        script: Script,
        comparison: Comparison | None = None,
        verdict: Callable[[], Verdict] | None = None,
    ) -> None:
        super().__init__(f"{what}: {finding}")
        self.what = what
        self.finding = finding
        self.case = case
        self.comparison = comparison
        self.verdict = verdict
        self._script = script

    def script(self) -> list[str]:
        """The lines of a reproduction script that decide `wrong`."""
        return self._script() if callable(self._script) else self._script


@dataclass
class Bench:
    """A layer and its torch reference, both in one configuration, and the tally of what was judged here."""

    contract: Contract
    layer: Adapted
    config: Mapping[str, Any]
    make: Callable[[Mapping[str, Any]], Adapted]
    tally: Tally = field(default_factory=Tally)
    _references: dict[int, tuple[Case, Reference]] = field(default_factory=dict)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return self.contract.reference.bind(self.config)

    def torch(self, case: Case) -> Vjp:
        """The reference, differentiating what the case asks for."""
        return torch_vjp(self._function, case.differentiable)

    def reference(self, case: Case) -> Reference:
        """The truth for a case, which all laws at this bench share."""
        if id(case) not in self._references:
            self._references[id(case)] = case, Reference(self.torch(case), case)
        return self._references[id(case)][1]

    def forward(self, case: Case, vjp: Vjp | None = None) -> tuple[tuple[Array, ...], Callable[..., Any]]:
        """The layer's outputs and its backward pass on writable copies of the inputs."""
        own = case.copies()
        try:
            y, backward = (vjp or self.layer)(**own.inputs)
            return outputs_of(y), backward
        except StyleError:
            raise
        except Exception as error:
            raise self.raised("forward", error, case) from error

    def backward(self, backward: Callable[..., Any], case: Case) -> dict[str, Array]:
        """The gradients for the cotangents of the case, copies of which are handed over."""
        cotangents = [dy.copy() for dy in case.cotangents]
        try:
            return arrays_of(backward(*cotangents))
        except StyleError:
            raise
        except Exception as error:
            raise self.raised("backward", error, case) from error

    def ask(self, case: Case, vjp: Vjp | None = None) -> Answer:
        """Forward and backward; an exception of the layer is a finding."""
        outputs, backward = self.forward(case, vjp)
        return Answer(outputs, self.backward(backward, case))

    def raised(self, where: str, error: Exception, case: Case) -> Broken:
        """The finding that a layer raised where torch answers."""
        first = str(error).strip().partition("\n")[0]
        finding = f"the {where} raised {type(error).__name__}: {first}"
        fault = Fault.FORWARD if where == "forward" else Fault.BACKWARD
        verdict = self.refusal(case, fault, f"the {where} raises where torch answers")
        return Broken(where, finding, case, script=["ask(layer, *case)  # raises", "wrong = False"], verdict=verdict)

    def verdict(self, case: Case, place: Place, index: tuple[int, ...]) -> Verdict:
        """The referee's verdict on an array of the answer that differs most at this index."""
        if isinstance(place, str):
            return judge_gradient(self.layer, self.torch(case), case, place, index, self.contract.scalar)
        return judge_output(self.layer, self.torch(case), case, place, index, self.contract.scalar)

    def refusal(self, case: Case, fault: Fault, sentence: str) -> Callable[[], Verdict]:
        """The verdict where nothing of torch's shape was answered: a convention that explains it, or this fault."""
        return partial(judge_refusal, self.layer, self.torch(case), case, Verdict(fault, sentence))

    def compare(
        self,
        got: Any,
        expected: Expected,
        what: str,
        case: Case,
        *,
        script: Script,
        verdict: Callable[[tuple[int, ...]], Verdict] | None = None,
        enough: float = 1.0,
    ) -> None:
        """Compare one array and count it; Broken where the shape or an element differs."""
        got = np.asarray(got)
        if got.shape != expected.value.shape:
            finding = f"its shape is {got.shape}, torch's is {expected.value.shape}"
            fault = Fault.BACKWARD if what.startswith("gradient") else Fault.FORWARD
            raise Broken(what, finding, case, script=script, verdict=self.refusal(case, fault, finding))
        comparison = compare(got, expected, enough)
        self.tally.add(comparison)
        if not comparison.agrees:
            decide = None if verdict is None else partial(verdict, comparison.index)
            raise Broken(what, "", case, comparison=comparison, verdict=decide, script=script)


Judge = Callable[[Bench, Case], None]
Strategy = Callable[[Contract, Mapping[str, Any]], st.SearchStrategy[Situation]]


def common_strategy(contract: Contract, fixed: Mapping[str, Any]) -> st.SearchStrategy[Situation]:
    """The whole domain with the ordinary edits."""
    return contract.situations(fixed=fixed)


@dataclass(frozen=True)
class Law:
    """A property that must hold: its name, what it says, and how one case is judged.

    `strict` laws are on for gradjury's own layers and asked for by others. `applies` says for which fixed options the
    law has anything to say, `dtypes` in which it can be tried.
    """

    name: str
    statement: str
    judge: Judge
    strategy: Strategy = common_strategy
    strict: bool = False
    applies: Callable[[Mapping[str, Any]], bool] = lambda fixed: True  # noqa: ARG005
    dtypes: tuple[str, ...] = DTYPES


def named(place: Place) -> str:
    """How a finding names the array; the inquest reads it back."""
    return f"output {place}" if isinstance(place, int) else f"gradient of {place}"


def in_script(place: Place) -> str:
    """Where the array is in what a script's `ask` answers."""
    return f"[0][{place}]" if isinstance(place, int) else f'[1]["{place}"]'


def answered(gradients: Mapping[str, Array], case: Case) -> list[str]:
    """The inputs whose gradient was answered, in the input's shape; the law of gradients reports the others."""
    shapes = {name: gradient.shape for name, gradient in gradients.items()}
    return [name for name in case.differentiable if shapes.get(name) == case.inputs[name].shape]


def allowance(expected: Expected) -> Array:
    """The allowed error, element by element."""
    return np.asarray(np.where(np.isfinite(expected.budget), ALLOWED * expected.budget, np.inf))
