"""What all pooling layers share: their options, and where along each axis the cells of the windows lie.

A pooling of several axes is one of each axis after another. Along one axis the windows are described by `Step`s,
one for each place in a window: step u names the windows that have a cell at place u, and those cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import NamedTuple

import numpy as np

from . import _check
from ._check import Array
from ._windows import Sizes, along

Cells = slice | Array


class Step(NamedTuple):
    """At one place of the windows along an axis: `windows` have a cell there, which is `cells` of the axis."""

    place: int
    windows: Cells
    cells: Cells


class Axis(NamedTuple):
    """The windows along an axis: how many, and their cells."""

    windows: int
    steps: Sequence[Step]


class Window(NamedTuple):
    """The window options, one number an axis."""

    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes


def window(
    layer: str,
    rank: int,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
) -> Window:
    """The window options as tuples, refused where torch's documentation excludes them; stride None: the kernel size."""
    kernel = _check.integers(layer, "kernel_size", kernel_size, least=1, rank=rank)
    steps = kernel if stride is None else _check.integers(layer, "stride", stride, least=1, rank=rank)
    pads = _check.integers(layer, "padding", padding, least=0, rank=rank)
    gaps = _check.integers(layer, "dilation", dilation, least=1, rank=rank)
    for k, p in zip(kernel, pads, strict=True):
        if p > k // 2:
            raise ValueError(f"{layer}: padding must be at most half of the kernel size {k}, got {p}")
    return Window(kernel, steps, pads, gaps)


def planes(layer: str, x: Array, rank: int) -> Array:
    """x as (N, C, *spatial); only the batch may be empty."""
    batch = _check.spatial(layer, "x", x, rank)
    if 0 in (batch.shape[1:] if x.ndim == rank + 2 else x.shape):
        raise ValueError(f"{layer}: x must not have an empty axis besides the batch, got shape {x.shape}")
    return batch


def out_sizes(layer: str, spatial: Sizes, shape: Window, ceil_mode: bool) -> Sizes:
    """The number of windows along each axis.

    In ceil mode a window may hang over the right edge, but none starts beyond the input and its left padding.
    """
    sizes = []
    for n, k, s, p, d in zip(spatial, *shape, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        if count < 1:
            raise ValueError(f"{layer}: a window of {k} cells (dilation {d}) does not fit {n} cells padded by {p}")
        sizes.append(count)
    return tuple(sizes)


def sliding(n: int, k: int, s: int, p: int, d: int, out: int) -> Axis:
    """Windows of k cells, d apart, that start every s cells, the first at -p; only cells in [0, n) count."""
    steps = []
    for u in range(k):
        start = u * d - p
        first, end = max(0, -(start // s)), min(out, (n - 1 - start) // s + 1)
        if first < end:
            cells = slice(first * s + start, (end - 1) * s + start + 1, s)
            steps.append(Step(u, slice(first, end), cells))
    return Axis(out, steps)


def turned(axis: Axis, n: int) -> Axis:
    """The adjoint of an axis of sliding windows on n cells: what was read is written."""
    return Axis(n, [Step(step.place, step.cells, step.windows) for step in axis.steps])


def bounds(n: int, out: int) -> tuple[Array, Array]:
    """Where each adaptive window starts and ends: window i of `out` is [⌊i·n/out⌋, ⌈(i + 1)·n/out⌉)."""
    i = np.arange(out)
    return i * n // out, -(-(i + 1) * n // out)


def adaptive(n: int, out: int) -> Axis:
    """Adaptive windows. Their adjoint are those of `out` cells on n: cell j is in window i just if i is in window j."""
    if out and n % out == 0:
        return sliding(n, n // out, n // out, 0, 1, out)
    start, end = bounds(n, out)
    steps = []
    for u in range((end - start).max(initial=0)):
        has = np.flatnonzero(end - start > u)
        steps.append(Step(u, slice(None) if len(has) == out else has, start[has] + u))
    return Axis(out, steps)


def sums(x: Array, axes: Sequence[Axis], *, last_first: bool = False) -> Array:
    """Each window's sum of the cells of x (..., *spatial), one axis after the other.

    Sums begin with the first axis, whose cells are whole rows in memory, and their adjoint ends with it.
    """
    order = range(-len(axes), 0)
    for axis in reversed(order) if last_first else order:
        windows, steps = axes[axis]
        shape = list(x.shape)
        shape[axis] = windows
        total = np.zeros(shape, x.dtype)
        for step in steps:
            total[along(axis, step.windows)] += x[along(axis, step.cells)]
        x = total
    return x


def sums_in_order(x: Array, axes: Sequence[Axis]) -> Array:
    """The same sums over sliding windows, added up in row-major order, cell by cell."""
    total = np.zeros((*x.shape[: x.ndim - len(axes)], *(axis.windows for axis in axes)), x.dtype)
    for steps in product(*(axis.steps for axis in axes)):
        goal, source = ((..., *cells) for cells in zip(*((step.windows, step.cells) for step in steps), strict=True))
        total[goal] += x[source]
    return total


def outer(factors: Sequence[Array]) -> Array:
    """The products of one number of each axis."""
    return np.asarray(reduce(np.multiply.outer, factors))
