"""Normalisation of each sample by its own statistics, and of vectors by their norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._moments import dot, inverse_root, moments, nothing, parameter, scaled, total


@dataclass(frozen=True)
class GroupNorm:
    """y = (x - mean)/√(var + eps) · weight + bias, mean and biased variance over each group of channels of a sample.

    Shapes: x (N, C, *), y the same; the C channels fall into `num_groups` blocks, each normalised together with all
    positions *. weight and bias (num_channels,), given with `affine` and, the bias, with `bias`; without them x may
    have any number of channels that `num_groups` divides. Arrays share one floating dtype.

    Gradient, with x̂ = (x - mean)·r, r = 1/√(var + eps) and g = dy·weight: dx = r·(g - mean g - x̂·mean(g·x̂)), the means
    those of the group; dweight = Σ dy·x̂, dbias = Σ dy.

    An empty x is answered as it is. Raises ValueError or TypeError for configurations and shapes that torch refuses,
    among them a batch of one with a single value a group.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html; Wu, He, Group Normalization, 2018.
    """

    num_groups: int
    num_channels: int
    eps: float = 1e-5
    affine: bool = True
    bias: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        _check.integer("GroupNorm", "num_groups", self.num_groups, least=1)
        if _check.integer("GroupNorm", "num_channels", self.num_channels, least=0) % self.num_groups:
            raise ValueError(f"GroupNorm: num_channels must be divisible by num_groups, got {self.num_channels}")
        _check.number("GroupNorm", "eps", self.eps)

    def __call__(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, count = "GroupNorm", self.num_groups
        (x,) = _check.real(name, x=x)
        if x.ndim < 2:
            raise ValueError(f"{name}: x must have at least 2 dimensions, got shape {x.shape}")
        n, channels, *cells = x.shape
        if channels % count or (self.affine and channels != self.num_channels):
            wanted = self.num_channels if self.affine else f"a multiple of {count}"
            raise ValueError(f"{name}: x must have {wanted} channels, got shape {x.shape}")
        if n * (channels // count) * math.prod(cells) == 1:
            raise ValueError(f"{name}: x must have more than 1 value a group to have a variance, got shape {x.shape}")
        weight = parameter(name, x, "weight", weight, self.affine, (self.num_channels,))
        bias = parameter(name, x, "bias", bias, self.affine and self.bias, (self.num_channels,))
        groups = x.reshape(n, count, channels // count, math.prod(cells))
        per_channel = [None if a is None else a.reshape(1, *groups.shape[1:3], 1) for a in (weight, bias)]
        centred, mean, root = _statistics(groups, self.eps)
        with np.errstate(all="ignore"):
            y = scaled(groups, centred, mean, root, *per_channel).reshape(x.shape)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape).reshape(groups.shape)
            with np.errstate(all="ignore"):
                dx, hat = _gradient(dy, centred, root, per_channel[0])
                lost = ~np.isfinite(dx).any(axis=(2, 3), keepdims=True)
                if lost.any():
                    dx = np.where(lost, _expanded(dy, groups, mean, root, per_channel[0]), dx)
                grads: Gradients = {"x": dx.reshape(x.shape)}
                if weight is not None:
                    dweight = dot(dy, hat, (0, 3))
                    if not np.isfinite(dweight).all():
                        # Infinities meet in other places in torch, which sums dy·x and dy·mean apart.
                        apart = (dot(dy, groups, (3,)) - total(dy, (3,)) * mean) * root
                        dweight = np.where(np.isfinite(dweight), dweight, total(apart, (0,)))
                    grads["weight"] = dweight.astype(x.dtype).reshape(-1)
                if bias is not None:
                    grads["bias"] = total(dy, (0, 3)).astype(x.dtype).reshape(-1)
            return grads

        return y, backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """Fresh parameters: torch draws nothing, weights are 1 and biases 0."""
        return _ones_and_zeros((self.num_channels,), self.affine, self.bias, dtype)


@dataclass(frozen=True)
class LayerNorm:
    """y = (x - mean)/√(var + eps) · weight + bias, mean and biased variance over the last axes, `normalized_shape`.

    Shapes: x (*, *normalized_shape), y the same; weight and bias normalized_shape, given with `elementwise_affine` and,
    the bias, with `bias`. An integer `normalized_shape` is the length of the last axis. Arrays share one floating
    dtype.

    Gradient, with x̂ = (x - mean)·r, r = 1/√(var + eps) and g = dy·weight: dx = r·(g - mean g - x̂·mean(g·x̂)), the means
    over the last axes; dweight = Σ dy·x̂ and dbias = Σ dy over the others.

    An empty x is answered as it is. Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html; Ba, Kiros, Hinton, Layer
    Normalization, 2016.
    """

    normalized_shape: int | tuple[int, ...]
    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        _shape("LayerNorm", self.normalized_shape)
        _check.number("LayerNorm", "eps", self.eps)

    def __call__(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, shape = "LayerNorm", _shape("LayerNorm", self.normalized_shape)
        (x,) = _check.real(name, x=x)
        _check_tail(name, x, shape)
        weight = parameter(name, x, "weight", weight, self.elementwise_affine, shape)
        bias = parameter(name, x, "bias", bias, self.elementwise_affine and self.bias, shape)
        if not x.size:
            return x.copy(), nothing(name, x, weight, bias)
        rows = x.reshape(-1, 1, math.prod(shape), 1)
        each = None if weight is None else weight.reshape(1, *rows.shape[1:])
        centred, _, root = _statistics(rows, self.eps)
        with np.errstate(all="ignore"):
            y = centred * root
            if each is not None:
                y *= each
            if bias is not None:
                y += bias.reshape(1, *rows.shape[1:])

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape).reshape(rows.shape)
            with np.errstate(all="ignore"):
                dx, hat = _gradient(dy, centred, root, each)
                grads: Gradients = {"x": dx.reshape(x.shape)}
                if weight is not None:
                    grads["weight"] = dot(dy, hat, (0,)).astype(x.dtype).reshape(shape)
                if bias is not None:
                    grads["bias"] = total(dy, (0,)).astype(x.dtype).reshape(shape)
            return grads

        return y.reshape(x.shape), backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """Fresh parameters: torch draws nothing, weights are 1 and biases 0."""
        shape = _shape("LayerNorm", self.normalized_shape)
        return _ones_and_zeros(shape, self.elementwise_affine, self.bias, dtype)


@dataclass(frozen=True)
class RMSNorm:
    """y = x/√(mean x² + eps) · weight, the mean over the last axes, `normalized_shape`.

    Shapes: x (*, *normalized_shape), y the same; weight normalized_shape, given with `elementwise_affine`. An integer
    `normalized_shape` is the length of the last axis. `eps` None is the machine epsilon of the dtype. Arrays share one
    floating dtype.

    Gradient, with x̂ = x·r, r = 1/√(mean x² + eps) and g = dy·weight: dx = r·(g - x̂·mean(g·x̂)), so r·g at the zero
    vector; dweight = Σ dy·x̂ over all but the last axes.

    An empty x is answered as it is. Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html; Zhang, Sennrich, Root Mean Square
    Layer Normalization, 2019.
    """

    normalized_shape: int | tuple[int, ...]
    eps: float | None = None
    elementwise_affine: bool = True

    def __post_init__(self) -> None:
        _shape("RMSNorm", self.normalized_shape)
        if self.eps is not None:
            _check.number("RMSNorm", "eps", self.eps)

    def __call__(self, x: Array, weight: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, shape = "RMSNorm", _shape("RMSNorm", self.normalized_shape)
        (x,) = _check.real(name, x=x)
        _check_tail(name, x, shape)
        weight = parameter(name, x, "weight", weight, self.elementwise_affine, shape)
        if not x.size:
            return x.copy(), nothing(name, x, weight, None)
        rows = x.reshape(-1, math.prod(shape))
        single = x.dtype == np.float32
        eps = float(np.finfo(np.float32 if single else np.float64).eps) if self.eps is None else self.eps
        with np.errstate(all="ignore"):
            root = inverse_root(dot(rows, rows, (1,)) / rows.shape[1], eps).astype(x.dtype)
            hat = rows * root
            y = hat if weight is None else hat * weight.reshape(-1)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape).reshape(rows.shape)
            with np.errstate(all="ignore"):
                g = dy if weight is None else dy * weight.reshape(-1)
                dx = g - hat * (dot(g, hat, (1,)) / rows.shape[1]).astype(x.dtype)
                dx *= root
                grads: Gradients = {"x": dx.reshape(x.shape)}
                if weight is not None:
                    grads["weight"] = dot(dy, hat, (0,)).astype(x.dtype).reshape(shape)
            return grads

        return y.reshape(x.shape), backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """Fresh parameters: torch draws nothing, weights are 1."""
        return _ones_and_zeros(_shape("RMSNorm", self.normalized_shape), self.elementwise_affine, False, dtype)


def _shape(layer: str, normalized_shape: Any) -> tuple[int, ...]:
    """The lengths of the last axes, at least one of them."""
    lengths = normalized_shape if isinstance(normalized_shape, list | tuple) else (normalized_shape,)
    if not lengths:
        raise ValueError(f"{layer}: normalized_shape must have at least 1 axis, got {normalized_shape!r}")
    return tuple(_check.integer(layer, "normalized_shape", length, least=0) for length in lengths)


def _check_tail(layer: str, x: Array, shape: tuple[int, ...]) -> None:
    """ValueError unless x ends in axes of these lengths."""
    if x.shape[-len(shape) :] != shape:
        raise ValueError(f"{layer}: x must have shape (*, {', '.join(map(str, shape))}), got {x.shape}")


def _ones_and_zeros(shape: tuple[int, ...], affine: bool, bias: bool, dtype: type) -> dict[str, Array]:
    params: dict[str, Array] = {"weight": np.ones(shape, dtype)} if affine else {}
    return {**params, "bias": np.zeros(shape, dtype)} if affine and bias else params


def _statistics(groups: Array, eps: float) -> tuple[Array, Array, Array]:
    """x - mean, the mean and 1/√(var + eps) over the last two axes of x, seen as (N, G, c, L)."""
    with np.errstate(all="ignore"):
        centred, mean, var = moments(groups, (2, 3))
        return centred, mean.astype(groups.dtype), inverse_root(var, eps).astype(groups.dtype)


def _gradient(dy: Array, centred: Array, root: Array, weight: Any) -> tuple[Array, Array]:
    """dx of the normalisation over the last two axes of x, seen as (N, G, c, L), and x̂."""
    count = centred.shape[2] * centred.shape[3]
    hat = centred * root
    g = dy if weight is None else dy * weight
    dx = g - (total(g, (2, 3)) / count).astype(dy.dtype)
    dx -= hat * (dot(g, hat, (2, 3)) / count).astype(dy.dtype)
    dx *= root
    return dx, hat


def _expanded(dy: Array, groups: Array, mean: Array, root: Array, weight: Any) -> Array:
    """The same dx in torch's order of operations for groups, dy·a + x·b + c: where infinities meet it decides."""
    count = groups.shape[2] * groups.shape[3]
    each = [dot(dy, groups, (3,)), total(dy, (3,))]
    with_x, plain = (total(s if weight is None else s * weight, (2, 3)) / count for s in each)
    b = (plain * mean - with_x) * root**3
    whole: Array = dy * (root if weight is None else root * weight) + groups * b - b * mean - plain * root
    return whole.astype(dy.dtype)


