"""Distances and similarities of vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from .arithmetic import broadcast, unbroadcast


def _norm(d: Array, p: float) -> Array:
    """The p-norm of the vectors along the last axis; for p = 0 the number of elements that are not 0."""
    if p == 0:
        return np.asarray((d != 0).sum(axis=-1), d.dtype)
    size = np.abs(d)
    if d.shape[-1] == 1:  # of one element every norm is its size, and this one does not round
        return np.asarray(size[..., 0])
    if math.isinf(p):
        return np.asarray(size.max(axis=-1) if p > 0 else size.min(axis=-1))
    if p == 1:
        return np.asarray(size.sum(axis=-1))
    if p == 2:
        return np.asarray(np.sqrt((d * d).sum(axis=-1)))
    return np.asarray((size**p).sum(axis=-1) ** (1 / p))


def _norm_backward(dy: Array, d: Array, norm: Array, p: float) -> Array:
    """dy·∂norm/∂d, by torch's conventions: see PairwiseDistance; dy and norm have a last axis of 1."""
    if p == 0:
        return np.zeros_like(d)
    size = np.abs(d)
    sign = (d > 0).astype(d.dtype) - (d < 0)  # NaN has none
    if math.isinf(p):
        extreme = (size == norm) | np.isnan(d)
        return np.asarray(sign * (dy / extreme.sum(axis=-1, keepdims=True).astype(d.dtype) * extreme))
    if p == 1:
        return sign * dy
    if p == 2:
        return dy * np.where(norm == 0, 0, d / norm)
    if p < 1:
        return np.asarray(sign * np.where(d == 0, 0, size ** (p - 1)) * dy * norm ** (1 - p))
    slope = sign * size ** (p - 1) if p < 2 else d * size ** (p - 2)
    return np.asarray(slope * np.where(norm == 0, 0, dy / norm ** (p - 1)))


@dataclass(frozen=True)
class PairwiseDistance:
    """y = ‖d‖ₚ along the last axis, d = x1 - x2 + eps: (Σ |dᵢ|ᵖ)^(1/p), the largest or smallest |dᵢ| for p = ±∞, the
    number of dᵢ ≠ 0 for p = 0.

    Shapes: x1 and x2 broadcast to (*, D); y (*), with `keepdim` (*, 1). Rank 0 is a vector of one. D may be 0 for
    finite p ≥ 0.

    Gradient: dd = dy·sgn(d)·(|d|/y)^(p - 1), dx1 = dd and dx2 = -dd summed over the axes that were stretched. For
    p = ±∞ all |dᵢ| that are equal to y share dy equally. It is zero for p = 0, where d = 0 as a whole and, for p < 1,
    where dᵢ = 0.

    Raises ValueError where x1 and x2 do not broadcast or have no elements to choose from, TypeError for options that
    are no numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html
    """

    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False

    def __post_init__(self) -> None:
        _check.number("PairwiseDistance", "p", self.p)
        _check.number("PairwiseDistance", "eps", self.eps)
        if not isinstance(self.keepdim, bool):
            raise TypeError(f"PairwiseDistance: keepdim must be a truth value, got {self.keepdim!r}")

    def __call__(self, x1: Array, x2: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, p = "PairwiseDistance", float(self.p)
        x1, x2 = _check.real(name, x1=x1, x2=x2)
        shape = broadcast(name, x1=x1, x2=x2)
        if 0 in shape[-1:] and (p < 0 or math.isinf(p)):
            raise ValueError(f"{name}: x1 and x2 must not be empty along the last axis for p={self.p}, got {shape}")
        with np.errstate(all="ignore"):  # infinities and NaN, and powers that overflow, are torch's too
            d = np.atleast_1d(x1 - x2 + np.asarray(self.eps).astype(x1.dtype))
            norm = _norm(d, p)
        y = norm[..., None] if self.keepdim and shape else norm

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape).reshape(*norm.shape, 1)
            with np.errstate(all="ignore"):
                dd = _norm_backward(dy, d, norm[..., None], p).reshape(shape)
                return {"x1": unbroadcast(dd, x1.shape), "x2": unbroadcast(-dd, x2.shape)}

        return y, backward


