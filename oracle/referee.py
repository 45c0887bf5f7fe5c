"""Who is at fault when an answer is not torch's: the jurors' votes, weighed into one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .budget import ALLOWED, Expected, Reference
from .conventions import agrees_at, averaged_over, multiple, other_layout
from .finite import SIGHT, Witness, along, cotangent_vector, gaussian_direction, slope, unit_direction
from .jurors import (
    Juror,
    Opinion,
    Question,
    Scalar,
    Vote,
    claimed,
    complex_step,
    exact_value,
    exactly,
    finite_differences,
    forward_mode,
    longdouble,
    taylor,
)
from .kinks import Kind, classify, one_sided
from .vjp import Answer, Array, Case, Place, Vjp, ask

# They measure the layer's own forward ...
OF_THE_LAYER: tuple[Juror, ...] = (finite_differences, taylor, longdouble, complex_step)
# ... and these torch's. The two that only call torch outvote its forward mode, which believes in the same graph: a
# forgotten `detach` is in both modes.
OF_TORCH: tuple[Juror, ...] = (forward_mode, finite_differences, taylor)


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
    """The fault, the reason for it in one sentence, and the votes it rests on: (the claim that was judged, vote)."""

    fault: Fault
    sentence: str
    votes: tuple[tuple[str, Vote], ...] = ()

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.sentence}"


def judge_output(
    layer: Vjp, torch: Vjp, case: Case, number: int, index: tuple[int, ...], scalar: Scalar | None = None
) -> Verdict:
    """The verdict where the output of this number differs, most at this index."""
    exact = case.astype(np.float64)
    answer = _try(layer, exact)
    if answer is None:
        return Verdict(Fault.UNDECIDED, "the layer does not answer in float64, so there is no second opinion")
    reference = Reference(torch, exact)
    lost = _lost(layer, torch, case, number, reference.expected(number))
    if lost:
        return Verdict(Fault.PRECISION, f"the forward's formula is torch's, but {lost}")
    if scalar is not None and _torch_misses(scalar, exact, answer.outputs[number], reference.expected(number), index):
        return Verdict(Fault.TORCH, "the layer's output is the function's exact value, torch's is not")
    convention = other_layout(layer, torch, exact) or multiple(layer, torch, exact, number)
    own = _own_derivative(layer, exact, answer)
    if convention is not None and (own is None or own.agrees):
        return Verdict(Fault.CONVENTION, f"forward and backward agree with each other, but {convention}")
    if own is None or not own.sees:
        return Verdict(Fault.FORWARD, "the forward differs from torch's")
    if own.agrees:
        return Verdict(
            Fault.FORWARD, "the forward differs from torch's; the backward is the derivative of that forward"
        )
    return Verdict(
        Fault.FORWARD, "the forward differs from torch's, and the backward is not the derivative of that forward either"
    )


def judge_gradient(
    layer: Vjp, torch: Vjp, case: Case, name: str, index: tuple[int, ...], scalar: Scalar | None = None
) -> Verdict:
    """The verdict where the gradient of the named input differs most at this index."""
    exact = case.astype(np.float64)
    answer = _try(layer, exact)
    if answer is None:
        return Verdict(Fault.UNDECIDED, "the layer does not answer in float64, so there is no second opinion")
    reference = Reference(torch, exact)
    lost = _lost(layer, torch, case, name, reference.expected(name))
    if lost:
        return Verdict(Fault.PRECISION, f"the gradient's formula is torch's, but {lost}")
    forward_agrees = all(agrees_at(n, answer, reference.expected(n)) for n in range(len(reference.truth.outputs)))
    averaged = averaged_over(answer, reference, exact) if forward_agrees else None
    if averaged is not None:
        return Verdict(Fault.CONVENTION, averaged)
    direction = unit_direction(exact, name, index)
    mine, theirs = claimed(answer.gradients, direction), claimed(reference.truth.gradients, direction)
    if forward_agrees and np.isfinite(theirs) and not np.isfinite(mine):
        return Verdict(Fault.BACKWARD, "the forward is torch's, but the gradient is no finite number where torch's is")
    known = () if scalar is None else (exactly(scalar),)
    own = [juror(Question(layer, exact, direction, mine, theirs)) for juror in (*OF_THE_LAYER, *known)]
    other = [juror(Question(torch, exact, direction, theirs, mine)) for juror in (*OF_TORCH, *known)]
    fault, sentence = _decide(majority(own), majority(other), forward_agrees)
    if majority(own) is Opinion.ABSTAINS and forward_agrees and fault is not Fault.TORCH:
        fault, sentence = _at_a_kink(layer, exact, direction, mine) or (fault, sentence)
    if fault is Fault.UNDECIDED and ALLOWED * reference.expected(name).budget[index] > SIGHT * abs(theirs):
        sentence = "ill-conditioned: rounding alone moves this gradient by more than can be judged"
    if fault is Fault.FORWARD:
        convention = other_layout(layer, torch, exact)
        if convention is not None:
            fault, sentence = Fault.CONVENTION, f"forward and backward agree with each other, but {convention}"
    votes = [*(("the layer's gradient", v) for v in own), *(("torch's gradient", v) for v in other)]
    return Verdict(fault, sentence, tuple(votes))


def judge_refusal(layer: Vjp, torch: Vjp, case: Case, otherwise: Verdict) -> Verdict:
    """The verdict where the layer raises or answers other shapes: a convention that explains it, or `otherwise`."""
    convention = other_layout(layer, torch, case.astype(np.float64))
    return otherwise if convention is None else Verdict(Fault.CONVENTION, f"all of it is torch's, but {convention}")


def _decide(own: Opinion, theirs: Opinion, forward_agrees: bool) -> tuple[Fault, str]:
    """The fault where the layer's gradient is (not) the derivative of its forward, and torch's (not) of torch's."""
    confirmed = {
        Opinion.AGREES: "; torch's gradient is confirmed",
        Opinion.DISAGREES: "; torch's is not that of torch's forward either",
        Opinion.ABSTAINS: "",
    }[theirs]
    also = "" if forward_agrees else ", and that forward is not torch's either"
    if own is Opinion.DISAGREES:
        if forward_agrees and theirs is Opinion.DISAGREES:
            return Fault.TORCH, "neither the layer's backward nor torch's is the derivative of the forward they share"
        return Fault.BACKWARD, f"the backward is not the derivative of its own forward{also}{confirmed}"
    if theirs is Opinion.DISAGREES and (forward_agrees or own is Opinion.AGREES):
        sentence = "torch's gradient is not the derivative of torch's forward"
        if own is Opinion.AGREES:
            sentence = f"the backward is the derivative of its own forward; {sentence}"
        return Fault.TORCH, sentence
    if own is Opinion.AGREES and not forward_agrees:
        return Fault.FORWARD, "the backward is the derivative of its own forward, but that forward is not torch's"
    if not forward_agrees:
        return Fault.FORWARD, "the forward differs from torch's, and nothing can be measured here to say more"
    if theirs is Opinion.AGREES:
        return Fault.BACKWARD, "the forward is torch's, and the derivative of that is confirmed to be torch's gradient"
    return Fault.UNDECIDED, "the difference from torch is smaller than any juror can see here"


