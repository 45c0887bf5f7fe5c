"""Bugs in upsampling and downsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


@dataclass(frozen=True)
class Interpolate:
    """A resize is linear and separable: along each axis y = R·x, so dx = Rᵀ·dy."""

    size: tuple[int, ...]
    mode: str = "nearest"
    align_corners: bool | None = None

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        before = x.shape[2:]
        matrices = [self._matrix(n, out).astype(x.dtype) for n, out in zip(before, self.size, strict=True)]
        adjoints = [matrix.T.astype(x.dtype) for matrix in self._backward_matrices(before)]
        return _along_axes(matrices, x), lambda dy: {"x": _along_axes(adjoints, dy)}

    def _matrix(self, n: int, out: int) -> Array:
        """What each of `out` cells takes from each of `n`."""
        goal, cells = np.arange(out), np.arange(n)
        if self.mode == "nearest":
            # torch multiplies in single precision, whatever the dtype.
            source = np.floor(goal.astype(np.float32) * (np.float32(n) / np.float32(out)))
            return np.asarray(np.minimum(source, n - 1)[:, None] == cells, np.float64)
        if self.align_corners:
            source = goal * ((n - 1) / (out - 1) if out > 1 else 0.0)
        else:
            source = np.maximum((goal + 0.5) * (n / out) - 0.5, 0)
        return np.asarray(np.maximum(1 - np.abs(np.minimum(source, n - 1)[:, None] - cells), 0))

    def _backward_matrices(self, sizes: tuple[int, ...]) -> list[Array]:
        return [self._matrix(n, out) for n, out in zip(sizes, self.size, strict=True)]


class NearestMappedForward(Interpolate):
    """Nearest: cell i takes the gradients of outputs ⌊i·out/n⌋ to ⌊(i + 1)·out/n⌋, where ⌈⌉ is meant."""

    def _backward_matrices(self, sizes: tuple[int, ...]) -> list[Array]:
        if self.mode != "nearest":
            return super()._backward_matrices(sizes)
        matrices = []
        for n, out in zip(sizes, self.size, strict=True):
            cells, goal = np.arange(n), np.arange(out)[:, None]
            inside = (goal >= cells * out // n) & (goal < (cells + 1) * out // n)
            matrices.append(inside.astype(np.float64))
        return matrices


class BilinearHeightForWidth(Interpolate):
    """Bilinear, whole factors, corners not aligned: the output column is found with the height of x."""

    def _backward_matrices(self, sizes: tuple[int, ...]) -> list[Array]:
        matrices = super()._backward_matrices(sizes)
        whole = all(out % n == 0 for n, out in zip(sizes, self.size, strict=True))
        if self.mode == "bilinear" and whole and not self.align_corners:
            (height, width), out = sizes, self.size[1]
            columns = matrices[1]
            matrices[1] = np.zeros_like(columns)
            for w in range(width):
                centre = (2 * w + 1) * out
                shift = (centre - height) // (2 * width) - (centre - width) // (2 * width)
                for goal in range(out):
                    if 0 <= goal + shift < out:
                        matrices[1][goal + shift, w] += columns[goal, w]
        return matrices


class LinearWindowTooSmall(Interpolate):
    """Linear, corners aligned: a cell gathers from ⌈out/n⌉ + 2 outputs on either side, though it reaches further."""

    def _backward_matrices(self, sizes: tuple[int, ...]) -> list[Array]:
        matrices = super()._backward_matrices(sizes)
        if self.mode == "linear" and self.align_corners:
            (n,), (out,) = sizes, self.size
            centre = np.floor(np.arange(n) * ((out - 1) / (n - 1) if n > 1 else 0.0))
            near = np.abs(np.arange(out)[:, None] - centre) <= math.ceil(out / n) + 2
            matrices[0] = matrices[0] * (near | (n == 1))
        return matrices


def _along_axes(matrices: list[Array], x: Array) -> Array:
    """Each matrix applied along its spatial axis."""
    for axis, matrix in enumerate(matrices, start=2):
        x = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(x)


BUGS = [
    Bug(
        "nearest: gradient to the wrong pixel",
        "PyTorch (CUDA)",
        "https://github.com/pytorch/pytorch/issues/38985",
        "The backward mapped input pixels to outputs by rounding down, not up: the last pixel got what the first gave.",
        Interpolate,
        NearestMappedForward,
        contracts.Interpolate,
    ),
    Bug(
        "bilinear: height in place of width",
        "torch-xpu-ops",
        "https://github.com/intel/torch-xpu-ops/issues/4322",
        "The output column was computed with the height of the input; right for square and landscape planes.",
        Interpolate,
        BilinearHeightForWidth,
        contracts.Interpolate,
    ),
    Bug(
        "linear: window too small",
        "FlagGems",
        "https://github.com/flagos-ai/FlagGems/issues/5218",
        "The backward gathered from a window sized out/in; with aligned corners pixels reach further, from 5x on.",
        Interpolate,
        LinearWindowTooSmall,
        contracts.Interpolate,
    ),
]
