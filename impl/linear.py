"""Linear layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


@dataclass(frozen=True, init=False)
class Identity:
    """y = x. Takes any constructor arguments and ignores them.

    Shapes: x any, y the same. Gradient: dx = dy. As in torch, y is x itself; dx is dy itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Identity", x=x)

        def backward(dy: Array) -> Gradients:
            return {"x": _check.cotangent("Identity", dy, x.shape)}

        return x, backward


@dataclass(frozen=True)
class Linear:
    """y = x·Wᵀ + b, over the last axis of x.

    Shapes: x (*, in_features), weight (out_features, in_features), bias (out_features,), y (*, out_features);
    * is any number of axes, none included. Arrays share one floating dtype.

    Gradient, with the leading axes gathered into one: dx = dy·W, dW = dyᵀ·x, db = Σ dy over all rows.

    Raises ValueError for shapes that do not fit, TypeError for arrays that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html
    """

    in_features: int
    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        _check.integer("Linear", "in_features", self.in_features, least=0)
        _check.integer("Linear", "out_features", self.out_features, least=0)

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        _check.optional("Linear", "bias", self.bias, bias)
        x, weight = _check.real("Linear", x=x, weight=weight)
        _check.shape("Linear", "weight", weight, (self.out_features, self.in_features))
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"Linear: x must have shape (*, {self.in_features}), got {x.shape}")
        y = x @ weight.T
        if bias is not None:
            _, bias = _check.real("Linear", x=x, bias=bias)
            _check.shape("Linear", "bias", bias, (self.out_features,))
            y = y + bias

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Linear", dy, y.shape)
            count = math.prod(x.shape[:-1])
            rows, drows = x.reshape(count, self.in_features), dy.reshape(count, self.out_features)
            grads = {"x": dy @ weight, "weight": drows.T @ rows}
            if bias is not None:
                grads["bias"] = drows.sum(axis=0)
            return grads

        return y, backward

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√in_features as torch draws them."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        params: dict[str, Array] = {
            "weight": rng.uniform(-bound, bound, (self.out_features, self.in_features)).astype(dtype)
        }
        if self.bias:
            params["bias"] = rng.uniform(-bound, bound, self.out_features).astype(dtype)
        return params
