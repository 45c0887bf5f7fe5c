"""Bugs in pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradjury import impl
from gradjury.impl._windows import gather
from gradjury.oracle.vjp import Array, Backward
from gradjury.properties.contracts.common import pair

from . import contracts
from .bug import Bug


class AvgPoolFullDivisor(impl.AvgPool2d):
    """The backward divides by the whole kernel where the window hangs over the edge."""

    def __call__(self, x: Array) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, backward = super().__call__(x)
        if self.count_include_pad and self.divisor_override is None:
            height, width = pair(self.kernel_size)
            _, backward = impl.AvgPool2d.__call__(replace(self, divisor_override=height * width), x)
        return y, backward


@dataclass(frozen=True)
class AdaptiveAvgPool2d:
    """y[i, j] = the mean of x over rows ⌊i·H/h⌋ to ⌈(i + 1)·H/h⌉ and columns alike; a size of None keeps the axis."""

    output_size: int | tuple[int | None, ...]

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        asked = self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2
        sizes = [(n, n if out is None else out) for n, out in zip(x.shape[-2:], asked, strict=True)]
        rows, columns = (self._means(n, out).astype(x.dtype) for n, out in sizes)
        drows, dcolumns = (self._backward_means(n, out).astype(x.dtype) for n, out in sizes)
        return rows @ x @ columns.T, lambda dy: {"x": drows.T @ dy @ dcolumns}

    def _means(self, n: int, out: int) -> Array:
        """The windows as rows that sum to 1: (out, n)."""
        first, cell = np.arange(out)[:, None], np.arange(n)
        inside = (cell >= first * n // out) & (cell < -(-(first + 1) * n // out))
        return np.asarray(inside / inside.sum(axis=1, keepdims=True))

    def _backward_means(self, n: int, out: int) -> Array:
        return self._means(n, out)


class AdaptiveAvgPoolOneSize(AdaptiveAvgPool2d):
    """The backward divides by ⌈n / out⌉ for every window."""

    def _backward_means(self, n: int, out: int) -> Array:
        return np.asarray((self._means(n, out) > 0) / -(-n // out))


class MaxPoolAssigns(impl.MaxPool2d):
    """= where += is meant: a cell that wins several windows gets the gradient of one."""

    def __call__(self, x: Array) -> tuple[Any, Any]:
        """The right outputs with the wrong backward."""
        answer, _ = super().__call__(x)
        winners = _winners(self, x)

        def backward(dy: Array) -> dict[str, Array]:
            dx = np.zeros((int(np.prod(x.shape[:-2])), x.shape[-2] * x.shape[-1]), dy.dtype)
            if dy.size:
                np.put_along_axis(dx, winners.reshape(len(dx), -1), dy.reshape(len(dx), -1), axis=1)
            return {"x": dx.reshape(x.shape)}

        return answer, backward


class MaxPoolFirstDilationTwice(impl.MaxPool2d):
    """The backward looks for winners as far to the right as the dilation of the rows says."""

    def __call__(self, x: Array) -> tuple[Any, Any]:
        """The right outputs with the wrong backward."""
        answer, right = super().__call__(x)
        stride = pair(self.kernel_size if self.stride is None else self.stride)[1]
        reach = (pair(self.kernel_size)[1] - 1) * pair(self.dilation)[0]
        winners = _winners(self, x)
        start = np.arange(winners.shape[-1]) * stride - pair(self.padding)[1]
        found = winners % x.shape[-1] - start <= reach
        return answer, lambda dy: right(dy * found)


class MaxPoolWithoutDilation(impl.MaxPool2d):
    """`dilation` counts for the size of the output, but not for the cells of a window."""

    def __call__(self, x: Array) -> tuple[Any, Any]:
        """Forward and backward agree with each other."""
        answer, _ = super().__call__(x)
        out = np.asarray(answer[0] if self.return_indices else answer).shape[-2:]
        kernel, padding = pair(self.kernel_size), pair(self.padding)
        stride = pair(self.kernel_size if self.stride is None else self.stride)
        reach = [(o - 1) * s + k for o, s, k in zip(out, stride, kernel, strict=True)]
        widths = [(p, max(r - n - p, 0)) for r, n, p in zip(reach, x.shape[-2:], padding, strict=True)]
        flat = np.pad(np.arange(x.shape[-2] * x.shape[-1]).reshape(x.shape[-2:]), widths, constant_values=-1)
        cells = gather(flat, kernel, stride, (1, 1), out).reshape(-1, *out)
        planes = x.reshape(-1, x.shape[-2] * x.shape[-1])
        values = np.where(cells >= 0, planes[:, cells], -np.inf)
        place = values.argmax(axis=1)
        indices = np.take_along_axis(np.broadcast_to(cells, values.shape), place[:, None], axis=1)[:, 0]
        shape = (*x.shape[:-2], *out)
        y = values.max(axis=1).astype(x.dtype).reshape(shape)

        def backward(dy: Array) -> dict[str, Array]:
            dx = np.zeros(planes.shape, dy.dtype)
            plane = np.arange(len(planes))[:, None, None]
            np.add.at(dx, (plane, indices), dy.reshape(indices.shape))
            return {"x": dx.reshape(x.shape)}

        return ((y, indices.reshape(shape)) if self.return_indices else y), backward


def _winners(layer: impl.MaxPool2d, x: Array) -> Array:
    """The flat index of the winning cell of each window."""
    (_, indices), _ = impl.MaxPool2d.__call__(replace(layer, return_indices=True), x)
    return np.asarray(indices)


BUGS = [
    Bug(
        "average pool: divisor under ceil_mode",
        "Burn",
        "https://github.com/tracel-ai/burn/issues/5604",
        "The forward divided a window that hangs over the edge by the cells it holds, the backward by the kernel's.",
        impl.AvgPool2d,
        AvgPoolFullDivisor,
        "AvgPool2d",
    ),
    Bug(
        "adaptive average pool: one divisor",
        "PaddlePaddle",
        "https://github.com/PaddlePaddle/Paddle/pull/74077",
        "The backward divided every window by the same size, rounded up, though adaptive windows differ in size.",
        AdaptiveAvgPool2d,
        AdaptiveAvgPoolOneSize,
        contracts.AdaptiveAvgPool2d,
    ),
    Bug(
        "max pool: = for +=",
        "NNlib.jl",
        "https://github.com/FluxML/NNlib.jl/issues/205",
        "A cell that is the maximum of several overlapping windows got the gradient of only one of them.",
        impl.MaxPool2d,
        MaxPoolAssigns,
        "MaxPool2d",
    ),
    Bug(
        "max pool: first dilation twice",
        "Burn",
        "https://github.com/tracel-ai/burn/pull/4466",
        "The backward used the dilation of the rows for the columns as well, and lost winners outside that reach.",
        impl.MaxPool2d,
        MaxPoolFirstDilationTwice,
        "MaxPool2d",
    ),
    Bug(
        "max pool: dilation accepted, not used",
        "FastNN",
        "https://github.com/CanReader/FastNN/issues/4",
        "Dilation gave the output its size, but the windows were read undilated, forward and backward alike.",
        impl.MaxPool2d,
        MaxPoolWithoutDilation,
        "MaxPool2d",
    ),
]