@dataclass(frozen=True)
class Normalize:
    """y = x/max(‖x‖, eps), the p-norm ‖x‖ = (Σ |x|ᵖ)^(1/p) taken along `dim`, one axis or several.

    `p` may be any number: 0 counts what is not zero, inf is the largest and -inf the smallest magnitude. Shapes: x any
    that has the axes, y the same; no axis in `dim` means all of them.

    Gradient: dx = dy/max(‖x‖, eps), and where ‖x‖ ≥ eps in addition -Σ dy·y/‖x‖ · ∂‖x‖ with ∂‖x‖ = sign x·(|x|/‖x‖)ᵖ⁻¹,
    which is zero at x = 0 for p < 1 and at ‖x‖ = 0. For p = ±inf the elements that attain the norm share it equally;
    for p = 0 it is zero. A vector of zeros has y = 0 and dx = dy/eps.

    Raises IndexError or ValueError where `dim` names no axis or one twice, and ValueError where a maximum or a negative
    p meets an empty axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
    """

    p: float = 2.0
    dim: int | tuple[int, ...] = 1
    eps: float = 1e-12

    def __post_init__(self) -> None:
        _check.number("Normalize", "p", self.p)
        _check.number("Normalize", "eps", self.eps)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, p = "Normalize", self.p
        (x,) = _check.real(name, x=x)
        axes = self._axes(x)
        with np.errstate(all="ignore"):
            norm = _norm(x, p, axes)
            divisor = np.maximum(norm, norm.dtype.type(self.eps))
            y = np.asarray(x / divisor)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape)
            with np.errstate(all="ignore"):
                dx = dy / divisor
                if p:
                    back = -(dx * y).sum(axis=axes, keepdims=True)
                    dx = dx + np.where(norm >= self.eps, back, 0) * _slope(x, norm, p, axes)
            return {"x": np.asarray(dx)}

        return y, backward

    def _axes(self, x: Array) -> tuple[int, ...]:
        """The axes of the norm, refused where torch refuses them."""
        named = self.dim if isinstance(self.dim, list | tuple) else (self.dim,)
        axes = tuple(_check.axis("Normalize", "dim", axis, x.ndim) for axis in named)
        if len(set(axes)) < len(axes):
            raise ValueError(f"Normalize: dim must not name an axis twice, got {self.dim!r}")
        if not x.ndim:
            return ()
        axes = axes or tuple(range(x.ndim))
        if 0 in (x.shape[axis] for axis in axes) and (self.p < 0 or self.p == np.inf):
            raise ValueError(f"Normalize: p must be finite and not negative for an empty axis, got {self.p}")
        return axes


