"""Mean and variance along axes, the sums of the backward passes, and what else the layers that normalise share.

Sums are kept in float64 at least, so that neither length nor size of float32 input costs digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients

Axes = tuple[int, ...]


def total(a: Array, axes: Axes) -> Array:
    """Σ a along the axes, which stay with length 1."""
    return np.asarray(a.sum(axis=axes, keepdims=True, dtype=np.promote_types(a.dtype, np.float64)))


def dot(a: Array, b: Array, axes: Axes) -> Array:
    """Σ a·b along the axes, which stay with length 1; the products are not kept."""
    letters = "abcd"[: a.ndim]
    kept = "".join(letter for axis, letter in enumerate(letters) if axis not in axes)
    dtype = np.promote_types(np.result_type(a, b), np.float64)
    return np.expand_dims(np.einsum(f"{letters},{letters}->{kept}", a, b, dtype=dtype), axes)


def moments(x: Array, axes: Axes) -> tuple[Array, Array, Array]:
    """x - mean, the mean and the biased variance along the axes; the last two in float64 at least.

    The variance is that of the centred values, not E[x²] - mean², which cancels. They are centred twice: the second
    time takes away what was lost by rounding the mean.
    """
    count = size(x, axes)
    mean = total(x, axes) / count
    centred = x - mean.astype(x.dtype)
    centred -= (total(centred, axes) / count).astype(x.dtype)
    return centred, mean, dot(centred, centred, axes) / count


def inverse_root(square: Array, eps: float) -> Array:
    """1/√(square + eps), in the dtype of `square`."""
    return np.asarray(1 / np.sqrt(square + square.dtype.type(eps)))


def size(x: Array, axes: Axes) -> int:
    """How many elements each sum along the axes has."""
    return int(np.prod([x.shape[axis] for axis in axes]))


def scaled(x: Array, centred: Array, mean: Array, root: Array, weight: Any, bias: Any) -> Array:
    """centred·root·weight + bias, with centred = x - mean; None stands for a parameter that is missing.

    Where a weight is not finite torch's x·(root·weight) + (bias - mean·root·weight) is taken, whose infinities meet
    in other places.
    """
    slope = root if weight is None else root * weight
    y = centred * slope
    if bias is not None:
        y += bias
    if weight is None or np.isfinite(weight).all():
        return y
    return np.where(np.isfinite(weight), y, x * slope + ((0 if bias is None else bias) - mean * slope))


def parameter(layer: str, x: Array, name: str, given: Any, wanted: bool, shape: tuple[int, ...]) -> Any:
    """A parameter of this shape in x's dtype, or None where the configuration has none."""
    _check.optional(layer, name, wanted, given)
    if given is None:
        return None
    _, array = _check.real(layer, x=x, **{name: given})
    _check.shape(layer, name, array, shape)
    return array


def nothing(layer: str, x: Array, weight: Any, bias: Any) -> Backward:
    """The backward pass where x is empty: zeros."""

    def backward(dy: Array) -> Gradients:
        _check.cotangent(layer, dy, x.shape)
        given = {"weight": weight, "bias": bias}
        return {"x": x.copy(), **{name: np.zeros_like(a) for name, a in given.items() if a is not None}}

    return backward
