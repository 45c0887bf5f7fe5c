"""The `reduction` of a loss: its values as they are, summed or averaged; and the adjoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from .arithmetic import unbroadcast


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


def reduced(
    layer: str,
    values: Array,
    reduction: str,
    inputs: Mapping[str, Array],
    gradients: Callable[[Array], Gradients],
    count: int | None = None,
) -> tuple[Array, Backward]:
    """A loss from its values: y, and the backward pass.

    `gradients` makes of the cotangents of the values those of the inputs, each in the shape that it was broadcast to.
    """
    values = np.asarray(values)
    divisor = values.size if count is None else count
    with np.errstate(all="ignore"):  # infinities and NaN in a loss are torch's too
        y = reduce(values, reduction, divisor)

    def backward(dy: Array) -> Gradients:
        dy = _check.cotangent(layer, dy, y.shape)
        with np.errstate(all="ignore"):
            found = gradients(spread(dy, reduction, values.shape, divisor))
            return {name: unbroadcast(found[name], array.shape) for name, array in inputs.items()}

    return y, backward
