"""Sampling at given positions, and the positions of an affine map."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._resampling import cubic_weights, fused

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


class _Tap(NamedTuple):
    """One of the cells along one axis that samples are made from: where, whether it exists, its weight, its slope."""

    cell: Array
    inside: Array
    weight: Array
    slope: Array


@dataclass(frozen=True)
class GridSample:
    """y[n, c, i, j] = x[n, c] at the position grid[n, i, j]: interpolated, Σ weight(position) · x over cells near it.

    Shapes: x (N, C, H, W) and grid (N, H', W', 2) give y (N, C, H', W'); x (N, C, D, H, W) and grid (N, D', H', W', 3)
    give y (N, C, D', H', W'). The last axis of the grid counts x's axes from the back: along W, along H, along D. From
    -1 to 1 it covers an axis of n cells from the outer edges of its end cells (position p = (g + 1)·n/2 - ½), with
    `align_corners` from the centres of its end cells (p = (g + 1)·(n - 1)/2).

    `mode`: "bilinear" (also in three dimensions), "nearest" (halves go to the even cell), "bicubic" (four-dimensional x
    only; A = -¾). `padding_mode`: outside is 0, or positions are moved inside, to the nearest edge ("border") or by
    reflection at the edges; with "bicubic" the cells are moved and the position is not.

    Gradient: dx adds weight · dy to the cells; dgrid = dp/dg · Σ dy · x · d weight/dp. dp/dg is 0 where a position was
    clipped, and at the very first and last cell too. In a cell's centre, where the weights have two slopes, the one to
    the right counts. Nearest has no gradient for the grid.

    Conventions: a tap of weight 0 is a tap (0·∞ is NaN), cells outside are 0. A position that is NaN makes NaN, but
    finds nothing, 0, where cells outside are left out: with "nearest", and with "zeros" in three dimensions.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html; Jaderberg et al.,
    Spatial Transformer Networks, 2015.
    """

    mode: str = "bilinear"
    padding_mode: str = "zeros"
    align_corners: bool | None = None

    def __post_init__(self) -> None:
        _check.choice("GridSample", "mode", self.mode, _MODES)
        _check.choice("GridSample", "padding_mode", self.padding_mode, _PADDINGS)
        if self.align_corners is not None:
            _check.boolean("GridSample", "align_corners", self.align_corners)

    @np.errstate(invalid="ignore")  # ∞·0 and ∞ - ∞ are NaN, as in torch
    def __call__(self, x: Array, grid: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, grid = _check.real("GridSample", x=x, grid=grid)
        rank = x.ndim - 2
        if rank not in ((2,) if self.mode == "bicubic" else (2, 3)) or 0 in x.shape[2:]:
            raise ValueError(
                f"GridSample: x must be (N, C, H, W) or, but for mode 'bicubic', (N, C, D, H, W) with cells along each "
                f"axis, got shape {x.shape}"
            )
        if grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != rank:
            raise ValueError(
                f"GridSample: grid must have shape (N, ..., {rank}) with as many axes as x {x.shape}, got {grid.shape}"
            )
        n, channels, *spatial = x.shape
        points = math.prod(grid.shape[1:-1])
        cells = math.prod(spatial)
        shape = (n, channels, *grid.shape[1:-1])
        # Behind its cells, each plane has one more that holds 0, for what lies outside.
        planes = np.zeros((n, channels, cells + 1), x.dtype)
        planes[..., :cells] = x.reshape(n, channels, cells)
        start = np.arange(n * channels).reshape(n, channels, 1) * (cells + 1)
        # The last coordinate belongs to the first spatial axis.
        coordinates = np.moveaxis(grid, -1, 0)[::-1].reshape(rank, n, points)
        axes = [self._axis(g, m, rank) for g, m in zip(coordinates, spatial, strict=True)]
        taps = [taps for taps, _ in axes]

        y = np.zeros((n, channels, points), x.dtype)
        for where, corner in _corners(taps, spatial):
            y += planes.take(start + where[:, None]) * _product(tap.weight for tap in corner)[:, None]

        @np.errstate(invalid="ignore")
        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("GridSample", dy, shape).reshape(y.shape)
            dplanes = np.zeros(planes.size)
            slopes = np.zeros((rank, n, points), dy.dtype)
            # Two cells side by side have slopes of opposite sign; torch adds them up before they meet an infinite dy.
            before = np.zeros((rank, *y.shape), dy.dtype) if self._early(rank) and not np.isfinite(dy).all() else None
            for where, corner in _corners(taps, spatial):
                places = start + where[:, None]
                part = dy * _product(tap.weight for tap in corner)[:, None]
                dplanes += np.bincount(places.ravel(), part.ravel(), planes.size)
                if self.mode == "nearest":
                    continue
                value = planes.take(places)
                steep = [
                    _product(t.slope if i == axis else t.weight for i, t in enumerate(corner)) for axis in range(rank)
                ]
                if before is None:
                    meeting = np.einsum("ncp,ncp->np", value, dy)
                    # In three dimensions torch leaves out what lies outside, in two it counts as 0: times ∞ it is NaN.
                    slopes += (meeting if rank == 2 else np.where(where < cells, meeting, 0)) * np.stack(steep)
                else:
                    before += value * np.stack(steep)[:, :, None]
            if before is not None:
                slopes = np.einsum("ancp,ncp->anp", before, dy)
            dgrid = [slope * moved for slope, (_, moved) in zip(slopes, axes, strict=True)]
            dx = dplanes.reshape(planes.shape)[..., :cells].astype(dy.dtype)
            return {"x": dx.reshape(x.shape), "grid": np.stack(dgrid[::-1], axis=-1).reshape(grid.shape)}

        return y.reshape(shape), backward

    def _early(self, rank: int) -> bool:
        return self.mode == "bilinear" and rank == 2

    def _axis(self, g: Array, n: int, rank: int) -> tuple[list[_Tap], Array]:
        """The taps along one axis of n cells, and dp/dg."""
        align = bool(self.align_corners)
        position, slope = _unnormalised(g, n, align, rank)
        cells: list[Array]
        weights: Iterable[Array]
        if self.mode == "bicubic":
            left = np.floor(position)
            share = position - left
            cells = [self._moved(left + k, n)[0] for k in range(-1, 3)]
            weights, steep = np.moveaxis(cubic_weights(share), -1, 0), _cubic_slopes(share)
        else:
            position, factor = self._moved(position, n)
            slope = slope * factor
            if self.mode == "nearest":
                cells, weights, steep = [np.rint(position)], [np.ones_like(g)], [np.zeros_like(g)]
            else:
                left = np.floor(position)
                share = position - left
                one = np.ones_like(g)
                cells, weights, steep = [left, left + 1], [1 - share, share], [-one, one]
        taps = []
        for cell, weight, change in zip(cells, weights, steep, strict=True):
            inside = (cell >= 0) & (cell <= n - 1)
            if rank == 3 and self.padding_mode == "zeros":
                weight = np.where(inside, weight, 0)
            taps.append(_Tap(cell.astype(np.int64), inside, weight, change))
        return taps, slope

    def _moved(self, position: Array, n: int) -> tuple[Array, Array]:
        """A position moved inside the axis by the padding mode, and the derivative of that."""
        slope = np.ones_like(position)
        if self.padding_mode == "zeros":
            return position, slope
        if self.padding_mode == "reflection":
            low = 0 if self.align_corners else -0.5
            period = 2 * (n - 1) if self.align_corners else 2 * n
            if not period:
                return np.zeros_like(position), slope
            there = np.abs(position - low)
            there = there - np.trunc(there / period) * period
            back = period - there
            slope = np.where((there > back) ^ (position < low), -slope, slope)
            position = np.minimum(there, back) + low
        slope = slope * ((position > 0) & (position < n - 1))
        return position.clip(0, n - 1), slope


def _unnormalised(g: Array, n: int, align: bool, rank: int) -> tuple[Array, Array]:
    """The position p among the cells 0 to n - 1, rounded as torch rounds it, and dp/dg."""
    number = g.dtype.type
    if align:
        half = number((n - 1) / 2)
        return (g + 1) * half, np.full_like(g, half)
    half = number(n / 2)
    plain = ((g + 1) * number(n) - 1) / 2
    if rank == 3:
        return plain, np.full_like(g, half)
    position = fused(g + 1, half, number(-0.5))
    return np.where(np.isfinite(position), position, plain), np.full_like(g, half)


def _cubic_slopes(share: Array) -> list[Array]:
    """The derivatives of `cubic_weights`."""
    near = [(3.75 * d - 4.5) * d for d in (share, 1 - share)]
    far = [(-2.25 * d + 7.5) * d - 6 for d in (share + 1, 2 - share)]
    return [far[0], near[0], -near[1], -far[1]]


def _corners(axes: list[list[_Tap]], spatial: list[int]) -> Iterator[tuple[Array, tuple[_Tap, ...]]]:
    """Every combination of taps, one an axis, and the cell of each in the flat plane; outside is behind the last."""
    for corner in product(*axes):
        where = np.zeros((), np.int64)
        inside = np.ones((), bool)
        for tap, n in zip(corner, spatial, strict=True):
            where, inside = where * n + tap.cell, inside & tap.inside
        yield np.where(inside, where, math.prod(spatial)), corner


def _product(factors: Iterable[Array]) -> Array:
    return functools.reduce(np.multiply, factors)


@dataclass(frozen=True)
class AffineGrid:
    """grid[n, i, j] = theta[n] · (u, v, 1): where an affine map sends each cell's centre (u, v), for `GridSample`.

    Shapes: for `size` (N, C, H, W), theta (N, 2, 3) gives a grid (N, H, W, 2); for (N, C, D, H, W), theta (N, 3, 4)
    gives (N, D, H, W, 3). The base point's first coordinate runs along the last axis. Along an axis of n cells it is
    (2i + 1)/n - 1, with `align_corners` 2i/(n - 1) - 1, and 0 for n = 1. As in torch, N and C may be 0 only with
    `align_corners` and an axis of one cell.

    Gradient: dtheta[n] = Σ dgrid[n, i, j] · (u, v, 1)ᵀ over the points.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html; Jaderberg et al.,
    Spatial Transformer Networks, 2015.
    """

    size: tuple[int, ...] | list[int]
    align_corners: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.size, list | tuple) or len(self.size) not in (4, 5):
            raise ValueError(f"AffineGrid: size must be (N, C, H, W) or (N, C, D, H, W), got {self.size!r}")
        if self.align_corners is not None:
            _check.boolean("AffineGrid", "align_corners", self.align_corners)
        spatial = [_check.integer("AffineGrid", "size", length, least=1) for length in self.size[2:]]
        for length in self.size[:2]:
            _check.integer("AffineGrid", "size", length, least=0 if self.align_corners and 1 in spatial else 1)

    def __call__(self, theta: Array) -> tuple[Array, Backward]:
        """The grid and its backward pass."""
        (theta,) = _check.real("AffineGrid", theta=theta)
        n, _, *spatial = self.size
        rank = len(spatial)
        _check.shape("AffineGrid", "theta", theta, (n, rank, rank + 1))
        base = np.ones((*spatial, rank + 1), theta.dtype)
        for axis, length in enumerate(spatial):
            line = self._line(length, theta.dtype)
            base[..., rank - 1 - axis] = line.reshape(-1, *[1] * (rank - 1 - axis))
        points = base.reshape(-1, rank + 1)
        y = points @ theta.swapaxes(1, 2)
        shape = (n, *spatial, rank)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("AffineGrid", dy, shape).reshape(y.shape)
            return {"theta": dy.swapaxes(1, 2) @ points}

        return y.reshape(shape), backward

    def _line(self, n: int, dtype: np.dtype[Any]) -> Array:
        """The coordinates of the cells of one axis."""
        if n == 1:
            return np.zeros(1, dtype)
        line = np.linspace(-1, 1, n, dtype=dtype)
        return line if self.align_corners else line * ((n - 1) / n)
