"""Pooling to a given size, over windows that follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._pooling import adaptive, bounds, outer, sums
from ._windows import Sizes
from .pooling import largest, positions, scatter_winners


def _target(layer: str, output_size: object, rank: int) -> tuple[int | None, ...]:
    """The output size along each axis; None, which keeps an axis, is allowed from two axes on."""
    name = "output_size"
    if rank == 1 or not isinstance(output_size, list | tuple) or None not in output_size:
        return _check.integers(layer, name, output_size, least=0, rank=rank)
    if len(output_size) != rank:
        raise ValueError(f"{layer}: {name} must be an integer or {rank} integers or None, got {output_size!r}")
    return tuple(None if size is None else _check.integer(layer, name, size, least=0) for size in output_size)


def _checked(name: str, dy: Array, expected: Sizes) -> Array:
    """The cotangent; torch has no gradient for an output in which another axis than the batch is empty."""
    dy = _check.cotangent(name, dy, expected)
    if 0 in expected[1:]:
        raise ValueError(f"{name}: dy must not have an empty axis besides the batch, got shape {dy.shape}")
    return dy


def _largest(x: Array, spatial: Sizes, out: Sizes) -> tuple[Array, Callable[[], Array]]:
    """Each window's largest cell, and how to find its index."""
    ends = [bounds(n, o) for n, o in zip(spatial, out, strict=True)]
    starts = [start for start, _ in ends]
    kernel = tuple(int((end - start).max(initial=1)) for start, end in ends)
    axes = [adaptive(n, o) for n, o in zip(spatial, out, strict=True)]
    y, places = largest(x, axes, kernel)
    return y, lambda: positions(places, starts, kernel, (1,) * len(spatial), spatial)


def _largest_of_all(x: Array, spatial: Sizes) -> tuple[Array, Callable[[], Array]]:
    """The same for one window over everything, where a search through memory is faster."""
    lead = x.shape[: x.ndim - len(spatial)]
    planes = x.reshape(*lead, math.prod(spatial))
    winner = planes.argmax(axis=-1, keepdims=True)
    y = np.take_along_axis(planes, winner, axis=-1)
    if np.isnan(y).any():  # argmax finds the first NaN
        last = planes.shape[-1] - 1 - np.isnan(planes[..., ::-1]).argmax(axis=-1, keepdims=True)
        winner = np.where(np.isnan(y), last, winner)
    shape = lead + (1,) * len(spatial)
    return y.reshape(shape), lambda: winner.astype(np.int64).reshape(shape)


@dataclass(frozen=True)
class _AdaptiveAvgPool:
    """Adaptive average pooling of any spatial rank."""

    output_size: int | tuple[int | None, ...]

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        _target(type(self).__name__, self.output_size, self._rank)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, rank = type(self).__name__, self._rank
        (x,) = _check.real(name, x=x)
        target = _target(name, self.output_size, rank)
        sequence = isinstance(self.output_size, list | tuple)
        if rank == 1 or x.ndim < rank + sequence:
            _check.spatial(name, "x", x, rank)
        spatial = x.shape[x.ndim - rank :]
        out = tuple(n if size is None else size for n, size in zip(spatial, target, strict=True))
        if out == (1,) * rank:
            return self._mean(x, spatial)
        _check.spatial(name, "x", x, rank)
        if 0 in (x.shape[1:] if rank == 3 else spatial):
            raise ValueError(f"{name}: x must not have an empty axis besides the batch, got shape {x.shape}")

        ends = [bounds(n, o) for n, o in zip(spatial, out, strict=True)]
        divisor = outer([end - start for start, end in ends])
        with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN here, as in torch
            y = sums(x, [adaptive(n, o) for n, o in zip(spatial, out, strict=True)])
        y /= divisor.astype(x.dtype)

        def backward(dy: Array) -> Gradients:
            dy = _checked(name, dy, y.shape)
            back = [adaptive(o, n) for n, o in zip(spatial, out, strict=True)]
            with np.errstate(invalid="ignore"):
                return {"x": sums(dy / divisor.astype(dy.dtype), back, last_first=True)}

        return y, backward

    def _mean(self, x: Array, spatial: Sizes) -> tuple[Array, Backward]:
        """One window over everything: torch takes the mean of the last axes, whatever stands before them."""
        axes = tuple(range(-self._rank, 0))
        cells = math.prod(spatial)
        with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN here, as in torch; so is the mean of nothing
            y = x.sum(axis=axes, keepdims=True) / cells

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(type(self).__name__, dy, y.shape)
            with np.errstate(divide="ignore", invalid="ignore"):
                return {"x": np.broadcast_to(dy / cells, x.shape).copy()}

        return y, backward


