"""Resampling of signals, images and volumes to another size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from . import _check, _resampling
from ._check import Array, Backward, Gradients
from ._resampling import Taps

Size = int | tuple[int, ...] | list[int] | None
Factor = float | tuple[float, ...] | list[float] | None

# The modes that ask where the corners are, and in how many spatial dimensions they work.
_RANKS = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,), "lanczos": (2,)}
_PLAIN = ("nearest", "nearest-exact", "area")
_KERNELS = {
    "bilinear": (_resampling.triangle, 1),
    "bicubic": (_resampling.keys, 2),
    "lanczos": (_resampling.lanczos, 3),
}

# Below this sum of H' and W' torch finds the nearest cells of an image in float32, whatever the dtype.
_SMALL_IMAGE = 128


@dataclass(frozen=True)
class Interpolate:
    """x resampled along each spatial axis: y[i] = Σ weight[i, j] · x[j], one such sum nested in the other.

    Shapes: x (N, C, *n) with 1 to 3 spatial axes, y (N, C, *out). `size` gives out, or `scale_factor` with
    out = ⌊n·scale_factor⌋; a number stands for all axes. The step is s = n/out; with `scale_factor` it is
    1/scale_factor, unless `recompute_scale_factor`; with `align_corners` it is (n - 1)/(out - 1), or 0 for out = 1.
    The centre of output i lies at c = s·(i + ½) - ½, with `align_corners` at s·i, between the input cells 0, 1, ….

    - "nearest": cell ⌊i·s⌋; "nearest-exact": ⌊(i + ½)·s⌋.
    - "linear", "bilinear", "trilinear" (1, 2, 3 spatial axes): the cells on both sides of c, by nearness.
    - "bicubic" (2): the four cells around c by cubic convolution, A = -¾; beyond the edge, the cell at the edge.
    - "area": the mean of the cells ⌊i·n/out⌋ to ⌈(i + 1)·n/out⌉ - 1.
    - "bilinear", "bicubic" (A = -½) and "lanczos" (3 lobes) with `antialias` (2): a kernel around c, stretched
      by s where s > 1, of which what lies inside x is scaled to sum 1.

    Gradient: dx[j] = Σ weight[i, j] · dy[i], the transposed matrix along each axis.

    Conventions: positions are rounded step by step as torch rounds them in the dtype of x; the cell of "nearest" is the
    one that torch's forward takes, and the gradient goes to that very cell. A tap of weight 0 is a tap: 0·∞ is NaN.

    Raises ValueError or TypeError for configurations and shapes that torch refuses; only the batch may be empty.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html; Keys, Cubic Convolution
    Interpolation for Digital Image Processing, 1981.
    """

    size: Size = None
    scale_factor: Factor = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None
    antialias: bool = False

    def __post_init__(self) -> None:
        _check_options(
            "Interpolate", self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )
        if self.antialias and self.mode not in _KERNELS:
            raise ValueError(f"Interpolate: antialias needs one of the modes {', '.join(_KERNELS)}, got {self.mode!r}")
        if self.mode == "lanczos" and (self.align_corners or not self.antialias):
            raise ValueError("Interpolate: mode 'lanczos' needs antialias=True, and no align_corners=True")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        return _resample("Interpolate", self, x, self.antialias)


@dataclass(frozen=True)
class Upsample:
    """`Interpolate` without antialiasing; a `scale_factor` of 0 counts as none.

    Shapes, formula, gradient and errors: see `Interpolate`. `mode` is any but "lanczos".

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html
    """

    size: Size = None
    scale_factor: Factor = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def __post_init__(self) -> None:
        factor = _factor("Upsample", self.scale_factor)
        _check_options("Upsample", self.size, factor, self.mode, self.align_corners, self.recompute_scale_factor)
        if self.mode == "lanczos":
            raise ValueError("Upsample: mode 'lanczos' needs antialiasing, which only Interpolate has")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        return _resample("Upsample", self, x)


@dataclass(frozen=True)
class UpsamplingNearest2d:
    """`Upsample` with mode "nearest", whose documentation holds; like torch's, for 1 to 3 spatial axes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html
    """

    size: Size = None
    scale_factor: Factor = None

    def __post_init__(self) -> None:
        factor = _factor("UpsamplingNearest2d", self.scale_factor)
        _check_options("UpsamplingNearest2d", self.size, factor, "nearest", None, None)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        return _resample("UpsamplingNearest2d", Upsample(self.size, self.scale_factor), x)


@dataclass(frozen=True)
class UpsamplingBilinear2d:
    """`Upsample` with mode "bilinear" and `align_corners`, whose documentation holds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html
    """

    size: Size = None
    scale_factor: Factor = None

    def __post_init__(self) -> None:
        factor = _factor("UpsamplingBilinear2d", self.scale_factor)
        _check_options("UpsamplingBilinear2d", self.size, factor, "bilinear", True, None)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        options = Upsample(self.size, self.scale_factor, "bilinear", align_corners=True)
        return _resample("UpsamplingBilinear2d", options, x)


def _factor(layer: str, factor: Factor) -> Factor:
    """The modules take no list, and 0 for None."""
    if isinstance(factor, list):
        raise TypeError(f"{layer}: scale_factor must be a number or a tuple, got {factor!r}")
    return factor or None


def _check_options(
    layer: str, size: Size, factor: Factor, mode: str, align_corners: bool | None, recompute: bool | None
) -> None:
    """What can be said of the options without knowing x."""
    _check.choice(layer, "mode", mode, (*_PLAIN, *_RANKS))
    if size is not None and factor is not None:
        raise ValueError(f"{layer}: size and scale_factor must not both be given, got {size!r} and {factor!r}")
    if size is None and factor is None:
        raise ValueError(f"{layer}: size or scale_factor must be given")
    if size is not None and recompute:
        raise ValueError(f"{layer}: recompute_scale_factor has no meaning where size is given")
    for length in size if isinstance(size, list | tuple) else () if size is None else (size,):
        _check.integer(layer, "size", length, least=1)
    for number in factor if isinstance(factor, list | tuple) else () if factor is None else (factor,):
        _check.number(layer, "scale_factor", number)
        if not 0 < number < np.inf:
            raise ValueError(f"{layer}: scale_factor must be positive and finite, got {number!r}")
    if align_corners is not None:
        if mode in _PLAIN:
            raise ValueError(f"{layer}: align_corners must be None in mode {mode!r}, got {align_corners!r}")
        _check.boolean(layer, "align_corners", align_corners)


def _resample(layer: str, options: Interpolate | Upsample, x: Array, antialias: bool = False) -> tuple[Array, Backward]:
    """y and its backward pass, axis by axis."""
    (x,) = _check.real(layer, x=x)
    rank = x.ndim - 2
    if rank not in ((2,) if antialias else _RANKS.get(options.mode, (1, 2, 3))):
        raise ValueError(f"{layer}: x must have the dimensions of mode {options.mode!r}, got shape {x.shape}")
    if 0 in x.shape[1:]:
        raise ValueError(f"{layer}: only the batch axis of x may be empty, got shape {x.shape}")
    out, factors = _out_sizes(layer, options, x.shape[2:])
    sizes = list(zip(x.shape[2:], out, factors, strict=True))
    taps, transposed = _taps(options, antialias, x.dtype.type, sizes)
    # The axes that shrink most come first and leave less work for the others.
    axes = sorted(range(-1, -rank - 1, -1), key=lambda axis: out[axis] / x.shape[axis])

    y = x
    for axis in axes:
        y = taps[axis].apply(y, axis)

    def backward(dy: Array) -> Gradients:
        dx = _check.cotangent(layer, dy, y.shape)
        for axis in reversed(axes):
            dx = transposed[axis].adjoint(dx, axis)
        return {"x": dx}

    return y, backward


def _out_sizes(
    layer: str, options: Interpolate | Upsample, cells: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The output's length along each axis, and the factor to compute the positions with, if any."""
    rank = len(cells)
    if options.size is not None:
        return _check.integers(layer, "size", options.size, least=1, rank=rank), (None,) * rank
    given = options.scale_factor
    factors = tuple(given) if isinstance(given, list | tuple) else (given,) * rank
    if len(factors) != rank:
        raise ValueError(f"{layer}: scale_factor must be a number or {rank} numbers, got {given!r}")
    out = tuple(int(n * float(factor)) for n, factor in zip(cells, factors, strict=True))  # type: ignore[arg-type]
    if 0 in out:
        raise ValueError(f"{layer}: scale_factor {given!r} leaves nothing of {cells} cells")
    if options.recompute_scale_factor:
        return out, (None,) * rank
    return out, tuple(map(float, factors))  # type: ignore[arg-type]


