"""Who is at fault when an answer is not torch's: the votes of autograd and finite differences, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

import numpy as np

from .budget import Reference
from .compare import compare
from .finite import Witness, along, gaussian_direction, unit_direction
from .vjp import Answer, Array, Case, Vjp, ask


class Fault(Enum):
    """Which side is wrong."""

    FORWARD = "forward"
    BACKWARD = "backward"
    CONVENTION = "convention"
    TORCH = "torch"
    PRECISION = "precision"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """The fault and the reason for it, one sentence."""

    fault: Fault
    sentence: str

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.sentence}"


def judge_output(layer: Vjp, torch: Vjp, case: Case, number: int, index: tuple[int, ...]) -> Verdict:  # noqa: ARG001
    """The verdict where the output of this number differs, most at this index."""
    exact = case.astype(np.float64)
    answer = _try(layer, exact)
    if answer is None:
        return Verdict(Fault.UNDECIDED, "the layer does not answer in float64, so there is no second opinion")
    reference = Reference(torch, exact)
    if case.dtype != np.float64 and _same_output(answer, reference, number):
        return Verdict(Fault.PRECISION, f"in float64 the forward agrees with torch; it loses digits in {case.dtype}")
    own = _own_derivative(layer, exact, answer)
    if own is None or not own.sees:
        return Verdict(Fault.FORWARD, "the forward differs from torch's")
    if not own.agrees:
        return Verdict(
            Fault.FORWARD,
            "the forward differs from torch's, and the backward is not the derivative of that forward either",
        )
    factor = _factor(layer, torch, exact, number)
    if factor is not None:
        return Verdict(
            Fault.CONVENTION,
            f"forward and backward agree with each other, but the output is {factor} times torch's throughout",
        )
    return Verdict(Fault.FORWARD, "the forward differs from torch's; the backward is the derivative of that forward")


def judge_gradient(layer: Vjp, torch: Vjp, case: Case, name: str, index: tuple[int, ...]) -> Verdict:
    """The verdict where the gradient of the named input differs most at this index."""
    exact = case.astype(np.float64)
    answer = _try(layer, exact)
    if answer is None:
        return Verdict(Fault.UNDECIDED, "the layer does not answer in float64, so there is no second opinion")
    reference = Reference(torch, exact)
    got, want = answer.gradients[name], reference.gradient(name)
    if case.dtype != np.float64 and got.shape == want.value.shape and compare(got, want).agrees:
        return Verdict(Fault.PRECISION, f"in float64 the gradient agrees with torch; it loses digits in {case.dtype}")
    direction = unit_direction(exact, name, index)
    own = along(layer, exact, direction, answer.gradients)
    theirs = along(torch, exact, direction, reference.truth.gradients)
    forward_agrees = all(_same_output(answer, reference, i) for i in range(len(reference.truth.outputs)))
    if not own.agrees:
        also = "" if forward_agrees else ", and that forward is not torch's either"
        second = "; torch's gradient is confirmed by finite differences" if theirs.sees and theirs.agrees else ""
        return Verdict(Fault.BACKWARD, f"the backward is not the derivative of its own forward{also}{second}")
    if not own.sees:
        return Verdict(
            Fault.CONVENTION if forward_agrees else Fault.FORWARD,
            "the forward has no derivative here (a kink or a tie), and torch's convention at such a point is another"
            if forward_agrees
            else "the forward differs from torch's, and finite differences cannot see enough here to say more",
        )
    if not forward_agrees:
        return Verdict(
            Fault.FORWARD, "the backward is the derivative of its own forward, but that forward is not torch's"
        )
    if not theirs.agrees:
        return Verdict(Fault.TORCH, "the backward is the derivative of its own forward; torch's gradient is not")
    return Verdict(Fault.UNDECIDED, "the difference from torch is smaller than finite differences can see here")


def _try(layer: Vjp, case: Case) -> Answer | None:
    """The layer's answer in float64, or None where it has none."""
    try:
        with np.errstate(all="ignore"):
            return ask(layer, case)
    except Exception:  # a stranger's layer may raise anything; that law has its own report
        return None


def _same_output(answer: Answer, reference: Reference, number: int) -> bool:
    if number >= len(answer.outputs):
        return False
    got, want = answer.outputs[number], reference.output(number)
    return got.shape == want.value.shape and compare(got, want).agrees


def _own_derivative(layer: Vjp, case: Case, answer: Answer) -> Witness | None:
    """Finite differences against the layer's own backward, along one direction through all inputs."""
    try:
        return along(layer, case, _direction(case), answer.gradients)
    except Exception:  # no gradient, one of another shape, or a layer that raises at other inputs
        return None


def _direction(case: Case) -> dict[str, Array]:
    return gaussian_direction(case, np.random.default_rng(0), case.differentiable)


def _factor(layer: Vjp, torch: Vjp, case: Case, number: int) -> str | None:
    """The one number by which an output is a multiple of torch's, as a fraction; None where there is none.

    A single number is always a multiple of another: the factor must be the same at other inputs too.
    """
    moved = {**case.inputs, **{name: case.inputs[name] + v for name, v in _direction(case).items()}}
    factors = set()
    for tried in (case, replace(case, inputs=moved)):
        answer, reference = _try(layer, tried), Reference(torch, tried)
        if answer is None:
            return None
        got, expected = answer.outputs[number], reference.output(number)
        want = expected.value
        if got.shape != want.shape or not np.isfinite(got).all() or not np.isfinite(want).all() or not want.any():
            return None
        largest = np.unravel_index(int(np.abs(want).argmax()), want.shape)
        factor = Fraction(float(got[largest] / want[largest])).limit_denominator(4096)
        if not factor or not compare(got / float(factor), expected).agrees:
            return None
        factors.add(factor)
    return str(factors.pop()) if len(factors) == 1 else None
