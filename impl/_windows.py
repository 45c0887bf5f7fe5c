"""Windows sliding over the last axes of an array, padding, and the adjoint of each, for any spatial rank.

A linear map's backward is its adjoint: <dy, A x> = <Aᵀ dy, x>. Gathering windows is undone by adding them
up where they came from (`scatter`), padding by adding each border cell to the cell it was copied from.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._check import Array

Sizes = tuple[int, ...]
Widths = tuple[tuple[int, int], ...]

# torch's name of a padding mode: numpy's.
PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


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


def pad(x: Array, widths: Widths, mode: str) -> Array:
    """x with its last axes widened by (before, after); `mode` is one of torch's padding modes."""
    if not any(before or after for before, after in widths):
        return x
    full = ((0, 0),) * (x.ndim - len(widths)) + widths
    return np.pad(x, full, PADDING_MODES[mode])  # type: ignore[call-overload,no-any-return]


def unpad(dx: Array, widths: Widths, mode: str) -> Array:
    """The adjoint of `pad`: what reached the border goes to the cells the border was made from."""
    for axis, (before, after) in zip(range(-len(widths), 0), widths, strict=True):
        if not before and not after:
            continue
        front = np.moveaxis(dx, axis, 0)
        n = len(front) - before - after
        if mode == "zeros":
            inner = front[before : before + n]
        else:
            source = np.pad(np.arange(n), (before, after), PADDING_MODES[mode])  # type: ignore[call-overload]
            inner = np.zeros((n, *front.shape[1:]), dx.dtype)
            np.add.at(inner, source, front)
        dx = np.moveaxis(inner, 0, axis)
    return dx
