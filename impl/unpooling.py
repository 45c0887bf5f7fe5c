"""Max unpooling: values go back to the cells that the maxima came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._windows import Sizes


@dataclass(frozen=True)
class _MaxUnpool:
    """What all ranks share. torch asks for a positive stride in three dimensions only."""

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] = 0

    _rank: ClassVar[int]
    _least_stride: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        self._geometry()

    def __call__(
        self, x: Array, indices: Array, output_size: Sequence[int] | Array | None = None
    ) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        planes = _check.spatial(name, "x", x, self._rank)
        if 0 in x.shape[1:]:
            raise ValueError(f"{name}: only the first axis of x may be empty, got shape {x.shape}")
        out = self._out_sizes(planes.shape[2:], output_size)
        count, cells = math.prod(planes.shape[:2]), math.prod(out)
        indices = np.asarray(indices)
        if indices.dtype != np.int64:
            raise TypeError(f"{name}: indices must be int64, got dtype {indices.dtype}")
        _check.shape(name, "indices", indices, x.shape)
        if ((indices < 0) | (indices >= cells)).any():
            raise IndexError(
                f"{name}: indices must be cells of a plane of {cells}, got {indices.min()} to {indices.max()}"
            )

        goal = indices.reshape(count, math.prod(planes.shape[2:])).copy()
        y = np.zeros((count, cells), x.dtype)
        np.put_along_axis(y, goal, x.reshape(goal.shape), axis=1)
        shape = (*planes.shape[:2], *out)[planes.ndim - x.ndim :]

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, shape).reshape(count, cells)
            return {"x": np.take_along_axis(dy, goal, axis=1).reshape(x.shape)}

        return y.reshape(shape), backward

    def _geometry(self) -> tuple[Sizes, Sizes, Sizes]:
        """Kernel, stride and padding of each axis."""
        name, rank = type(self).__name__, self._rank
        kernel = _check.integers(name, "kernel_size", self.kernel_size, rank=rank)
        given = kernel if self.stride is None else self.stride
        stride = _check.integers(name, "stride", given, least=self._least_stride, rank=rank)
        return kernel, stride, _check.integers(name, "padding", self.padding, rank=rank)

    def _out_sizes(self, spatial: Sizes, output_size: Sequence[int] | Array | None) -> Sizes:
        """The spatial axes of y: what pooling came from if every window was full, or less than a stride off that."""
        name, rank = type(self).__name__, self._rank
        kernel, stride, padding = self._geometry()
        full = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(spatial, stride, kernel, padding, strict=True))
        out = full if output_size is None else self._wanted(output_size)
        if len(out) == rank + 2:
            out = out[2:]
        if len(out) != rank:
            raise ValueError(f"{name}: output_size must hold {rank} or {rank + 2} numbers, got {output_size!r}")
        for size, normal, s in zip(out, full, stride, strict=True):
            if output_size is not None and not normal - s < size < normal + s:
                raise ValueError(
                    f"{name}: output_size must be between {normal - s} and {normal + s}, both excluded, got {size}"
                )
            if size < 0:
                raise ValueError(f"{name}: padding {self.padding!r} leaves {size} cells")
        return out

    def _wanted(self, output_size: Sequence[int] | Array) -> Sizes:
        """The sequence or array as a tuple of integers."""
        if isinstance(output_size, np.ndarray) and (output_size.ndim != 1 or output_size.dtype.kind not in "iu"):
            raise TypeError(
                f"{type(self).__name__}: output_size must be one row of integers, "
                f"got {output_size.dtype} in shape {output_size.shape}"
            )
        try:
            sizes = tuple(output_size)
        except TypeError:
            raise TypeError(
                f"{type(self).__name__}: output_size must be a sequence of integers, got {output_size!r}"
            ) from None
        return tuple(_check.integer(type(self).__name__, "output_size", size) for size in sizes)


class MaxUnpool1d(_MaxUnpool):
    """y[n, c, indices[n, c, i]] = x[n, c, i], 0 elsewhere: what `MaxPool1d` with `return_indices` lost is zero.

    Shapes: x (N, C, L) or (C, L); indices int64, of the same shape, cells of the plane; y (N, C, L') or (C, L') with
    L' = (L - 1)·stride + kernel_size - 2·padding, or as asked for by `output_size` at the call: a sequence or array of
    the spatial axes, or of all axes of a batch, where each differs by less than a stride from that; `stride` None is
    the kernel size. As in torch the options have no other use and may be any integers that leave a size.

    Gradient: dx = dy at the indices. If indices repeat, the last value is kept, and each gets the cell's gradient; in
    torch it is unspecified which value wins.

    Raises ValueError, TypeError or IndexError for what torch refuses, and for indices into a plane without cells.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html; Zeiler, Taylor, Fergus, Adaptive
    Deconvolutional Networks for Mid and High Level Feature Learning, 2011.
    """

    _rank = 1


class MaxUnpool2d(_MaxUnpool):
    """`MaxUnpool1d` for planes: y[n, c].ravel()[indices[n, c, i, j]] = x[n, c, i, j], 0 elsewhere.

    Shapes: x and indices (N, C, H, W) or (C, H, W), y (N, C, H', W') or (C, H', W'); sizes, gradient, repeated indices
    and errors are as for `MaxUnpool1d`, the indices flat in the plane.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
    """

    _rank = 2


class MaxUnpool3d(_MaxUnpool):
    """`MaxUnpool1d` for volumes: y[n, c].ravel()[indices[n, c, i, j, k]] = x[n, c, i, j, k], 0 elsewhere.

    Shapes: x and indices (N, C, D, H, W) or (C, D, H, W), y (N, C, D', H', W') or (C, D', H', W'); sizes, gradient,
    repeated indices and errors are as for `MaxUnpool1d`, the indices flat in the volume; here the stride is at least 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html
    """

    _rank = 3
    _least_stride = 1
