"""Finite differences of a layer's own forward, with an error estimate of their own.

Along a direction v, with F the outputs as one vector, D(h) = (F(x + hv) - F(x - hv))/2h is taken at h, h/2 and h/4 and
extrapolated twice (Richardson), which leaves an error of order h⁶. The estimate of what is left is the sum of
- the last correction of the extrapolation;
- the kink term: K(h) = (F(x + hv) + F(x - hv) - 2F(x))/h vanishes with h where F is differentiable, and tends to
  the jump of the slope where it is not, so 2K(h/2) - K(h) is of order h³ or as large as the jump;
- the rounding of F and of x, divided by h.
Before anything is contradicted, two more are added:
- what the extrapolated derivative misses at two uneven steps, which shows digits lost inside F;
- what the derivatives from three step sizes disagree by beyond their own estimates.

At a kink the estimate is therefore as large as the jump, and the comparison abstains instead of crying wolf.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .budget import ALLOWED, unit_roundoff
from .vjp import Array, Case, Vjp, differentiable_outputs, outputs_of

STEPS = (2.0**-11, 2.0**-7, 2.0**-9)
# With eleven more binary digits, what is left of a kink (h³) and rounding (u/h) balance at shorter steps.
LONGDOUBLE = 2.0**-5
# Fractions of a step, no multiples of each other nor of a power of two: where a forward loses digits inside, even steps
# can all be rounded alike.
UNEVEN = (0.1545084971874737, 0.2236067977499790)
# A comparison that could not have seen a relative error of this size counts as an abstention.
SIGHT = 1e-6


@dataclass(frozen=True)
class Slope:
    """The derivative of all outputs, as one vector, along a direction, and the estimated error of each element.

    `kink` is that part of the error which is a jump of the slope; where there is no number at all, both are infinite.
    `size` is the largest slope or output: a direction is as long as x, so both have the same unit. `noise` is that of
    the outputs, and `step` the one it was seen at.
    """

    value: Array
    error: Array
    kink: Array
    size: float
    noise: Array
    step: Array

    @property
    def seen(self) -> Array:
        """Where an error of SIGHT would be seen, relative to the largest slope or output."""
        with np.errstate(invalid="ignore"):
            return np.asarray(ALLOWED * self.error <= SIGHT * self.size)


@dataclass(frozen=True)
class Witness:
    """What finite differences say of one claimed number: the measured value, its error, and the claim."""

    measured: float
    error: float
    claimed: float
    scale: float

    @property
    def sees(self) -> bool:
        """Whether a relative error of SIGHT would have been seen here; if not, this witness abstains."""
        return np.isfinite(self.error) and ALLOWED * self.error <= SIGHT * self.scale

    @property
    def agrees(self) -> bool:
        """Whether the claim is within the allowed error; an abstaining witness does not contradict."""
        if not np.isfinite(self.error):
            return True
        return bool(abs(self.measured - self.claimed) <= ALLOWED * self.error)


def forward_vector(vjp: Vjp, case: Case) -> Callable[[Mapping[str, Array]], Array]:
    """The layer's floating-point outputs as one vector, as a function of changed inputs."""

    def forward(changed: Mapping[str, Array]) -> Array:
        inputs = {name: np.array(changed.get(name, a)) for name, a in case.inputs.items()}
        with np.errstate(all="ignore"):
            outputs = differentiable_outputs(outputs_of(vjp(**inputs)[0]), case)
        return np.concatenate([np.ravel(y) for y in outputs])

    return forward


def cotangent_vector(case: Case) -> Array:
    """The cotangents in the order of `forward_vector`."""
    return np.concatenate([np.ravel(dy) for dy in case.cotangents])


def slope(vjp: Vjp, case: Case, direction: Mapping[str, Array], *, thorough: bool = False) -> Slope:
    """The derivative of the outputs along a direction through the named inputs; the case is in float64 or in
    longdouble.

    One step size is enough to agree. A contradiction has to be `thorough`: then all of STEPS are taken, the noise of
    the outputs is measured and the largest of any counts, and what two disagree by beyond their own estimates is
    added to the error.
    """
    forward = forward_vector(vjp, case)
    centre = forward({})
    if not thorough:
        return _extrapolate(forward, centre, case, direction, STEPS[0], noisy=False)
    shorter = LONGDOUBLE if centre.dtype == np.longdouble else 1.0
    tried = [_extrapolate(forward, centre, case, direction, step * shorter, noisy=True) for step in STEPS]
    best = tried[0]
    noise = np.max([one.noise for one in tried], axis=0)
    for one in tried:
        with np.errstate(invalid="ignore"):
            dispute = np.fmax(np.abs(best.value - one.value) - best.error - one.error, 0)
            better = one.error < best.error
        step = np.where(better, one.step, best.step)
        value = np.where(better, one.value, best.value)
        # A single estimate of the noise is small by chance now and then: the largest counts.
        error = np.where(better, one.error, best.error) + dispute
        kink = np.where(better, one.kink, best.kink)
        best = Slope(value, error, kink, max(best.size, one.size), noise, step)
    return replace(best, error=best.error + noise / best.step)


