"""Average pooling over sliding windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._pooling import Window, out_sizes, outer, planes, sliding, sums, turned, window
from ._windows import Sizes


def average_sizes(layer: str, spatial: Sizes, shape: Window, ceil_mode: bool) -> Sizes:
    """The number of windows along each axis; torch refuses three axes where the kernel is longer than x unpadded."""
    if len(spatial) == 3 and any(n < k for n, k in zip(spatial, shape.kernel, strict=True)):
        raise ValueError(f"{layer}: x must have at least as many cells as the kernel {shape.kernel}, got {spatial}")
    return out_sizes(layer, spatial, shape, ceil_mode)


def cells_counted(spatial: Sizes, shape: Window, out: Sizes, include_pad: bool) -> Array:
    """How many cells of the padded input, or of the input itself, each window holds: (*out)."""
    counts = []
    for n, k, s, p, o in zip(spatial, shape.kernel, shape.stride, shape.padding, out, strict=True):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, n + p)
        counts.append(end - start if include_pad else np.minimum(end, n) - np.maximum(start, 0))
    return outer(counts)


@dataclass(frozen=True)
class _AvgPool:
    """Average pooling of any spatial rank."""

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        name = type(self).__name__
        self._window()
        _check.boolean(name, "ceil_mode", self.ceil_mode)
        _check.boolean(name, "count_include_pad", self.count_include_pad)

    def _window(self) -> Window:
        return window(type(self).__name__, self._rank, self.kernel_size, self.stride, self.padding, 1)

    def _divisor(self, spatial: Sizes, shape: Window, out: Sizes) -> Array:
        """What each window's sum is divided by."""
        return cells_counted(spatial, shape, out, self.count_include_pad)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        batch = planes(name, x, self._rank)
        spatial = batch.shape[2:]
        shape = self._window()
        out = average_sizes(name, spatial, shape, self.ceil_mode)

        axes = [sliding(*numbers) for numbers in zip(spatial, *shape, out, strict=True)]
        divisor = self._divisor(spatial, shape, out)
        with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN here, as in torch
            y = sums(batch, axes)
        y /= divisor
        answer = _check.like(y, x)

        def backward(dy: Array) -> Gradients:
            share = _check.cotangent(name, dy, answer.shape) / divisor.astype(dy.dtype)
            back = [turned(axis, n) for axis, n in zip(axes, spatial, strict=True)]
            with np.errstate(invalid="ignore"):
                return {"x": sums(share, back, last_first=True)}

        return answer, backward


@dataclass(frozen=True)
class _AvgPoolOverride(_AvgPool):
    """Average pooling whose divisor may be given."""

    divisor_override: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divisor_override is not None:
            name, range64 = type(self).__name__, np.iinfo(np.int64)
            (value,) = _check.integers(name, "divisor_override", self.divisor_override, rank=1)
            if value == 0 or not range64.min <= value <= range64.max:
                raise ValueError(f"{name}: divisor_override must be a 64-bit integer other than 0, got {value}")

    def _divisor(self, spatial: Sizes, shape: Window, out: Sizes) -> Array:
        if self.divisor_override is not None:
            return np.full(out, self.divisor_override)
        return super()._divisor(spatial, shape, out)


@dataclass(frozen=True)
class AvgPool1d(_AvgPool):
    """y[n, c, i] = Σ x[n, c, i·s + u - p] / D over the window's cells u; padding counts as 0.

    Shapes: x (N, C, L) or (C, L); y (N, C, L') or (C, L'). All else as for AvgPool2d, with one axis and no override.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
    """

    _rank = 1


@dataclass(frozen=True)
class AvgPool2d(_AvgPoolOverride):
    """y[n, c, i, j] = Σ x[n, c, i·s + u - p, j·s + v - p] / D over the window's cells u, v; padding counts as 0.

    D is the number of cells of the window inside the padded input (a window may hang over its edge with
    `ceil_mode`; the overhang never counts), without the padding if `count_include_pad` is False; or `divisor_override`.

    Shapes: x (N, C, H, W) or (C, H, W); y as for MaxPool2d without dilation; `stride` None is the kernel size.
    Gradient: dx adds dy/D to every cell of the window.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """

    _rank = 2


@dataclass(frozen=True)
class AvgPool3d(_AvgPoolOverride):
    """y[n, c, i, j, l] = Σ x / D over the cells of window (i, j, l), each axis as in AvgPool2d; padding counts as 0.

    Shapes: x (N, C, D, H, W) or (C, D, H, W); y as for MaxPool3d without dilation. All else as for AvgPool2d, with
    three axes; the kernel may not be longer than x, padded or not.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html
    """

    _rank = 3
