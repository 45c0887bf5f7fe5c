"""Pooling over windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._windows import Sizes, gather, scatter


def _out_sizes(
    layer: str, spatial: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> Sizes:
    """The number of windows along each axis.

    In ceil mode a window may hang over the right edge, but none starts beyond the input and its left padding.
    """
    sizes = []
    for n, k, s, p, d in zip(spatial, kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        if count < 1:
            raise ValueError(f"{layer}: a window of {k} cells (dilation {d}) does not fit {n} cells padded by {p}")
        sizes.append(count)
    return tuple(sizes)


def _geometry(
    layer: str, kernel_size: object, stride: object, padding: object, dilation: object
) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """The four window options as tuples, refused where torch refuses them."""
    kernel = _check.integers(layer, "kernel_size", kernel_size, least=1, rank=2, one=True)
    steps = kernel if stride is None else _check.integers(layer, "stride", stride, least=1, rank=2, one=True)
    pads = _check.integers(layer, "padding", padding, least=0, rank=2, one=True)
    gaps = _check.integers(layer, "dilation", dilation, least=1, rank=2, one=True)
    for k, p in zip(kernel, pads, strict=True):
        if p > k // 2:
            raise ValueError(f"{layer}: padding {p} is more than half of the kernel size {k}")
    return kernel, steps, pads, gaps


def _planes(layer: str, x: Array) -> Array:
    """x as (N, C, H, W); only the batch may be empty."""
    planes = _check.spatial(layer, "x", x, 2)
    if 0 in (planes.shape[1:] if x.ndim == 4 else x.shape):
        raise ValueError(f"{layer}: only the batch axis of x may be empty, got shape {x.shape}")
    return planes


@dataclass(frozen=True)
class MaxPool2d:
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

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        _geometry("MaxPool2d", self.kernel_size, self.stride, self.padding, self.dilation)

    def __call__(self, x: Array) -> tuple[Array | tuple[Array, Array], Backward]:
        """y, or (y, indices), and the backward pass."""
        name = "MaxPool2d"
        kernel, stride, padding, dilation = _geometry(name, self.kernel_size, self.stride, self.padding, self.dilation)
        (x,) = _check.real(name, x=x)
        planes = _planes(name, x)
        n, channels, height, width = planes.shape
        out = _out_sizes(name, (height, width), kernel, stride, padding, dilation, self.ceil_mode)

        # Which cell of the plane each window position looks at: (kh, H') and (kw, W'), then flat (kh·kw, H', W').
        rows, cols = (
            np.arange(k)[:, None] * d + np.arange(o) * s - p
            for k, d, o, s, p in zip(kernel, dilation, out, stride, padding, strict=True)
        )
        inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((cols >= 0) & (cols < width))[:, None]
        flat = (rows.clip(0, height - 1) * width)[:, None, :, None] + cols.clip(0, width - 1)[:, None]
        inside, flat = (a.reshape(-1, *out) for a in (inside, flat))

        cells = np.where(inside, planes.reshape(n, channels, height * width)[:, :, flat], -np.inf)
        missing = np.isnan(cells)
        last = cells.shape[2] - 1 - missing[:, :, ::-1].argmax(axis=2)
        number = np.where(missing, -np.inf, cells)
        first = np.where(number.max(axis=2) == -np.inf, inside.argmax(axis=0), number.argmax(axis=2))
        winner = np.where(missing.any(axis=2), last, first)[:, :, None]
        y = np.take_along_axis(cells, winner, axis=2)[:, :, 0].astype(x.dtype, copy=False)
        indices = np.take_along_axis(np.where(inside, flat, -1)[None, None], winner, axis=2)[:, :, 0]
        shape = y.shape if x.ndim == 4 else y.shape[1:]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, shape)
            dx = np.zeros((n * channels, height * width), dy.dtype)
            plane = np.arange(n * channels)[:, None]
            goal = indices.reshape(n * channels, math.prod(out))
            real = goal >= 0
            np.add.at(dx.reshape(-1), (plane * dx.shape[1] + goal)[real], dy.reshape(goal.shape)[real])
            return {"x": dx.reshape(x.shape)}

        y, indices = y.reshape(shape), indices.reshape(shape)
        return ((y, indices) if self.return_indices else y), backward


@dataclass(frozen=True)
class AvgPool2d:
    """y[n, c, i, j] = Σ x[n, c, i·s + u - p, j·s + v - p] / D over the window's cells u, v; padding counts as 0.

    D is the number of cells of the window inside the padded input (a window may hang over its edge with
    `ceil_mode`; the overhang never counts), without the padding if `count_include_pad` is False; or `divisor_override`.

    Shapes: x (N, C, H, W) or (C, H, W); y as for MaxPool2d without dilation; `stride` None is the kernel size.
    Gradient: dx adds dy/D to every cell of the window.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def __post_init__(self) -> None:
        _geometry("AvgPool2d", self.kernel_size, self.stride, self.padding, 1)
        if self.divisor_override is not None:
            limit = np.iinfo(np.int64).min
            if not _check.integer("AvgPool2d", "divisor_override", self.divisor_override, least=limit):
                raise ValueError("AvgPool2d: divisor_override must not be 0")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "AvgPool2d"
        kernel, stride, padding, dilation = _geometry(name, self.kernel_size, self.stride, self.padding, 1)
        (x,) = _check.real(name, x=x)
        planes = _planes(name, x)
        spatial = planes.shape[2:]
        out = _out_sizes(name, spatial, kernel, stride, padding, dilation, self.ceil_mode)

        divisor = self._divisor(spatial, kernel, stride, padding, out)
        reach = [(o - 1) * s + k for o, s, k in zip(out, stride, kernel, strict=True)]
        widths = [(p, max(r - n - p, 0)) for r, n, p in zip(reach, spatial, padding, strict=True)]
        padded = np.pad(planes, [(0, 0), (0, 0), *widths])
        y = gather(padded, kernel, stride, dilation, out).sum(axis=(2, 3)) / divisor.astype(x.dtype)
        shape = y.shape if x.ndim == 4 else y.shape[1:]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, shape).reshape(y.shape)
            share = (dy / divisor.astype(dy.dtype))[:, :, None, None]
            windows = np.broadcast_to(share, (*planes.shape[:2], *kernel, *out))
            dpadded = scatter(windows, padded.shape[2:], stride, dilation)
            (top, left), (height, width) = padding, spatial
            return {"x": dpadded[:, :, top : top + height, left : left + width].reshape(x.shape)}

        return y.reshape(shape), backward

    def _divisor(self, spatial: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, out: Sizes) -> Array:
        """What each window's sum is divided by: (H', W')."""
        if self.divisor_override is not None:
            return np.full(out, self.divisor_override)
        counts = []
        for n, k, s, p, o in zip(spatial, kernel, stride, padding, out, strict=True):
            start = np.arange(o) * s - p
            end = np.minimum(start + k, n + p)
            counts.append(end - start if self.count_include_pad else np.minimum(end, n) - np.maximum(start, 0))
        return np.asarray(np.outer(counts[0], counts[1]))
