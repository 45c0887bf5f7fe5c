"""What layers that work on each element by itself have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


def rounded(value: float, dtype: np.dtype[Any]) -> Any:
    """An option as a number of the dtype, infinite where the dtype cannot hold it."""
    with np.errstate(over="ignore"):
        return dtype.type(value)


def constant(layer: str, name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    """An option as a number of the dtype.

    ValueError, as in torch, where it is finite and the dtype cannot hold it, or an integer beyond 64 bits.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"{layer}: {name} must be a number of 64 bits, got {value!r}")
    number = rounded(value, dtype)
    if np.isinf(number) and not np.isinf(value):
        raise ValueError(f"{layer}: {name} must be a number that {dtype} can hold, got {value!r}")
    return number


def smooth(layer: str, x: Array, value: Callable[[], Array], slope: Callable[[], Array]) -> tuple[Array, Backward]:
    """y, and the backward dx = dy·slope; the slope is made when it is asked for. 0·∞ is NaN in both, as in torch."""
    with np.errstate(invalid="ignore"):
        y = np.asarray(value(), x.dtype)

    def backward(dy: Array) -> Gradients:
        dy = _check.cotangent(layer, dy, x.shape)
        with np.errstate(invalid="ignore"):
            return {"x": np.asarray(dy * slope(), x.dtype)}

    return y, backward


def gated(layer: str, x: Array, y: Array, closed: Callable[[], Array]) -> tuple[Array, Backward]:
    """y and the backward that lets the cotangent pass except where `closed`, whatever it holds there."""

    def backward(dy: Array) -> Gradients:
        dy = _check.cotangent(layer, dy, x.shape)
        return {"x": np.where(closed(), 0, dy)}

    return np.asarray(y, x.dtype), backward


def logistic(x: Array) -> Array:
    """1/(1 + e⁻ˣ): where e⁻ˣ overflows it is 0, as in torch, and so it is beside an infinity."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))


def fine_logistic(x: Array) -> Array:
    """The same, but as small as eˣ where e⁻ˣ overflows already: torch's derivatives of log(1 + eˣ) have it so."""
    return np.asarray(np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))))


def logistic_slope(x: Array) -> Array:
    """Its derivative e/(1 + e)² with e = 1/e^|x|, free of cancellation, and 0 where it is 0."""
    with np.errstate(over="ignore"):
        e = 1 / np.exp(np.abs(x))
    return np.asarray(e / (1 + e) ** 2)


def softplus(x: Array) -> Array:
    """log(1 + eˣ), free of overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