def _taps(
    options: Interpolate | Upsample, antialias: bool, dtype: Any, sizes: list[tuple[int, int, float | None]]
) -> tuple[list[Taps], list[Taps]]:
    """The taps along each axis, and those of the backward pass, which may have other taps of weight 0."""
    align = bool(options.align_corners)
    make: Callable[..., Taps]
    if antialias:
        kernel, reach = _KERNELS[options.mode]
        make = partial(_resampling.antialiased, align=align, dtype=dtype, kernel=kernel, reach=reach)
    elif options.mode == "bicubic":
        make = partial(_resampling.cubic, align=align, dtype=dtype)
        # To the same size, the convolution copies, and so does torch's backward; torch's forward multiplies by zeros.
        copies = all(n == m and (n == 1 or align or factor in (None, 1)) for n, m, factor in sizes)
        back = (
            partial(_resampling.copy, dtype=dtype) if copies else partial(make, multiply_add=_resampling.rounded_twice)
        )
        return [make(*size) for size in sizes], [back(*size) for size in sizes]
    elif options.mode == "area":
        make = partial(_resampling.area, dtype=dtype)
    elif options.mode in _PLAIN:
        single = len(sizes) == 2 and sum(out for _, out, _ in sizes) <= _SMALL_IMAGE
        make = partial(_resampling.nearest, exact=options.mode == "nearest-exact", single=single, dtype=dtype)
    else:
        make = partial(_resampling.linear, align=align, dtype=dtype)
    taps = [make(*size) for size in sizes]
    return taps, taps