def _norm(x: Array, p: float, axes: tuple[int, ...]) -> Array:
    """The p-norm along the axes, which stay with length 1; scaled so that no power overflows."""
    size = np.abs(x)
    if p == 0:
        return np.asarray((x != 0).sum(axis=axes, keepdims=True).astype(size.dtype))
    extreme = size.max(axis=axes, keepdims=True, initial=0) if p > 0 else size.min(axis=axes, keepdims=True)
    if np.isinf(p):
        return np.asarray(extreme)
    scale = np.where((extreme > 0) & np.isfinite(extreme), extreme, 1)
    powers = (x / scale) ** 2 if p == 2 else (size / scale) ** p
    return np.asarray(scale * powers.sum(axis=axes, keepdims=True) ** (1 / p))


def _slope(x: Array, norm: Array, p: float, axes: tuple[int, ...]) -> Array:
    """The derivative of the p-norm."""
    if np.isinf(p):
        attain = (np.abs(x) == norm) | np.isnan(x)
        return np.asarray(np.sign(x) * attain / attain.sum(axis=axes, keepdims=True).astype(x.dtype))
    if p == 1:
        return np.sign(x)
    slope = x / norm if p == 2 else np.sign(x) * (np.abs(x) / norm) ** (p - 1)
    return np.asarray(np.where((x == 0) if p < 1 else (norm == 0), 0, slope))
