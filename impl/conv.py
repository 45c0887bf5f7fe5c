"""Convolutions. What torch calls a convolution is a cross-correlation: the filter is not rotated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._windows import PADDING_MODES, Sizes, Widths, gather, pad, scatter, unpad


@dataclass(frozen=True)
class Conv2d:
    """y[n, k, i, j] = b[k] + Σ x̂[n, c, i·s + u·d, j·s + v·d] · W[k, c, u, v] over c, u, v; x̂ is x padded.

    Shapes: x (N, C, H, W) or (C, H, W); weight (K, C/groups, kh, kw); bias (K,); y (N, K, H', W') or (K, H', W')
    with H' = ⌊(H + padding - d·(kh - 1) - 1)/s⌋ + 1, padding counted on both sides. With `groups`, the
    channels fall into that many blocks, each seen by its own block of filters. Arrays share one floating dtype.

    `padding` is a number, one a spatial axis, "valid" (none) or "same" (stride 1 only; an odd total puts
    the larger half behind). `padding_mode`: "zeros", "reflect", "replicate" or "circular".

    Gradient: with the windows of x̂ as columns X, y = W·X, so dW = Σ dy·Xᵀ over the batch, dX = Wᵀ·dy, and dx adds
    every cell of dX to the cell of x it was copied from; db = Σ dy over batch and positions.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html; the columns: Chellapilla,
    Puri, Simard, High Performance Convolutional Neural Networks for Document Processing, 2006.
    """

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] | str = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"

    def __post_init__(self) -> None:
        name = "Conv2d"
        _check.integer(name, "groups", self.groups, least=1)
        for option in ("in_channels", "out_channels"):
            if _check.integer(name, option, getattr(self, option), least=1) % self.groups:
                raise ValueError(f"{name}: {option} must be divisible by groups={self.groups}")
        _check.choice(name, "padding_mode", self.padding_mode, tuple(PADDING_MODES))
        stride = _check.integers(name, "stride", self.stride, least=1, rank=2, one=True)
        _check.integers(name, "kernel_size", self.kernel_size, least=1, rank=2)
        _check.integers(name, "dilation", self.dilation, least=1, rank=2, one=True)
        if isinstance(self.padding, str):
            _check.choice(name, "padding", self.padding, ("valid", "same"))
            if self.padding == "same" and stride != (1, 1):
                raise ValueError(f'{name}: padding="same" needs stride 1, got {self.stride!r}')
        else:
            _check.integers(name, "padding", self.padding, least=0, rank=2, one=self.padding_mode == "zeros")

    @property
    def _kernel(self) -> Sizes:
        return _check.integers("Conv2d", "kernel_size", self.kernel_size, least=1, rank=2)

    @property
    def _dilation(self) -> Sizes:
        return _check.integers("Conv2d", "dilation", self.dilation, least=1, rank=2, one=True)

    def _widths(self) -> Widths:
        """How far each spatial axis is padded, (before, after)."""
        if self.padding == "valid":
            return ((0, 0), (0, 0))
        if self.padding == "same":
            totals = [d * (k - 1) for k, d in zip(self._kernel, self._dilation, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        sizes = _check.integers("Conv2d", "padding", self.padding, least=0, rank=2, one=True)
        return tuple((size, size) for size in sizes)

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, kernel, dilation, widths = "Conv2d", self._kernel, self._dilation, self._widths()
        stride = _check.integers(name, "stride", self.stride, least=1, rank=2, one=True)
        _check.optional(name, "bias", self.bias, bias)
        x, weight = _check.real(name, x=x, weight=weight)
        batch = _check.spatial(name, "x", x, 2)
        n, channels = batch.shape[:2]
        if channels != self.in_channels:
            raise ValueError(f"{name}: x must have {self.in_channels} channels, got shape {x.shape}")
        groups, per_group = self.groups, self.in_channels // self.groups
        _check.shape(name, "weight", weight, (self.out_channels, per_group, *kernel))
        _check_padding(name, batch.shape[2:], widths, self.padding_mode)
        padded = pad(batch, widths, self.padding_mode)
        spatial = padded.shape[2:]
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        if any(r > size for r, size in zip(reach, spatial, strict=True)):
            raise ValueError(f"{name}: a kernel that reaches over {reach} does not fit the padded input {spatial}")
        out = tuple((size - r) // s + 1 for size, r, s in zip(spatial, reach, stride, strict=True))

        length = math.prod(out)
        columns = gather(padded, kernel, stride, dilation, out).reshape(
            n, groups, per_group * math.prod(kernel), length
        )
        filters = weight.reshape(groups, self.out_channels // groups, -1)
        y = (filters @ columns).reshape(n, self.out_channels, *out)
        if bias is not None:
            _, bias = _check.real(name, x=x, bias=bias)
            _check.shape(name, "bias", bias, (self.out_channels,))
            y = y + bias[:, None, None]
        unbatched = y.shape if x.ndim == 4 else y.shape[1:]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, unbatched)
            rows = dy.reshape(n, groups, self.out_channels // groups, length)
            dcolumns = filters.swapaxes(-1, -2) @ rows
            dpadded = scatter(dcolumns.reshape(n, channels, *kernel, *out), spatial, stride, dilation)
            grads = {
                "x": unpad(dpadded, widths, self.padding_mode).reshape(x.shape),
                "weight": (rows @ columns.swapaxes(-1, -2)).sum(axis=0).reshape(weight.shape),
            }
            if bias is not None:
                grads["bias"] = dy.reshape(n, self.out_channels, length).sum(axis=(0, 2))
            return grads

        return y.reshape(unbatched), backward

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√fan_in as torch draws them; fan_in = C/groups · kh · kw."""
        shape = (self.out_channels, self.in_channels // self.groups, *self._kernel)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        params: dict[str, Array] = {"weight": rng.uniform(-bound, bound, shape).astype(dtype)}
        if self.bias:
            params["bias"] = rng.uniform(-bound, bound, self.out_channels).astype(dtype)
        return params


def _check_padding(layer: str, spatial: Sizes, widths: Widths, mode: str) -> None:
    """Reflection needs more cells than it mirrors, a circle at least as many as it repeats; all need one."""
    if 0 in spatial:
        raise ValueError(f"{layer}: x must not have an empty axis besides the batch, got {spatial} cells")
    for size, width in zip(spatial, widths, strict=True):
        widest = max(width)
        if (mode == "reflect" and widest >= size and widest) or (mode == "circular" and widest > size):
            raise ValueError(f"{layer}: padding {widest} is too wide for {size} cells in mode {mode!r}")
