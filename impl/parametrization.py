"""Weights made of others: the parametrizations of torch.nn.utils."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from .normalization import Normalize


@dataclass(frozen=True)
class WeightNorm:
    """w = weight_g · weight_v/‖weight_v‖: the length of a weight apart from its direction.

    The norm is taken over all axes but `dim`; over all of them for None, and, as in torch, for -1.

    Shapes: weight_v any of one axis or more, w the same; weight_g that of the norm, 1 along every axis but `dim`, and
    () over all axes.

    Gradient: with n = ‖weight_v‖ and s = Σ dy·weight_v over the axes of the norm, dweight_g = s/n and
    dweight_v = weight_g/n·(dy - weight_v·s/n²). A norm of 0 gives NaN.

    Raises IndexError where `dim` is not an axis of weight_v, ValueError for shapes that do not fit.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html; Salimans,
    Kingma, Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural Networks, 2016.
    """

    dim: int | None = 0

    def __post_init__(self) -> None:
        if self.dim is not None:
            _check.integer("WeightNorm", "dim", self.dim)

    def __call__(self, weight_g: Array, weight_v: Array) -> tuple[Array, Backward]:
        """w and its backward pass."""
        name = "WeightNorm"
        weight_g, weight_v = _check.real(name, weight_g=weight_g, weight_v=weight_v)
        if not weight_v.ndim:
            raise ValueError(f"{name}: weight_v must have at least one axis, got shape ()")
        axes: tuple[int, ...] | None = None
        if self.dim not in (None, -1):
            kept = _check.axis(name, "dim", self.dim, weight_v.ndim)
            axes = tuple(axis for axis in range(weight_v.ndim) if axis != kept)

        def total(a: Array) -> Array:
            return np.asarray(a.sum(axis=axes, keepdims=axes is not None))

        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            wide = weight_v.astype(np.promote_types(weight_v.dtype, np.float64))  # squares that float32 does not hold
            norm = np.sqrt(total(wide * wide)).astype(weight_v.dtype)
            _check.shape(name, "weight_g", weight_g, norm.shape)
            unit = weight_v / norm
            y = np.asarray(unit * weight_g)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                along = np.asarray(np.where(norm == 0, np.nan, total(dy * unit)))
                scale = weight_g / norm
                dv = dy * scale - unit * (scale * along)
            return {"weight_g": along, "weight_v": np.asarray(dv)}

        return y, backward


@dataclass(frozen=True)
class SpectralNorm:
    """y = weight/σ, σ an estimate of the largest singular value of the weight as a matrix.

    The matrix W has `dim` as its rows and all other axes as its columns. In training the state comes closer to its
    singular vectors by `n_power_iterations` steps u = Wv/max(‖Wv‖, eps), v = Wᵀu/max(‖Wᵀu‖, eps); then σ = uᵀWv. A
    weight of one axis is divided by max(‖weight‖, eps) and has no state.

    Shapes: weight any of one axis or more, y the same; _u and _v, not differentiated, as long as W has rows and
    columns. In training the outputs are (y, _u, _v), the state brought up to date.

    Gradient: dweight = (dy - u·vᵀ·Σ dy·y)/σ, in the form of the weight. As in torch u and v count as constants, though
    in training they depend on the weight.

    Raises IndexError where `dim` is not an axis, ValueError for shapes and options that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html; Miyato et
    al., Spectral Normalization for Generative Adversarial Networks, 2018.
    """

    n_power_iterations: int = 1
    eps: float = 1e-12
    dim: int = 0
    training: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        _check.integer("SpectralNorm", "n_power_iterations", self.n_power_iterations, least=1)
        _check.number("SpectralNorm", "eps", self.eps)

    def __call__(
        self, weight: Array, _u: Array | None = None, _v: Array | None = None
    ) -> tuple[Array | tuple[Array, ...], Backward]:
        """y, or (y, _u, _v), and the backward pass."""
        name = "SpectralNorm"
        (weight,) = _check.real(name, weight=weight)
        if not weight.ndim:
            raise ValueError(f"{name}: weight must have at least one axis, got shape ()")
        dim = _check.axis(name, "dim", self.dim, weight.ndim)
        if weight.ndim == 1:
            return self._vector(weight, _u, _v)
        front = np.moveaxis(weight, dim, 0)
        matrix = front.reshape(len(front), math.prod(front.shape[1:]))
        state = []
        for label, given, length in zip(("_u", "_v"), (_u, _v), matrix.shape, strict=True):
            if given is None:
                raise ValueError(f"{name}: {label} is missing; draw one with layer.initial_parameters(rng, weight)")
            _, vector = _check.real(name, **{"weight": weight, label: given})
            _check.shape(name, label, vector, (length,))
            state.append(vector)
        u, v = state
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for _ in range(self.n_power_iterations if self.training else 0):
                u = self._unit(matrix @ v)
                v = self._unit(matrix.T @ u)
            sigma = u @ (matrix @ v)
            y = weight / sigma

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                dsigma = -(dy * (y / sigma)).sum()
                through = (np.outer(u, v) * dsigma).reshape(front.shape)
                return {"weight": dy / sigma + np.moveaxis(through, 0, dim)}

        return ((y, u, v) if self.training else y), backward

    def _unit(self, a: Array) -> Array:
        return np.asarray(Normalize(dim=0, eps=self.eps)(a)[0])

    def _vector(self, weight: Array, u: Array | None, v: Array | None) -> tuple[Array, Backward]:
        name = "SpectralNorm"
        for label, given in (("_u", u), ("_v", v)):
            if given is not None:
                raise ValueError(f"{name}: {label} was given, but a weight of one axis has no state")
        y, inner = Normalize(dim=0, eps=self.eps)(weight)

        def backward(dy: Array) -> Gradients:
            return {"weight": inner(_check.cotangent(name, dy, y.shape))["x"]}

        return y, backward

    def initial_parameters(self, rng: np.random.Generator, weight: Array) -> dict[str, Array]:
        """A state for this weight, as torch begins: random directions, brought closer by fifteen steps."""
        if weight.ndim == 1:
            return {}
        rows = weight.shape[self.dim]
        u, v = (self._unit(rng.standard_normal((n,)).astype(weight.dtype)) for n in (rows, weight.size // rows))
        (_, u, v), _ = replace(self, n_power_iterations=15, training=True)(weight, u, v)
        return {"_u": u, "_v": v}
