"""Convolutions. What torch calls a convolution is a cross-correlation: the filter is not rotated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import _check
from ._borders import border
from ._check import Array, Backward, Gradients
from ._convolution import Filter, adjoint_weight, adjoint_x, check_channels, check_x, correlate, draw
from ._windows import Sizes, Widths

# Names of the padding modes, those of torch.nn.functional.pad but for one.
PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


@dataclass(frozen=True)
class _Conv:
    """A convolution of any spatial rank."""

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] | str = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        name, rank = type(self).__name__, self._rank
        check_channels(name, self.in_channels, self.out_channels, self.groups)
        _check.choice(name, "padding_mode", self.padding_mode, tuple(PADDING_MODES))
        form = self._filter
        if isinstance(self.padding, str):
            _check.choice(name, "padding", self.padding, ("valid", "same"))
            if self.padding == "same" and form.stride != (1,) * rank:
                raise ValueError(f'{name}: padding="same" needs stride 1, got {self.stride!r}')
        else:
            self._padding()

    @property
    def _filter(self) -> Filter:
        name, rank = type(self).__name__, self._rank
        return Filter(
            _check.integers(name, "kernel_size", self.kernel_size, least=1, rank=rank),
            _check.one_or_more(name, "stride", self.stride, least=1, rank=rank),
            _check.one_or_more(name, "dilation", self.dilation, least=1, rank=rank),
            self.groups,
        )

    def _padding(self) -> Sizes:
        """The padding in numbers. As in torch only zeros take one number in a tuple, and only the other modes crop."""
        name, rank = type(self).__name__, self._rank
        if self.padding_mode == "zeros":
            return _check.one_or_more(name, "padding", self.padding, least=0, rank=rank)
        return _check.integers(name, "padding", self.padding, rank=rank)

    def _widths(self) -> Widths:
        """How far each spatial axis is padded, (before, after); cropped where negative."""
        if self.padding == "valid":
            return ((0, 0),) * self._rank
        if self.padding == "same":
            return tuple(((reach - 1) // 2, reach // 2) for reach in self._filter.reach)
        return tuple((size, size) for size in self._padding())

    def __call__(self, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, rank, form, widths = type(self).__name__, self._rank, self._filter, self._widths()
        _check.optional(name, "bias", self.bias, bias)
        x, weight = _check.real(name, x=x, weight=weight)
        batch = check_x(name, x, self.in_channels, rank)
        _check.shape(name, "weight", weight, (self.out_channels, self.in_channels // self.groups, *form.kernel))
        _check_padding(name, batch.shape[2:], widths, self.padding_mode)
        spatial = tuple(n + before + after for n, (before, after) in zip(batch.shape[2:], widths, strict=True))
        if any(r > size for r, size in zip(form.reach, spatial, strict=True)):
            raise ValueError(f"{name}: a kernel that reaches over {form.reach} does not fit the padded input {spatial}")
        unpadded = not any(map(any, widths))
        padded, adjoint = (batch, _same) if unpadded else border(batch, widths, PADDING_MODES[self.padding_mode])
        out = tuple((size - r) // s + 1 for size, r, s in zip(spatial, form.reach, form.stride, strict=True))

        y = correlate(padded, weight, form, out)
        if bias is not None:
            _, bias = _check.real(name, x=x, bias=bias)
            _check.shape(name, "bias", bias, (self.out_channels,))
            y += np.expand_dims(bias, tuple(range(1, rank + 1)))
        answer = _check.like(y, x)

        def backward(dy: Array) -> Gradients:
            dy = _check.spatial(name, "dy", _check.cotangent(name, dy, answer.shape), rank)
            dx = adjoint(adjoint_x(dy, weight, form, spatial))
            grads = {"x": _check.like(dx, x), "weight": adjoint_weight(dy, padded, form)}
            if bias is not None:
                grads["bias"] = dy.sum(axis=(0, *range(2, dy.ndim)))
            return grads

        return answer, backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√fan_in as torch draws them; fan_in = C/groups · cells of the kernel."""
        shape = (self.out_channels, self.in_channels // self.groups, *self._filter.kernel)
        return draw(rng, shape, self.out_channels if self.bias else 0, dtype)


class Conv1d(_Conv):
    """y[n, k, i] = b[k] + Σ x̂[n, c, i·s + u·d] · W[k, c, u] over c, u; x̂ is x padded.

    Shapes: x (N, C, L) or (C, L); weight (K, C/groups, kernel); bias (K,); y (N, K, L') or (K, L') with
    L' = ⌊(L + padding - d·(kernel - 1) - 1)/s⌋ + 1. Options, conventions, gradient and errors are those of Conv2d.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
    """

    _rank = 1


class Conv2d(_Conv):
    """y[n, k, i, j] = b[k] + Σ x̂[n, c, i·s + u·d, j·s + v·d] · W[k, c, u, v] over c, u, v; x̂ is x padded.

    Shapes: x (N, C, H, W) or (C, H, W); weight (K, C/groups, kh, kw); bias (K,); y (N, K, H', W') or (K, H', W')
    with H' = ⌊(H + padding - d·(kh - 1) - 1)/s⌋ + 1, padding counted on both sides. With `groups`, the
    channels fall into that many blocks, each seen by its own block of filters. Arrays share one floating dtype.

    `padding` is a number, one a spatial axis, "valid" (none) or "same" (stride 1 only; an odd total puts
    the larger half behind). `padding_mode`: "zeros", "reflect", "replicate" or "circular"; negative padding crops, in
    all modes but "zeros".

    Gradient: with the windows of x̂ as columns X, y = W·X, so dW = Σ dy·Xᵀ over the batch, dX = Wᵀ·dy, and dx adds
    every cell of dX to the cell of x it was copied from; db = Σ dy over batch and positions.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html; the columns: Chellapilla,
    Puri, Simard, High Performance Convolutional Neural Networks for Document Processing, 2006.
    """

    _rank = 2


class Conv3d(_Conv):
    """y[n, k, h, i, j] = b[k] + Σ x̂[n, c, h·s + t·d, i·s + u·d, j·s + v·d] · W[k, c, t, u, v] over c, t, u, v.

    Shapes: x (N, C, D, H, W) or (C, D, H, W); weight (K, C/groups, kd, kh, kw); bias (K,); y (N, K, D', H', W') or
    (K, D', H', W') with D' = ⌊(D + padding - d·(kd - 1) - 1)/s⌋ + 1. x̂ is x padded. Options, conventions, gradient
    and errors are those of Conv2d.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
    """

    _rank = 3


def _same(dy: Array) -> Array:
    return dy


def _check_padding(layer: str, spatial: Sizes, widths: Widths, mode: str) -> None:
    """Reflection needs more cells than it mirrors, a circle at least as many as it repeats."""
    for size, width in zip(spatial, widths, strict=True):
        widest = max(width)
        if (mode == "reflect" and widest >= size) or (mode == "circular" and widest > size):
            raise ValueError(f"{layer}: padding {widest} is too wide for {size} cells in mode {mode!r}")