def _extrapolate(
    forward: Callable[[Mapping[str, Array]], Array],
    centre: Array,
    case: Case,
    direction: Mapping[str, Array],
    h: float,
    *,
    noisy: bool,
) -> Slope:
    def at(step: float) -> Array:
        return forward({name: case.inputs[name] + step * v for name, v in direction.items()})

    steps = (h, h / 2, h / 4)
    ahead, behind = ([at(sign * step) for step in steps] for sign in (1, -1))
    with np.errstate(all="ignore"):
        d = [(f - b) / (2 * s) for f, b, s in zip(ahead, behind, steps, strict=True)]
        k = [(f + b - 2 * centre) / s for f, b, s in zip(ahead, behind, steps, strict=True)]
        first = [(4 * d[1] - d[0]) / 3, (4 * d[2] - d[1]) / 3]
        value = (16 * first[1] - first[0]) / 15
        kink = np.fmax(np.abs(2 * k[1] - k[0]) / 8, np.abs(2 * k[2] - k[1]))
        noise = np.zeros(centre.shape)
        if noisy:
            # The cubic through what was measured, against pairs of points that no step size has in common.
            cubic = (d[1] - d[2]) / (steps[1] ** 2 - steps[2] ** 2)
            for t in (UNEVEN[0] * h, UNEVEN[1] * h):
                noise = np.fmax(noise, np.abs((at(t) - at(-t)) / (2 * t) - value - cubic * t**2))
        u = unit_roundoff(centre.dtype)
        # A relative step of u in x is a step of u·|x/v| along v.
        reach = max(
            float(np.abs(case.inputs[name][v != 0] / v[v != 0]).max(initial=0)) for name, v in direction.items()
        )
        size = np.maximum(np.abs(centre), np.maximum(np.abs(ahead[0]), np.abs(behind[0])))
        size = size + size.max(initial=0, where=np.isfinite(size))
        steepest = np.maximum(np.abs(value), (np.abs(ahead[0] - centre) + np.abs(behind[0] - centre)) / (2 * h))
        rounding = u * (size + steepest * reach) / steps[-1]
        error = np.abs(value - first[1]) + kink + noise + rounding
        kink = np.where(kink > ALLOWED * rounding, kink, 0)
        usable = np.isfinite(error) & np.isfinite(value)
        largest = max(float(np.abs(a).max(initial=0, where=usable)) for a in (value, centre))
    error, kink = (np.where(usable, part, np.inf) for part in (error, kink))
    return Slope(value, error, kink, largest, np.nan_to_num(noise * h), np.full(value.shape, h))


def along(vjp: Vjp, case: Case, direction: Mapping[str, Array], gradients: Mapping[str, Array]) -> Witness:
    """Compare <dy, J v> by finite differences with <dx, v>, v being the direction through the named inputs."""
    return weigh(slope(vjp, case, direction, thorough=True), case, direction, gradients)


def weigh(found: Slope, case: Case, direction: Mapping[str, Array], gradients: Mapping[str, Array]) -> Witness:
    """The measured slope, weighted by the cotangents, against the claimed one; outputs with cotangent zero do not
    count.
    """
    dy = cotangent_vector(case)
    used = dy != 0
    with np.errstate(all="ignore"):
        terms = [gradients[name].astype(np.float64) * v for name, v in direction.items()]
        measured = float(dy[used] @ found.value[used])
        error = float(np.abs(dy[used]) @ found.error[used])
        scale = float(np.abs(dy[used]) @ np.abs(found.value[used])) + sum(float(np.abs(t).sum()) for t in terms)
        claimed = sum(float(t.sum()) for t in terms)
    return Witness(measured, error + unit_roundoff(np.dtype(np.float64)) * scale, claimed, scale)


def with_cotangents(case: Case, vector: Array) -> Case:
    """The case with the cotangents that `cotangent_vector` would give as this vector."""
    sizes = np.cumsum([dy.size for dy in case.cotangents])[:-1]
    parts = zip(np.split(vector, sizes), case.cotangents, strict=True)
    return replace(case, cotangents=tuple(part.reshape(dy.shape).astype(dy.dtype) for part, dy in parts))


def gaussian_direction(case: Case, rng: np.random.Generator, names: tuple[str, ...]) -> dict[str, Array]:
    """A random direction through the named inputs, as long in each element as that element's magnitude asks for.

    Gaussian, but for the neighbourhood of zero: along an element that hardly moves, nothing could be measured.
    """

    def components(x: Array) -> Array:
        g = rng.standard_normal(x.shape)
        return np.asarray((g + np.copysign(0.5, g)) * _magnitude(x))

    return {name: components(case.inputs[name]) for name in names}


def unit_direction(case: Case, name: str, index: tuple[int, ...]) -> dict[str, Array]:
    """The direction in which a single element of one input grows by its own magnitude."""
    v = np.zeros(case.inputs[name].shape)
    v[index] = _magnitude(case.inputs[name])[index]
    return {name: v}


def _magnitude(x: Array) -> Array:
    """The size of each element, but not below the median of its array (1 for an array of zeros)."""
    size = np.abs(x)
    typical = float(np.median(size)) if size.size else 1.0
    return np.maximum(size, typical if typical > 0 else 1.0)