def _at_a_kink(layer: Vjp, case: Case, direction: dict[str, Array], mine: float) -> tuple[Fault, str] | None:
    """What can be said where the forward has no derivative: a gradient between the slopes of both sides is one of
    several conventions, any other is wrong. None where the forward is smooth.
    """
    kinds = classify(layer, case, direction, slope(layer, case, direction))[cotangent_vector(case) != 0]
    words = next((k.value for k in (Kind.TIE, Kind.KINK) if k in kinds), None)
    if words is None:
        return None
    low, high = one_sided(layer, case, direction)
    if low <= mine <= high:
        return (
            Fault.CONVENTION,
            f"the forward has no derivative here (a {words}), and torch's convention at such a point is another",
        )
    return Fault.BACKWARD, f"the forward has a {words} here, and the gradient is not between the slopes of its sides"


def majority(votes: Sequence[Vote]) -> Opinion:
    """What more jurors say; abstentions do not count, and a draw is one."""
    opinions = [vote.opinion for vote in votes]
    lead = opinions.count(Opinion.AGREES) - opinions.count(Opinion.DISAGREES)
    return Opinion.AGREES if lead > 0 else Opinion.DISAGREES if lead < 0 else Opinion.ABSTAINS


def _try(layer: Vjp, case: Case) -> Answer | None:
    """The layer's answer, or None where it has none."""
    try:
        with np.errstate(all="ignore"):
            return ask(layer, case)
    except Exception:  # a stranger's layer may raise anything; that law has its own report
        return None


def _lost(layer: Vjp, torch: Vjp, case: Case, place: Place, expected: Expected) -> str | None:
    """How the layer loses what torch has though its formula is torch's; None where that does not explain it.

    It agrees in a higher precision; or it is not finite, and agrees where the inputs are scaled down to 1; or what it
    answers in float64 is no further off than rounding in float32 may be. `expected` is the array in float64.
    """

    def expect(case: Case) -> Expected:
        return Reference(torch, case).expected(place)

    for dtype, name in ((np.float64, "float64"), (np.longdouble, "longdouble")):
        higher = _try(layer, case.astype(dtype)) if np.finfo(dtype).eps < np.finfo(case.dtype).eps else None
        if higher is not None and higher.outputs[0].dtype == dtype and agrees_at(place, higher, expected):
            return f"it loses digits in {case.dtype}: in {name} it agrees"
    answer, want = _try(layer, case), expected.value
    got = None if answer is None else answer.get(place)
    if got is None or got.shape != want.shape:
        return None
    if (np.isfinite(want) & ~np.isfinite(got)).any():
        small = case.map(lambda a: a / max(1, np.abs(a).max(initial=0)) if a.dtype.kind == "f" else a)
        scaled = _try(layer, small)
        if scaled is not None and agrees_at(place, scaled, expect(small)):
            return "an intermediate number overflows or underflows: on the same inputs scaled down to 1 it agrees"
        return None
    if case.dtype != np.float64:
        return None
    single = case.astype(np.float32)
    rounding = expect(single).replaced(expect(single.astype(np.float64)).value)
    lower = _try(layer, single.astype(np.float64))
    if lower is not None and agrees_at(place, lower, rounding):
        return "it is as far off as rounding in float32 would be, in whatever precision it is asked"
    return None


def _own_derivative(layer: Vjp, case: Case, answer: Answer) -> Witness | None:
    """Finite differences against the layer's own backward, along one direction through all inputs."""
    try:
        direction = gaussian_direction(case, np.random.default_rng(0), case.differentiable)
        return along(layer, case, direction, answer.gradients)
    except Exception:  # no gradient, one of another shape, or a layer that raises at other inputs
        return None


def _torch_misses(scalar: Scalar, case: Case, got: Array, expected: Expected, index: tuple[int, ...]) -> bool:
    """Whether the layer has the function's exact value at this index and torch has not."""
    exact = exact_value(scalar, float(case.inputs["x"][index]), case.config)
    allowed = ALLOWED * float(expected.budget[index])
    return abs(float(got[index]) - exact) <= allowed < abs(float(expected.value[index]) - exact)
