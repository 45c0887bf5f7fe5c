"""The sensitivity certificate: the smallest error of each gradient that this very run would have caught, measured.

Nothing is computed from budgets. Of the cases that were drawn and passed some are kept; afterwards one element of the
layer's gradient is put off by ε times the array's largest magnitude, and the case is judged again, by the law and with
the reference that passed it. The certificate is the smallest power of two that any of the kept cases caught.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..oracle.budget import unit_roundoff
from ..oracle.vjp import Answer, Array, Backward, Case, Outputs
from .laws.law import Bench, Broken, Judge, Tally, answered
from .styles.functions import Closure

# What a pass must have been able to see in float64: the sixth digit. A constant copied with six digits, or an eps of
# 1e-6 in the wrong place, is an error of about that size; rounding has nine more digits to go wrong in.
SIGHT = 1e-6

# The cases measured for each gradient and dtype: a few, for one may be ill-conditioned; each costs the whole budget.
# And those kept, of which more are measured, one by one, where the first have not seen SIGHT.
MEASURED, KEPT = 4, 16

# The errors that are tried, as powers of two: below 2⁻⁵³ everything is rounding, and an error of 1 is as large as the
# array itself.
FINEST, COARSEST = -60, 0


def sight(dtype: str) -> float:
    """What a pass must have been able to see in this dtype: SIGHT for float64.

    A millionth is 17 roundoffs of float32, where the judge grants rounding 16 budgets; and SIGHT, scaled with u, would
    be 537 there, which asks for nothing. It is the same share of the digits: SIGHT = u^s in float64 (s is 0.38: six of
    sixteen digits), and u^s is 2e-3 in float32 (2.7 of seven).
    """
    share = math.log(SIGHT) / math.log(unit_roundoff(np.dtype(np.float64)))
    return SIGHT if dtype == "float64" else unit_roundoff(np.dtype(dtype)) ** share


@dataclass(frozen=True)
class Certificate:
    """The smallest error in the gradient of `name`, relative to its largest element, that the run would have caught.

    `smallest` is infinite where none was caught. `cases` says on how many cases it was measured: none, where the true
    gradient was zero, empty or not finite in every case that was drawn.
    """

    name: str
    dtype: str
    smallest: float
    cases: int


def unseen(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Those that say a gradient could have been wrong unseen: by float64 where it was drawn, else by what was."""
    in_float64 = {c.name for c in certificates if c.dtype == "float64"}
    decisive = (c for c in certificates if c.dtype == "float64" or c.name not in in_float64)
    return tuple(c for c in decisive if c.smallest > sight(c.dtype))


@dataclass
class Selection:
    """Cases of one run to measure on: for each gradient and dtype a few, spread evenly over what is offered."""

    _kept: dict[tuple[str, str], list[tuple[Bench, Case]]] = field(default_factory=dict)
    _fit: dict[tuple[str, str], int] = field(default_factory=dict)
    _offers: int = 0

    def offer(self, bench: Bench, cases: Sequence[Case]) -> None:
        """One example, judged and passed. Of its sub-cases, from plain to wild, a different one is looked at first."""
        first = self._offers % len(cases)
        self._offers += 1
        for name in cases[0].differentiable:
            key = name, cases[0].dtype.name
            kept = self._kept.setdefault(key, [])
            in_turn = (*cases[first:], *cases[:first])
            case = next((c for c in in_turn if _fits(bench.reference(c).truth.gradients[name])), None)
            if case is None:
                continue
            fit = self._fit[key] = self._fit.get(key, 0) + 1
            # Reservoir sampling. The place depends on the count alone, so that gradients drawn together keep the same
            # cases, whose budgets are computed once.
            place = fit - 1 if fit <= KEPT else random.Random(fit).randrange(fit)
            if place < KEPT:
                kept[place : place + 1] = [(bench, case)]

    def measure(self, judge: Judge) -> tuple[Certificate, ...]:
        """A certificate for each gradient and dtype that was asked for."""
        found = [_certificate(judge, name, dtype, kept) for (name, dtype), kept in self._kept.items()]
        order = list(dict.fromkeys(c.name for c in found))
        return tuple(sorted(found, key=lambda c: (order.index(c.name), c.dtype != "float64")))


def _fits(gradient: Array) -> bool:
    """Whether an error relative to the array means something: finite, and somewhere not zero."""
    return bool(np.isfinite(gradient).all() and gradient.any())


def _certificate(judge: Judge, name: str, dtype: str, kept: Sequence[tuple[Bench, Case]]) -> Certificate:
    """Measured on a few cases, and on more until one sees enough."""
    smallest, cases = math.inf, 0
    for bench, case in kept:
        if cases >= MEASURED and smallest <= sight(dtype):
            break
        cases += 1
        probe = _probe(judge, name, bench, case)
        if probe is not None:
            smallest = _smaller(probe, smallest)
    return Certificate(name, dtype, smallest, cases)


def _smaller(caught: Callable[[float], bool], known: float) -> float:
    """The smallest power of two that a probe catches, by bisection, where it is below the one that is known."""
    best = COARSEST + 1 if known == math.inf else int(math.log2(known))
    # A judge that objects to the unchanged answer catches nothing: the layer's answer depends on chance.
    if caught(0.0) or not caught(2.0 ** (best - 1)):
        return known
    below, best = FINEST - 1, best - 1
    while best - below > 1:
        middle = (below + best) // 2
        if caught(2.0**middle):
            best = middle
        else:
            below = middle
    return 2.0**best


class _Probe:
    """Whether the judge catches an error of a relative size, in one element of one gradient of one case.

    The other gradients are as they were, and passed: nothing is asked of them, which saves most of the work where they
    are many.
    """

    def __init__(self, judge: Judge, bench: Bench, case: Case, name: str, layer: _Tampered) -> None:
        self._judge, self._layer = judge, layer
        self._case = replace(case, differentiable=(name,))
        adapted = Closure(bench.layer.layer, bench.config, layer)
        known = {id(self._case): (self._case, bench.reference(case))}
        self._bench = replace(bench, layer=adapted, tally=Tally(), _references=known)

    def __call__(self, relative: float) -> bool:
        self._layer.relative = relative
        try:
            self._judge(self._bench, self._case)
        except Broken:
            return True
        return False


def _probe(judge: Judge, name: str, bench: Bench, case: Case) -> _Probe | None:
    """None where the layer does not answer the case this time; chance is on trial elsewhere."""
    try:
        answer = bench.ask(case)
    except Broken:
        return None
    if name not in answered(answer.gradients, case):
        return None
    return _Probe(judge, bench, case, name, _Tampered(answer, case, name))


class _Tampered:
    """A layer that answers what another did, but for one element of one gradient."""

    def __init__(self, answer: Answer, case: Case, name: str) -> None:
        self._answer, self._name = answer, name
        self._own = answer.gradients[name].astype(case.dtype)
        size = np.abs(self._own)
        self._scale = size.max(initial=0, where=np.isfinite(size))
        self._place = np.random.default_rng(zlib.crc32(self._own.tobytes())).integers(self._own.size)
        self.relative = 0.0

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:  # noqa: ARG002
        return self._answer.outputs if len(self._answer.outputs) > 1 else self._answer.outputs[0], self._backward

    def _backward(self, *dy: Array) -> dict[str, Array]:  # noqa: ARG002
        wrong = self._own.copy()
        wrong.flat[self._place] += self.relative * self._scale
        return {**self._answer.gradients, self._name: wrong}
