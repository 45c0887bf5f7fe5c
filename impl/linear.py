"""Linear layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._convolution import BLOCK


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

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√in_features as torch draws them."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        params: dict[str, Array] = {
            "weight": rng.uniform(-bound, bound, (self.out_features, self.in_features)).astype(dtype)
        }
        if self.bias:
            params["bias"] = rng.uniform(-bound, bound, self.out_features).astype(dtype)
        return params


@dataclass(frozen=True)
class Bilinear:
    """y[…, k] = Σ input1[…, i] · W[k, i, j] · input2[…, j] over i, j, plus b[k].

    Shapes: input1 (*, in1_features), input2 (*, in2_features), weight (out_features, in1_features, in2_features), bias
    (out_features,), y (*, out_features); * is any number of axes, none included, the same for both. Arrays share one
    floating dtype.

    Gradient, with the leading axes gathered into one: dinput1 = Σ dy[:, k]·(input2·W[k]ᵀ) over k, dinput2 likewise with
    input1·W[k], dW[k] = (dy[:, k]·input1)ᵀ·input2, db = Σ dy over all rows.

    Raises ValueError for shapes that do not fit and for sizes that torch refuses (in1_features and in2_features must be
    positive), TypeError for arrays that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Bilinear.html
    """

    in1_features: int
    in2_features: int
    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        _check.integer("Bilinear", "in1_features", self.in1_features, least=1)
        _check.integer("Bilinear", "in2_features", self.in2_features, least=1)
        _check.integer("Bilinear", "out_features", self.out_features, least=0)

    def __call__(
        self, input1: Array, input2: Array, weight: Array, bias: Array | None = None
    ) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, outs, ins, others = "Bilinear", self.out_features, self.in1_features, self.in2_features
        _check.optional(name, "bias", self.bias, bias)
        input1, input2, weight = _check.real(name, input1=input1, input2=input2, weight=weight)
        _check.shape(name, "weight", weight, (outs, ins, others))
        if input1.ndim == 0 or input1.shape[-1] != ins:
            raise ValueError(f"{name}: input1 must have shape (*, {ins}), got {input1.shape}")
        lead = input1.shape[:-1]
        _check.shape(name, "input2", input2, (*lead, others))
        first, second = input1.reshape(-1, ins), input2.reshape(-1, others)
        # The filters as a matrix to multiply each input with.
        from_first = weight.transpose(1, 0, 2).reshape(ins, outs * others)
        to_first = weight.transpose(0, 2, 1).reshape(outs * others, ins)
        # Rows are taken in parts: what stands between two products is larger than what goes in.
        step = max(BLOCK, weight.size) // max(outs * others, outs * ins, 1)
        parts = [slice(a, a + step) for a in range(0, len(first), step)]

        def halfway(part: slice) -> Array:
            """Σ input1[…, i] · W[k, i, j] over i: (rows, k, j)."""
            return (first[part] @ from_first).reshape(len(first[part]), outs, others)

        y = np.empty((len(first), outs), input1.dtype)
        for part in parts:
            y[part] = (halfway(part) @ second[part, :, None])[..., 0]
        if bias is not None:
            _, bias = _check.real(name, input1=input1, bias=bias)
            _check.shape(name, "bias", bias, (outs,))
            y += bias

        def backward(dy: Array) -> Gradients:
            drows = _check.cotangent(name, dy, (*lead, outs)).reshape(y.shape)
            dfirst, dsecond, dweight = np.empty_like(first), np.empty_like(second), np.zeros_like(weight)
            for part in parts:
                some = drows[part]
                # The order of the products is torch's, which shows where infinities meet. dinput1 has it in the rows
                # where they do: it is the slower one there, and in the others it shows in no digit that counts.
                pairs = (some[:, :, None] * second[part, None]).reshape(len(some), outs * others)
                dfirst[part] = pairs @ to_first
                for n in np.flatnonzero(~np.isfinite(dfirst[part]).all(axis=1)):
                    dfirst[part][n] = (some[n, :, None, None] * weight @ second[part][n]).sum(axis=0)
                dsecond[part] = (some[:, None] @ halfway(part))[:, 0]
                pairs = (some[:, :, None] * first[part, None]).reshape(len(some), outs * ins)
                dweight += (pairs.T @ second[part]).reshape(weight.shape)
            grads = {
                "input1": dfirst.reshape(input1.shape),
                "input2": dsecond.reshape(input2.shape),
                "weight": dweight,
            }
            if bias is not None:
                grads["bias"] = drows.sum(axis=0)
            return grads

        return y.reshape(*lead, outs), backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√in1_features as torch draws them."""
        bound = 1 / math.sqrt(self.in1_features)
        shape = (self.out_features, self.in1_features, self.in2_features)
        params: dict[str, Array] = {"weight": rng.uniform(-bound, bound, shape).astype(dtype)}
        if self.bias:
            params["bias"] = rng.uniform(-bound, bound, self.out_features).astype(dtype)
        return params
