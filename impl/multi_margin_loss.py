"""Losses that keep the scores of right classes a margin above those of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._convolution import BLOCK
from ._reduction import reduce, spread


def _rows(layer: str, x: Array) -> tuple[Array, Array]:
    """x, and x as (N, C)."""
    (x,) = _check.real(layer, x=x)
    if x.ndim > 2 or 0 in x.shape[-1:]:
        raise ValueError(f"{layer}: x must have shape (N, C), (C,) or () with at least one class, got {x.shape}")
    return x, np.atleast_2d(x)


def _indices(layer: str, target: Any) -> Array:
    indices: Array = np.asarray(target)
    if not np.issubdtype(indices.dtype, np.integer):
        raise TypeError(f"{layer}: target must hold class indices, integers, got dtype {indices.dtype}")
    return indices


def _reduced(layer: str, x: Array, losses: Array, slope: Array, reduction: str) -> tuple[Array, Backward]:
    """y, and the backward pass that multiplies the slope of each sample's loss."""
    y = reduce(losses, reduction, losses.size)

    def backward(dy: Array) -> Gradients:
        d = spread(_check.cotangent(layer, dy, y.shape), reduction, losses.shape, losses.size)
        with np.errstate(invalid="ignore"):  # 0·∞ is NaN, as in torch
            return {"x": np.asarray(slope * d.reshape(-1, 1), x.dtype).reshape(x.shape)}

    return y, backward


@dataclass(frozen=True)
class MultiMarginLoss:
    """y = w_t/C · Σ max(0, margin - x_t + x_i)^p over the classes i ≠ t, t the target of the sample; p is 1 or 2.

    Shapes: x (N, C), (C,) or (); target, class indices, (N,), for a single sample also (); weight (C,), not
    differentiated. y has the target's shape with reduction="none", else (): summed or averaged over the samples.

    Gradient: where z = margin - x_t + x_i is above 0, dx_i = w_t/C·p·z^(p-1)·dy, and dx_t is minus their sum. A z that
    is 0 or NaN gives nothing, as in torch.

    Raises ValueError, IndexError or TypeError for targets, shapes and options that torch refuses. Of no samples the
    sum is 0 and the mean NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
    """

    p: int = 1
    margin: float = 1.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        name = "MultiMarginLoss"
        if self.p not in (1, 2):
            raise ValueError(f"{name}: p must be 1 or 2, got {self.p!r}")
        _check.number(name, "margin", self.margin)
        _check.choice(name, "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "MultiMarginLoss"
        x, rows = _rows(name, x)
        _check.fits(name, "margin", self.margin, x.dtype)
        target, classes = _indices(name, target), rows.shape[1]
        if target.shape != rows.shape[:1] and (target.shape or len(rows) != 1):
            raise ValueError(f"{name}: target must have shape {rows.shape[:1]}, one class a sample, got {target.shape}")
        if ((target < 0) | (target >= classes)).any():
            raise IndexError(f"{name}: target must hold class indices in [0, {classes})")
        w: Array = np.ones((), x.dtype)
        if weight is not None:
            _, weight = _check.real(name, x=x, weight=weight)
            _check.shape(name, "weight", weight, (classes,))
            w = weight[target].reshape(-1, 1)
        index = target.reshape(-1, 1)
        with np.errstate(invalid="ignore", over="ignore"):  # ∞ - ∞ is NaN and, as in torch, gives nothing
            z = x.dtype.type(self.margin) - np.take_along_axis(rows, index, 1) + rows
            np.put_along_axis(z, index, 0, 1)
            active = z > 0
            losses = np.where(active, z**self.p * w, 0).sum(axis=1) / classes
            slope = np.where(active, self.p * z ** (self.p - 1) * w, 0) / classes
            np.put_along_axis(slope, index, -slope.sum(axis=1, keepdims=True), 1)
        return _reduced(name, x, losses.reshape(target.shape), slope, self.reduction)


@dataclass(frozen=True)
class MultiLabelMarginLoss:
    """y = 1/C · Σ max(0, 1 - x_t + x_i) over the targets t of a sample and the classes i that are no targets.

    Shapes: x (N, C), (C,) or (); target of x's shape: class indices, up to the first -1 of a sample; what follows it is
    not looked at, and a class that is listed twice counts twice. y is (N,), for a single sample (), with
    reduction="none", else (): summed or averaged over the samples.

    Gradient: for each pair whose 1 - x_t + x_i is above 0, dy/C is added to dx_i and taken from dx_t. A pair at 0, or
    NaN, gives nothing, as in torch.

    Raises ValueError, IndexError or TypeError for targets, shapes and options that torch refuses. Of no samples the
    sum is 0 and the mean NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("MultiLabelMarginLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "MultiLabelMarginLoss"
        x, rows = _rows(name, x)
        target, classes = _indices(name, target), rows.shape[1]
        if target.shape != x.shape and not (x.size == target.size == 1 and x.ndim + target.ndim == 1):
            raise ValueError(f"{name}: target must have x's shape {x.shape}, got {target.shape}")
        if ((target < -1) | (target >= classes)).any():
            raise IndexError(f"{name}: target must hold class indices in [0, {classes}), or -1 behind the last")
        target = target.reshape(rows.shape)
        listed = np.logical_and.accumulate(target >= 0, axis=1)
        # A sample and one of its targets each.
        sample, label = np.nonzero(listed)[0], target[listed]
        own = np.zeros(rows.shape, bool)
        own[sample, label] = True
        losses, slope = np.zeros(len(rows), x.dtype), np.zeros_like(rows)
        step = max(BLOCK, x.size) // classes
        for start in range(0, len(sample), step):
            n, t = sample[start : start + step], label[start : start + step]
            with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN and, as in torch, gives nothing
                z = 1 - rows[n, t, None] + rows[n]
                active = (z > 0) & ~own[n]
            first = np.flatnonzero(np.diff(n, prepend=-1))
            losses[n[first]] += np.add.reduceat(np.where(active, z, 0).sum(axis=1), first)
            slope[n[first]] += np.add.reduceat(active, first, axis=0, dtype=x.dtype)
            np.subtract.at(slope, (n, t), active.sum(axis=1))
        return _reduced(name, x, losses.reshape(x.shape[:-1]) / classes, slope / classes, self.reduction)
