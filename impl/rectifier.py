"""Piecewise activations: rectifiers, their exponential relatives, shrinkages and hard versions of smooth functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._elementwise import constant, gated


@dataclass(frozen=True)
class ReLU:
    """y = max(x, 0).

    Shapes: x any, y the same. Gradient: dx = dy where x > 0, else 0; at ±0 it is 0, and where x is NaN the
    cotangent passes, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("ReLU", x=x)
        return gated("ReLU", x, np.maximum(x, 0), lambda: x <= 0)


@dataclass(frozen=True)
class ReLU6:
    """y = min(max(x, 0), 6).

    Shapes: x any, y the same. Gradient: dx = dy where 0 < x < 6, else 0, at 0 and 6 too; NaN passes the cotangent.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("ReLU6", x=x)
        return gated("ReLU6", x, np.clip(x, 0, 6), lambda: (x <= 0) | (x >= 6))


@dataclass(frozen=True)
class Hardtanh:
    """y = min(max(x, min_val), max_val).

    Shapes: x any, y the same. Gradient: dx = dy between the bounds, else 0, at the bounds too; NaN passes the
    cotangent.

    Raises ValueError where max_val is not above min_val.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html
    """

    min_val: float = -1.0
    max_val: float = 1.0

    def __post_init__(self) -> None:
        _check.number("Hardtanh", "min_val", self.min_val)
        _check.number("Hardtanh", "max_val", self.max_val)
        if self.max_val <= self.min_val:
            raise ValueError(f"Hardtanh: max_val must be above min_val, got {self.max_val} and {self.min_val}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Hardtanh", x=x)
        low = constant("Hardtanh", "min_val", self.min_val, x.dtype)
        high = constant("Hardtanh", "max_val", self.max_val, x.dtype)
        return gated("Hardtanh", x, np.clip(x, low, high), lambda: (x <= low) | (x >= high))


@dataclass(frozen=True)
class Threshold:
    """y = x where x > threshold, else value.

    Shapes: x any, y the same. Gradient: dx = dy where x > threshold, else 0; NaN stays and passes the cotangent.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html
    """

    threshold: float
    value: float

    def __post_init__(self) -> None:
        _check.number("Threshold", "threshold", self.threshold)
        _check.number("Threshold", "value", self.value)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Threshold", x=x)
        threshold = constant("Threshold", "threshold", self.threshold, x.dtype)
        value = constant("Threshold", "value", self.value, x.dtype)
        return gated("Threshold", x, np.where(x <= threshold, value, x), lambda: x <= threshold)


def _leaky(layer: str, x: Array, slope: Any) -> tuple[Array, Backward]:
    """y = x where x > 0, else slope·x."""

    def scaled(values: Array) -> Array:
        with np.errstate(invalid="ignore"):  # 0·∞ is NaN, as in torch
            return np.where(x > 0, values, values * slope)

    def backward(dy: Array) -> Gradients:
        return {"x": scaled(_check.cotangent(layer, dy, x.shape))}

    return scaled(x), backward


@dataclass(frozen=True)
class LeakyReLU:
    """y = x where x > 0, else negative_slope·x.

    Shapes: x any, y the same. Gradient: dx = dy where x > 0, else negative_slope·dy; ±0 takes the slope.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
    """

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        _check.number("LeakyReLU", "negative_slope", self.negative_slope)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("LeakyReLU", x=x)
        return _leaky("LeakyReLU", x, constant("LeakyReLU", "negative_slope", self.negative_slope, x.dtype))


@dataclass(frozen=True)
class PReLU:
    """y = x where x > 0, else w·x; w is learned, one number or one for each channel.

    Shapes: x any for num_parameters = 1, else (N, num_parameters, ...); weight (num_parameters,); y as x.
    Gradients: dx = dy where x > 0, else w·dy; dw = Σ x·dy over the elements with x ≤ 0, of its channel. At ±0 x takes
    the weight, and adds nothing to dw.

    `init` is what the weight is at first.

    Raises ValueError for shapes that do not fit num_parameters.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html; He et al. (2015)
    """

    num_parameters: int = 1
    init: float = 0.25

    def __post_init__(self) -> None:
        _check.integer("PReLU", "num_parameters", self.num_parameters, least=0)
        _check.number("PReLU", "init", self.init)

    def initial_parameters(self, rng: np.random.Generator, dtype: Any = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """The weight, `init` everywhere: nothing random."""
        return {"weight": np.full(self.num_parameters, self.init, dtype)}

    def __call__(self, x: Array, weight: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, weight = _check.real("PReLU", x=x, weight=weight)
        _check.shape("PReLU", "weight", weight, (self.num_parameters,))
        channels = x.shape[1] if x.ndim > 1 else 1
        if self.num_parameters != 1 and (not x.ndim or channels != self.num_parameters):
            raise ValueError(f"PReLU: x must have shape (N, {self.num_parameters}, ...), got {x.shape}")
        shared = self.num_parameters == 1
        w = weight.reshape(()) if shared else weight.reshape(-1, *(1,) * (x.ndim - 2))
        y, backward_x = _leaky("PReLU", x, w)
        others = tuple(axis for axis in range(x.ndim) if shared or axis != 1)

        def backward(dy: Array) -> Gradients:
            dx = backward_x(dy)["x"]
            with np.errstate(invalid="ignore"):
                products = np.where(x > 0, 0, x * dy)
            return {"x": dx, "weight": np.asarray(products.sum(axis=others)).reshape(weight.shape)}

        return y, backward


@dataclass(frozen=True)
class RReLU:
    """y = x where x > 0, else s·x: s = `slopes` in training, a random number for each element, uniform between `lower`
    and `upper`; (lower + upper)/2 in evaluation.

    Shapes: x any; slopes, in training only, the same; y the same. Gradient: dx = dy where x > 0, else s·dy; ±0 takes
    the slope. Where x is NaN the cotangent passes in training and takes the slope in evaluation. `noise` draws the
    slopes, which have no gradient.

    Raises ValueError unless lower ≤ upper are finite, and where slopes are missing, or given in evaluation.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html; Xu et al. (2015)
    """

    lower: float = 1 / 8
    upper: float = 1 / 3
    training: bool = True

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            _check.number("RReLU", name, getattr(self, name))
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"RReLU: {name} must be finite, got {getattr(self, name)}")
        if self.lower > self.upper:
            raise ValueError(f"RReLU: lower must not be above upper, got {self.lower} and {self.upper}")

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64) -> dict[str, Array]:
        """The slopes for an x of that shape; nothing in evaluation."""
        return {"slopes": rng.uniform(self.lower, self.upper, shape).astype(dtype)} if self.training else {}

    def __call__(self, x: Array, slopes: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        if not self.training:
            if slopes is not None:
                raise ValueError("RReLU: slopes were given, but this configuration has training=False")
            (x,) = _check.real("RReLU", x=x)
            return _leaky("RReLU", x, constant("RReLU", "slope", (self.lower + self.upper) / 2, x.dtype))
        if slopes is None:
            raise ValueError("RReLU: slopes are missing; this configuration has training=True")
        x, slopes = _check.real("RReLU", x=x, slopes=slopes)
        for name in ("lower", "upper"):
            constant("RReLU", name, getattr(self, name), x.dtype)
        _check.shape("RReLU", "slopes", slopes, x.shape)
        return _leaky("RReLU", x, np.where(x <= 0, slopes, 1))  # NaN takes no slope in training


def _exponential(layer: str, x: Array, alpha: Any, scale: Any, inverse: Any) -> tuple[Array, Backward]:
    """y = scale·x where x > 0, else scale·alpha·(e^(inverse·x) - 1)."""
    with np.errstate(over="ignore", invalid="ignore"):  # a negative alpha makes e grow
        below = np.minimum(x, 0) * inverse
        y = np.where(x < 0, scale * alpha * np.expm1(below), scale * x)

    def backward(dy: Array) -> Gradients:
        dy = _check.cotangent(layer, dy, x.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            steep = dy * (scale * alpha * inverse) * np.exp(below)
        return {"x": np.where(x <= 0, steep, scale * dy)}

    return y, backward


@dataclass(frozen=True)
class ELU:
    """y = x where x > 0, else alpha·(eˣ - 1).

    Shapes: x any, y the same. Gradient: dx = dy where x > 0, else alpha·eˣ·dy; ±0 gives alpha·dy, and where x is NaN
    the cotangent passes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html; Clevert et al. (2015)
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check.number("ELU", "alpha", self.alpha)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("ELU", x=x)
        return _exponential("ELU", x, constant("ELU", "alpha", self.alpha, x.dtype), 1, 1)


