"""After a law was found broken: how the array in question is wrong, and which parts of the case matter.

Both are decided by further draws from the contract's domain, near the smallest case and all over it. Their number is
fixed, and the same seed draws the same.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase

from ..oracle.autograd import torch_vjp
from ..oracle.budget import Expected, Reference
from ..oracle.diagnosis import MOST_ASKED, Call, Diagnosis, Observation, diagnose
from ..oracle.vjp import Answer, Array, Case, Place, Vjp, ask, differentiable_outputs, outputs_of
from .adapt import Layer
from .domain import SUB_CASES, Situation
from .matters import Seen, Tries, failed, key_of, what_matters
from .values import EDITS, Edit

# How many situations are drawn: at the smallest case's configuration, for each option varied alone, over the domain.
NEAR, EACH, WIDE = 16, 10, 20
# So many of those that fail are tried in the other dtype, and are evidence for the diagnosis.
RETYPED, EVIDENCE = 3, 8
# So many values of an option that pass are tried some more.
MOST_PASSING = 3
# Small arrays are enough for the diagnosis if so many situations with them fail.
ENOUGH = 4
# The sub-cases that are tried: normal numbers, whole numbers, and normal numbers with the drawn edits.
TRIED = (1, 0, 3)
# Plain numbers but for ties and zeros: budgets are small, and faults show clearly.
TAME = {name: EDITS[name] for name in ("ties", "zeros")}


@dataclass(frozen=True)
class Manner:
    """With which dtype and edits values are drawn."""

    dtype: str
    edits: Mapping[str, Edit]


@dataclass(frozen=True)
class Finding:
    """How an array is wrong, and what matters for that; None where it cannot be said.

    `typical` is a failing case of plain numbers on axes longer than one: the smallest may be empty, or too small to
    tell one explanation from another.
    """

    diagnosis: Diagnosis | None = None
    matters: str | None = None
    typical: Observation | None = None


def place_of(what: str) -> Place | None:
    """The array that a law's finding names: the number of an output, or the input of a gradient."""
    if found := re.match(r"gradient of (\S+)", what):
        return found[1]
    if found := re.fullmatch(r"output(?: (\d+))?", what):
        return int(found[1] or 0)
    return None


