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
    inner = tuple(step * d for step, d in zip(steps, dilation, strict=True))
    outer = tuple(step * s for step, s in zip(steps, stride, strict=True))
    shape = x.shape[:-rank] + kernel + out
    return as_strided(x, shape, lead + inner + outer, writeable=False)


def scatter(windows: Array, spatial: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The adjoint of `gather`: windows (..., *kernel, *out) summed into an array (..., *spatial)."""
    rank = len(spatial)
    lead, kernel, out = windows.shape[: -2 * rank], windows.shape[-2 * rank : -rank], windows.shape[-rank:]
    x = np.zeros(lead + spatial, windows.dtype)
    everything = (slice(None),) * rank
    for offset in product(*map(range, kernel)):
        cells = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in zip(offset, dilation, out, stride, strict=True)
        )
        goal: tuple[Any, ...] = (..., *cells)
        source: tuple[Any, ...] = (..., *offset, *everything)
        x[goal] += windows[source]
    return x


def along(axis: int, cells: slice | Array) -> tuple[Any, ...]:
    """The index that takes these cells of one axis, counted from the end."""
    return (..., cells, *(slice(None),) * (-1 - axis))
