"""Windows sliding over the last axes of an array, and the adjoint, for any spatial rank.

A linear map's backward is its adjoint: <dy, A x> = <Aᵀ dy, x>. Gathering windows is undone by adding them up where
they came from (`scatter`).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._check import Array

Sizes = tuple[int, ...]
Widths = tuple[tuple[int, int], ...]


def gather(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes) -> Array:
    """All windows of x (..., *spatial) as a read-only view (..., *kernel, *out)."""
    rank = len(kernel)
    lead, steps = x.strides[:-rank], x.strides[-rank:]
    strides = (*lead, *np.multiply(steps, dilation), *np.multiply(steps, stride))
    return as_strided(x, x.shape[:-rank] + kernel + out, strides, writeable=False)


def scatter(windows: Array, x: Array, stride: Sizes, dilation: Sizes) -> None:
    """The adjoint of `gather`: windows (..., *kernel, *out) are added to the cells of x (..., *spatial) they show."""
    rank = len(stride)
    kernel, out = windows.shape[-2 * rank : -rank], windows.shape[-rank:]
    everything = (slice(None),) * rank
    for offset in product(*map(range, kernel)):
        starts = np.multiply(offset, dilation)
        cells = tuple(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, stride, strict=True))
        goal: tuple[Any, ...] = (..., *cells)
        source: tuple[Any, ...] = (..., *offset, *everything)
        x[goal] += windows[source]


def along(axis: int, cells: slice | Array) -> tuple[Any, ...]:
    """The index that takes these cells of one axis, counted from the end."""
    return (..., cells, *(slice(None),) * (-1 - axis))
