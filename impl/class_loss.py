"""Losses of classifiers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._reduction import reduce, spread
from .softmax import log_softmax, log_softmax_backward


def _along(axis: int, rank: int, values: Array) -> Array:
    """One number a class, so that it broadcasts along the axis of classes."""
    return values[:, *(None,) * (rank - 1 - axis)]


@dataclass(frozen=True)
class CrossEntropyLoss:
    """y = -Σ q_c·w_c·log softmax(x)_c over the classes c, for every sample; summed or averaged over the samples.

    Shapes: x (C,), (N, C) or (N, C, d1, …); weight (C,), not differentiated. The target is either
    - class indices, integers of x's shape without the class axis: q is one-hot. Samples whose target is
      `ignore_index` give 0 and count for nothing; "mean" divides by the sum of the weights of the other samples'
      classes; or
    - class probabilities, floating point of x's shape: q = target, and "mean" divides by the number of samples.
    `label_smoothing` ε mixes q with the uniform distribution: (1 - ε)·q + ε/C.
    y has the shape of the samples with reduction="none", else ().

    Gradient: with g_c = -q_c·w_c·dy per sample, dx = g - softmax(x)·Σ g; dtarget_c = -(1 - ε)·w_c·log softmax(x)_c·dy.

    Raises ValueError, IndexError or TypeError for targets and options that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html; label smoothing:
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015.
    """

    ignore_index: int = -100
    reduction: str = "mean"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        name = "CrossEntropyLoss"
        _check.choice(name, "reduction", self.reduction, _check.REDUCTIONS)
        _check.integer(name, "ignore_index", self.ignore_index)
        _check.number(name, "label_smoothing", self.label_smoothing)
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"{name}: label_smoothing must be in [0, 1], got {self.label_smoothing}")

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass; its gradients are x's, and target's where target holds probabilities."""
        name = "CrossEntropyLoss"
        (x,) = _check.real(name, x=x)
        if x.ndim == 0:
            raise ValueError(f"{name}: x must have shape (C,), (N, C) or (N, C, d1, ...), got ()")
        axis = min(1, x.ndim - 1)
        classes = x.shape[axis]
        if not classes:
            raise ValueError(f"{name}: x must have at least one class, got shape {x.shape}")
        scale = np.ones(classes, x.dtype)
        if weight is not None:
            _, scale = _check.real(name, x=x, weight=weight)
            _check.shape(name, "weight", scale, (classes,))
        target = np.asarray(target)
        logp = log_softmax(x, axis)
        if np.issubdtype(target.dtype, np.inexact):
            return self._probabilities(x, target, scale, logp, axis)
        return self._indices(x, target, scale, logp, axis)

    def _probabilities(self, x: Array, target: Array, scale: Array, logp: Array, axis: int) -> tuple[Array, Backward]:
        name, smooth = "CrossEntropyLoss", self.label_smoothing
        _check.real(name, x=x, target=target)
        _check.shape(name, "target (class probabilities)", target, x.shape)
        if self.ignore_index >= 0:
            raise ValueError(f"{name}: ignore_index={self.ignore_index} needs class indices, got probabilities")
        q = target * (1 - smooth) + smooth / x.shape[axis]
        scale = _along(axis, x.ndim, scale)
        losses = -(q * scale * logp).sum(axis=axis)
        y = reduce(losses, self.reduction, losses.size)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape)
            d = np.expand_dims(spread(dy, self.reduction, losses.shape, losses.size), axis) * scale
            return {"x": log_softmax_backward(-d * q, logp, axis), "target": -d * logp * (1 - smooth)}

        return y, backward

    def _indices(self, x: Array, target: Array, scale: Array, logp: Array, axis: int) -> tuple[Array, Backward]:
        name, smooth, classes = "CrossEntropyLoss", self.label_smoothing, x.shape[axis]
        samples = x.shape[:axis] + x.shape[axis + 1 :]
        if not np.issubdtype(target.dtype, np.integer):
            raise TypeError(f"{name}: target must hold integers or floating-point numbers, got {target.dtype}")
        _check.shape(name, "target (class indices)", target, samples)
        kept = target != self.ignore_index
        if ((target < 0) | (target >= classes))[kept].any():
            raise IndexError(f"{name}: target must hold class indices in [0, {classes}) or ignore_index")
        index = np.expand_dims(np.where(kept, target, 0), axis)
        per_sample = np.where(kept, scale[index.squeeze(axis)], 0)
        scale = _along(axis, x.ndim, scale)

        def pick(values: Array) -> Array:
            return np.where(kept, np.take_along_axis(values, index, axis).squeeze(axis), 0)

        losses = -pick(logp * scale)
        if smooth:
            uniform = np.where(kept, -(logp * scale).sum(axis=axis), 0)
            losses = (1 - smooth) * losses + smooth / classes * uniform
        count = per_sample.sum()
        y = reduce(losses, self.reduction, count)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape)
            d = np.expand_dims(np.where(kept, spread(dy, self.reduction, samples, count), 0), axis)
            g = np.zeros_like(logp)
            np.put_along_axis(g, index, -(1 - smooth) * d * np.expand_dims(per_sample, axis), axis)
            if smooth:
                g = g - smooth / classes * d * scale
            return {"x": log_softmax_backward(g, logp, axis)}

        return y, backward
