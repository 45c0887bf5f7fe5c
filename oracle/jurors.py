"""The jurors: independent ways to measure one number, the derivative of <dy, y> along a direction, each with its error.

Each is asked whether a claimed value of that number is right, and agrees, disagrees, or abstains and says why. Nobody
is asked to tell claims apart that are closer than the juror's own error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import mpmath
import numpy as np

from .autograd import TorchVjp
from .budget import ALLOWED, unit_roundoff
from .finite import along, cotangent_vector, forward_vector, slope, weigh
from .kinks import Kind, classify
from .vjp import Array, Case, Vjp, differentiable_outputs, outputs_of

U = unit_roundoff(np.dtype(np.float64))
# A function of one number in mpmath, the configuration by keyword: what an elementwise layer computes.
Scalar = Callable[..., Any]


class Opinion(Enum):
    """What a juror says of a claim."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    ABSTAINS = "abstains"


@dataclass(frozen=True)
class Vote:
    """One juror's opinion of a claim, and the reason: what was measured, or why it abstains."""

    juror: str
    opinion: Opinion
    reason: str

    def __str__(self) -> str:
        return f"{self.juror} {self.opinion.value} ({self.reason})"


@dataclass(frozen=True)
class Question:
    """Whether `claim` is the derivative of <dy, y> along `direction`; `rival` is what the other side claims."""

    vjp: Vjp
    case: Case
    direction: Mapping[str, Array]
    claim: float
    rival: float


Juror = Callable[[Question], Vote]


def claimed(gradients: Mapping[str, Array], direction: Mapping[str, Array]) -> float:
    """<dx, v>."""
    return sum(float((gradients[name].astype(np.float64) * v).sum()) for name, v in direction.items())


def finite_differences(question: Question) -> Vote:
    """Central differences of the forward at three step sizes, extrapolated."""
    return _from_witness("finite differences", question, question.case)


def longdouble(question: Question) -> Vote:
    """The same through the layer in NumPy's `longdouble`, where rounding leaves some thousand times more to see."""
    name = "longdouble differences"
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        return _abstain(name, "longdouble is float64 on this machine")
    case = question.case.astype(np.longdouble)
    outputs = _outputs(question.vjp, case)
    if isinstance(outputs, str):
        return _abstain(name, f"the layer refuses longdouble: {outputs}")
    if any(y.dtype != np.longdouble for y in outputs):
        return _abstain(name, f"the layer answers longdouble in {outputs[0].dtype}")
    return _from_witness(name, question, case)


def complex_step(question: Question) -> Vote:
    """Im <dy, y(x + ihv)> / h with a tiny h, which subtracts nothing and so loses no digit (Squire and Trapp, 1998).

    Only an analytic forward can be asked so: the outputs must be complex, and finite differences must not contradict.
    """
    name = "complex step"
    found = slope(question.vjp, question.case, question.direction, thorough=True)
    kinds = classify(question.vjp, question.case, question.direction, found)
    if (kinds[cotangent_vector(question.case) != 0] != Kind.SMOOTH).any():
        return _abstain(name, "the forward has a kink here, so it is not analytic")
    real = weigh(found, question.case, question.direction, _no_claim(question))
    values = []
    for case in (question.case, *_near(question.case)):
        answer = _imaginary(question, case)
        if isinstance(answer, str):
            return _abstain(name, answer)
        values.append(answer)
    (value, size), near = values[0], values[1:]
    error = U * size + max(abs(other - value) for other, _ in near)
    if abs(value - real.measured) > ALLOWED * (real.error + error):
        return _abstain(name, "the forward is not analytic as it is written")
    return _weigh(name, question, value, error)


def taylor(question: Question) -> Vote:
    """How fast the remainder |f(hv) - f(0) - h·claim| falls with h: as h² for the derivative, as h for others."""
    name = "Taylor remainder"
    dy = cotangent_vector(question.case)
    forward = forward_vector(question.vjp, question.case)
    steps = [2.0**-k for k in range(3, 13)]

    def at(h: float) -> float:
        moved = {n: question.case.inputs[n] + h * v for n, v in question.direction.items()}
        with np.errstate(all="ignore"):
            return float(dy @ forward(moved))

    with np.errstate(all="ignore"):
        centre, size = at(0.0), float(np.abs(dy) @ np.abs(forward({})))
        ahead = np.array([at(h) - centre - h * question.claim for h in steps])
        behind = np.array([at(-h) - centre + h * question.claim for h in steps])
    if not np.isfinite([*ahead, *behind, size]).all():
        return _abstain(name, "the outputs are not finite around this point")
    floor = ALLOWED * U * (size + abs(question.claim) + abs(question.rival))
    # The part of the remainder that is odd in h tells the claims apart, the even part is the kink's.
    odd, even = np.abs(ahead - behind) / 2, np.abs(ahead + behind) / 2
    apart = np.abs(question.claim - question.rival) * np.array(steps)
    visible = apart > 4 * floor
    if visible.sum() < 3:
        return _abstain(name, "rounding hides the remainder that would tell the claims apart")
    last = np.flatnonzero(visible)[-1]
    if _order(even, steps, floor, last) < 1.5:
        return _abstain(name, "the remainder shows a kink within the step")
    order = _order(odd, steps, floor, last)
    opinion = Opinion.AGREES if order > 1.5 else Opinion.DISAGREES
    shown = "is rounding alone" if np.isinf(order) else f"falls as h^{order:.1f}"
    return Vote(name, opinion, f"the remainder {shown}")


