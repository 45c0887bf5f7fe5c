"""Faults in gates, linear layers and shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradjury import impl
from gradjury.impl.arithmetic import unbroadcast


@dataclass(frozen=True)
class AddSameArray(impl.Add):
    """Hands the same array out twice."""

    def __call__(self, x, other):
        y, backward = super().__call__(x, other)

        def aliased(dy):
            grads = backward(dy)
            return grads if x.shape != other.shape else {"x": grads["x"], "other": grads["x"]}

        return y, aliased


@dataclass(frozen=True)
class AddBroadcastKept(impl.Add):
    """Forgets to sum over the leading axes that broadcasting added, where the shapes allow it to go unnoticed."""

    def __call__(self, x, other):
        y, backward = super().__call__(x, other)

        def wrong(dy):
            grads = backward(dy)
            if other.ndim < dy.ndim and dy.size:
                grads["other"] = unbroadcast(dy[:1], other.shape) if dy.shape[0] else grads["other"]
            return grads

        return y, wrong


@dataclass(frozen=True)
class MultiplySwapped(impl.Multiply):
    """dx = dy·x and dother = dy·other."""

    def __call__(self, x, other):
        y, _ = super().__call__(x, other)
        return y, lambda dy: {"x": unbroadcast(dy * x, x.shape), "other": unbroadcast(dy * other, other.shape)}


class LinearTransposed(impl.Linear):
    """The weight's gradient is right for square weights but for a transposition."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)

        def wrong(dy):
            grads = backward(dy)
            if weight.shape[0] == weight.shape[1]:
                grads["weight"] = grads["weight"].T.copy()
            return grads

        return y, wrong


class LinearSign(impl.Linear):
    """A sign."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)

        def wrong(dy):
            grads = backward(dy)
            return {**grads, "x": -grads["x"]}

        return y, wrong


class LinearBiasAveraged(impl.Linear):
    """The bias gradient is averaged over the batch instead of summed."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)

        def wrong(dy):
            grads = backward(dy)
            if bias is not None and x.ndim > 1:
                grads["bias"] = grads["bias"] / max(1, x.shape[0])
            return grads

        return y, wrong


class LinearDouble(impl.Linear):
    """Answers float64 to float32."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)
        return y.astype(np.float64), lambda dy: {k: v.astype(np.float64) for k, v in backward(dy).items()}


class LinearContiguous(impl.Linear):
    """Reads the memory of x as if it were contiguous."""

    def __call__(self, x, weight, bias=None):
        flat = np.frombuffer(x.base if x.base is not None and x.base.nbytes == x.nbytes else x.copy(), x.dtype)
        return super().__call__(flat.reshape(x.shape), weight, bias)


class FlattenWrongOrder(impl.Flatten):
    """Brings the gradient back in column-major order."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": dy.reshape(x.shape, order="F")}


FAULTS = [
    (AddSameArray, "Add", "purity"),
    (AddBroadcastKept, "Add", "gradients"),
    (MultiplySwapped, "Multiply", "gradients"),
    (LinearTransposed, "Linear", "gradients"),
    (LinearSign, "Linear", "finite_differences"),
    (LinearBiasAveraged, "Linear", "gradients"),
    (LinearDouble, "Linear", "dtype_and_shape"),
    (LinearContiguous, "Linear", "views"),
    (FlattenWrongOrder, "Flatten", "gradients"),
]
