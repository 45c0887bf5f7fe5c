"""Resampling along one axis: each output cell is a weighted sum of a few input cells, its taps.

A resampling is separable: in several dimensions it is one matrix an axis, and its backward the transposed matrices.
Positions and weights are computed in the dtype of the data, step by step as torch rounds them, because a last digit
decides which cells are taps: an infinity in a tap of weight 0 gives NaN, in any other cell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._check import Array
from ._pooling import bounds
from ._windows import along

Kernel = Callable[[Array], Array]
MultiplyAdd = Callable[[Array, Any, Any], Array]

# A dense product costs one multiplication a cell and output, but far less time for each than a gathered tap.
DENSE = 128


@dataclass(frozen=True)
class Taps:
    """y[i] = Σ weight[i, k] · x[index[i, k]] over k < count[i], along an axis of `cells` cells.

    Every output has a tap, and index[:, k] never falls; from count[i] on neither index nor weight is looked at.
    `skipped`: the matrix is the identity, and torch's forward skips the axis, while its backward touches all taps.
    """

    cells: int
    index: Array
    weight: Array
    count: Array
    skipped: bool = False

    @cached_property
    def _matrix(self) -> Array:
        """The same as a dense matrix (out, cells)."""
        matrix = np.zeros((len(self.index), self.cells), self.weight.dtype)
        for _, rows, index, weight in self._each():
            matrix[np.arange(len(matrix))[rows], index] += weight
        return matrix

    def _each(self) -> list[tuple[bool, Any, Array, Array]]:
        """For each k: whether all outputs have such a tap, which, the cell and the weight."""
        taps = []
        for k in range(self.index.shape[1]):
            everywhere = bool((self.count > k).all())
            rows = slice(None) if everywhere else np.flatnonzero(self.count > k)
            taps.append((everywhere, rows, self.index[rows, k], self.weight[rows, k]))
        return taps

    def _dense(self, x: Array) -> bool:
        """Whether the dense product is both faster and right: times 0, what is not finite would be NaN."""
        return self.cells <= DENSE * self.index.shape[1] and bool(np.isfinite(x).all())

    @np.errstate(invalid="ignore")  # ∞·0 and ∞ - ∞ are NaN, as in torch
    def apply(self, x: Array, axis: int) -> Array:
        """y, along an axis counted from the back."""
        if self.skipped:
            return x.copy()
        if self._dense(x):
            return _product(self._matrix, x, axis)
        y = np.zeros(_resized(x, axis, len(self.index)), x.dtype)
        for _, rows, index, weight in self._each():
            y[along(axis, rows)] += np.take(x, index, axis) * _column(weight, axis)
        return y

    @np.errstate(invalid="ignore")
    def adjoint(self, dy: Array, axis: int) -> Array:
        """dx: every dy[i] times its weights, added to the cells it came from."""
        if self._dense(dy):
            return _product(self._matrix.T, dy, axis)
        dx = np.zeros(_resized(dy, axis, self.cells), dy.dtype)
        for everywhere, rows, index, weight in self._each():
            part = (dy if everywhere else np.take(dy, rows, axis)) * _column(weight, axis)
            starts = np.flatnonzero(np.diff(index, prepend=-1))
            dx[along(axis, index[starts])] += np.add.reduceat(part, starts, axis)
        return dx


def _product(matrix: Array, x: Array, axis: int) -> Array:
    """A dense matrix along an axis."""
    n, m = x.shape[axis], len(matrix)
    if axis == -1:
        return np.asarray(x.reshape(-1, n) @ matrix.T).reshape(*x.shape[:-1], m)
    planes = x.reshape(-1, n, int(np.prod(x.shape[axis + 1 :])))
    return np.asarray(matrix @ planes).reshape(_resized(x, axis, m))


def _resized(x: Array, axis: int, length: int) -> tuple[int, ...]:
    shape = list(x.shape)
    shape[axis] = length
    return tuple(shape)


def _column(weight: Array, axis: int) -> Array:
    return weight.reshape(-1, *[1] * (-axis - 1))


def _uniform(cells: int, index: Array, weight: Array) -> Taps:
    """The same number of taps everywhere; cells beyond the edge are the cell at the edge."""
    return Taps(cells, index.clip(0, cells - 1), weight, np.full(len(index), index.shape[1]))


def rounded_twice(a: Array, b: Any, c: Any) -> Array:
    """a·b + c, the product rounded too."""
    return np.asarray(a * b + c)


def fused(a: Array, b: Any, c: Any) -> Array:
    """a·b + c rounded once, as the processor does it for torch (the product's rounding error: Dekker, 1971)."""
    half = 2 ** ((np.finfo(a.dtype).nmant + 2) // 2) + 1

    def halves(x: Any) -> tuple[Any, Any]:
        high = x * half - (x * half - x)
        return high, x - high

    (a1, a2), (b1, b2) = halves(a), halves(b)
    product = a * b
    error = a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2)
    total = product + c
    rest = total - product
    return np.asarray(total + (error + ((product - (total - rest)) + (c - rest))))


def _scale(cells: int, out: int, factor: float | None, align: bool, dtype: Any) -> Any:
    """Input cells an output cell, in the dtype."""
    if align:
        return dtype(cells - 1) / dtype(out - 1) if out > 1 else dtype(0)
    return dtype(cells) / dtype(out) if factor is None else dtype(1 / factor)


def nearest(cells: int, out: int, factor: float | None, exact: bool, single: bool, dtype: Any) -> Taps:
    """Cell ⌊i·scale⌋, or ⌊(i + ½)·scale⌋ if `exact`, in the cell where torch's rounding puts it.

    torch computes small images in float32 (`single`), with whole steps where the size stays or doubles.
    """
    steps = np.arange(out)
    if single:
        scale = _scale(cells, out, factor, False, np.float32)
        position = (steps + 0.5) * np.float64(scale) if exact else steps.astype(np.float32) * scale
        if not exact and out in (cells, 2 * cells):
            position = steps / (out // cells)
    elif exact:
        position = np.maximum(_centres(cells, out, factor, False, dtype), 0).astype(np.float64) + 0.5
    else:
        position = steps.astype(dtype) * _scale(cells, out, factor, False, dtype)
    index = np.floor(position.astype(np.float32)).astype(np.int64)[:, None]
    return _uniform(cells, index, np.ones(index.shape, dtype))


def _centres(
    cells: int, out: int, factor: float | None, align: bool, dtype: Any, multiply_add: MultiplyAdd = fused
) -> Array:
    """Where the centre of each output cell lies among the centres of the input cells."""
    scale = _scale(cells, out, factor, align, dtype)
    steps = np.arange(out, dtype=dtype)
    return np.asarray(scale * steps if align else multiply_add(steps + dtype(0.5), scale, dtype(-0.5)))


def _split(position: Array) -> tuple[Array, Array]:
    """The cell before a position, and how far the position is from it, 0 to 1."""
    left = np.floor(position.astype(np.float32)).astype(np.int64)
    return left, np.maximum(position - left.astype(position.dtype), 0)


def linear(cells: int, out: int, factor: float | None, align: bool, dtype: Any) -> Taps:
    """The two cells around the position, each with the share by which it is near; the same cell twice where out = n."""
    if cells == out:
        index = np.arange(out).repeat(2).reshape(out, 2)
        return _uniform(cells, index, np.tile(np.array([1, 0], dtype), (out, 1)))
    left, share = _split(np.maximum(_centres(cells, out, factor, align, dtype), 0))
    return _uniform(cells, left[:, None] + np.arange(2), np.stack([1 - share, share], axis=1))


def cubic(
    cells: int, out: int, factor: float | None, align: bool, dtype: Any, multiply_add: MultiplyAdd = fused
) -> Taps:
    """Four cells around the position, weighted by cubic convolution with A = -¾; edges repeat."""
    left, share = _split(_centres(cells, out, factor, align, dtype, multiply_add))
    return _uniform(cells, left[:, None] + np.arange(-1, 3), cubic_weights(share))


def cubic_weights(share: Array) -> Array:
    """Keys' cubic convolution, A = -¾, of the cells at distances share + 1, share, 1 - share, 2 - share: (..., 4)."""
    near = [(1.25 * d - 2.25) * d * d + 1 for d in (share, 1 - share)]
    far = [((-0.75 * d + 3.75) * d - 6) * d + 3 for d in (share + 1, 2 - share)]
    return np.stack([far[0], near[0], near[1], far[1]], axis=-1)


def triangle(d: Array) -> Array:
    """1 - |d| within 1: linear interpolation."""
    return np.asarray(np.maximum(1 - np.abs(d), 0))


def keys(d: Array) -> Array:
    """Keys' cubic convolution with A = -½, within 2."""
    d = np.abs(d)
    number = d.dtype.type
    near = fused(fused(d, number(1.5), number(-2.5)) * d, d, number(1))
    far = fused(fused(fused(d, number(-0.5), number(2.5)), d, number(-4)), d, number(2))
    return np.asarray(np.where(d < 1, near, np.where(d < 2, far, 0)))


def lanczos(d: Array) -> Array:
    """sinc(d)·sinc(d/3) within 3."""
    return np.asarray(np.where(np.abs(d) < 3, np.sinc(d) * np.sinc(d / 3), 0))


def antialiased(
    cells: int, out: int, factor: float | None, align: bool, dtype: Any, kernel: Kernel, reach: int
) -> Taps:
    """All cells within `reach`, weighted by the kernel, which widens as the axis shrinks; weights sum to 1."""
    skipped = cells == out
    scale = _scale(cells, out, None if skipped else factor, align, dtype)
    wide = max(scale, dtype(1))
    support = dtype(reach) * wide
    centre = (float(scale) * (np.arange(out) + 0.5)).astype(dtype)
    first = (centre - support + 0.5).astype(np.int64).clip(0)
    last = (centre + support + 0.5).astype(np.int64).clip(None, cells)
    count = np.minimum(last - first, 2 * int(np.ceil(support)) + 1)
    index = first[:, None] + np.arange(count.max())
    distance = (index.astype(dtype) - centre[:, None]).astype(np.float64) + 0.5
    weight = kernel((distance * np.float64(1 / wide)).astype(dtype))
    weight = np.where(np.arange(count.max()) < count[:, None], weight, 0)
    weight = (weight / weight.sum(axis=1, keepdims=True)).astype(dtype)
    return Taps(cells, index, weight, count, skipped)


def area(cells: int, out: int, factor: float | None, dtype: Any) -> Taps:  # noqa: ARG001
    """The mean of the cells from ⌊i·n/out⌋ up to ⌈(i + 1)·n/out⌉."""
    first, end = bounds(cells, out)
    count = end - first
    index = first[:, None] + np.arange(count.max())
    weight = np.broadcast_to(1 / count[:, None].astype(dtype), index.shape)
    return Taps(cells, index, weight, count)


def copy(cells: int, out: int, factor: float | None, dtype: Any) -> Taps:  # noqa: ARG001
    """Nothing but the cell itself."""
    return _uniform(cells, np.arange(out)[:, None], np.ones((out, 1), dtype))
