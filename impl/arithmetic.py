"""Arithmetic gates, with broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of broadcasting to dy's shape: a sum over every axis that was repeated."""
    extra = tuple(range(dy.ndim - len(shape)))
    stretched = tuple(
        axis + len(extra)
        for axis, (n, m) in enumerate(zip(shape, dy.shape[len(extra) :], strict=True))
        if n == 1 and m != 1
    )
    return np.asarray(dy.sum(axis=extra + stretched)).reshape(shape)


def broadcast(layer: str, **arrays: Array) -> tuple[int, ...]:
    """The common shape of the arrays; ValueError where there is none."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{layer}: the shapes of {shapes} do not broadcast") from None


@dataclass(frozen=True)
class Add:
    """y = x + other.

    Shapes: x and other broadcast to y's shape; both share one floating dtype.
    Gradient: dx = dy and dother = dy, each summed over the axes along which it was repeated.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.add.html
    """

    def __call__(self, x: Array, other: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, other = _check.real("Add", x=x, other=other)
        shape = broadcast("Add", x=x, other=other)
        y = np.asarray(x + other)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Add", dy, shape)
            return {"x": unbroadcast(dy, x.shape), "other": unbroadcast(dy, other.shape)}

        return y, backward


@dataclass(frozen=True)
class Multiply:
    """y = x · other.

    Shapes: x and other broadcast to y's shape; both share one floating dtype.
    Gradient: dx = dy·other and dother = dy·x, each summed over the axes along which it was repeated.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mul.html
    """

    def __call__(self, x: Array, other: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, other = _check.real("Multiply", x=x, other=other)
        shape = broadcast("Multiply", x=x, other=other)
        y = np.asarray(x * other)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Multiply", dy, shape)
            return {"x": unbroadcast(dy * other, x.shape), "other": unbroadcast(dy * x, other.shape)}

        return y, backward
