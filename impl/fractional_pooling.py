"""Fractional max pooling: windows that start at random steps of one or another whole length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._windows import Sizes
from .pooling import scatter_winners

Ratio = float | tuple[float, ...]


@dataclass(frozen=True)
class _FractionalMaxPool:
    """What both ranks share. `_order` is the place of each axis's sample, `_slack` how many cells torch wants over."""

    kernel_size: int | tuple[int, ...]
    output_size: int | tuple[int, ...] | None = None
    output_ratio: Ratio | None = None
    return_indices: bool = False

    _order: ClassVar[tuple[int, ...]]
    _slack: ClassVar[int]

    def __post_init__(self) -> None:
        name, rank = type(self).__name__, len(self._order)
        _check.integers(name, "kernel_size", self.kernel_size, least=1, rank=rank)
        if (self.output_size is None) == (self.output_ratio is None):
            raise ValueError(
                f"{name}: one of output_size and output_ratio must be given, "
                f"got output_size={self.output_size!r} and output_ratio={self.output_ratio!r}"
            )
        if self.output_size is not None:
            _check.integers(name, "output_size", self.output_size, least=0, rank=rank)
        for ratio in self._ratios():
            _check.number(name, "output_ratio", ratio)
            if not 0 < ratio < 1:
                raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {self.output_ratio!r}")

    def __call__(self, x: Array, _random_samples: Array) -> tuple[Array | tuple[Array, Array], Backward]:
        """y, or (y, indices), and the backward pass."""
        name, rank = type(self).__name__, len(self._order)
        x, samples = _check.real(name, x=x, _random_samples=_random_samples)
        planes = _check.spatial(name, "x", x, rank)
        if 0 in x.shape[1:]:
            raise ValueError(f"{name}: only the first axis of x may be empty, got shape {x.shape}")
        (n, channels), spatial = planes.shape[:2], planes.shape[2:]
        kernel, out = self._sizes(spatial)
        if samples.ndim != 3 or len(samples) < n or samples.shape[1:] != (channels, rank):
            raise ValueError(f"{name}: _random_samples must have shape {(n, channels, rank)}, got {samples.shape}")
        if not ((samples >= 0) & (samples <= 1)).all():
            raise ValueError(f"{name}: _random_samples must be numbers from 0 to 1")

        # The first cell of each window (N, C, *out), flat in the plane; then window cell by window cell, all at once.
        corner = np.zeros((n, channels, *(1,) * rank), np.int64)
        steps = [math.prod(spatial[axis + 1 :]) for axis in range(rank)]
        for axis, step in enumerate(steps):
            starts = _starts(samples[:n, :, self._order[axis]], spatial[axis], kernel[axis], out[axis])
            corner = corner + step * np.expand_dims(starts, [2 + other for other in range(rank) if other != axis])
        corner = corner.reshape(n, channels, math.prod(out))
        flat = planes.reshape(n, channels, math.prod(spatial))
        y, indices = np.take_along_axis(flat, corner, axis=2), corner
        for offset in product(*map(range, kernel)):
            cell = corner + np.dot(offset, steps)
            value = np.take_along_axis(flat, cell, axis=2)
            better = (value > y) | np.isnan(value)
            y, indices = np.where(better, value, y), np.where(better, cell, indices)
        shape = (*planes.shape[:2], *out)[planes.ndim - x.ndim :]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, shape)
            return {"x": scatter_winners(dy.reshape(*planes.shape[:2], *out), indices, spatial).reshape(x.shape)}

        y, indices = y.reshape(shape), indices.reshape(shape)
        return ((y, indices) if self.return_indices else y), backward

    def noise(self, rng: np.random.Generator, shape: Sizes, dtype: type = np.float64) -> dict[str, Array]:
        """Uniform samples for an x of this shape: one for each image, channel and axis."""
        rank = len(self._order)
        batch = shape[:-rank] if len(shape) == rank + 2 else (1, *shape[:-rank])
        return {"_random_samples": rng.random((*batch, rank)).astype(dtype)}

    def _ratios(self) -> tuple[float, ...]:
        """The ratio of each axis; none where the size is given."""
        rank, ratio = len(self._order), self.output_ratio
        if ratio is None:
            return ()
        if not isinstance(ratio, list | tuple):
            return (ratio,) * rank
        if len(ratio) != rank:
            raise ValueError(f"{type(self).__name__}: output_ratio must be a number or {rank} numbers, got {ratio!r}")
        return tuple(ratio)

    def _sizes(self, spatial: Sizes) -> tuple[Sizes, Sizes]:
        """The kernel and the number of windows along each axis."""
        name, rank = type(self).__name__, len(self._order)
        kernel = _check.integers(name, "kernel_size", self.kernel_size, least=1, rank=rank)
        if self.output_size is None:
            out = tuple(int(n * ratio) for n, ratio in zip(spatial, self._ratios(), strict=True))
        else:
            out = _check.integers(name, "output_size", self.output_size, least=0, rank=rank)
        for n, k, o in zip(spatial, kernel, out, strict=True):
            if o + k - 1 + self._slack > n:
                raise ValueError(f"{name}: {o} windows of {k} cells need {o + k - 1 + self._slack} cells, got {n}")
        return kernel, out


def _starts(sample: Array, n: int, k: int, o: int) -> Array:
    """Where the windows of each image and channel start (..., o): in steps that add up to n - k in the end.

    In the precision of the sample, as torch does: near a whole number float32 and float64 differ by a cell.
    """
    starts = np.full((*sample.shape, o), n - k)
    if o > 1:
        number = sample.dtype.type
        alpha = number(n - k) / number(o - 1)
        ends = (np.arange(o - 1, dtype=sample.dtype) + sample[..., None]) * alpha
        starts[..., :-1] = ends.astype(np.int64) - (sample[..., None] * alpha).astype(np.int64)
    return starts


class FractionalMaxPool2d(_FractionalMaxPool):
    """y[n, c, i, j] = the largest of x[n, c, r_i + u, q_j + v] over the window's cells u, v, at random r and q.

    Along an axis of n cells the o windows of k cells start at r_i = ⌊(i + s)·α⌋ - ⌊s·α⌋, α = (n - k)/(o - 1), the last
    at n - k; s is the sample of this image, channel and axis, from 0 to 1.

    Shapes: x (N, C, H, W) or (C, H, W); _random_samples (N, C, 2), N = 1 without a batch, first that of the width, then
    that of the height (more images than x has are not looked at); y (N, C, H', W') or (C, H', W') with `output_size`
    (H', W') or ⌊`output_ratio`·(H, W)⌋, of which exactly one is given. With `return_indices` the outputs are
    (y, indices), the indices int64 and flat in the plane.

    Gradient: each dy goes to the cell that won; windows that overlap add up. Of equal cells the first in row-major
    order wins, NaN wins over numbers, the last NaN over the others.

    Raises ValueError or TypeError for what torch refuses, for a kernel without cells and samples outside [0, 1].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html; Graham, Fractional
    Max-Pooling, 2014.
    """

    _order = (1, 0)
    _slack = 0


class FractionalMaxPool3d(_FractionalMaxPool):
    """`FractionalMaxPool2d` with one axis more.

    Shapes: x (N, C, D, H, W) or (C, D, H, W); _random_samples (N, C, 3), N = 1 without a batch, those of depth, height
    and width in this order; y (N, C, D', H', W') or (C, D', H', W'). As in torch an axis must have one cell more than
    the windows need, at least o + k.

    Gradient, ties, NaN and errors are as for `FractionalMaxPool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
    """

    _order = (0, 1, 2)
    _slack = 1
