"""Losses that want a margin between what belongs together and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._elementwise import constant, fine_logistic, rounded, softplus
from ._reduction import reduced
from .arithmetic import broadcast, unbroadcast
from .distance import PairwiseDistance

# A layer of two inputs: their distance, and its backward pass.
Distance = Callable[[Array, Array], tuple[Array, Backward]]

# torch's own, of float32 in every precision.
EPSILON = float(np.float32(1e-12))


def _check_labels(layer: str, target: Any, kinds: str, dtype: np.dtype[Any]) -> Array:
    """Labels as an array of numbers; floating-point ones in the dtype of the inputs."""
    labels = np.asarray(target)
    if labels.dtype.kind not in kinds:
        raise TypeError(f"{layer}: target must hold numbers, 1 or -1, got dtype {labels.dtype}")
    if labels.dtype.kind == "f" and labels.dtype != dtype:
        raise TypeError(f"{layer}: target has dtype {labels.dtype} but the inputs have {dtype}; cast one of them")
    return labels


def _check_ranks(layer: str, **arrays: Array) -> None:
    """ValueError unless all have the same number of dimensions."""
    if len({array.ndim for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{layer}: all inputs must have the same number of dimensions, got {shapes}")


@dataclass(frozen=True)
class HingeEmbeddingLoss:
    """y = x where target = 1, max(margin - x, 0) where target = -1; as it is, summed, or averaged over all elements.
    As in torch, where target is neither y is the sum of both.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else (). target may hold
    integers, truth values or floating-point numbers, and is not differentiated.

    Gradient: dx = dy where target = 1, -dy where target = -1 and x ≤ margin; divided by the number of elements for
    "mean", and summed over the axes along which x was repeated.

    Raises ValueError where shapes do not broadcast or x's dtype cannot hold the margin, TypeError for other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
    """

    margin: float = 1.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.number("HingeEmbeddingLoss", "margin", self.margin)
        _check.choice("HingeEmbeddingLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "HingeEmbeddingLoss"
        (x,) = _check.real(name, x=x)
        target = _check_labels(name, target, "biuf", x.dtype)
        broadcast(name, x=x, target=target)
        gap = constant(name, "margin", float(self.margin), x.dtype) - x
        alike, unlike = target != -1, target != 1
        values = np.where(alike, x, 0) + np.where(unlike, np.maximum(gap, 0), 0)

        def gradients(dy: Array) -> Gradients:
            return {"x": np.where(alike, dy, 0) - np.where(unlike & (gap >= 0), dy, 0)}

        return reduced(name, values, self.reduction, {"x": x}, gradients)


@dataclass(frozen=True)
class SoftMarginLoss:
    """y = log(1 + e^(-target·x)), free of overflow; as it is, summed, or averaged over all elements.

    Shapes: x any, target broadcasts to it; y has the shape of x with reduction="none", else (). target holds 1 and -1,
    integers or floating-point numbers, and is not differentiated.

    Gradient: dx = -dy·target·σ(-target·x), divided by the number of elements for "mean". Free of overflow, which
    torch's is not for target·x below -709 (-88 in float32).

    Raises ValueError where target does not broadcast to x, TypeError for targets of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("SoftMarginLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "SoftMarginLoss"
        (x,) = _check.real(name, x=x)
        target = _check_labels(name, target, "iuf", x.dtype).astype(x.dtype)
        if broadcast(name, x=x, target=target) != x.shape:
            raise ValueError(f"{name}: target must broadcast to x's shape {x.shape}, got {target.shape}")
        with np.errstate(invalid="ignore"):  # 0·∞ is NaN, as in torch
            z = -target * x
            values = softplus(z)

        def gradients(dy: Array) -> Gradients:
            return {"x": -dy * fine_logistic(z) * target}

        return reduced(name, values, self.reduction, {"x": x}, gradients)


@dataclass(frozen=True)
class MarginRankingLoss:
    """y = max(margin - target·(input1 - input2), 0); as it is, summed, or averaged over all elements.

    target 1 wants input1 above input2 by the margin, -1 below.

    Shapes: input1, input2 and target have the same number of axes and broadcast to one shape; y has that shape with
    reduction="none", else (). target may hold integers, and then has no gradient.

    Gradient, where the maximum is not below zero: dinput1 = -dy·target, dinput2 = dy·target,
    dtarget = -dy·(input1 - input2); zero elsewhere. dy is divided by the number of elements for "mean"; each gradient
    is summed over the axes along which its input was repeated.

    Raises ValueError for shapes that do not fit, TypeError for targets of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
    """

    margin: float = 0.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.number("MarginRankingLoss", "margin", self.margin)
        _check.choice("MarginRankingLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "MarginRankingLoss"
        input1, input2 = _check.real(name, input1=input1, input2=input2)
        labels = _check_labels(name, target, "iuf", input1.dtype)
        inputs = {"input1": input1, "input2": input2}
        _check_ranks(name, **inputs, target=labels)
        broadcast(name, **inputs, target=labels)
        if labels.dtype.kind == "f":
            inputs["target"] = labels
        sign = labels.astype(input1.dtype)
        with np.errstate(all="ignore"):  # infinities and NaN are torch's too
            difference = input1 - input2
            gap = -sign * difference + rounded(self.margin, input1.dtype)
            values = np.maximum(gap, 0)

        def gradients(dy: Array) -> Gradients:
            g = np.where(gap >= 0, dy, 0)
            return {"input1": -g * sign, "input2": g * sign, "target": -g * difference}

        return reduced(name, values, self.reduction, inputs, gradients)


@dataclass(frozen=True)
class CosineEmbeddingLoss:
    """y = 1 - c where target = 1, max(c - margin, 0) where target = -1, c being the cosine of input1 and input2; for
    every sample, summed, or averaged over the samples. As in torch, y = 0 for any other target.

    c = Σ input1·input2 / √((Σ input1² + ε)·(Σ input2² + ε)) with ε = 1e-12.

    Shapes: input1 and input2 (N, D) with target (N,), or (D,) with target (); all broadcast. y has the shape of the
    samples with reduction="none", else (). target may hold integers, truth values or floating-point numbers, and is not
    differentiated.

    Gradient, with dc = -dy where target = 1, dy where target = -1 and c ≥ margin, 0 elsewhere, and n = √(Σ input² + ε):
    dinput1 = dc·(input2/(n1·n2) - c·input1/n1²), dinput2 alike. dy is divided by the number of samples for "mean".

    Raises ValueError for other shapes, TypeError for targets of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
    """

    margin: float = 0.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.number("CosineEmbeddingLoss", "margin", self.margin)
        _check.choice("CosineEmbeddingLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "CosineEmbeddingLoss"
        input1, input2 = _check.real(name, input1=input1, input2=input2)
        target = _check_labels(name, target, "biuf", input1.dtype)
        if input1.ndim not in (1, 2) or target.ndim != input1.ndim - 1 or input2.ndim != input1.ndim:
            raise ValueError(
                f"{name}: input1, input2 and target must have shapes (N, D), (N, D), (N,) or (D,), (D,), (), "
                f"got {input1.shape}, {input2.shape}, {target.shape}"
            )
        inputs = {"input1": input1, "input2": input2}
        broadcast(name, **inputs, target=target[..., None])
        shape = broadcast(name, **inputs)
        with np.errstate(all="ignore"):  # infinities and NaN are torch's too
            dot = (input1 * input2).sum(axis=-1)
            square1, square2 = ((x * x).sum(axis=-1) + EPSILON for x in (input1, input2))
            length = np.sqrt(square1 * square2)
            cosine = np.asarray(dot / length)
            gap = cosine - rounded(self.margin, cosine.dtype)
            values = np.where(target == 1, 1 - cosine, 0) + np.where(target == -1, np.maximum(gap, 0), 0)

        def gradients(dy: Array) -> Gradients:
            dcosine = np.where((target == -1) & (gap >= 0), dy, 0) - np.where(target == 1, dy, 0)
            dcosine = unbroadcast(dcosine, cosine.shape)
            ddot = np.broadcast_to((dcosine / length)[..., None], shape)
            dproduct = -dcosine * (cosine / length) / (2 * length)
            dsquare1 = unbroadcast(dproduct * square2, square1.shape)[..., None]
            dsquare2 = unbroadcast(dproduct * square1, square2.shape)[..., None]
            return {
                "input1": unbroadcast(ddot * input2, input1.shape) + 2 * input1 * dsquare1,
                "input2": unbroadcast(ddot * input1, input2.shape) + 2 * input2 * dsquare2,
            }

        return reduced(name, values, self.reduction, inputs, gradients)


def _measure(layer: str, distance: Distance, inputs: dict[str, Array], pair: tuple[str, str]) -> tuple[Array, Backward]:
    """The distance of two of the inputs; what it refuses is refused in the name of the layer."""
    try:
        return distance(inputs[pair[0]], inputs[pair[1]])
    except ValueError as error:
        raise ValueError(f"{layer}: no distance of {' and '.join(pair)}: {error}") from error


def _triplet(
    layer: TripletMarginLoss | TripletMarginWithDistanceLoss, distance: Distance, **given: Array
) -> tuple[Array, Backward]:
    """max(d(anchor, positive) - d(anchor, negative) + margin, 0), of any distance d."""
    name = type(layer).__name__
    inputs = dict(zip(given, _check.real(name, **given), strict=True))
    _check_ranks(name, **inputs)
    pairs = [("anchor", "positive"), ("anchor", "negative")]
    if layer.swap:
        pairs.append(("positive", "negative"))
    values, backwards = zip(*(_measure(name, distance, inputs, pair) for pair in pairs), strict=True)
    broadcast(name, **{f"d({', '.join(pair)})": value for pair, value in zip(pairs, values, strict=True)})
    with np.errstate(all="ignore"):  # infinities and NaN are torch's too
        near, *far = values
        nearest = np.minimum(*far) if layer.swap else far[0]
        gap = near + rounded(layer.margin, near.dtype) - nearest
        losses = np.maximum(gap, 0)

    def gradients(dy: Array) -> Gradients:
        g = np.where(gap >= 0, dy, 0)
        # The nearest one takes the gradient; two that are equal share it.
        parts = [np.where(d > nearest, 0, -g) for d in far]
        if layer.swap:
            parts = [np.where(far[0] == far[1], part / 2, part) for part in parts]
        total = {key: np.zeros_like(array) for key, array in inputs.items()}
        for pair, value, back, part in zip(pairs, values, backwards, (g, *parts), strict=True):
            for key, dx in zip(pair, back(unbroadcast(part, value.shape)).values(), strict=True):
                total[key] = total[key] + dx
        return total

    return reduced(name, losses, layer.reduction, inputs, gradients)


def _check_triplet(layer: TripletMarginLoss | TripletMarginWithDistanceLoss) -> None:
    name = type(layer).__name__
    _check.number(name, "margin", layer.margin)
    if layer.margin <= 0:
        raise ValueError(f"{name}: margin must be above zero, got {layer.margin}")
    _check.choice(name, "reduction", layer.reduction, _check.REDUCTIONS)


@dataclass(frozen=True)
class TripletMarginLoss:
    """y = max(d(anchor, positive) - d(anchor, negative) + margin, 0), d being `PairwiseDistance` with p and eps; for
    every sample, summed, or averaged over the samples. With `swap`, the smaller of d(anchor, negative) and
    d(positive, negative) takes the place of the former.

    Shapes: anchor, positive and negative have the same number of axes and broadcast to (*, D); y is (*) with
    reduction="none", else (). Rank 0 is a vector of one.

    Gradient, where the maximum is not below zero: dy through the first distance and -dy through the second, divided by
    the number of samples for "mean"; where both distances to the negative are equal, each gets half.

    Raises ValueError for a margin that is not above zero and for shapes that do not fit, TypeError for options of other
    kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html; Balntas et al., Learning
    Shallow Convolutional Feature Descriptors with Triplet Losses, 2016.
    """

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check_triplet(self)
        _check.number("TripletMarginLoss", "p", self.p)
        _check.number("TripletMarginLoss", "eps", self.eps)
        _check.boolean("TripletMarginLoss", "swap", self.swap)

    def __call__(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        distance = PairwiseDistance(self.p, self.eps)
        return _triplet(self, distance, anchor=anchor, positive=positive, negative=negative)


@dataclass(frozen=True, kw_only=True)
class TripletMarginWithDistanceLoss:
    """`TripletMarginLoss` with any distance: y = max(d(anchor, positive) - d(anchor, negative) + margin, 0).

    `distance_function` is a layer of two inputs: called with two arrays, it answers their distances and a backward
    pass that answers the gradients by name, in the order of the inputs. `PairwiseDistance(p=1)` is one, and so is
    `MSELoss(reduction="none")`; None is `PairwiseDistance()`.

    Shapes: anchor, positive and negative have the same number of axes; y has the shape that their distances broadcast
    to with reduction="none", else (). Gradient and errors are as for `TripletMarginLoss`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginWithDistanceLoss.html
    """

    distance_function: Distance | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check_triplet(self)
        if self.distance_function is not None and not callable(self.distance_function):
            raise TypeError(
                "TripletMarginWithDistanceLoss: distance_function must be a layer of two inputs or None, "
                f"got {self.distance_function!r}"
            )

    def __call__(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        distance = self.distance_function or PairwiseDistance()
        return _triplet(self, distance, anchor=anchor, positive=positive, negative=negative)