@dataclass(frozen=True)
class CELU:
    """y = x where x > 0, else alpha·(e^(x/alpha) - 1).

    Shapes: x any, y the same. Gradient: dx = dy where x > 0, else e^(x/alpha)·dy; where x is NaN the cotangent passes.

    Raises ValueError where alpha is 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html; Barron (2017)
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check.number("CELU", "alpha", self.alpha)
        if self.alpha == 0:
            raise ValueError(f"CELU: alpha must not be zero, got {self.alpha}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("CELU", x=x)
        alpha = constant("CELU", "alpha", self.alpha, x.dtype)
        inverse = constant("CELU", "1/alpha", 1 / float(self.alpha), x.dtype)
        return _exponential("CELU", x, alpha, 1, inverse)


@dataclass(frozen=True)
class SELU:
    """y = scale·x where x > 0, else scale·alpha·(eˣ - 1), with scale = 1.0507… and alpha = 1.6732…

    Shapes: x any, y the same. Gradient: dx = scale·dy where x > 0, else scale·alpha·eˣ·dy; ±0 gives scale·alpha·dy, and
    NaN scale·dy.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html; Klambauer et al. (2017)
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("SELU", x=x)
        return _exponential("SELU", x, 1.6732632423543772, 1.0507009873554805, 1)


