"""Sliding blocks taken out of a plane, and put back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._borders import border, crop, last, uncrop
from ._check import Array, Backward, Gradients
from ._windows import Sizes, gather, scatter


def _options(
    layer: str, kernel_size: object, dilation: object, padding: object, stride: object
) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """The four options of a sliding block as pairs."""
    return (
        _check.integers(layer, "kernel_size", kernel_size, least=1, rank=2),
        _check.integers(layer, "dilation", dilation, least=1, rank=2),
        _check.integers(layer, "padding", padding, least=0, rank=2),
        _check.integers(layer, "stride", stride, least=1, rank=2),
    )


def _blocks(layer: str, plane: Sizes, kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> Sizes:
    """How many blocks there are along each axis of a plane."""
    axes = zip(plane, kernel, dilation, padding, stride, strict=True)
    counts = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in axes)
    if min(counts) < 1:
        raise ValueError(
            f"{layer}: a block of {kernel} cells (dilation {dilation}) does not fit {plane} cells padded by {padding}"
        )
    return counts


@dataclass(frozen=True)
class Unfold:
    """y[n, (c, u, v), (i, j)] = x[n, c, i·s + u·d - p, j·s + v·d - p], zero in the padding; (…) are flat axes.

    Shapes: x (N, C, H, W) or (C, H, W); y (N, C·kh·kw, L) or (C·kh·kw, L), with L the number of blocks, H'·W', and
    H' = ⌊(H + 2p - d·(kh - 1) - 1)/s⌋ + 1. Options are a number or a pair.
    Gradient: dx adds each dy to the cell it was copied from; it is Fold.

    Raises ValueError or TypeError for configurations and shapes that torch refuses: only the batch may be empty.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html
    """

    kernel_size: int | tuple[int, ...]
    dilation: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    stride: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        _options("Unfold", self.kernel_size, self.dilation, self.padding, self.stride)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "Unfold"
        kernel, dilation, padding, stride = _options(name, self.kernel_size, self.dilation, self.padding, self.stride)
        (x,) = _check.real(name, x=x)
        _check.spatial(name, "x", x, 2)
        if 0 in x.shape[-3:]:
            raise ValueError(f"{name}: only the batch axis of x may be empty, got shape {x.shape}")
        counts = _blocks(name, x.shape[-2:], kernel, dilation, padding, stride)
        padded, adjoint = border(x, tuple((p, p) for p in padding), "constant")
        windows = gather(padded, kernel, stride, dilation, counts)
        # One element may stand in several blocks: the reshape has to copy, also where NumPy could make a view.
        y = windows.copy().reshape(*x.shape[:-3], x.shape[-3] * math.prod(kernel), math.prod(counts))

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape).reshape(windows.shape)
            dpadded = np.zeros(padded.shape, dy.dtype)
            scatter(dy, dpadded, stride, dilation)
            return {"x": adjoint(dpadded)}

        return y, backward


@dataclass(frozen=True)
class Fold:
    """y[n, c, h, w] = Σ x[n, (c, u, v), (i, j)] over all u, v, i, j with i·s + u·d - p = h and j·s + v·d - p = w.

    Shapes: x (N, C·kh·kw, L) or (C·kh·kw, L) with L = H'·W' blocks, H' = ⌊(H + 2p - d·(kh - 1) - 1)/s⌋ + 1; y
    (N, C, H, W) or (C, H, W) with (H, W) = `output_size`. Options are a number or a pair. Cells that no block
    reaches are zero; what falls into the padding is dropped.
    Gradient: dx takes each block's cells out of dy; it is Unfold.

    Raises ValueError or TypeError for configurations and shapes that torch refuses: only the batch may be empty.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html
    """

    output_size: int | tuple[int, ...]
    kernel_size: int | tuple[int, ...]
    dilation: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    stride: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        _check.integers("Fold", "output_size", self.output_size, least=1, rank=2)
        _options("Fold", self.kernel_size, self.dilation, self.padding, self.stride)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "Fold"
        plane = _check.integers(name, "output_size", self.output_size, least=1, rank=2)
        kernel, dilation, padding, stride = _options(name, self.kernel_size, self.dilation, self.padding, self.stride)
        (x,) = _check.real(name, x=x)
        if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
            raise ValueError(f"{name}: x must have shape (N, C·kh·kw, L) or (C·kh·kw, L), got {x.shape}")
        counts = _blocks(name, plane, kernel, dilation, padding, stride)
        channels, rest = divmod(x.shape[-2], math.prod(kernel))
        if rest:
            raise ValueError(f"{name}: x must have a multiple of {math.prod(kernel)} rows, got shape {x.shape}")
        if x.shape[-1] != math.prod(counts):
            raise ValueError(f"{name}: x must have {math.prod(counts)} columns (blocks), got shape {x.shape}")
        lead = (*x.shape[:-2], channels)
        windows = x.reshape(*lead, *kernel, *counts)
        wide = np.zeros((*lead, *(n + 2 * p for n, p in zip(plane, padding, strict=True))), x.dtype)
        scatter(windows, wide, stride, dilation)
        cut = last(wide, tuple((-p, -p) for p in padding))
        y = crop(wide, cut)

        def backward(dy: Array) -> Gradients:
            dwide = uncrop(_check.cotangent(name, dy, y.shape), wide.shape, cut)
            return {"x": gather(dwide, kernel, stride, dilation, counts).copy().reshape(x.shape)}

        return y, backward
