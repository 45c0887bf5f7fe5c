"""The standard normal distribution, to the accuracy of the dtype at every element, far tail included."""

from __future__ import annotations

import math

import numpy as np

from ._check import Array

# Rational approximations from W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23
# (1969), with a relative error below 6e-19; coefficients from the highest power down, z = |x|/√2.
# erf z = z·P(z²)/Q(z²) for z up to 0.46875
NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
# erfc z = exp(-z²)·P(z)/Q(z) for z up to 4
MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
# erfc z = exp(-z²)/z·(1/√π - P(z⁻²)/Q(z⁻²)/z²) beyond
FAR = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)
# Beyond, e^(-x²/2) is zero in float64.
END = 40


def bell(x: Array) -> Array:
    """e^(-x²/2), x split into a few leading bits, whose square is exact, and the rest."""
    x = np.clip(x, -END, END)
    lead = np.round(x * 16) / 16
    return np.asarray(np.exp(-lead * lead / 2) * np.exp(-(x - lead) * (x + lead) / 2))


def density(x: Array) -> Array:
    """φ(x) = e^(-x²/2)/√(2π)."""
    return np.asarray(bell(x) / math.sqrt(2 * math.pi))


def distribution(x: Array) -> Array:
    """Φ(x) = erfc(-x/√2)/2; for negative x with full relative accuracy, where 1 + erf would cancel."""
    a = np.minimum(np.abs(x), END)
    beyond = np.piecewise(a, [a <= 0.46875 * math.sqrt(2), a > 4 * math.sqrt(2)], [_near, _far, _middle])
    return np.where(x < 0, beyond, 1 - beyond)


# Φ(-a) for a ≥ 0, in three pieces.


def _near(a: Array) -> Array:
    z = a * math.sqrt(0.5)
    return 0.5 - 0.5 * z * _ratio(NEAR, z * z)


def _middle(a: Array) -> Array:
    return 0.5 * bell(a) * _ratio(MIDDLE, a * math.sqrt(0.5))


def _far(a: Array) -> Array:
    inverse = math.sqrt(2) / a
    square = inverse * inverse
    return 0.5 * bell(a) * inverse * (1 / math.sqrt(math.pi) - square * _ratio(FAR, square))


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], z: Array) -> Array:
    """P(z)/Q(z) by Horner's rule."""
    above, below = (np.full_like(z, first) for first, *_ in coefficients)
    for p, q in zip(coefficients[0][1:], coefficients[1][1:], strict=True):
        above = above * z + p
        below = below * z + q
    return np.asarray(above / below)