@dataclass(frozen=True)
class _AdaptiveMaxPool:
    """Adaptive max pooling of any spatial rank."""

    output_size: int | tuple[int | None, ...]
    return_indices: bool = False

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        _target(type(self).__name__, self.output_size, self._rank)

    def __call__(self, x: Array) -> tuple[Array | tuple[Array, Array], Backward]:
        """y, or (y, indices), and the backward pass."""
        name, rank = type(self).__name__, self._rank
        (x,) = _check.real(name, x=x)
        _check.spatial(name, "x", x, rank)
        if 0 in x.shape[1:]:
            raise ValueError(f"{name}: x must not have an empty axis besides the first, got shape {x.shape}")
        spatial = x.shape[x.ndim - rank :]
        target = _target(name, self.output_size, rank)
        out = tuple(n if size is None else size for n, size in zip(spatial, target, strict=True))

        y, indices = _largest_of_all(x, spatial) if out == (1,) * rank else _largest(x, spatial, out)

        def backward(dy: Array) -> Gradients:
            return {"x": scatter_winners(_checked(name, dy, y.shape), indices(), spatial)}

        return ((y, indices()) if self.return_indices else y), backward


@dataclass(frozen=True)
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """y[n, c, i] = the mean of x[n, c, ⌊i·L/o⌋ : ⌈(i + 1)·L/o⌉], where o is the output size.

    Shapes: x (N, C, L) or (C, L); y (N, C, o) or (C, o). All else as for AdaptiveAvgPool2d, with one axis, whose size
    may not be None.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html
    """

    _rank = 1


@dataclass(frozen=True)
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """y[n, c, i, j] = the mean of x[n, c] over rows ⌊i·H/o⌋ to ⌈(i + 1)·H/o⌉ - 1, and columns likewise.

    Shapes: x (N, C, H, W) or (C, H, W); y (N, C, o, o') or (C, o, o'), where `output_size` is o for both axes or
    (o, o'); None keeps an axis. Windows may overlap, and are repeated where o > H. With output size 1 everything is one
    window and x may have any number of axes in front, as in torch.

    Gradient: dx adds dy over the number of the window's cells to each of them. It is refused where an output axis is
    empty (size 0, or no channels in a batch), as in torch.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
    """

    _rank = 2


@dataclass(frozen=True)
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """y[n, c, i, j, l] = the mean of x[n, c] over window (i, j, l), each axis as in AdaptiveAvgPool2d.

    Shapes: x (N, C, D, H, W) or (C, D, H, W); y with the last three axes of `output_size`. All else as for
    AdaptiveAvgPool2d, with three axes.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
    """

    _rank = 3


@dataclass(frozen=True)
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """y[n, c, i] = the largest of x[n, c, ⌊i·L/o⌋ : ⌈(i + 1)·L/o⌉], where o is the output size.

    Shapes: x (N, C, L) or (C, L); y (N, C, o) or (C, o). All else as for AdaptiveMaxPool2d, with one axis, whose size
    may not be None.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
    """

    _rank = 1


@dataclass(frozen=True)
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """y[n, c, i, j] = the largest of x[n, c] in the window (i, j), which is that of AdaptiveAvgPool2d.

    Shapes: as for AdaptiveAvgPool2d; with `return_indices` the outputs are (y, indices), the indices int64 and flat in
    the plane.

    Gradient: each dy goes to the cell that won; windows that overlap add up. Of equal cells the first in row-major
    order wins, NaN wins over numbers, the last NaN over the others. It is refused where an output axis is empty, as in
    torch.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
    """

    _rank = 2


@dataclass(frozen=True)
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """y[n, c, i, j, l] = the largest of x[n, c] in the window (i, j, l), which is that of AdaptiveAvgPool3d.

    Shapes: as for AdaptiveAvgPool3d. All else as for AdaptiveMaxPool2d, with three axes.

    Raises ValueError or TypeError for sizes and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html
    """

    _rank = 3
