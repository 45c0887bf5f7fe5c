"""Losses of classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._convolution import BLOCK
from ._parameters import parameters
from ._reduction import reduce, spread
from .linear import Linear
from .softmax import log_softmax, log_softmax_backward

# Losses of the samples, what a mean divides their sum by, and the gradients from the cotangents of those losses.
Entropies = tuple[Array, Any, Callable[[Array], Gradients]]


def _check_options(layer: str, reduction: str, ignore_index: int | None, label_smoothing: float = 0.0) -> None:
    _check.choice(layer, "reduction", reduction, _check.REDUCTIONS)
    if ignore_index is not None:
        _check.integer(layer, "ignore_index", ignore_index)
    _check.number(layer, "label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{layer}: label_smoothing must be in [0, 1], got {label_smoothing}")


def _scores(layer: str, x: Array, weight: Array | None) -> tuple[Array, int, Array]:
    """x, its axis of classes, and the weights of the classes, 1 where none are given."""
    (x,) = _check.real(layer, x=x)
    if x.ndim == 0:
        raise ValueError(f"{layer}: x must have shape (C,), (N, C) or (N, C, d1, ...), got ()")
    axis = min(1, x.ndim - 1)
    if not x.shape[axis]:
        raise ValueError(f"{layer}: x must have at least one class, got shape {x.shape}")
    return x, axis, _class_weights(layer, x, weight, x.shape[axis])


def _class_weights(layer: str, x: Array, weight: Array | None, classes: int) -> Array:
    if weight is None:
        return np.ones(classes, x.dtype)
    _, weight = _check.real(layer, x=x, weight=weight)
    _check.shape(layer, "weight", weight, (classes,))
    return weight


def _class_indices(layer: str, target: Any, shape: tuple[int, ...], axis: int, ignore_index: int) -> Array:
    """The target as class indices for scores of this shape, one a sample."""
    indices: Array = np.asarray(target)
    classes = shape[axis]
    if not np.issubdtype(indices.dtype, np.integer):
        raise TypeError(f"{layer}: target must hold class indices, integers, got dtype {indices.dtype}")
    _check.shape(layer, "target (class indices)", indices, shape[:axis] + shape[axis + 1 :])
    if ((indices < 0) | (indices >= classes))[indices != ignore_index].any():
        raise IndexError(f"{layer}: target must hold class indices in [0, {classes}) or ignore_index")
    return indices


def _either_target(
    layer: str, x: Array, target: Any, shape: tuple[int, ...], axis: int, ignore_index: int, *, ignoring: bool
) -> Array:
    """Class probabilities for scores of this shape, or class indices; the former leave nothing to ignore."""
    given: Array = np.asarray(target)
    if not np.issubdtype(given.dtype, np.inexact):
        return _class_indices(layer, given, shape, axis, ignore_index)
    _check.real(layer, x=x, target=given)
    _check.shape(layer, "target (class probabilities)", given, shape)
    if ignoring:
        raise ValueError(f"{layer}: ignore_index={ignore_index} needs class indices, got probabilities")
    return given


def _along(axis: int, rank: int, values: Array) -> Array:
    """One number a class, so that it broadcasts along the axis of classes."""
    return values[:, *(None,) * (rank - 1 - axis)]


def _negative_log_likelihood(logp: Array, target: Array, scale: Array, axis: int, ignore_index: int) -> Entropies:
    """-w_t·logp_t of every sample; 0 where its target t is ignored."""
    kept = target != ignore_index
    classes = np.where(kept, target, 0)
    index = np.expand_dims(classes, axis)
    weights = np.where(kept, scale[classes], 0)
    with np.errstate(invalid="ignore"):  # 0·∞ is NaN, as in torch
        losses = np.where(kept, -weights * np.take_along_axis(logp, index, axis).squeeze(axis), 0)

    def backward(d: Array) -> Gradients:
        dx = np.zeros_like(logp)
        with np.errstate(invalid="ignore"):
            np.put_along_axis(dx, index, np.expand_dims(np.where(kept, -weights * d, 0), axis), axis)
        return {"x": dx}

    return losses, weights.sum(), backward


def _cross_entropy(x: Array, target: Array, scale: Array, axis: int, ignore_index: int, smooth: float) -> Entropies:
    """The cross-entropies of softmax(x) and the target, class probabilities or indices, smoothed."""
    logp = log_softmax(x, axis)
    weights, uniform = _along(axis, x.ndim, scale), smooth / x.shape[axis]
    if np.issubdtype(target.dtype, np.inexact):
        q = target * (1 - smooth) + uniform
        losses = -(q * weights * logp).sum(axis=axis)

        def backward(d: Array) -> Gradients:
            d = np.expand_dims(d, axis) * weights
            return {"x": log_softmax_backward(-d * q, logp, axis), "target": -d * logp * (1 - smooth)}

        return losses, losses.size, backward

    losses, count, pick = _negative_log_likelihood(logp, target, scale, axis, ignore_index)
    kept = target != ignore_index
    if smooth:
        losses = (1 - smooth) * losses - np.where(kept, uniform * (weights * logp).sum(axis=axis), 0)

    def backward_of_indices(d: Array) -> Gradients:
        g = pick((1 - smooth) * d)["x"]
        if smooth:
            g -= uniform * weights * np.expand_dims(np.where(kept, d, 0), axis)
        return {"x": log_softmax_backward(g, logp, axis)}

    return losses, count, backward_of_indices


def _reduced(layer: str, reduction: str, entropies: Entropies) -> tuple[Array, Backward]:
    losses, count, inner = entropies
    y = reduce(losses, reduction, count)

    def backward(dy: Array) -> Gradients:
        return inner(spread(_check.cotangent(layer, dy, y.shape), reduction, losses.shape, count))

    return y, backward


@dataclass(frozen=True)
class NLLLoss:
    """y = -w_t·x_t for every sample, t its target; summed or averaged over the samples.

    Shapes: x, log-probabilities of the classes, (C,), (N, C) or (N, C, d1, …); target, class indices, has x's shape
    without the class axis, or (1,) for x (C,); weight (C,), not differentiated. Samples whose target is `ignore_index`
    give 0 and count for nothing; "mean" divides by the sum of the weights of the other samples' classes. y has the
    shape of the samples with reduction="none", else ().

    Gradient: dx is -w_t·dy at the target of each sample that counts, 0 elsewhere.

    Raises ValueError, IndexError or TypeError for targets and options that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """

    ignore_index: int = -100
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check_options("NLLLoss", self.reduction, self.ignore_index)

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "NLLLoss"
        x, axis, scale = _scores(name, x, weight)
        if x.ndim == 1 and np.shape(target) == (1,):
            target = np.asarray(target)[0]
        target = _class_indices(name, target, x.shape, axis, self.ignore_index)
        return _reduced(name, self.reduction, _negative_log_likelihood(x, target, scale, axis, self.ignore_index))


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
        _check_options("CrossEntropyLoss", self.reduction, self.ignore_index, self.label_smoothing)

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass; its gradients are x's, and target's where target holds probabilities."""
        name, ignored = "CrossEntropyLoss", self.ignore_index
        x, axis, scale = _scores(name, x, weight)
        target = _either_target(name, x, target, x.shape, axis, ignored, ignoring=ignored >= 0)
        return _reduced(name, self.reduction, _cross_entropy(x, target, scale, axis, ignored, self.label_smoothing))


