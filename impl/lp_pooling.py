"""Power-average pooling over sliding windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._pooling import Window, planes, sliding, sums, sums_in_order, turned, window
from .average_pooling import average_sizes, cells_counted
from .pooling import max_pool


def _power(x: Array, exponent: float) -> Array:
    """x to a power, computed as torch does where it can be told: √x of -∞ is NaN and keeps the sign of -0."""
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    if exponent == -2:
        return np.asarray(np.reciprocal(x * x))
    if exponent == 0.5:
        return np.sqrt(x)
    if exponent == -0.5:
        return np.reciprocal(np.sqrt(x))
    return np.asarray(np.power(x, exponent))


def _sign(x: Array) -> Array:
    """The sign of x, that of NaN being 0, as torch has it."""
    return (x > 0).astype(x.dtype) - (x < 0)


@dataclass(frozen=True)
class _LPPool:
    """Power-average pooling of any spatial rank."""

    norm_type: float
    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    ceil_mode: bool = False

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        self._window()
        _check.boolean(type(self).__name__, "ceil_mode", self.ceil_mode)

    def _norm(self) -> float:
        name = type(self).__name__
        try:
            norm = float(self.norm_type)
        except (TypeError, ValueError):
            raise TypeError(f"{name}: norm_type must be a number, got {self.norm_type!r}") from None
        if norm == 0:
            raise ValueError(f"{name}: norm_type must not be 0")
        return norm

    def _window(self) -> Window:
        name = type(self).__name__
        # A single number is multiplied with, so that (2,) is no kernel of one axis; but nothing is where p is infinite.
        if self._rank == 1 and not math.isinf(self._norm()) and isinstance(self.kernel_size, list | tuple):
            raise TypeError(f"{name}: kernel_size must be an integer, got {self.kernel_size!r}")
        return window(name, self._rank, self.kernel_size, self.stride, 0, 1)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        batch = planes(name, x, self._rank)
        spatial = batch.shape[2:]
        norm, shape = self._norm(), self._window()
        if math.isinf(norm):
            return self._extreme(name, x, batch, math.copysign(1, norm))
        out = average_sizes(name, spatial, shape, self.ceil_mode)

        axes = [sliding(*numbers) for numbers in zip(spatial, *shape, out, strict=True)]
        counts = cells_counted(spatial, shape, out, include_pad=True).astype(x.dtype)
        cells = math.prod(shape.kernel)
        with np.errstate(all="ignore"):
            # In torch's order: powers of odd order cancel, and where exactly nothing is left there is no gradient.
            total = sums_in_order(_power(batch, norm), axes) / counts * cells
            y = _power(total, 1 / norm)
        unbatched = y.shape if x.ndim == batch.ndim else y.shape[1:]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, unbatched).reshape(y.shape)
            back = [turned(axis, n) for axis, n in zip(axes, spatial, strict=True)]
            with np.errstate(all="ignore"):
                dtotal = dy * _power(total, 1 / norm - 1)
                # Of the sign, which torch multiplies with twice, it is left that it is 0 at 0 and at NaN.
                share = np.where(total == 0, 0, dtotal) * np.abs(_sign(total)) * cells / counts
                dx = sums(share, back, last_first=True) * _power(batch, norm - 1)
            return {"x": dx.reshape(x.shape)}

        return y.reshape(unbatched), backward

    def _extreme(self, name: str, x: Array, batch: Array, sign: float) -> tuple[Array, Backward]:
        """The largest magnitude of each window, or with sign -1 the smallest."""
        size = np.abs(batch) * sign
        y, _, scatter = max_pool(name, size, self._window(), self.ceil_mode)
        unbatched = y.shape if x.ndim == batch.ndim else y.shape[1:]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, unbatched).reshape(y.shape)
            with np.errstate(invalid="ignore"):
                return {"x": (scatter(dy) * _sign(batch)).reshape(x.shape)}

        return (y * sign).reshape(unbatched), backward


@dataclass(frozen=True)
class LPPool1d(_LPPool):
    """y[n, c, i] = (Σ x[n, c, i·s + u]ᵖ)^(1/p) over the window's cells u, where p is `norm_type`.

    Shapes: x (N, C, L) or (C, L); y (N, C, L') or (C, L'). All else as for LPPool2d, with one axis. The kernel size is
    one number; with an infinite p it may stand in a tuple.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html
    """

    _rank = 1


@dataclass(frozen=True)
class LPPool2d(_LPPool):
    """y[n, c, i, j] = (Σ x[n, c, i·s + u, j·s + v]ᵖ)^(1/p) over the window's cells u, v, where p is `norm_type`.

    The powers are of x itself, not of |x|: an odd p may have a negative sum, and then y and the gradient are NaN unless
    p is ±1. With p = ∞ y is the largest |x|, with -∞ the smallest. In `ceil_mode` a window may hang over the edge; its
    sum is that of its cells times kernel cells over cells inside.

    Shapes: x (N, C, H, W) or (C, H, W); y as for MaxPool2d without padding and dilation; `stride` None is the kernel
    size.

    Gradient: dx adds dy·y^(1 - p)·x^(p - 1), times the factor of a window that hangs over, to every cell of the window.
    A window whose sum is 0 has none. With infinite p all of dy goes to the first cell that won, times its sign.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html
    """

    _rank = 2


@dataclass(frozen=True)
class LPPool3d(_LPPool):
    """y[n, c, i, j, l] = (Σ xᵖ)^(1/p) over the cells of window (i, j, l), each axis as in LPPool2d.

    Shapes: x (N, C, D, H, W) or (C, D, H, W); y as for MaxPool3d without padding and dilation. All else as for
    LPPool2d, with three axes; unless p is infinite, the kernel may not be longer than x.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html
    """

    _rank = 3
