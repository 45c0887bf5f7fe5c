"""Softmax and its logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


def log_softmax(x: Array, axis: int) -> Array:
    """x - log Σ eˣ along an axis, with the largest element taken out first so that nothing overflows."""
    with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN here, as in torch
        shifted = x - x.max(axis=axis, keepdims=True, initial=-np.inf)
    with np.errstate(divide="ignore"):
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def log_softmax_backward(dy: Array, y: Array, axis: int) -> Array:
    """dx = dy - eʸ·Σ dy along the axis, from the output y of `log_softmax`."""
    return np.asarray(dy - np.exp(y) * dy.sum(axis=axis, keepdims=True))


def softmax(x: Array, axis: int) -> Array:
    """eˣ / Σ eˣ along an axis, with the largest element taken out first so that nothing overflows."""
    with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN here, as in torch
        e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def softmax_backward(dy: Array, y: Array, axis: int) -> Array:
    """dx = y·(dy - Σ dy·y) along the axis, from the output y of `softmax`."""
    return np.asarray(y * (dy - (dy * y).sum(axis=axis, keepdims=True)))


def _axis(layer: str, dim: int | None, rank: int) -> int:
    """torch's choice where `dim` is None: 0 for ranks 0, 1 and 3, else 1."""
    if dim is None:
        dim = 0 if rank in (0, 1, 3) else 1
    return _check.axis(layer, "dim", dim, rank)


def _normalised(layer: str, x: Array, axis: int) -> tuple[Array, Backward]:
    """The softmax along an axis and its backward pass."""
    y = softmax(x, axis)

    def backward(dy: Array) -> Gradients:
        return {"x": softmax_backward(_check.cotangent(layer, dy, x.shape), y, axis)}

    return y, backward


@dataclass(frozen=True)
class Softmax:
    """y = eˣ / Σ eˣ along `dim`.

    Shapes: x any, y the same; `dim` None is 0 for ranks 0, 1 and 3, else 1. A row of -∞ gives NaN.
    Gradient: dx = y·(dy - Σ dy·y), the sum along `dim`.

    Raises IndexError where `dim` is not an axis of x.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
    """

    dim: int | None = None

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Softmax", x=x)
        return _normalised("Softmax", x, _axis("Softmax", self.dim, x.ndim))


@dataclass(frozen=True)
class Softmin:
    """y = e⁻ˣ / Σ e⁻ˣ along `dim`: the softmax of -x.

    Shapes: x any, y the same; `dim` None is 0 for ranks 0, 1 and 3, else 1. A row of ∞ gives NaN.
    Gradient: dx = -y·(dy - Σ dy·y), the sum along `dim`.

    Raises IndexError where `dim` is not an axis of x.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html
    """

    dim: int | None = None

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Softmin", x=x)
        y, backward = _normalised("Softmin", np.negative(x), _axis("Softmin", self.dim, x.ndim))
        return y, lambda dy: {"x": np.negative(backward(dy)["x"])}


@dataclass(frozen=True)
class Softmax2d:
    """y = eˣ / Σ eˣ, the sum over the channels of each place of an image.

    Shapes: x (N, C, H, W) or (C, H, W), y the same. Channels of -∞ alone give NaN.
    Gradient: dx = y·(dy - Σ dy·y), the sum over the channels.

    Raises ValueError for an x of other rank.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html
    """

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Softmax2d", x=x)
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: x must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
        return _normalised("Softmax2d", x, -3)


@dataclass(frozen=True)
class LogSoftmax:
    """y = x - log Σ eˣ along `dim`.

    Shapes: x any, y the same; `dim` None is 0 for ranks 0, 1 and 3, else 1. An element of -∞ gives -∞, with a
    finite gradient. Gradient: dx = dy - eʸ·Σ dy, the sum along `dim`.

    Raises IndexError where `dim` is not an axis of x.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
    """

    dim: int | None = None

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("LogSoftmax", x=x)
        axis = _axis("LogSoftmax", self.dim, x.ndim)
        y = log_softmax(x, axis)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("LogSoftmax", dy, x.shape)
            return {"x": log_softmax_backward(dy, y, axis)}

        return y, backward


@dataclass(frozen=True)
class GumbelSoftmax:
    """y = softmax((logits + gumbels)/tau) along `dim`: a sample of a class that has a gradient.

    `hard` puts a 1 for the largest (the first of equal ones) and 0 elsewhere, up to rounding, and passes the gradient
    straight through to the soft sample.

    Shapes: logits any, gumbels, noise of the Gumbel distribution, not differentiated, the same, and y. Draw them with
    `noise`.

    Gradient: dlogits = s·(dy - Σ dy·s)/tau, s the soft sample, the sum along `dim`.

    Raises IndexError where `dim` is not an axis of logits, or with `hard` an empty one; ValueError or TypeError for
    noise that does not fit.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html; Jang et al.,
    Categorical Reparameterization with Gumbel-Softmax, 2016.
    """

    tau: float = 1
    hard: bool = False
    dim: int = -1

    def __post_init__(self) -> None:
        _check.number("GumbelSoftmax", "tau", self.tau)

    def __call__(self, logits: Array, gumbels: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "GumbelSoftmax"
        logits, gumbels = _check.real(name, logits=logits, gumbels=gumbels)
        _check.shape(name, "gumbels", gumbels, logits.shape)
        axis = _check.axis(name, "dim", self.dim, logits.ndim)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            soft = softmax((logits + gumbels) / logits.dtype.type(self.tau), axis)
        y = soft
        if self.hard:
            rows = np.atleast_1d(soft)
            if not rows.shape[axis]:
                raise IndexError(f"{name}: dim must not be an empty axis where hard=True, got shape {logits.shape}")
            one = np.zeros_like(rows)
            np.put_along_axis(one, rows.argmax(axis=axis, keepdims=True), 1, axis)
            y = np.asarray(one.reshape(soft.shape) - soft + soft)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                return {"logits": np.asarray(softmax_backward(dy, soft, axis) / logits.dtype.type(self.tau))}

        return y, backward

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: type = np.float64) -> dict[str, Array]:
        """Noise for logits of this shape."""
        return {"gumbels": np.asarray(rng.gumbel(size=shape), dtype)}
