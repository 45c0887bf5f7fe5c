"""Correct layers as people write them, NumPy alone: what the faulty ones are derived from.

Each has two methods: `value(*inputs)` answers y, `gradients(dy, y, *inputs)` the gradients by name. `to` is the
contract, `fixed` the options that the layer does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


class Plain:
    """A layer in two methods."""

    to: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = {}

    def __call__(self, *inputs):
        y = self.value(*inputs)
        return y, lambda dy: self.gradients(dy, y, *inputs)


class ReLU(Plain):
    to = "ReLU"

    def value(self, x):
        return np.maximum(x, 0)

    def gradients(self, dy, y, x):
        return {"x": dy * (x > 0)}


@dataclass(frozen=True)
class LeakyReLU(Plain):
    to = "LeakyReLU"
    negative_slope: float = 0.01

    def slopes(self, positive, dtype):
        return np.where(positive, 1, self.negative_slope).astype(dtype)

    def value(self, x):
        return x * self.slopes(x > 0, x.dtype)

    def gradients(self, dy, y, x):
        return {"x": dy * self.slopes(x > 0, x.dtype)}


class Sigmoid(Plain):
    to = "Sigmoid"

    def value(self, x):
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, e) / (1 + e)

    def gradients(self, dy, y, x):
        return {"x": dy * y * (1 - y)}


class Tanh(Plain):
    to = "Tanh"

    def value(self, x):
        return np.tanh(x)

    def gradients(self, dy, y, x):
        return {"x": dy * (1 - y * y)}


def repeated(dy, shape):
    """The axes of dy along which an array of this shape was repeated."""
    lead = dy.ndim - len(shape)
    return (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and dy.shape[lead + i] != 1))


def summed(dy, shape):
    return dy.sum(axis=repeated(dy, shape)).reshape(shape)


class Add(Plain):
    to = "Add"

    def value(self, x, other):
        return x + other

    def gradients(self, dy, y, x, other):
        return {"x": summed(dy, x.shape), "other": summed(dy, other.shape)}


class Multiply(Plain):
    to = "Multiply"

    def value(self, x, other):
        return x * other

    def gradients(self, dy, y, x, other):
        return {"x": summed(dy * other, x.shape), "other": summed(dy * x, other.shape)}


def rows(a):
    """An array (*, n) as (N, n)."""
    return a.reshape(int(np.prod(a.shape[:-1])), a.shape[-1])


@dataclass(frozen=True)
class Linear(Plain):
    to = "Linear"
    in_features: int
    out_features: int
    bias: bool = True

    def value(self, x, weight, bias=None):
        y = x @ weight.T
        return y if bias is None else y + bias

    def gradients(self, dy, y, x, weight, bias=None):
        found = {"x": dy @ weight, "weight": rows(dy).T @ rows(x)}
        if bias is not None:
            found["bias"] = rows(dy).sum(axis=0)
        return found


@dataclass(frozen=True)
class Flatten(Plain):
    to = "Flatten"
    start_dim: int = 1
    end_dim: int = -1

    def value(self, x):
        rank = max(x.ndim, 1)
        start, end = self.start_dim % rank, self.end_dim % rank
        between = int(np.prod(x.shape[start : end + 1]))
        return x.reshape(*x.shape[:start], between, *x.shape[end + 1 :]).copy()

    def gradients(self, dy, y, x):
        return {"x": dy.reshape(x.shape).copy()}


@dataclass(frozen=True)
class MSELoss(Plain):
    to = "MSELoss"
    reduction: str = "mean"

    def count(self, difference):
        return difference.size if self.reduction == "mean" else 1

    def reduce(self, losses):
        return losses if self.reduction == "none" else losses.sum() / losses.dtype.type(self.count(losses))

    def value(self, x, target):
        return self.reduce((x - target) ** 2)

    def gradients(self, dy, y, x, target):
        d = 2 * (x - target) * (dy / dy.dtype.type(self.count(x - target)))
        return {"x": summed(d, x.shape), "target": -summed(d, target.shape)}


def axis_of(dim, rank):
    """torch's choice where `dim` is None."""
    return dim if dim is not None else 0 if rank in (0, 1, 3) else 1