@dataclass(frozen=True)
class LinearCrossEntropyLoss:
    """The `CrossEntropyLoss` of the scores x·Wᵀ + b, W being linear.weight and b linear.bias.

    Shapes: x (in_features,) or (N, in_features); linear.weight (num_classes·Π out_features, in_features), linear.bias
    (num_classes·Π out_features,) with `bias`; weight (num_classes,), not differentiated. The scores are (num_classes,)
    or (N, num_classes, *out_features), where out_features, for batches only, are places with a target each; targets and
    y are those of `CrossEntropyLoss` for such scores. `ignore_index` None ignores -100; it must be None for class
    probabilities. Samples are taken in parts, so that there are never more scores in memory than a few times the
    arguments: torch does that where its `options` ask for it, which change nothing else.

    Gradient: with ds that of the scores, dx = ds·W, dW = dsᵀ·x, db = Σ ds over the samples; dtarget as there.

    Raises ValueError, IndexError or TypeError for targets, shapes and options that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyLoss.html
    """

    in_features: int
    num_classes: int
    out_features: tuple[int, ...] = field(default=(), kw_only=True)
    bias: bool = field(default=False, kw_only=True)
    reduction: str = field(default="mean", kw_only=True)
    ignore_index: int | None = field(default=None, kw_only=True)
    label_smoothing: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        name = "LinearCrossEntropyLoss"
        _check_options(name, self.reduction, self.ignore_index, self.label_smoothing)
        _check.integer(name, "in_features", self.in_features, least=0)
        _check.integer(name, "num_classes", self.num_classes, least=1)
        if not isinstance(self.out_features, list | tuple):
            raise TypeError(f"{name}: out_features must be a sequence of integers, got {self.out_features!r}")
        for size in self.out_features:
            _check.integer(name, "out_features", size, least=0)

    @property
    def _linear(self) -> Linear:
        return Linear(self.in_features, self.num_classes * math.prod(self.out_features), self.bias)

    def __call__(self, x: Array, target: Array, weight: Array | None = None, **params: Array) -> tuple[Array, Backward]:
        """y and its backward pass; its gradients are the parameters', x's, and target's if it holds probabilities."""
        name, linear, ignored = "LinearCrossEntropyLoss", self._linear, self.ignore_index
        (x,) = _check.real(name, x=x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.in_features or (x.ndim == 1 and self.out_features):
            forms = f"(N, {self.in_features})" + ("" if self.out_features else f" or ({self.in_features},)")
            raise ValueError(f"{name}: x must have shape {forms}, got {x.shape}")
        w, *b = parameters(name, params, self._shapes, x=x).values()
        scale = _class_weights(name, x, weight, self.num_classes)
        shape = (*x.shape[:-1], self.num_classes, *self.out_features)
        ignoring, index = ignored is not None, -100 if ignored is None else ignored
        target = _either_target(name, x, target, shape, x.ndim - 1, index, ignoring=ignoring)
        samples, targets = (x, target) if x.ndim == 2 else (x[None], target[None])
        step = max(BLOCK, x.size, w.size) // max(linear.out_features, 1) + 1
        parts = [slice(a, a + step) for a in range(0, len(samples), step)]

        def entropies(part: slice) -> Entropies:
            flat, linear_backward = linear(samples[part], w, *b)
            scores = flat.reshape(len(flat), self.num_classes, *self.out_features)
            losses, count, inner = _cross_entropy(scores, targets[part], scale, 1, index, self.label_smoothing)

            def backward(d: Array) -> Gradients:
                grads = inner(d)
                through = linear_backward(grads["x"].reshape(flat.shape))
                return {**grads, "x": through.pop("x"), **{f"linear.{n}": grad for n, grad in through.items()}}

            return losses, count, backward

        # The scores of a part are made again for its gradient: kept, they would be larger than all that goes in.
        losses, count = np.empty((len(samples), *self.out_features), x.dtype), 0
        for part in parts:
            losses[part], counted, _ = entropies(part)
            count += counted

        def backward(d: Array) -> Gradients:
            grads = {n: np.zeros_like(a) for n, a in params.items()} | {"x": np.empty_like(samples)}
            if np.issubdtype(targets.dtype, np.inexact):
                grads["target"] = np.empty_like(targets)
            for part in parts:
                *_, inner = entropies(part)
                for n, grad in inner(d.reshape(losses.shape)[part]).items():
                    if n in params:
                        grads[n] += grad
                    else:
                        grads[n][part] = grad
            return {n: grad if n in params or x.ndim == 2 else grad[0] for n, grad in grads.items()}

        return _reduced(name, self.reduction, (losses if x.ndim == 2 else losses[0], count, backward))

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        rows = self._linear.out_features
        return {"linear.weight": (rows, self.in_features), **({"linear.bias": (rows,)} if self.bias else {})}

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, drawn as those of Linear."""
        return {f"linear.{name}": value for name, value in self._linear.initial_parameters(rng, dtype).items()}
