"""Losses that compare numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._elementwise import rounded
from ._reduction import reduced
from .arithmetic import broadcast, unbroadcast


def _difference(layer: str, x: Array, target: Array) -> tuple[dict[str, Array], Array]:
    """The inputs by name, and x - target."""
    x, target = _check.real(layer, x=x, target=target)
    broadcast(layer, x=x, target=target)
    with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN, as in torch
        return {"x": x, "target": target}, np.asarray(x - target)


def _of_difference(
    layer: str, reduction: str, inputs: dict[str, Array], values: Array, slope: Array
) -> tuple[Array, Backward]:
    """A loss of x - target, from its values and its slope."""

    def gradients(dy: Array) -> Gradients:
        d = slope * dy
        return {"x": d, "target": -d}

    return reduced(layer, values, reduction, inputs, gradients)


def _absolute(difference: Array) -> tuple[Array, Array]:
    """|d|, and its slope; zero and NaN have none."""
    return np.abs(difference), (difference > 0).astype(difference.dtype) - (difference < 0)


@dataclass(frozen=True)
class L1Loss:
    """y = |x - target|, as it is, summed, or averaged over all elements.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = sgn(x - target)·dy, zero where both are equal; dtarget = -dx. dy is divided by the number of elements
    for "mean"; each gradient is summed over the axes along which its input was repeated.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("L1Loss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        inputs, difference = _difference("L1Loss", x, target)
        return _of_difference("L1Loss", self.reduction, inputs, *_absolute(difference))


@dataclass(frozen=True)
class MSELoss:
    """y = (x - target)², as it is, summed, or averaged over all elements.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = 2·(x - target)·dy (divided by the number of elements for "mean"), dtarget = -dx; each summed over
    the axes along which it was repeated.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("MSELoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        inputs, difference = _difference("MSELoss", x, target)
        return _of_difference("MSELoss", self.reduction, inputs, difference * difference, 2 * difference)


@dataclass(frozen=True)
class SmoothL1Loss:
    """y = d²/(2·beta) where |d| < beta, |d| - beta/2 elsewhere, d = x - target; as it is, summed or averaged.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = dy·d/beta where |d| < beta, dy·sgn(d) elsewhere; dtarget = -dx. dy is divided by the number of
    elements for "mean"; each gradient is summed over the axes along which its input was repeated. beta = 0 is `L1Loss`.

    Raises ValueError where beta is negative or NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html; Girshick, Fast R-CNN, 2015.
    """

    reduction: str = "mean"
    beta: float = 1.0

    def __post_init__(self) -> None:
        _check.choice("SmoothL1Loss", "reduction", self.reduction, _check.REDUCTIONS)
        _check.number("SmoothL1Loss", "beta", self.beta)
        if not self.beta >= 0:
            raise ValueError(f"SmoothL1Loss: beta must not be negative, got {self.beta}")

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        inputs, difference = _difference("SmoothL1Loss", x, target)
        values, slope = _absolute(difference)
        if self.beta:
            beta = rounded(self.beta, difference.dtype)
            with np.errstate(all="ignore"):
                near, flat = values < beta, values >= beta  # NaN is neither
                values = np.where(near, 0.5 * difference * difference / beta, values - 0.5 * beta)
                slope = np.where(flat, slope, difference / beta)
        return _of_difference("SmoothL1Loss", self.reduction, inputs, values, slope)


@dataclass(frozen=True)
class HuberLoss:
    """y = d²/2 where |d| < delta, delta·(|d| - delta/2) elsewhere, d = x - target; as it is, summed or averaged.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = dy·d where |d| < delta, dy·delta·sgn(d) elsewhere; dtarget = -dx. dy is divided by the number of
    elements for "mean"; each gradient is summed over the axes along which its input was repeated.

    Raises ValueError where delta is not above zero.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html; Huber, Robust Estimation of a
    Location Parameter, 1964.
    """

    reduction: str = "mean"
    delta: float = 1.0

    def __post_init__(self) -> None:
        _check.choice("HuberLoss", "reduction", self.reduction, _check.REDUCTIONS)
        _check.number("HuberLoss", "delta", self.delta)
        if not self.delta > 0:
            raise ValueError(f"HuberLoss: delta must be above zero, got {self.delta}")

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        inputs, difference = _difference("HuberLoss", x, target)
        size, sign = _absolute(difference)
        delta = rounded(self.delta, difference.dtype)
        with np.errstate(all="ignore"):
            values = np.where(size < delta, 0.5 * difference * difference, delta * (size - 0.5 * delta))
            slope = np.where(size >= delta, delta * sign, difference)
        return _of_difference("HuberLoss", self.reduction, inputs, values, slope)


@dataclass(frozen=True)
class PoissonNLLLoss:
    """y = eˣ - target·x, x being the logarithm of the rate; with `log_input` False y = x - target·log(x + eps), x being
    the rate itself. As it is, summed, or averaged over all elements.

    With `full`, Stirling's approximation of log(target!) is added where target > 1:
    target·log target - target + log(2π·target)/2.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = (eˣ - target)·dy or (1 - target/(x + eps))·dy; dtarget = -x·dy or -log(x + eps)·dy, and with `full`
    where target > 1 (log target + 1/(2·target))·dy more. dy is divided by the number of elements for "mean"; each
    gradient is summed over the axes along which its input was repeated.

    Where target ≤ 0, torch's gradient for the target is NaN with `full`, though it adds nothing there.

    Raises TypeError for options of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
    """

    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.boolean("PoissonNLLLoss", "log_input", self.log_input)
        _check.boolean("PoissonNLLLoss", "full", self.full)
        _check.number("PoissonNLLLoss", "eps", self.eps)
        _check.choice("PoissonNLLLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, target = _check.real("PoissonNLLLoss", x=x, target=target)
        broadcast("PoissonNLLLoss", x=x, target=target)
        with np.errstate(all="ignore"):
            if self.log_input:
                rate, log_rate = np.exp(x), x
                values = rate - target * x
            else:
                rate = x + rounded(self.eps, x.dtype)
                log_rate = np.log(rate)
                values = x - target * log_rate
            if self.full:
                many = ~(target <= 1)  # NaN too
                n = np.where(many, target, 2)  # what is not counted stays in the range of the logarithm
                values = values + np.where(many, n * np.log(n) - n + 0.5 * np.log(2 * math.pi * n), 0)

        def gradients(dy: Array) -> Gradients:
            dx, weighed = unbroadcast(dy, x.shape), unbroadcast(dy * target, x.shape)
            dx = dx * rate - weighed if self.log_input else dx - weighed / rate
            dtarget = -unbroadcast(dy * log_rate, target.shape)
            if self.full:
                g = unbroadcast(dy, target.shape)
                # The last term is zero, and NaN where torch's chain rule subtracts infinities.
                dtarget = dtarget + np.where(many, g * np.log(n) + 0.5 * g / n + g * (n - n), 0)
            return {"x": dx, "target": dtarget}

        return reduced("PoissonNLLLoss", values, self.reduction, {"x": x, "target": target}, gradients)


@dataclass(frozen=True)
class GaussianNLLLoss:
    """y = (log v + (x - target)²/v)/2 with v = max(var, eps); as it is, summed, or averaged over all elements.

    With `full`, log(2π)/2 is added.

    Shapes: var has the shape of x, with one axis of length 1 or without the last axis where the variance is the same
    along it; or it is a Python float, for all, and then has no gradient. x, target and var broadcast to one shape; y
    has that shape with reduction="none", else ().

    Gradient: dx = dy·(x - target)/v, dtarget = -dx, dvar = dy·(1/v - (x - target)²/v²)/2. As in torch the bound has no
    gradient of its own: dvar is dv, also where var < eps. dy is divided by the number of elements for "mean"; each
    gradient is summed over the axes along which its input was repeated.

    Raises ValueError for a negative variance or one of another shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html; Nix and Weigend, Estimating
    the Mean and Variance of the Target Probability Distribution, 1994.
    """

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.number("GaussianNLLLoss", "eps", self.eps)
        _check.choice("GaussianNLLLoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array, var: Array | float) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "GaussianNLLLoss"
        x, target = _check.real(name, x=x, target=target)
        _check.fits(name, "eps", self.eps, x.dtype)
        inputs = {"x": x, "target": target}
        if type(var) is float:
            aligned = np.full(x.shape, rounded(var, x.dtype))
        else:
            _, inputs["var"] = _check.real(name, x=x, var=var)
            aligned = self._aligned(x, inputs["var"])
        if np.any(np.less(var, 0)):
            raise ValueError(f"{name}: var must not be negative, got {np.min(var)}")
        broadcast(name, x=x, target=target, var=aligned)
        with np.errstate(all="ignore"):
            v = np.maximum(aligned, x.dtype.type(self.eps))
            difference = np.asarray(x - target)
            square = difference * difference
            values = 0.5 * (np.log(v) + square / v) + (0.5 * math.log(2 * math.pi) if self.full else 0)

        def gradients(dy: Array) -> Gradients:
            dx = dy / v * difference
            grads = {"x": dx, "target": -dx}
            if "var" in inputs:
                dv = unbroadcast(dy, v.shape) / v - unbroadcast(dy * (square / v / v), v.shape)
                grads["var"] = 0.5 * dv.reshape(inputs["var"].shape)
            return grads

        return reduced(name, values, self.reduction, inputs, gradients)

    def _aligned(self, x: Array, var: Array) -> Array:
        """The variances with the axes of x."""
        if var.shape == x.shape:
            return var
        if var.shape == x.shape[:-1]:
            return var[..., None]
        if var.ndim == x.ndim and sum(m for n, m in zip(x.shape, var.shape, strict=True) if n != m) == 1:
            return var
        raise ValueError(
            f"GaussianNLLLoss: var must have x's shape {x.shape}, with one axis of length 1 or without the last, "
            f"got {var.shape}"
        )
