"""Smooth activations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._elementwise import constant, fine_logistic, logistic, logistic_slope, smooth, softplus
from ._normal import density, distribution


@dataclass(frozen=True)
class Sigmoid:
    """y = σ(x) = 1/(1 + e⁻ˣ), computed from e = e^-|x|, which cannot overflow.

    Shapes: x any, y the same. Gradient: dx = dy·y·(1 - y) = dy·e/(1 + e)², free of cancellation.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Sigmoid", x=x)
        return smooth("Sigmoid", x, lambda: logistic(x), lambda: logistic_slope(x))


@dataclass(frozen=True)
class Tanh:
    """y = tanh x.

    Shapes: x any, y the same. Gradient: dx = dy·(1 - y²).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Tanh", x=x)
        y = np.tanh(x)
        return smooth("Tanh", x, lambda: y, lambda: 1 - y * y)


@dataclass(frozen=True)
class LogSigmoid:
    """y = log σ(x) = -log(1 + e⁻ˣ), free of overflow.

    Shapes: x any, y the same. Gradient: dx = dy·σ(-x).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("LogSigmoid", x=x)
        return smooth("LogSigmoid", x, lambda: -softplus(-x), lambda: fine_logistic(-x))


@dataclass(frozen=True)
class Tanhshrink:
    """y = x - tanh x.

    Shapes: x any, y the same. Gradient: dx = dy·tanh² x; an infinite cotangent gives NaN, as in torch, whose chain rule
    subtracts two infinities.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Tanhshrink", x=x)
        t = np.tanh(x)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Tanhshrink", dy, x.shape)
            return {"x": np.where(np.isinf(dy), np.nan, dy * (t * t)).astype(x.dtype, copy=False)}

        return np.asarray(x - t, x.dtype), backward


@dataclass(frozen=True)
class Softplus:
    """y = log(1 + e^(beta·x))/beta, but y = x where beta·x > threshold.

    Shapes: x any, y the same. Gradient: dx = dy·σ(beta·x), and dy beyond the threshold; at the threshold itself the
    formula holds. Free of overflow, which torch's is not for a threshold above 709 (88 in float32).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html
    """

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        _check.number("Softplus", "beta", self.beta)
        _check.number("Softplus", "threshold", self.threshold)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Softplus", x=x)
        beta = constant("Softplus", "beta", self.beta, x.dtype)
        threshold = constant("Softplus", "threshold", self.threshold, x.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):  # beta 0 gives infinity, as in torch
            z = x * beta
            linear = z > threshold
            y = np.where(linear, x, softplus(z) / beta)
        return smooth("Softplus", x, lambda: y, lambda: np.where(linear, 1, fine_logistic(z)))


@dataclass(frozen=True)
class Softsign:
    """y = x/(1 + |x|).

    Shapes: x any, y the same. Gradient: dx = dy/(1 + |x|)². An infinite x gives NaN, in the output and in the gradient;
    so does an infinite cotangent, as in torch, whose quotient rule subtracts two infinities.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Softsign", x=x)
        scale = 1 + np.abs(x)
        with np.errstate(invalid="ignore"):  # ∞/∞ is NaN
            y = x / scale

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Softsign", dy, x.shape)
            # Divided twice, for the square may overflow.
            return {"x": np.where(np.isinf(x) | np.isinf(dy), np.nan, dy / scale / scale).astype(x.dtype, copy=False)}

        return np.asarray(y, x.dtype), backward


@dataclass(frozen=True)
class GELU:
    """y = x·Φ(x), Φ the distribution function of the standard normal; or, with `approximate` "tanh",
    y = x·(1 + tanh u)/2 with u = √(2/π)·(x + 0.044715x³).

    Shapes: x any, y the same. Gradient: dx = dy·(Φ(x) + x·φ(x)), φ the density; or dy·(σ(2u) + x·σ'(2u)·2u'), for
    (1 + tanh u)/2 = σ(2u). Neither loses digits where x is negative and the value small. At ±∞ the gradient is NaN, at
    -∞ the output too.

    Raises ValueError where `approximate` is neither "none" nor "tanh".

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html; Hendrycks and Gimpel (2016)
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        _check.choice("GELU", "approximate", self.approximate, ("none", "tanh"))

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("GELU", x=x)
        if self.approximate == "none":
            share = distribution(x)
            return smooth("GELU", x, lambda: x * share, lambda: share + x * density(x))
        root, cubic = 2 * math.sqrt(2 / math.pi), 0.044715
        near = np.clip(x, -100, 100)  # beyond, σ is 0 or 1 and σ' is 0, and x³ would overflow
        square = near * near
        u = root * (near + cubic * (square * near))
        share = logistic(u)
        return smooth(
            "GELU", x, lambda: x * share, lambda: share + x * (logistic_slope(u) * root * (1 + 3 * cubic * square))
        )


@dataclass(frozen=True)
class SiLU:
    """y = x·σ(x), σ the logistic function; also called swish.

    Shapes: x any, y the same. Gradient: dx = dy·(σ(x) + x·σ'(x)). At ±∞ the gradient is NaN, at -∞ the output too.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html; Elfwing et al. (2017)
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("SiLU", x=x)
        share = logistic(x)
        return smooth("SiLU", x, lambda: x * share, lambda: share + x * logistic_slope(x))


@dataclass(frozen=True)
class Mish:
    """y = x·t with t = tanh(log(1 + eˣ)).

    Shapes: x any, y the same. Gradient: dx = dy·(t + x·t'). With e = e^-|x| both are rational and free of cancellation:
    t = (1 + 2e)/d and t' = 4e²·(1 + e)/d² with d = 1 + 2e + 2e² for x ≥ 0; t = e·(2 + e)/d and t' = 4e·(1 + e)/d²
    with d = 2 + 2e + e² for x < 0. At ±∞ the gradient is NaN, at -∞ the output too.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Mish.html; Misra (2019)
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Mish", x=x)
        e = np.exp(-np.abs(x))
        above = x >= 0
        d = np.where(above, 1 + 2 * e + 2 * e * e, 2 + 2 * e + e * e)
        t = np.where(above, 1 + 2 * e, e * (2 + e)) / d
        return smooth("Mish", x, lambda: x * t, lambda: t + x * (4 * e * (1 + e) * np.where(above, e, 1) / (d * d)))


@dataclass(frozen=True)
class GLU:
    """y = a·σ(b), where a and b are the halves of x along `dim` and σ is the logistic function.

    Shapes: x of at least one axis, y half as long along `dim`. Gradient: dx = (dy·σ(b), dy·a·σ'(b)), put together
    again.

    Raises IndexError where `dim` is not an axis of x, ValueError where x has none or that axis is of odd length.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html; Dauphin et al. (2016)
    """

    dim: int = -1

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("GLU", x=x)
        if not x.ndim:
            raise ValueError("GLU: x must have at least one axis, got shape ()")
        axis = _check.axis("GLU", "dim", self.dim, x.ndim)
        if x.shape[axis] % 2:
            raise ValueError(f"GLU: the length of x along dim must be even, got {x.shape[axis]} of shape {x.shape}")
        a, b = np.split(x, 2, axis)
        gate = logistic(b)
        with np.errstate(invalid="ignore"):  # 0·∞ is NaN, as in torch
            y = np.asarray(a * gate)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("GLU", dy, y.shape)
            with np.errstate(invalid="ignore"):
                halves = dy * gate, dy * (a * logistic_slope(b))
            return {"x": np.concatenate(halves, axis)}

        return y, backward