def forward_mode(question: Question) -> Vote:
    """torch's forward mode, which is other code than its reverse mode: <dy, J v> = <Jᵀ dy, v>."""
    name = "torch's forward mode"
    torch_side = question.vjp
    if not isinstance(torch_side, TorchVjp):
        return _abstain(name, "only torch has one")
    values = []
    for case in (question.case, *_near(question.case)):
        try:
            tangents = torch_side.pushforward(case.inputs, question.direction)
        except (NotImplementedError, RuntimeError) as error:
            return _abstain(name, f"torch has none here: {str(error).strip().partition(chr(10))[0]}")
        products = [dy * t for dy, t in zip(case.cotangents, tangents, strict=False)]
        values.append((sum(float(p.sum()) for p in products), sum(float(np.abs(p).sum()) for p in products)))
    (value, size), near = values[0], values[1:]
    if not np.isfinite(value):
        return _abstain(name, "its answer is not finite")
    return _weigh(name, question, value, U * size + max(abs(other - value) for other, _ in near))


def exactly(scalar: Scalar) -> Juror:
    """The juror who knows the function itself: its derivative at each element by mpmath, to 60 digits."""
    name = "mpmath"

    def juror(question: Question) -> Vote:
        ((which, v),) = question.direction.items()
        x, (dy,) = question.case.inputs[which], question.case.cotangents
        value, error = 0.0, 0.0
        for index in map(tuple, np.argwhere(v)):
            found = derivative(scalar, float(x[index]), question.case.config)
            if found is None:
                return _abstain(name, "the function has a kink here")
            term = float(found) * float(dy[index]) * float(v[index])
            value, error = value + term, error + U * abs(term)
        return _weigh(name, question, value, error)

    return juror


def derivative(scalar: Scalar, x: float, config: Mapping[str, Any]) -> Any:
    """The derivative of a function of one number, from both sides; None where they differ."""
    with mpmath.workdps(120):
        centre = mpmath.mpf(x)
        h = (abs(centre) or mpmath.mpf(1)) * mpmath.mpf(10) ** -60
        here = scalar(centre, **config)
        right, left = (scalar(centre + h, **config) - here) / h, (here - scalar(centre - h, **config)) / h
        return right if abs(right - left) <= abs(right) * mpmath.mpf(10) ** -30 else None


def exact_value(scalar: Scalar, x: float, config: Mapping[str, Any]) -> float:
    """The function's value, rounded once."""
    with mpmath.workdps(60):
        return float(scalar(mpmath.mpf(x), **config))


def _abstain(name: str, reason: str) -> Vote:
    return Vote(name, Opinion.ABSTAINS, reason)


def _from_witness(name: str, question: Question, case: Case) -> Vote:
    witness = along(question.vjp, case, question.direction, _no_claim(question))
    if not np.isfinite(witness.error):
        return _abstain(name, "there is no derivative to measure: a kink, or no finite value")
    return _weigh(name, question, witness.measured, witness.error)


def _weigh(name: str, question: Question, value: float, error: float) -> Vote:
    """The claim against a measured value; a claim that only the error excuses is neither right nor wrong."""
    error += U * (abs(value) + abs(question.claim))
    allowed = ALLOWED * error
    shown = f"{value:.9g} ± {allowed:.1g}"
    if abs(value - question.claim) > allowed:
        return Vote(name, Opinion.DISAGREES, f"measured {shown}")
    if 2 * allowed >= abs(question.claim - question.rival):
        return _abstain(name, f"measured {shown}, too coarse to tell the claims apart")
    return Vote(name, Opinion.AGREES, f"measured {shown}")


def _no_claim(question: Question) -> dict[str, Array]:
    return {name: np.zeros(v.shape) for name, v in question.direction.items()}


def _near(case: Case) -> list[Case]:
    """The case with its inputs moved by a rounding: what the value moves by is the error that the problem forces."""
    rng = np.random.default_rng(0)

    def move(a: Array) -> Array:
        return np.asarray(a * (1 + U * rng.choice([-2, 2], a.shape))) if a.dtype.kind == "f" else a

    return [case.map(move) for _ in range(3)]


def _outputs(vjp: Vjp, case: Case) -> tuple[Array, ...] | str:
    """The floating-point outputs, or the message of what the layer raised."""
    try:
        with np.errstate(all="ignore"):
            return differentiable_outputs(outputs_of(vjp(**case.copies().inputs)[0]), case)
    except Exception as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__


def _imaginary(question: Question, case: Case) -> tuple[float, float] | str:
    """Im <dy, y(x + ihv)> / h and the sum of its terms' sizes, or why there is none."""
    h = 2.0**-200
    moved = {n: a.astype(complex) if a.dtype.kind == "f" else a for n, a in case.inputs.items()}
    for n, v in question.direction.items():
        moved[n] = moved[n] + 1j * h * v
    try:
        with np.errstate(all="ignore"):
            outputs = differentiable_outputs(outputs_of(question.vjp(**moved)[0]), case)
    except Exception as error:
        return f"the layer refuses complex numbers: {str(error).strip().partition(chr(10))[0]}"
    if any(y.dtype.kind != "c" for y in outputs):
        return "the outputs for complex inputs are real"
    products = [dy * y.imag / h for dy, y in zip(case.cotangents, outputs, strict=True)]
    value = sum(float(p.sum()) for p in products)
    return (value, sum(float(np.abs(p).sum()) for p in products)) if np.isfinite(value) else "its answer is not finite"


def _order(remainder: Array, steps: list[float], floor: float, last: int) -> float:
    """The order in h at which the remainder falls over the last visible steps; infinite where it is rounding alone."""
    tail = slice(max(last - 3, 0), last + 1)
    if (remainder[tail] <= floor).any():
        return float("inf")
    return float(np.polyfit(np.log(steps[tail]), np.log(remainder[tail]), 1)[0])