@dataclass(frozen=True)
class Softshrink:
    """y = x - lambd where x > lambd, x + lambd where x < -lambd, else 0.

    Shapes: x any, y the same. Gradient: dx = dy where |x| > lambd, else 0; NaN passes the cotangent.

    Raises ValueError where lambd is negative, NaN, or infinite.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html
    """

    lambd: float = 0.5

    def __post_init__(self) -> None:
        _check.number("Softshrink", "lambd", self.lambd)
        if not 0 <= self.lambd < math.inf:
            raise ValueError(f"Softshrink: lambd must be a finite number, not negative, got {self.lambd}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Softshrink", x=x)
        lambd = constant("Softshrink", "lambd", self.lambd, x.dtype)
        return gated("Softshrink", x, x - np.clip(x, -lambd, lambd), lambda: np.abs(x) <= lambd)


@dataclass(frozen=True)
class Hardshrink:
    """y = 0 where -lambd ≤ x ≤ lambd, else x.

    Shapes: x any, y the same. Gradient: dx = dy where y = x, else 0; NaN stays and passes the cotangent.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html
    """

    lambd: float = 0.5

    def __post_init__(self) -> None:
        _check.number("Hardshrink", "lambd", self.lambd)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Hardshrink", x=x)
        lambd = constant("Hardshrink", "lambd", self.lambd, x.dtype)
        return gated("Hardshrink", x, np.where(np.abs(x) <= lambd, 0, x), lambda: np.abs(x) <= lambd)


@dataclass(frozen=True)
class Hardsigmoid:
    """y = min(max(x + 3, 0), 6)/6.

    Shapes: x any, y the same. Gradient: dx = dy/6 where -3 < x < 3, else 0, also where x is NaN. In float64 torch
    multiplies by 1/6 in float32.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Hardsigmoid", x=x)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Hardsigmoid", dy, x.shape)
            return {"x": np.where(np.abs(x) < 3, dy / 6, 0)}

        return np.asarray(np.clip(x + 3, 0, 6) / 6, x.dtype), backward


@dataclass(frozen=True)
class Hardswish:
    """y = x·min(max(x + 3, 0), 6)/6.

    Shapes: x any, y the same; -∞ gives NaN. Gradient: dx = 0 where x ≤ -3, dy·(x/3 + 1/2) below 3, and dy from 3 on
    and where x is NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html; Howard et al. (2019)
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Hardswish", x=x)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Hardswish", dy, x.shape)
            slope = np.where(x < 3, x / 3 + 0.5, 1)
            with np.errstate(invalid="ignore"):
                return {"x": np.asarray(np.where(x <= -3, 0, dy * slope), x.dtype)}

        with np.errstate(invalid="ignore"):  # -∞·0 is NaN, as in torch
            return np.asarray(x * (np.clip(x + 3, 0, 6) / 6), x.dtype), backward
