"""Transposed convolutions: a convolution's backward pass as a forward pass, and the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import _check
from ._borders import crop, last, uncrop
from ._check import Array, Backward, Gradients
from ._convolution import Filter, adjoint_weight, adjoint_x, check_channels, check_x, correlate, draw
from ._windows import Sizes


@dataclass(frozen=True)
class _ConvTranspose:
    """A transposed convolution of any spatial rank."""

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    output_padding: int | tuple[int, ...] = 0
    groups: int = 1
    bias: bool = True
    dilation: int | tuple[int, ...] = 1
    padding_mode: str = "zeros"

    _rank: ClassVar[int]

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_channels(name, self.in_channels, self.out_channels, self.groups)
        _check.choice(name, "padding_mode", self.padding_mode, ("zeros",))
        self._options()

    def _options(self, one: bool = True) -> tuple[Filter, Sizes, Sizes]:
        """The filter, the padding and the output padding; `one` admits tuples of one number."""
        name, rank = type(self).__name__, self._rank
        read = _check.one_or_more if one else _check.integers
        form = Filter(
            _check.integers(name, "kernel_size", self.kernel_size, least=1, rank=rank),
            read(name, "stride", self.stride, least=1, rank=rank),
            read(name, "dilation", self.dilation, least=1, rank=rank),
            self.groups,
        )
        padding = read(name, "padding", self.padding, least=0, rank=rank)
        extra = _check.one_or_more(name, "output_padding", self.output_padding, least=0, rank=rank)
        return form, padding, extra

    def __call__(
        self,
        x: Array,
        weight: Array,
        bias: Array | None = None,
        output_size: Sequence[int] | Array | None = None,
    ) -> tuple[Array, Backward]:
        """y and its backward pass; `output_size` asks for one of the sizes that give x under the convolution."""
        name, rank = type(self).__name__, self._rank
        # torch looks at each axis' number when it is asked for a size, and does not find it in a tuple of one.
        form, padding, extra = self._options(one=output_size is None)
        _check.optional(name, "bias", self.bias, bias)
        x, weight = _check.real(name, x=x, weight=weight)
        batch = check_x(name, x, self.in_channels, rank)
        _check.shape(name, "weight", weight, (self.in_channels, self.out_channels // self.groups, *form.kernel))

        # What the filters reach, and of it what is left when the padding is cut off.
        axes = zip(batch.shape[2:], form.stride, form.reach, strict=True)
        laid = tuple((cells - 1) * s + r for cells, s, r in axes)
        least = tuple(size - 2 * p for size, p in zip(laid, padding, strict=True))
        if output_size is None:
            for o, s, d in zip(extra, form.stride, form.dilation, strict=True):
                if o >= max(s, d):
                    raise ValueError(f"{name}: output_padding must be smaller than stride or dilation, got {o}")
            sizes = tuple(size + o for size, o in zip(least, extra, strict=True))
        else:
            sizes = _asked(name, output_size, x, least, form.stride)
        if min(sizes) < 1:
            raise ValueError(f"{name}: padding leaves nothing of the output, its size would be {sizes}")
        wide = tuple(size + 2 * p for size, p in zip(sizes, padding, strict=True))
        cut = last(batch, tuple((-p, -p) for p in padding))

        y = crop(adjoint_x(batch, weight, form, wide), cut)
        if bias is not None:
            _, bias = _check.real(name, x=x, bias=bias)
            _check.shape(name, "bias", bias, (self.out_channels,))
            y += np.expand_dims(bias, tuple(range(1, rank + 1)))
        answer = _check.like(y, x)

        def backward(dy: Array) -> Gradients:
            dy = _check.spatial(name, "dy", _check.cotangent(name, dy, answer.shape), rank)
            dwide = uncrop(dy, (*y.shape[:2], *wide), cut)
            grads = {
                "x": _check.like(correlate(dwide, weight, form, batch.shape[2:]), x),
                "weight": adjoint_weight(batch, dwide, form),
            }
            if bias is not None:
                grads["bias"] = dy.sum(axis=(0, *range(2, dy.ndim)))
            return grads

        return answer, backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√fan_in as torch draws them; fan_in = K/groups · cells of the kernel."""
        shape = (self.in_channels, self.out_channels // self.groups, *self._options()[0].kernel)
        return draw(rng, shape, self.out_channels if self.bias else 0, dtype)


def _asked(layer: str, output_size: Any, x: Array, least: Sizes, stride: Sizes) -> Sizes:
    """The spatial sizes asked for, without the axes before them; ValueError where the convolution cannot give x."""
    rank = len(least)
    given = np.asarray(output_size)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise TypeError(f"{layer}: output_size must be a sequence of integers, got {output_size!r}")
    if len(given) not in (rank, x.ndim):
        raise ValueError(f"{layer}: output_size must hold {rank} or {x.ndim} integers for this x, got {output_size!r}")
    sizes = tuple(map(int, given[-rank:]))
    for size, low, step in zip(sizes, least, stride, strict=True):
        if not low <= size < low + step:
            most = tuple(low + step - 1 for low, step in zip(least, stride, strict=True))
            raise ValueError(f"{layer}: output_size must be from {least} to {most}, got {sizes}")
    return sizes


class ConvTranspose1d(_ConvTranspose):
    """ŷ[n, k, i·s + u·d] adds up x[n, c, i] · W[c, k, u] over c, i, u; y is ŷ without its padding, plus b[k].

    Shapes: x (N, C, L) or (C, L); weight (C, K/groups, kernel); bias (K,); y (N, K, L') or (K, L') with
    L' = (L - 1)·s - 2·padding + d·(kernel - 1) + 1 + output_padding. Options, conventions, gradient and errors are
    those of ConvTranspose2d.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
    """

    _rank = 1


class ConvTranspose2d(_ConvTranspose):
    """ŷ[n, k, i·s + u·d, j·s + v·d] adds up x[n, c, i, j] · W[c, k, u, v] over c, i, j, u, v; y is ŷ cut, plus b[k].

    It is the adjoint of the convolution with these filters: `padding` cells are cut off ŷ at either end of an axis.

    Shapes: x (N, C, H, W) or (C, H, W); weight (C, K/groups, kh, kw); bias (K,); y (N, K, H', W') or (K, H', W') with
    H' = (H - 1)·s - 2·padding + d·(kh - 1) + 1 + output_padding. `output_padding`, smaller than stride or dilation,
    adds cells at the end, where no filter may reach. `output_size`, given with the arrays, replaces it: the sizes of
    the spatial axes, or of all axes (those of batch and channels are not looked at), at most stride - 1 above the size
    without output padding. With `groups`, each block of channels has its own block of filters.

    Gradient: dx is the convolution of dy, padded, with the filters; dW[c, k, u, v] = Σ x[n, c, i, j] · dŷ[n, k, p, q]
    over n, i, j, with p = i·s + u·d and q = j·s + v·d; db = Σ dy over batch and positions.

    Raises ValueError or TypeError for configurations, shapes and sizes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html; Zeiler, Krishnan, Taylor,
    Fergus, Deconvolutional Networks, 2010.
    """

    _rank = 2


class ConvTranspose3d(_ConvTranspose):
    """ŷ[n, k, h·s + t·d, i·s + u·d, j·s + v·d] adds up x[n, c, h, i, j] · W[c, k, t, u, v]; y is ŷ cut, plus b[k].

    Shapes: x (N, C, D, H, W) or (C, D, H, W); weight (C, K/groups, kd, kh, kw); bias (K,); y (N, K, D', H', W') or
    (K, D', H', W') with D' = (D - 1)·s - 2·padding + d·(kd - 1) + 1 + output_padding. Options, conventions, gradient
    and errors are those of ConvTranspose2d.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
    """

    _rank = 3
