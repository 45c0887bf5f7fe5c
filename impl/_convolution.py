"""Correlation of arrays with filters, and its adjoints in both arguments, for any spatial rank.

All three are matrix products with the windows as columns. The columns of all windows would be many times as large as
the array they come from, so they are made for one block of windows after the other: a block's columns hold `BLOCK`
numbers at most, or as many as the filters, so that reading the filters again for every block costs little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from . import _check
from ._check import Array
from ._windows import Sizes, gather, scatter

# About what the caches hold: larger blocks are slower, smaller ones cost calls.
BLOCK = 1 << 20

Box = tuple[slice, ...]


class Filter(NamedTuple):
    """How a filter lies on an array: its size and its steps along each spatial axis, and in how many groups."""

    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    groups: int

    @property
    def reach(self) -> Sizes:
        """How many cells of each axis it spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


def correlate(x: Array, weight: Array, form: Filter, out: Sizes) -> Array:
    """y[n, k, i] = Σ x[n, c, i·s + u·d] · W[k, c, u] over c and u, for windows i < out: (N, K, *out)."""
    filters = _grouped(weight, form)
    y = np.empty((len(x), len(weight), *out), x.dtype)
    for box in _boxes((len(x), *out), weight, form):
        windows = filters @ _columns(x, box, form)
        y[_seen(box)] = windows.reshape(len(weight), *_lengths(box)).swapaxes(0, 1)
    return y


def adjoint_x(dy: Array, weight: Array, form: Filter, spatial: Sizes) -> Array:
    """The adjoint of `correlate` in x: each cell of dy (N, K, *out) lays its filter, weighted, on (N, C, *spatial)."""
    filters = _grouped(weight, form).swapaxes(1, 2)
    channels = form.groups * weight.shape[1]
    dx = np.zeros((len(dy), channels, *spatial), dy.dtype)
    for box in _boxes((len(dy), *dy.shape[2:]), weight, form):
        rows = _rows(dy, box, form)
        # Of a single filter a group, the matrix product is an outer product, for which NumPy has no fast routine.
        columns = filters * rows if rows.shape[1] == 1 else filters @ rows
        windows = columns.reshape(channels, *form.kernel, *_lengths(box))
        windows = np.moveaxis(windows, 1 + len(spatial), 0)
        scatter(windows, dx[_cells(box, form)], form.stride, form.dilation)
    return dx


def adjoint_weight(dy: Array, x: Array, form: Filter) -> Array:
    """The adjoint of `correlate` in the filters: dW[k, c, u] = Σ dy[n, k, i] · x[n, c, i·s + u·d] over n and i."""
    dweight = np.zeros((dy.shape[1], x.shape[1] // form.groups, *form.kernel), dy.dtype)
    total = _grouped(dweight, form)
    for box in _boxes((len(dy), *dy.shape[2:]), dweight, form):
        total += _rows(dy, box, form) @ _columns(x, box, form).swapaxes(1, 2)
    return dweight


def _boxes(sizes: Sizes, weight: Array, form: Filter) -> Iterator[Box]:
    """The windows (N, *out) cut into boxes: whole trailing axes as long as their columns fit a block."""
    room = max(BLOCK, weight.size) // (form.groups * weight[0].size)
    steps: list[int] = []
    for size in reversed(sizes):
        steps.insert(0, max(1, min(size, room)))
        room //= steps[0]
    cuts = (
        [slice(a, min(a + step, size)) for a in range(0, size, step)] for size, step in zip(sizes, steps, strict=True)
    )
    return product(*cuts)


def _lengths(box: Box) -> Sizes:
    return tuple(part.stop - part.start for part in box)


def _seen(box: Box) -> tuple[Any, ...]:
    """The index of a box of windows in an array (N, K, *out)."""
    return box[0], slice(None), *box[1:]


def _cells(box: Box, form: Filter) -> tuple[Any, ...]:
    """The index in (N, C, *spatial) of the cells that a box of windows looks at."""
    axes = zip(box[1:], form.stride, form.reach, strict=True)
    return box[0], slice(None), *(slice(i.start * s, (i.stop - 1) * s + r) for i, s, r in axes)


def _grouped(weight: Array, form: Filter) -> Array:
    """Filters as rows, (groups, K/groups, C/groups·kernel)."""
    return weight.reshape(form.groups, -1, weight[0].size)


def _columns(x: Array, box: Box, form: Filter) -> Array:
    """The windows of a box as columns, (groups, C/groups·kernel, windows)."""
    lengths = _lengths(box)
    windows = gather(x[_cells(box, form)], form.kernel, form.stride, form.dilation, lengths[1:])
    windows = np.moveaxis(windows, 0, 1 + len(form.kernel))
    return np.asarray(windows.reshape(form.groups, -1, math.prod(lengths)))


def _rows(y: Array, box: Box, form: Filter) -> Array:
    """The cells of a box of (N, K, *out), (groups, K/groups, windows)."""
    return np.asarray(y[_seen(box)].swapaxes(0, 1).reshape(form.groups, -1, math.prod(_lengths(box))))


def check_channels(layer: str, in_channels: Any, out_channels: Any, groups: Any) -> None:
    """Channels come in `groups` equal blocks, on either side."""
    _check.integer(layer, "groups", groups, least=1)
    for option, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if _check.integer(layer, option, value, least=1) % groups:
            raise ValueError(f"{layer}: {option} must be divisible by groups={groups}, got {value}")


def check_x(layer: str, x: Array, channels: int, rank: int) -> Array:
    """x as (N, C, *spatial), refused unless it has that many channels and nothing but the batch is empty."""
    batch = _check.spatial(layer, "x", x, rank)
    if batch.shape[1] != channels:
        raise ValueError(f"{layer}: x must have {channels} channels, got shape {x.shape}")
    if 0 in batch.shape[2:]:
        raise ValueError(f"{layer}: x must not have an empty axis besides the batch, got {batch.shape[2:]} cells")
    return batch


def draw(rng: np.random.Generator, shape: Sizes, biases: int, dtype: type) -> dict[str, Array]:
    """Filters of this shape and biases (none for 0), uniform in ±1/√fan_in; fan_in is the size of one filter."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    params: dict[str, Array] = {"weight": rng.uniform(-bound, bound, shape).astype(dtype)}
    if biases:
        params["bias"] = rng.uniform(-bound, bound, biases).astype(dtype)
    return params
