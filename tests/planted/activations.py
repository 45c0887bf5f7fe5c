"""Faults in activations and softmax."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradjury import impl


@dataclass(frozen=True)
class ReLUPassesAtZero(impl.ReLU):
    """The kink is on the wrong side: x >= 0 lets the cotangent through."""

    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": np.where(x >= 0, dy, 0)}


@dataclass(frozen=True)
class ReLUBlocksAtNaN(impl.ReLU):
    """Where x is NaN the gradient is 0; torch lets the cotangent through."""

    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": np.where(x > 0, dy, 0)}


@dataclass(frozen=True)
class LeakyReLUSlopeForgotten(impl.LeakyReLU):
    """The backward is that of ReLU."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": np.where(x > 0, dy, 0)}


@dataclass(frozen=True)
class LeakyReLUMaskFromCotangent(impl.LeakyReLU):
    """The mask is taken from the sign of dy, not of x: not even linear."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        slope = x.dtype.type(self.negative_slope)
        return y, lambda dy: {"x": np.where(dy > 0, dy, slope * dy)}


@dataclass(frozen=True)
class SigmoidOfSigmoid(impl.Sigmoid):
    """x in the place of y: dx = dy·x·(1 - x)."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": dy * x * (1 - x)}


@dataclass(frozen=True)
class SigmoidForward(impl.Sigmoid):
    """f in the place of f'."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": dy * y}


@dataclass(frozen=True)
class SigmoidOverflows(impl.Sigmoid):
    """A forward that is right for small numbers only: e^x / (1 + e^x)."""

    def __call__(self, x):
        y = np.exp(x) / (1 + np.exp(x))
        return y, lambda dy: {"x": dy * y * (1 - y)}


@dataclass(frozen=True)
class TanhSquareForgotten(impl.Tanh):
    """1 - y for 1 - y²."""

    def __call__(self, x):
        y = np.tanh(x)
        return y, lambda dy: {"x": dy * (1 - y)}


@dataclass(frozen=True)
class TanhInPlace(impl.Tanh):
    """Works in the caller's cotangent."""

    def __call__(self, x):
        y = np.tanh(x)

        def backward(dy):
            dy *= 1 - y * y
            return {"x": dy}

        return y, backward


@dataclass(frozen=True)
class SoftmaxDiagonal(impl.Softmax):
    """Only the diagonal of the Jacobian: dx = dy·y·(1 - y)."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": dy * y * (1 - y)}


@dataclass(frozen=True)
class SoftmaxSumOverEverything(impl.Softmax):
    """The sum runs over the whole array instead of over `dim`."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": y * (dy - (dy * y).sum())}


@dataclass(frozen=True)
class LogSoftmaxMean(impl.LogSoftmax):
    """Mean for sum in the backward."""

    def __call__(self, x):
        y, backward = super().__call__(x)
        axis = self.dim if self.dim is not None else (0 if x.ndim in (0, 1, 3) else 1)

        def wrong(dy):
            if x.ndim == 0:
                return backward(dy)
            return {"x": dy - np.exp(y) * dy.mean(axis=axis, keepdims=True)}

        return y, wrong


class SigmoidStale:
    """Keeps the first output it ever computed for its backward."""

    def __init__(self):
        self.first = None

    def __call__(self, x):
        y = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
        if self.first is None or self.first.shape != y.shape:
            self.first = y
        kept = self.first
        return y, lambda dy: {"x": dy * kept * (1 - kept)}


FAULTS = [
    (ReLUPassesAtZero, "ReLU", "gradients"),
    (ReLUBlocksAtNaN, "ReLU", "nonfinite"),
    (LeakyReLUSlopeForgotten, "LeakyReLU", "gradients"),
    (LeakyReLUMaskFromCotangent, "LeakyReLU", "linearity"),
    (SigmoidOfSigmoid, "Sigmoid", "finite_differences"),
    (SigmoidForward, "Sigmoid", "gradients"),
    (SigmoidOverflows, "Sigmoid", "forward"),
    (TanhSquareForgotten, "Tanh", "finite_differences"),
    (TanhInPlace, "Tanh", "purity"),
    (SoftmaxDiagonal, "Softmax", "gradients"),
    (SoftmaxSumOverEverything, "Softmax", "gradients"),
    (LogSoftmaxMean, "LogSoftmax", "gradients"),
    (SigmoidStale, "Sigmoid", "purity"),
]
