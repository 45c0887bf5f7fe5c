"""Losses that compare probabilities, and logarithms of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._elementwise import fine_logistic, logistic, softplus
from ._reduction import reduced
from .arithmetic import broadcast, unbroadcast

# torch's own bound, of float32 in every precision.
EPSILON = float(np.float32(1e-12))


def _log_logistic(x: Array) -> Array:
    """log σ(x), free of overflow."""
    return -softplus(-x)


def _x_log_y(x: Array, y: Array) -> Array:
    """x·log y, and 0 where x is 0 unless y is NaN."""
    return np.where((x == 0) & ~np.isnan(y), 0, x * np.log(y))


@dataclass(frozen=True)
class KLDivLoss:
    """y = target·(log target - x), x being the logarithm of a probability; with `log_target` the target is one too, and
    y = e^target·(target - x). As it is, summed, averaged over all elements, or summed over the length of the first axis
    of x ("batchmean"; of rank 0, summed).

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = -target·dy or -e^target·dy; dtarget = (log target + 1 - x)·dy or e^target·(1 + target - x)·dy. dy is
    divided by what the sum is; each gradient is summed over the axes along which its input was repeated. A target of
    zero gives zero, and as in torch NaN for its own gradient, which does not exist; a negative one gives NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html; Kullback and Leibler, On Information
    and Sufficiency, 1951.
    """

    reduction: str = "mean"
    log_target: bool = False

    def __post_init__(self) -> None:
        _check.choice("KLDivLoss", "reduction", self.reduction, (*_check.REDUCTIONS, "batchmean"))
        _check.boolean("KLDivLoss", "log_target", self.log_target)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, target = _check.real("KLDivLoss", x=x, target=target)
        broadcast("KLDivLoss", x=x, target=target)
        with np.errstate(all="ignore"):  # the logarithm of zero, and infinities and NaN as in torch
            if self.log_target:
                p = np.exp(target)
                values = p * (target - x)
            else:
                p = target
                values = _x_log_y(p, p) - p * x

        def gradients(dy: Array) -> Gradients:
            # Summed over repeated axes before they meet an infinity, as in torch.
            if self.log_target:
                dtarget = unbroadcast(dy * p, target.shape) + unbroadcast(dy * (target - x), target.shape) * p
            else:
                g = unbroadcast(dy, target.shape)
                dtarget = _x_log_y(g, p) + g * p / p - unbroadcast(dy * x, target.shape)
            return {"x": -dy * p, "target": dtarget}

        inputs = {"x": x, "target": target}
        if self.reduction == "batchmean":
            return reduced("KLDivLoss", values, "mean", inputs, gradients, count=x.shape[0] if x.ndim else 1)
        return reduced("KLDivLoss", values, self.reduction, inputs, gradients)


def _check_weight(layer: str, name: str, weight: Array | None, x: Array) -> Array:
    """A weight of each element; ones where there is none."""
    if weight is None:
        return np.ones((), x.dtype)
    _, weight = _check.real(layer, x=x, **{name: weight})
    try:
        np.broadcast_to(weight, x.shape)
    except ValueError:
        raise ValueError(f"{layer}: {name} must broadcast to x's shape {x.shape}, got {weight.shape}") from None
    return weight


@dataclass(frozen=True)
class BCELoss:
    """y = -w·(target·log x + (1 - target)·log(1 - x)), x and target being probabilities; as it is, summed, or averaged
    over all elements. No logarithm is below -100.

    Shapes: x and target the same, any; weight w broadcasts to it and is not differentiated. y has the shape of x with
    reduction="none", else ().

    Gradient: dx = w·dy·(x - target)/max(x·(1 - x), 1e-12), dtarget = w·dy·(log(1 - x) - log x), both divided by the
    number of elements for "mean". As in torch the bound of the logarithm has no gradient of its own: at the ends dx is
    up to 1e12·dy, and dtarget is infinite.

    Raises ValueError for other shapes and for numbers that are no probabilities.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("BCELoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, target = _check.real("BCELoss", x=x, target=target)
        _check.shape("BCELoss", "target", target, x.shape)
        scale = _check_weight("BCELoss", "weight", weight, x)
        for name, chances in (("x", x), ("target", target)):
            if not ((chances >= 0) & (chances <= 1)).all():
                raise ValueError(f"BCELoss: {name} must hold numbers from 0 to 1")
        with np.errstate(divide="ignore"):
            yes, no = np.log(x), np.log1p(-x)
        values = scale * ((target - 1) * np.maximum(no, -100) - target * np.maximum(yes, -100))

        def gradients(dy: Array) -> Gradients:
            dx = dy * (x - target) / np.maximum((1 - x) * x, EPSILON)
            return {"x": scale * dx, "target": scale * (dy * (no - yes))}

        return reduced("BCELoss", values, self.reduction, {"x": x, "target": target}, gradients)


@dataclass(frozen=True)
class BCEWithLogitsLoss:
    """y = -w·(p·target·log σ(x) + (1 - target)·log(1 - σ(x))): `BCELoss` of σ(x), free of overflow; as it is, summed,
    or averaged over all elements.

    Shapes: x and target the same, any; weight w and pos_weight p broadcast to it, are 1 where they are left out, and
    are not differentiated. y has the shape of x with reduction="none", else ().

    Gradient: dx = w·dy·((1 - target + p·target)·σ(x) - p·target), dtarget = w·dy·(log(1 - σ(x)) - p·log σ(x)), both
    divided by the number of elements for "mean".

    Raises ValueError for other shapes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("BCEWithLogitsLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(
        self, x: Array, target: Array, weight: Array | None = None, pos_weight: Array | None = None
    ) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "BCEWithLogitsLoss"
        x, target = _check.real(name, x=x, target=target)
        _check.shape(name, "target", target, x.shape)
        scale = _check_weight(name, "weight", weight, x)
        positive = _check_weight(name, "pos_weight", pos_weight, x)
        with np.errstate(all="ignore"):  # infinities and NaN are torch's too
            log_share = (positive - 1) * target + 1 if pos_weight is not None else 1
            values = scale * ((1 - target) * x - log_share * _log_logistic(x))

        def gradients(dy: Array) -> Gradients:
            if pos_weight is None:
                return {"x": scale * ((logistic(x) - target) * dy), "target": scale * (-x * dy)}
            hits = positive * target
            dx = (hits + 1 - target) * logistic(x) - hits
            return {"x": scale * (dx * dy), "target": scale * ((_log_logistic(-x) - positive * _log_logistic(x)) * dy)}

        return reduced(name, values, self.reduction, {"x": x, "target": target}, gradients)


@dataclass(frozen=True)
class MultiLabelSoftMarginLoss:
    """y = -Σ w·(target·log σ(x) + (1 - target)·log σ(-x)) / C over the last axis, of C classes; for every sample,
    summed, or averaged over the samples.

    Shapes: x (*, C), target and weight w broadcast with it. y is (*) with reduction="none", else (). Where the common
    shape has more axes than x, the classes are, as in torch, on the axis of that number counted from the front.

    Gradient: dx = w·dy/C·(σ(x) - target), dtarget = -w·dy/C·x, dw = dy/C·(the loss of each class without w). dy is
    divided by the number of samples for "mean"; each gradient is summed over the axes along which its input was
    repeated.

    Raises ValueError for shapes that do not broadcast, and for x of rank 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("MultiLabelSoftMarginLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "MultiLabelSoftMarginLoss"
        x, target = _check.real(name, x=x, target=target)
        if x.ndim == 0:
            raise ValueError(f"{name}: x must have at least 1 dimension, (*, C), got shape ()")
        inputs, scale = {"x": x, "target": target}, np.ones((), x.dtype)
        if weight is not None:
            _, scale = _check.real(name, x=x, weight=weight)
            inputs["weight"] = scale
        shape = broadcast(name, **inputs)
        axis = x.ndim - 1
        classes = x.shape[axis]
        with np.errstate(all="ignore"):  # infinities and NaN are torch's too
            yes, no = _log_logistic(x), _log_logistic(-x)
            losses = -(target * yes + (1 - target) * no)
            values = np.broadcast_to(losses * scale, shape).sum(axis=axis) / classes

        def gradients(dy: Array) -> Gradients:
            # Term by term, as torch's chain rule subtracts infinities, and summed before they meet others.
            d = np.broadcast_to(np.expand_dims(dy, axis) / classes, shape)
            g = -d * scale
            dyes, dno = unbroadcast(g * target, x.shape), unbroadcast(g * (1 - target), x.shape)
            return {
                "x": dyes * fine_logistic(-x) - dno * fine_logistic(x),
                "target": g * yes - g * no,
                "weight": d * losses,
            }

        return reduced(name, values, self.reduction, inputs, gradients)
