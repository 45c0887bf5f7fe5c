"""Bugs in activations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradjury import impl
from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


class LeakySlopeZero(impl.LeakyReLU):
    """With slope 0 the output is never negative, and the backward lets everything through."""

    def __call__(self, x: Array) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, right = super().__call__(x)
        return y, (lambda dy: {"x": dy.copy()}) if self.negative_slope == 0 else right


class LeakySignOfOutput(impl.LeakyReLU):
    """The backward reads the sign of x off the output, which a negative slope turns around."""

    def __call__(self, x: Array) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": np.where(y > 0, dy, np.asarray(self.negative_slope, dy.dtype) * dy)}


@dataclass(frozen=True)
class Softplus:
    """y = log(1 + exp(beta·x)) / beta, and x itself where beta·x > threshold; dx = dy·σ(beta·x), and dy."""

    beta: float = 1.0
    threshold: float = 20.0

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        z = np.asarray(self.beta * x)
        linear = z > self.threshold
        y = np.where(linear, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / self.beta)
        return y, lambda dy: {"x": np.where(self._linear(linear, y), dy, dy * self._slope(z))}

    def _linear(self, linear: Array, y: Array) -> Array:  # noqa: ARG002
        return linear

    def _slope(self, z: Array) -> Array:
        small = np.exp(-np.abs(z))
        return np.asarray(np.where(z >= 0, 1, small) / (1 + small))


class SoftplusTailZero(Softplus):
    """exp(z)·(1/(exp(z) + 1)): infinity times zero, which that device makes zero."""

    def _slope(self, z: Array) -> Array:
        e = np.exp(z)
        return np.asarray(np.where(np.isinf(e), 0, e * (1 / (e + 1))), z.dtype)


class SoftplusThresholdOfOutput(Softplus):
    """The backward compares the output with the threshold, the forward the input."""

    def _linear(self, linear: Array, y: Array) -> Array:  # noqa: ARG002
        return np.asarray(y * self.beta > self.threshold)


@dataclass(frozen=True)
class ELU:
    """y = x above zero, alpha·(eˣ - 1) elsewhere; dx = dy, and dy·alpha·eˣ."""

    alpha: float = 1.0

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        y = np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))
        return y, lambda dy: {"x": self._gradient(x, dy)}

    def _gradient(self, x: Array, dy: Array) -> Array:
        return np.where(x > 0, dy, dy * self.alpha * np.exp(np.minimum(x, 0)))


class ELUMasksMultiplied(ELU):
    """Both branches are computed and multiplied by 0 or 1: where eˣ overflows, 0·∞ is NaN."""

    def _gradient(self, x: Array, dy: Array) -> Array:
        above = np.asarray(x > 0, x.dtype)
        return np.asarray(dy * (above + (1 - above) * self.alpha * np.exp(x)))


class Hardsigmoid:
    """y = (x + 3)/6, cut to [0, 1]; dx = dy/6 where -3 < x < 3, else 0."""

    saturated = 0.0

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        slope = np.where((x > -3) & (x < 3), np.asarray(1, x.dtype) / 6, np.asarray(self.saturated, x.dtype))
        return np.clip((x + 3) / 6, 0, 1), lambda dy: {"x": dy * slope}


class HardsigmoidSaturatedOne(Hardsigmoid):
    """The slope is 1 outside the linear range."""

    saturated = 1.0


class PReLU:
    """y = x above zero, w·x elsewhere, w one number or one a channel (axis 1); dw = Σ dy·x over x ≤ 0."""

    def __call__(self, x: Array, weight: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""

        def spread(axis: int) -> Array:
            shape = [1] * x.ndim
            shape[axis] = weight.size
            return weight.reshape(shape)

        def backward(dy: Array) -> dict[str, Array]:
            axis = self._axis(x, weight) % x.ndim
            others = tuple(a for a in range(x.ndim) if a != axis or weight.size == 1)
            part = np.where(x > 0, 0, dy * x).sum(axis=others)
            return {"x": np.where(x > 0, dy, dy * spread(axis)), "weight": part.reshape(weight.shape)}

        return np.where(x > 0, x, x * spread(1)), backward

    def _axis(self, x: Array, weight: Array) -> int:  # noqa: ARG002
        return 1


class PReLULastAxis(PReLU):
    """The backward lays the weight along the last axis, and refuses where the lengths differ."""

    def _axis(self, x: Array, weight: Array) -> int:
        if weight.size not in (1, x.shape[-1]):
            raise ValueError(f"weight must have 1 or {x.shape[-1]} elements, got {weight.size}")
        return -1


class Erf:
    """y = erf x, odd, as sign(x)·erf|x|; dx = dy·2/√π·exp(-x²)."""

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        values = np.array([math.erf(v) for v in np.abs(x).ravel().tolist()], x.dtype)
        slope = self._factor(x) * np.asarray(2 / math.sqrt(math.pi), x.dtype) * np.exp(-x * x)
        return np.copysign(values.reshape(x.shape), x), lambda dy: {"x": np.asarray(dy * slope)}

    def _factor(self, x: Array) -> Array:
        return np.ones_like(x)


class ErfZeroAtZero(Erf):
    """Derived through sign and absolute value, whose slopes at zero are zero."""

    def _factor(self, x: Array) -> Array:
        return np.asarray(np.sign(x) * np.sign(x))


BUGS = [
    Bug(
        "leaky relu: slope zero",
        "Chainer",
        "https://github.com/chainer/chainer/pull/5898",
        "With slope 0 the backward, which looked at the output, passed the gradient of negative inputs too.",
        impl.LeakyReLU,
        LeakySlopeZero,
        "LeakyReLU",
    ),
    Bug(
        "leaky relu: sign of the output",
        "PyTorch",
        "https://github.com/pytorch/pytorch/issues/31938",
        "In place, only the output is kept; with a negative slope its sign is not that of the input.",
        impl.LeakyReLU,
        LeakySignOfOutput,
        "LeakyReLU",
    ),
    Bug(
        "softplus: tail gradient zero",
        "tt-metal",
        "https://github.com/tenstorrent/tt-metal/pull/56397",
        "The slope was written exp(z)·1/(exp(z) + 1) and became 0 instead of 1 once the exponential overflowed.",
        Softplus,
        SoftplusTailZero,
        contracts.Softplus,
    ),
    Bug(
        "softplus: threshold of the output",
        "PyTorch",
        "https://github.com/pytorch/pytorch/issues/55587",
        "The forward turned linear where beta·x exceeds the threshold, the backward where beta·y does.",
        Softplus,
        SoftplusThresholdOfOutput,
        contracts.Softplus,
    ),
    Bug(
        "elu: NaN for large inputs",
        "Candle",
        "https://github.com/huggingface/candle/pull/2328",
        "The branch for negative inputs was computed everywhere and masked by multiplication; exp overflowed in it.",
        ELU,
        ELUMasksMultiplied,
        contracts.ELU,
    ),
    Bug(
        "hard sigmoid: saturated slope one",
        "NNlib.jl",
        "https://github.com/FluxML/NNlib.jl/pull/706",
        "Outside the linear range the slope was 1 instead of 0; tests only ever drew points inside.",
        Hardsigmoid,
        HardsigmoidSaturatedOne,
        contracts.Hardsigmoid,
    ),
    Bug(
        "prelu: weight along the last axis",
        "FlagGems",
        "https://github.com/flagos-ai/FlagGems/issues/4992",
        "The backward took the weight to vary along the last axis, not the channels; silent where both are as long.",
        PReLU,
        PReLULastAxis,
        contracts.PReLU,
    ),
    Bug(
        "erf: slope zero at zero",
        "tinygrad",
        "https://github.com/tinygrad/tinygrad/pull/17861",
        "erf was built as sign(x)·f(|x|), and both slopes at exactly zero are zero.",
        Erf,
        ErfZeroAtZero,
        contracts.Erf,
    ),
]
