"""What kind of point each output is at: smooth, a kink, a tie, or beyond the range of numbers.

At a kink or a tie there is no derivative to measure, and layers differ by convention: there torch's is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

import numpy as np

from .budget import ALLOWED, unit_roundoff
from .finite import SIGHT, Slope, cotangent_vector, forward_vector, slope
from .vjp import Array, Case, Vjp

# By how much all inputs are shifted, in units of their typical size: no sum or multiple of what is drawn.
SHIFT = 0.1380649


class Kind(Enum):
    """The kind of point an output element is at, along the direction that was measured."""

    SMOOTH = "smooth"
    KINK = "kink"
    TIE = "tie"
    OVERFLOW = "overflow"


def classify(vjp: Vjp, case: Case, direction: Mapping[str, Array], found: Slope) -> Array:
    """The `Kind` of each output element, in the order of `forward_vector`.

    - kink: the slope jumps at the point, or within a step of it;
    - tie: the same, and it still jumps when all inputs are shifted by one number: two of them are equal (the maximum
      of a window), where a kink stands at a value (the zero of ReLU);
    - overflow: the output, or the slope, is not finite.
    """
    kinds = np.full(found.value.shape, Kind.SMOOTH, dtype=object)
    jumps = _jumps(found)
    if jumps.any():
        kinds[jumps] = Kind.KINK
        kinds[jumps & _jumps(slope(vjp, _shifted(case), direction))] = Kind.TIE
    kinds[np.isinf(found.kink)] = Kind.OVERFLOW
    return kinds


def one_sided(vjp: Vjp, case: Case, direction: Mapping[str, Array]) -> tuple[float, float]:
    """Between which two numbers every convention for the derivative of <dy, y> lies, estimated error included.

    Each output may go by the slope of either side, so the bounds are summed output by output.
    """
    forward, dy = forward_vector(vjp, case), cotangent_vector(case)

    def ahead(h: float) -> Array:
        moved = {name: case.inputs[name] + h * v for name, v in direction.items()}
        return (forward(moved) - forward({})) / h

    error = 0.0
    with np.errstate(all="ignore"):
        sides = []
        for h in (2.0**-20, -(2.0**-20)):
            coarse, fine = ahead(h), ahead(h / 2)
            sides.append(dy * (2 * fine - coarse))
            error += float(np.abs(dy * (fine - coarse)).sum())
    low, high = float(np.minimum(*sides).sum()), float(np.maximum(*sides).sum())
    rounding = ALLOWED * 2.0**21 * unit_roundoff(np.dtype(np.float64)) * float(np.abs(dy) @ np.abs(forward({})))
    return low - error - rounding, high + error + rounding


def _jumps(found: Slope) -> Array:
    return np.asarray(np.isfinite(found.kink) & (ALLOWED * found.kink > SIGHT * found.size))


def _shifted(case: Case) -> Case:
    real = [case.inputs[name] for name in case.differentiable]
    typical = float(np.median(np.abs(np.concatenate([a.ravel() for a in real])))) or 1.0
    moved = {name: case.inputs[name] + SHIFT * typical for name in case.differentiable}
    return replace(case, inputs={**case.inputs, **moved})
