"""Max pooling over sliding windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._pooling import Axis, Window, out_sizes, planes, sliding, window
from ._windows import Sizes, along


def largest(x: Array, axes: Sequence[Axis], kernel: Sizes) -> tuple[Array, Array]:
    """Each window's largest cell of x (..., *spatial), and its place in the window, counted from the last one, 0.

    Places are in row-major order. Of equal cells the first wins, of NaN the last.

    The last axis goes first, so that row-major order decides between equal cells, and the last cell of an axis. A cell
    that wins has a larger place, counted so, than the winner until then: the place is the largest one of the winners,
    found without masked copies.
    """
    nan = bool(np.isnan(x).any())
    kind = np.min_scalar_type(math.prod(kernel)).type
    places = np.zeros((), kind)
    weight = 1
    for axis in reversed(range(-len(axes), 0)):
        windows, steps = axes[axis]
        shape = list(x.shape)
        shape[axis] = windows
        best, best_place = np.full(shape, -np.inf, x.dtype), np.zeros(shape, kind)
        for step in reversed(steps):
            goal, source = along(axis, step.windows), along(axis, step.cells)
            cells, seen, place = x[source], best[goal], best_place[goal]
            wins = cells >= seen
            if nan:
                wins |= np.isnan(cells) & ~np.isnan(seen)
            inner = places[source] if places.ndim else places
            np.maximum(seen, cells, out=seen)
            ahead = inner + kind((kernel[axis] - 1 - step.place) * weight)
            np.maximum(place, wins.view(np.uint8) * ahead, out=place)
            # Where the cells are no slice, what was read is a copy.
            best[goal], best_place[goal] = seen, place
        x, places = best, best_place
        weight *= kernel[axis]
    return x, places


def positions(places: Array, starts: Sequence[Array], kernel: Sizes, dilation: Sizes, spatial: Sizes) -> Array:
    """Where in the plane, flat, the cells at these places of their windows are; places are those of `largest`."""
    start = np.zeros((), np.int64)
    offset = np.zeros((), np.int64)
    weight = 1
    for axis in reversed(range(-len(spatial), 0)):
        start = np.add.outer(starts[axis] * weight, start)
        offset = np.add.outer(np.arange(kernel[axis]) * (dilation[axis] * weight), offset)
        weight *= spatial[axis]
    flat: Array = np.flip(offset).reshape(-1)[places]
    flat += start
    return flat


def scatter_winners(dy: Array, indices: Array, spatial: Sizes) -> Array:
    """An array (..., *spatial) in which each element of dy is added to the cell of its plane with that flat index."""
    lead, out = dy.shape[: -len(spatial)], dy.shape[-len(spatial) :]
    count, size = math.prod(lead), math.prod(spatial)
    flat = indices.reshape(count, math.prod(out)) + (np.arange(count) * size)[:, None]
    dx = np.zeros(count * size, dy.dtype)
    with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN here, as in torch
        np.add.at(dx, flat.reshape(-1), dy.reshape(-1))
    return dx.reshape(*lead, *spatial)


def max_pool(
    layer: str, batch: Array, shape: Window, ceil_mode: bool
) -> tuple[Array, Callable[[], Array], Callable[[Array], Array]]:
    """The largest cell of each window of batch (N, C, *spatial), how to find their indices, and the adjoint."""
    spatial = batch.shape[2:]
    kernel, stride, padding, dilation = shape
    out = out_sizes(layer, spatial, shape, ceil_mode)
    axes = [sliding(*numbers) for numbers in zip(spatial, *shape, out, strict=True)]
    starts = [np.arange(o) * s - p for o, s, p in zip(out, stride, padding, strict=True)]
    if not all(axis.steps for axis in axes):
        # Along an axis of so few cells there is only one window, and it falls between them: nothing is in any window.
        shape_of_y = (*batch.shape[:2], *out)
        nothing = np.full(shape_of_y, -np.inf, batch.dtype)
        return nothing, lambda: np.full(shape_of_y, -1), lambda dy: np.zeros(batch.shape, dy.dtype)
    y, places = largest(batch, axes, kernel)

    def indices() -> Array:
        return positions(places, starts, kernel, dilation, spatial)

    return y, indices, lambda dy: scatter_winners(dy, indices(), spatial)


@dataclass(frozen=True)
class _MaxPool:
    """Max pooling of any spatial rank."""

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    return_indices: bool = False
    ceil_mode: bool = False

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        self._window()
        _check.boolean(type(self).__name__, "ceil_mode", self.ceil_mode)

    def _window(self) -> Window:
        name = type(self).__name__
        return window(name, self._rank, self.kernel_size, self.stride, self.padding, self.dilation)

    def __call__(self, x: Array) -> tuple[Array | tuple[Array, Array], Backward]:
        """y, or (y, indices), and the backward pass."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        batch = planes(name, x, self._rank)
        y, indices, scatter = max_pool(name, batch, self._window(), self.ceil_mode)
        pooled = _check.like(y, x)

        def backward(dy: Array) -> Gradients:
            dy = _check.spatial(name, "dy", _check.cotangent(name, dy, pooled.shape), self._rank)
            return {"x": _check.like(scatter(dy), x)}

        return ((pooled, _check.like(indices(), x)) if self.return_indices else pooled), backward


@dataclass(frozen=True)
class MaxPool1d(_MaxPool):
    """y[n, c, i] = the largest of x[n, c, i·s + u·d - p] over the window's cells u.

    Shapes: x (N, C, L) or (C, L); y (N, C, L') or (C, L'). All else as for MaxPool2d, with one axis.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
    """

    _rank = 1


@dataclass(frozen=True)
class MaxPool2d(_MaxPool):
    """y[n, c, i, j] = the largest of x[n, c, i·s + u·d - p, j·s + v·d - p] over the window's cells u, v.

    Shapes: x (N, C, H, W) or (C, H, W); y (N, C, H', W') or (C, H', W') with H' = ⌊(H + 2p - d·(k - 1) - 1)/s⌋ + 1, or
    the ceiling with `ceil_mode`; `stride` None is the kernel size. With `return_indices` the outputs are (y, indices),
    the indices int64 and flat in the unpadded plane.

    Gradient: each dy goes to the cell that won; windows that overlap add up. Of equal cells the first in row-major
    order wins, NaN wins over numbers, the last NaN over the others; padding never wins. A window that holds no cell of
    x at all (possible with dilation > H) gives -∞, index -1 and no gradient.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """

    _rank = 2


@dataclass(frozen=True)
class MaxPool3d(_MaxPool):
    """y[n, c, i, j, l] = the largest of x over the cells of window (i, j, l), each axis as in MaxPool2d.

    Shapes: x (N, C, D, H, W) or (C, D, H, W); y (N, C, D', H', W') or (C, D', H', W'). All else as for MaxPool2d, with
    three axes.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html
    """

    _rank = 3
