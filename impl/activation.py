"""Activations, element by element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


@dataclass(frozen=True)
class ReLU:
    """y = max(x, 0).

    Shapes: x any, y the same. Gradient: dx = dy where x > 0, else 0; at ±0 it is 0, and where x is NaN the
    cotangent passes, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("ReLU", x=x)
        y = np.maximum(x, 0)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("ReLU", dy, x.shape)
            return {"x": np.where(x <= 0, 0, dy)}

        return y, backward


@dataclass(frozen=True)
class LeakyReLU:
    """y = x where x > 0, else negative_slope·x.

    Shapes: x any, y the same. Gradient: dx = dy where x > 0, else negative_slope·dy; ±0 takes the slope.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
    """

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        _check.number("LeakyReLU", "negative_slope", self.negative_slope)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("LeakyReLU", x=x)
        slope = x.dtype.type(self.negative_slope)
        y = np.where(x > 0, x, slope * x)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("LeakyReLU", dy, x.shape)
            return {"x": np.where(x > 0, dy, slope * dy)}

        return y, backward


@dataclass(frozen=True)
class Sigmoid:
    """y = 1/(1 + e⁻ˣ), computed from e = e^-|x|, which cannot overflow.

    Shapes: x any, y the same. Gradient: dx = dy·y·(1 - y) = dy·e/(1 + e)², free of cancellation.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Sigmoid", x=x)
        e = np.exp(-np.abs(x))
        y = np.where(x >= 0, 1, e) / (1 + e)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Sigmoid", dy, x.shape)
            return {"x": dy * (e / (1 + e) ** 2)}

        return y, backward


@dataclass(frozen=True)
class Tanh:
    """y = tanh x.

    Shapes: x any, y the same. Gradient: dx = dy·(1 - y²).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Tanh", x=x)
        y = np.tanh(x)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Tanh", dy, x.shape)
            return {"x": dy * (1 - y * y)}

        return y, backward