@dataclass(frozen=True)
class CosineSimilarity:
    """y = Σ x1·x2 / (n1·n2) along `dim`, n = max(‖x‖₂, eps) for each.

    Shapes: x1 and x2 broadcast, and y has their common shape without `dim`, which counts in that shape; rank 0 is a
    vector of one.

    Gradient, with u = x/n: dx1 = dy·u2/n1 - dy·y/n1 · x1/‖x1‖, without the second term where x1 = 0; dx2 alike, each
    summed over the axes that were stretched. As in torch the bound has no gradient of its own: for a vector shorter
    than eps it is that of the norm, as if it were longer.

    Raises IndexError where `dim` is not an axis, ValueError for shapes that do not broadcast or a negative eps,
    TypeError for options of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html
    """

    dim: int = 1
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _check.integer("CosineSimilarity", "dim", self.dim)
        _check.number("CosineSimilarity", "eps", self.eps)
        if not self.eps >= 0:
            raise ValueError(f"CosineSimilarity: eps must not be negative, got {self.eps}")

    def __call__(self, x1: Array, x2: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "CosineSimilarity"
        x1, x2 = _check.real(name, x1=x1, x2=x2)
        _check.fits(name, "eps", self.eps, x1.dtype)
        shape = broadcast(name, x1=x1, x2=x2)
        axis = _check.axis(name, "dim", self.dim, len(shape))
        with np.errstate(all="ignore"):  # 0/0 and what has infinities in it are torch's too
            vectors = np.broadcast_arrays(*np.atleast_1d(x1, x2))
            norms = [np.sqrt((x * x).sum(axis=axis, keepdims=True)) for x in vectors]
            lengths = [np.maximum(norm, x1.dtype.type(self.eps)) for norm in norms]
            units = [x / length for x, length in zip(vectors, lengths, strict=True)]
            y = np.asarray((units[0] * units[1]).sum(axis=axis))

        def backward(dy: Array) -> Gradients:
            dy = np.expand_dims(_check.cotangent(name, dy, y.shape), axis)
            grads = {}
            for n, x in enumerate((x1, x2)):
                with np.errstate(all="ignore"):
                    dx = dy * units[1 - n] / lengths[n]
                    dnorm = (dx * units[n]).sum(axis=axis, keepdims=True)
                    dx -= dnorm * np.where(norms[n] == 0, 0, vectors[n] / norms[n])
                    grads[f"x{n + 1}"] = unbroadcast(dx.reshape(shape), x.shape)
            return grads

        return y, backward


@dataclass(frozen=True)
class Pdist:
    """y = the p-norms of x[i] - x[j] for all i < j, row by row, as torch.nn.functional.pdist.

    Shapes: x (N, D), y (N·(N - 1)/2,). For p = ∞ the norm is the largest difference, for p = 0 the number of those that
    are not 0.

    Gradient: with d = x[i] - x[j], dd = dy·sgn(d)·(|d|/y)^(p - 1) is added to dx[i] and taken from dx[j]. For p = ∞
    every element with |d| = y gets all of dy: ties do not share, unlike in PairwiseDistance. It is zero for p = 0,
    where y = 0 and, for p < 1, where d = 0.

    Raises ValueError for an x that has not two dimensions and for p < 0, TypeError where p is no number.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pdist.html
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        _check.number("Pdist", "p", self.p)
        if not self.p >= 0:
            raise ValueError(f"Pdist: p must not be negative, got {self.p}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        p = float(self.p)
        (x,) = _check.real("Pdist", x=x)
        if x.ndim != 2:
            raise ValueError(f"Pdist: x must have 2 dimensions (N, D), got shape {x.shape}")
        # A loop over rows: all differences at once are N²·D/2 numbers, which is more than x and y together by a factor
        # that grows with both N and D. A row's differences, N·D at most, are no more than x. Scalar products would need
        # no differences for p = 2, but lose the digits of a small distance between large vectors.
        n = len(x)
        ends = np.cumsum(np.arange(n - 1, 0, -1))
        rows = [slice(end - (n - 1 - i), end) for i, end in enumerate(ends)]
        y = np.empty(n * (n - 1) // 2, x.dtype)
        with np.errstate(all="ignore"):  # infinities and NaN, and powers that overflow, are torch's too
            for i, row in enumerate(rows):
                y[row] = _distances(x[i] - x[i + 1 :], p)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("Pdist", dy, y.shape)
            dx = np.zeros_like(x)
            with np.errstate(all="ignore"):
                for i, row in enumerate(rows):
                    dd = _distances_backward(dy[row, None], x[i] - x[i + 1 :], y[row, None], p)
                    dx[i] += dd.sum(axis=0)
                    dx[i + 1 :] -= dd
            return {"x": dx}

        return y, backward


def _distances(d: Array, p: float) -> Array:
    """The norms of rows; unlike those of PairwiseDistance, NaN for p = 0 where there is one, and 0 for empty rows."""
    if p == 0:
        return np.asarray(np.minimum(np.ceil(np.abs(d)), 1).sum(axis=-1))
    if math.isinf(p):
        return np.asarray(np.abs(d).max(axis=-1, initial=0))
    return _norm(d, p)


def _distances_backward(dy: Array, d: Array, y: Array, p: float) -> Array:
    """dy·∂y/∂d by Pdist's conventions."""
    if p == 0:
        return np.zeros_like(d)
    if math.isinf(p):
        return np.asarray(dy * np.sign(d) * (1 - np.minimum(np.ceil(np.abs(np.abs(d) - y)), 1)))
    if p == 1:
        return np.asarray(dy * np.sign(d))
    slope = d * dy / y if p == 2 else np.sign(d) * np.abs(d) ** (p - 1) * dy / y ** (p - 1)
    return np.where((y == 0) | ((p < 1) & (d == 0)), 0, slope)
