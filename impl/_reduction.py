"""The `reduction` of a loss: its values as they are, summed or averaged; and the adjoint."""

from __future__ import annotations

import numpy as np

from ._check import Array


def reduce(values: Array, reduction: str, count: Array | float) -> Array:
    """The values, their sum, or their sum over `count`."""
    if reduction == "none":
        return values
    total = np.asarray(values.sum())
    if reduction == "sum":
        return total
    with np.errstate(divide="ignore", invalid="ignore"):  # a mean over nothing is NaN, as in torch
        return np.asarray(total / count)


def spread(dy: Array, reduction: str, shape: tuple[int, ...], count: Array | float) -> Array:
    """The adjoint of `reduce`: the cotangent of each of the values, in this shape."""
    if reduction == "mean":
        with np.errstate(divide="ignore", invalid="ignore"):
            dy = dy / count
    return np.broadcast_to(dy, shape)