@dataclass(frozen=True)
class Inquest:
    """The layer, the array that is wrong, and the draws."""

    layer: Layer
    place: Place
    seed: int
    _bound: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def hold(self, smallest: Situation, case: Case, found: Situation) -> Finding:
        """The finding, from the smallest case, the situation it came from, and the one that was found first."""
        here = self.observe(smallest.config, [case])
        first = self.situation(found, range(SUB_CASES))
        if not any(seen.wrong for seen in (*here, *first)):
            return Finding()
        for manner in (Manner("float64", TAME), Manner(case.dtype.name, EDITS)):
            tries = self._tries(smallest.config, manner)
            if any(map(failed, tries.near)):
                break
        wide = [self.situation(s) for s in self._draw({}, manner, WIDE)]
        varied = [seen for tried in tries.varied.values() for _, seen in tried]
        evidence = [seen for tried in (wide, [*tries.near, *varied]) for seen in _some(tried)]
        return Finding(
            diagnose([*here, *first, *(one for seen in evidence for one in seen)]),
            what_matters(tries, [here, first, *wide]),
            _typical([*wide, *tries.near, *varied]),
        )

    def _tries(self, config: Mapping[str, Any], manner: Manner) -> Tries:
        """Situations at a configuration, and with each of its options varied alone."""
        whole = self._options(config)
        near = self._draw(whole, manner, NEAR)
        seen = [self.situation(s) for s in near]
        failing = [s for s, of in zip(near, seen, strict=True) if failed(of)]
        varied = {name: self._vary(name, whole, manner) for name in whole if failing and name not in self.layer.settled}
        other = "float32" if manner.dtype == "float64" else "float64"
        others = failing[:RETYPED] if other in self.layer.contract.dtypes else []
        retyped = [self.situation(replace(s, dtype=np.dtype(other))) for s in others]
        return Tries(whole, seen, varied, other, retyped, self._again)

    def _vary(self, name: str, whole: Mapping[str, Any], manner: Manner) -> list[tuple[Any, Seen]]:
        """One option varied alone, and values with which nothing failed tried some more."""
        drawn = self._draw({n: v for n, v in whole.items() if n != name}, manner, EACH)
        tried: list[tuple[Any, Seen]] = [(self._options(s.config).get(name), self.situation(s)) for s in drawn]
        failing = [key_of(value) for value, seen in tried if failed(seen)]
        passing = {key_of(v): v for v, _ in tried if key_of(v) not in failing and key_of(v) != key_of(whole[name])}
        for value in [*passing.values()][:MOST_PASSING]:
            drawn = self._draw({**whole, name: value}, manner, EACH)
            tried += [(value, self.situation(s)) for s in drawn]
        return tried

    def _again(self, one: Observation, name: str, change: Callable[[Array], Array]) -> Observation | None:
        """A new layer's answer where one input is changed."""
        inputs = {**one.case.inputs, name: np.asarray(change(one.case.inputs[name]), one.case.dtype)}
        return next(iter(self.observe(one.case.config, [replace(one.case, inputs=inputs)], plain=one.plain)), None)

    def situation(self, situation: Situation, numbers: Sequence[int] = TRIED) -> list[Observation]:
        """What a new layer answers to the sub-cases of a situation, one after the other."""
        plain = all(edit in TAME.values() for edit in situation.edits)
        return self.observe(situation.config, [situation.case(n) for n in numbers], plain=plain)

    def observe(self, config: Mapping[str, Any], cases: Sequence[Case], *, plain: bool = False) -> list[Observation]:
        """What a new layer answers to these cases; where it raises, or answers nothing, there is nothing to observe."""
        seen: list[Observation] = []
        calls: list[Call] = []
        adapted = self.layer.build(config)
        for case in cases:
            try:
                with np.errstate(all="ignore"):
                    answer = ask(adapted, case)
            except Exception:  # a law of its own reports it
                break
            calls.append(Call(case, answer))
            reference = Reference(self._torch(case), case)
            truth = reference.truth
            expected = self._expected(reference, answer)
            if expected is not None:
                options, earlier = self._options(config), tuple(calls[:-1])
                seen.append(
                    Observation(case, self.place, expected, answer, truth, self._truth_of, options, earlier, plain)
                )
        return seen

    def _expected(self, reference: Reference, answer: Answer) -> Expected | None:
        """What the array should be; None where the layer or torch has none."""
        both = self.place in answer and self.place in reference.truth
        return reference.expected(self.place) if both else None

    def _torch(self, case: Case) -> Vjp:
        """The reference, one for each configuration and set of inputs: it may keep those that it is not given."""
        key = repr((sorted(case.config.items()), sorted(case.inputs)))
        if key not in self._bound:
            self._bound[key] = self.layer.contract.reference.bind(case.config)
        return torch_vjp(self._bound[key], case.differentiable)

    def _truth_of(self, case: Case) -> Answer:
        """torch's answer to any case; a cotangent of another size is cropped, or filled up with zeros."""
        y, backward = self._torch(case)(**case.inputs)
        outputs = outputs_of(y)
        wanted = [a.shape for a in differentiable_outputs(outputs, case)]
        dys = [_fitted(dy, shape) for dy, shape in zip(case.cotangents, wanted, strict=True)]
        return Answer(outputs, backward(*dys))

    def _options(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with the defaults of all other options."""
        defaults = self.layer.contract.reference.defaults
        return {n: v for n, v in defaults.items() if v is not inspect.Parameter.empty} | dict(config)

    def _draw(self, fixed: Mapping[str, Any], manner: Manner, count: int) -> list[Situation]:
        """Situations with some options fixed; none where there is no such configuration."""
        found: list[Situation] = []
        strategy = self.layer.contract.situations(
            fixed={**self.layer.fixed, **fixed}, dtypes=(manner.dtype,), edits=manner.edits
        )

        @hypothesis.seed(self.seed)
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(strategy)
        def collect(situation: Situation) -> None:
            found.append(situation)

        # A domain may not foresee that its sizes are fixed: such options are not varied.
        with contextlib.suppress(hypothesis.errors.Unsatisfiable, RuntimeError, ValueError, TypeError, IndexError):
            collect()
        return found


def _typical(tried: Sequence[Seen]) -> Observation | None:
    """The smallest failing observation in float64 whose numbers are plain and whose axes are all longer than one."""
    shown = [
        one
        for seen in tried
        for one in seen
        if one.wrong
        and one.plain
        and one.case.dtype == np.float64
        and one.got.shape == one.want.shape
        and np.isfinite(one.want).all()
        and min((n for a in one.case.inputs.values() for n in a.shape), default=0) > 1
    ]
    return min(shown, key=lambda one: sum(a.size for a in one.case.inputs.values()), default=None)


def _some(tried: Sequence[Seen]) -> list[Seen]:
    """Some of the situations that fail, evenly from first to last; small ones, where there are enough."""
    failing = [seen for seen in tried if failed(seen)]
    small = [seen for seen in failing if max(max(one.want.size, one.dy.size) for one in seen) <= MOST_ASKED]
    chosen = small if len(small) >= ENOUGH else failing
    return chosen[:: max(1, -(-len(chosen) // EVIDENCE))]


def _fitted(dy: Array, shape: tuple[int, ...]) -> Array:
    """An array of this shape: cropped, or with zeros behind; ValueError where the rank is another."""
    if dy.ndim != len(shape):
        raise ValueError(f"a cotangent of shape {dy.shape} for an output of shape {shape}")
    if dy.shape == shape:
        return dy
    fitted = np.zeros(shape, dy.dtype)
    common = tuple(slice(min(n, m)) for n, m in zip(dy.shape, shape, strict=True))
    fitted[common] = dy[common]
    return fitted
