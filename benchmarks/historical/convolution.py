"""Bugs in convolutions and transposed convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradjury import impl
from gradjury.impl._windows import gather, scatter
from gradjury.oracle.vjp import Array, Backward
from gradjury.properties.contracts.common import pair

from . import contracts
from .bug import Bug

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class ConvTranspose2d:
    """The adjoint of a convolution: each cell of x lays the filters, weighted, over y; dx is a convolution of dy."""

    stride: int | Sizes = 1
    padding: int | Sizes = 0
    output_padding: int | Sizes = 0
    groups: int = 1
    dilation: int | Sizes = 1

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        stride, padding, extra, dilation = map(pair, (self.stride, self.padding, self.output_padding, self.dilation))
        groups, n_in, kernel = self.groups, weight.shape[0], weight.shape[2:]
        n_out = weight.shape[1] * groups
        batch = x if x.ndim == 4 else x[None]
        n, sizes = len(batch), batch.shape[2:]
        rows = batch.reshape(n, groups, n_in // groups, sizes[0] * sizes[1])
        filters = weight.reshape(groups, n_in // groups, n_out // groups * kernel[0] * kernel[1])
        # y with the padding that is cut off at the end.
        geometry = zip(sizes, stride, dilation, kernel, extra, strict=True)
        wide = tuple((m - 1) * s + d * (k - 1) + 1 + o for m, s, d, k, o in geometry)
        inner: tuple[Any, ...] = (..., *(slice(p, size - p) for p, size in zip(padding, wide, strict=True)))
        columns = filters.swapaxes(-1, -2) @ rows
        padded = np.zeros((n, n_out, *wide), x.dtype)
        scatter(columns.reshape(n, n_out, *kernel, *sizes), padded, stride, dilation)
        y = padded[inner]
        if bias is not None:
            y = y + bias[:, None, None]

        def columns_of(dpadded: Array, counts: Sizes) -> Array:
            """The windows of the padded cotangent, as the convolution of the backward sees them."""
            windows = gather(dpadded, kernel, stride, dilation, counts)
            return windows.reshape(n, groups, filters.shape[-1], counts[0] * counts[1])

        def backward(dy: Array) -> dict[str, Array]:
            dy = dy if dy.ndim == 4 else dy[None]
            dpadded = np.zeros((n, n_out, *wide), dy.dtype)
            dpadded[inner] = dy
            counts = self._positions(sizes, wide, kernel, stride, dilation)
            dx = (filters @ columns_of(dpadded, counts)).reshape(n, n_in, *counts)
            dweight = (rows @ columns_of(dpadded, sizes).swapaxes(-1, -2)).sum(axis=0)
            grads = {"x": dx if x.ndim == 4 else dx[0], "weight": dweight.reshape(weight.shape)}
            if bias is not None:
                grads["bias"] = dy.sum(axis=(0, 2, 3))
            return grads

        return np.ascontiguousarray(y if x.ndim == 4 else y[0]), backward

    def _positions(self, sizes: Sizes, wide: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:  # noqa: ARG002
        """How many windows of the padded cotangent give a cell of dx."""
        return sizes


class ConvTransposeKeepsOutputPadding(ConvTranspose2d):
    """The backward's convolution runs over the output padding too, which can give more cells than x has."""

    def _positions(self, sizes: Sizes, wide: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:  # noqa: ARG002
        geometry = zip(wide, kernel, stride, dilation, strict=True)
        return tuple((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in geometry)


class ConvTransposeIgnoresOutputPadding(ConvTranspose2d):
    """`output_padding` is accepted and goes nowhere."""

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Backward]:
        """The layer without output padding."""
        return ConvTranspose2d.__call__(replace(self, output_padding=0), x, weight, bias)


class ConvAveragedWeightGradient(impl.Conv2d):
    """The weight's gradient is averaged over batch and positions."""

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, right = super().__call__(x, weight, bias)

        def backward(dy: Array) -> dict[str, Array]:
            grads = right(dy)
            return grads | {"weight": grads["weight"] / max(dy.size // self.out_channels, 1)}

        return y, backward


class ConvGroupsInterleaved(impl.Conv2d):
    """For the weight's gradient, input channel c·groups + g stands in for channel g·(C/groups) + c."""

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, right = super().__call__(x, weight, bias)
        lead, spatial = x.shape[:-3], x.shape[-2:]
        split = x.reshape(*lead, self.in_channels // self.groups, self.groups, *spatial)
        _, mixed = super().__call__(split.swapaxes(-3, -4).reshape(x.shape), weight, bias)
        return y, lambda dy: right(dy) | {"weight": mixed(dy)["weight"]}


class ConvInputGradientCut(impl.Conv2d):
    """Of the cells at the end that no window reaches, dx keeps one at most."""

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, right = super().__call__(x, weight, bias)
        kernel, stride, dilation = map(pair, (self.kernel_size, self.stride, self.dilation))
        cut: list[Any] = [...]
        for axis, widths in enumerate(self._widths()):
            reach = dilation[axis] * (kernel[axis] - 1) + 1
            unreached = (x.shape[axis - 2] + sum(widths) - reach) % stride[axis]
            cut.append(slice(x.shape[axis - 2] - max(unreached - 1, 0)))

        def backward(dy: Array) -> dict[str, Array]:
            grads = right(dy)
            return grads | {"x": grads["x"][tuple(cut)].copy()}

        return y, backward


BUGS = [
    Bug(
        "conv transpose: gradient of the output padding",
        "Burn",
        "https://github.com/tracel-ai/burn/issues/4845",
        "The backward convolved the cells of output_padding too, so the gradient of x came out longer than x.",
        ConvTranspose2d,
        ConvTransposeKeepsOutputPadding,
        contracts.ConvTranspose2d,
    ),
    Bug(
        "conv transpose: output_padding ignored",
        "PyTorch",
        "https://github.com/pytorch/pytorch/issues/964",
        "The layer took output_padding and did not pass it on to the kernel.",
        ConvTranspose2d,
        ConvTransposeIgnoresOutputPadding,
        contracts.ConvTranspose2d,
    ),
    Bug(
        "conv: weight gradient averaged",
        "cTensor",
        "https://github.com/sebgao/cTensor/issues/3",
        "The gradient of the filters was divided by batch size times positions, as if the loss were an average.",
        impl.Conv2d,
        ConvAveragedWeightGradient,
        "Conv2d",
    ),
    Bug(
        "conv: groups interleaved",
        "PyTorch (torch.nn.grad)",
        "https://github.com/pytorch/pytorch/issues/51430",
        "With groups of several channels, the gradient of the filters paired them with channels of other groups.",
        impl.Conv2d,
        ConvGroupsInterleaved,
        "Conv2d",
    ),
    Bug(
        "conv: input gradient too short",
        "Burn",
        "https://github.com/tracel-ai/burn/issues/4799",
        "Where the stride leaves two or more cells at the end unseen, the gradient of x came out shorter than x.",
        impl.Conv2d,
        ConvInputGradientCut,
        "Conv2d",
    ),
]