@dataclass(frozen=True)
class Softmax(Plain):
    to = "Softmax"
    dim: int | None = None

    def axis(self, x):
        return axis_of(self.dim, x.ndim)

    def value(self, x):
        if not x.ndim:
            return np.ones_like(x)
        e = np.exp(x - x.max(axis=self.axis(x), keepdims=True, initial=-np.inf))
        return e / e.sum(axis=self.axis(x), keepdims=True)

    def gradients(self, dy, y, x):
        if not x.ndim:
            return {"x": np.zeros_like(x)}
        return {"x": y * (dy - (dy * y).sum(axis=self.axis(x), keepdims=True))}


def log_softmax(x, axis):
    shifted = x - x.max(axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


@dataclass(frozen=True)
class LogSoftmax(Plain):
    to = "LogSoftmax"
    dim: int | None = None

    def axis(self, x):
        return axis_of(self.dim, x.ndim)

    def value(self, x):
        return log_softmax(x, self.axis(x)) if x.ndim else np.zeros_like(x)

    def gradients(self, dy, y, x):
        if not x.ndim:
            return {"x": np.zeros_like(x)}
        return {"x": dy - np.exp(y) * dy.sum(axis=self.axis(x), keepdims=True)}


@dataclass(frozen=True)
class CrossEntropyLoss(Plain):
    to = "CrossEntropyLoss"
    fixed: ClassVar[Mapping[str, Any]] = {"label_smoothing": 0.0}
    ignore_index: int = -100
    reduction: str = "mean"

    def dense(self, x, target, weight):
        """The share of each class in each sample, times its weight, in x's shape; and which samples count."""
        axis = min(1, x.ndim - 1)
        classes = np.arange(x.shape[axis]).reshape(-1, *(1,) * (x.ndim - axis - 1))
        if target.dtype.kind == "f":
            shares, kept = target, np.ones(x.max(axis=axis).shape, bool)
        else:
            kept = target != self.ignore_index
            shares = (np.expand_dims(np.where(kept, target, -1), axis) == classes).astype(x.dtype)
        return shares if weight is None else shares * weight.reshape(classes.shape), kept

    def count(self, x, target, shares, kept):
        if self.reduction != "mean":
            return x.dtype.type(1)
        return x.dtype.type(kept.size) if target.dtype.kind == "f" else shares.sum()

    def value(self, x, target, weight=None):
        axis = min(1, x.ndim - 1)
        shares, kept = self.dense(x, target, weight)
        losses = -(shares * log_softmax(x, axis)).sum(axis=axis)
        return losses if self.reduction == "none" else losses.sum() / self.count(x, target, shares, kept)

    def each(self, dy, x, target, shares, kept):
        """The cotangent of each sample's loss, with the class axis."""
        return np.expand_dims(np.where(kept, dy / self.count(x, target, shares, kept), 0), min(1, x.ndim - 1))

    def gradients(self, dy, y, x, target, weight=None):
        axis = min(1, x.ndim - 1)
        shares, kept = self.dense(x, target, weight)
        each, logs = self.each(dy, x, target, shares, kept), log_softmax(x, axis)
        found = {"x": each * (np.exp(logs) * shares.sum(axis=axis, keepdims=True) - shares)}
        if target.dtype.kind == "f":
            ones = np.ones_like(x) if weight is None else self.dense(x, np.ones_like(x), weight)[0]
            found["target"] = -each * ones * logs
        return found


def pair(value):
    first, *others = value if isinstance(value, tuple) else (value,)
    return (first, *(others or [first]))


def sizes(spatial, kernel, stride):
    return tuple((n - k) // s + 1 for n, k, s in zip(spatial, kernel, stride, strict=True))


def places(kernel, stride, out) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """For each cell (u, v) of the window, where in the padded plane all windows have it."""
    for u, v in np.ndindex(*kernel):
        spans = (slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip((u, v), out, stride, strict=True))
        yield u, v, (..., *spans)


def padded(x, widths, fill=0.0):
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + list(widths), constant_values=fill)


def cropped(dx, widths):
    (top, bottom), (left, right) = widths
    return dx[..., top : dx.shape[-2] - bottom, left : dx.shape[-1] - right].copy()


@dataclass(frozen=True)
class Conv2d(Plain):
    to = "Conv2d"
    fixed: ClassVar[Mapping[str, Any]] = {"dilation": 1, "groups": 1, "padding_mode": "zeros"}
    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] | str = 0
    bias: bool = True

    def widths(self):
        if self.padding == "same":
            return tuple(((k - 1) // 2, k // 2) for k in pair(self.kernel_size))
        return tuple((p, p) for p in pair(0 if self.padding == "valid" else self.padding))

    def places(self, x, weight):
        kernel, stride = weight.shape[2:], pair(self.stride)
        return places(kernel, stride, sizes(x.shape[-2:], kernel, stride))

    def value(self, x, weight, bias=None):
        x = padded(x, self.widths())
        y = sum(np.einsum("...chw,kc->...khw", x[at], weight[:, :, u, v]) for u, v, at in self.places(x, weight))
        return y if bias is None else y + bias[:, None, None]

    def to_input(self, dy, x, weight):
        x = padded(x, self.widths())
        dx = np.zeros_like(x)
        for u, v, at in self.places(x, weight):
            dx[at] += np.einsum("...khw,kc->...chw", dy, weight[:, :, u, v])
        return cropped(dx, self.widths())

    def to_weight(self, dy, x, weight):
        x = padded(x, self.widths())
        dweight = np.zeros_like(weight)
        batch, dbatch = x.reshape(x.shape[-4:] if x.ndim == 4 else (1, *x.shape)), dy[None] if dy.ndim == 3 else dy
        for u, v, at in self.places(x, weight):
            dweight[:, :, u, v] = np.einsum("nkhw,nchw->kc", dbatch, batch[at])
        return dweight

    def to_bias(self, dy):
        return dy.sum(axis=(-1, -2)) if dy.ndim == 3 else dy.sum(axis=(0, -1, -2))

    def gradients(self, dy, y, x, weight, bias=None):
        found = {"x": self.to_input(dy, x, weight), "weight": self.to_weight(dy, x, weight)}
        if bias is not None:
            found["bias"] = self.to_bias(dy)
        return found


@dataclass(frozen=True)
class Pool(Plain):
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0

    def steps(self):
        return pair(self.kernel_size if self.stride is None else self.stride)

    def widths(self):
        return tuple((p, p) for p in pair(self.padding))

    def places(self, x):
        kernel = pair(self.kernel_size)
        return [at for _, _, at in places(kernel, self.steps(), sizes(x.shape[-2:], kernel, self.steps()))]


@dataclass(frozen=True)
class MaxPool2d(Pool):
    to = "MaxPool2d"
    fixed: ClassVar[Mapping[str, Any]] = {"dilation": 1, "return_indices": False, "ceil_mode": False}

    def cells(self, x):
        x = padded(x, self.widths(), -np.inf)
        return np.stack([x[at] for at in self.places(x)])

    def value(self, x):
        return self.cells(x).max(axis=0)

    def winner(self, x):
        """Which cell of the window, counted row by row, is the largest: (..., H', W')."""
        return self.cells(x).argmax(axis=0)

    def gradients(self, dy, y, x):
        winner = self.winner(x)
        dx = np.zeros_like(padded(x, self.widths()))
        for number, at in enumerate(self.places(dx)):
            dx[at] += dy * (winner == number)
        return {"x": cropped(dx, self.widths())}


@dataclass(frozen=True)
class AvgPool2d(Pool):
    to = "AvgPool2d"
    fixed: ClassVar[Mapping[str, Any]] = {"ceil_mode": False, "count_include_pad": True, "divisor_override": None}

    def area(self):
        return int(np.prod(pair(self.kernel_size)))

    def value(self, x):
        x = padded(x, self.widths())
        return sum(x[at] for at in self.places(x)) / self.area()

    def gradients(self, dy, y, x):
        dx = np.zeros_like(padded(x, self.widths()))
        for at in self.places(dx):
            dx[at] += dy / self.area()
        return {"x": cropped(dx, self.widths())}


_ELEMENTWISE = (ReLU, LeakyReLU, Sigmoid, Tanh, Add, Multiply, Softmax, LogSoftmax)
CORRECT = (*_ELEMENTWISE, Linear, Conv2d, MaxPool2d, AvgPool2d, Flatten, MSELoss, CrossEntropyLoss)
