"""Layers that only rearrange."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


@dataclass(frozen=True)
class Flatten:
    """y = x with the axes start_dim … end_dim (inclusive) gathered into one.

    Shapes: x any, y (*before, product of the gathered axes, *after); rank 0 becomes (1,).
    Gradient: dx = dy in x's shape. As in torch, y and dx are views of x and dy where those are contiguous.

    Raises IndexError where an axis does not exist, ValueError where start_dim comes after end_dim.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    start_dim: int = 1
    end_dim: int = -1

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Flatten", x=x)
        start = _check.axis("Flatten", "start_dim", self.start_dim, x.ndim)
        end = _check.axis("Flatten", "end_dim", self.end_dim, x.ndim)
        if start > end:
            raise ValueError(f"Flatten: start_dim={self.start_dim} comes after end_dim={self.end_dim} in {x.shape}")
        shape = (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])

        def backward(dy: Array) -> Gradients:
            return {"x": _check.cotangent("Flatten", dy, shape).reshape(x.shape)}

        return x.reshape(shape), backward


@dataclass(frozen=True)
class Unflatten:
    """y = x with axis `dim` split into axes of the sizes `unflattened_size`; one of them may be -1, for what is left.

    Shapes: x (*before, n, *after), at least one axis; y (*before, *unflattened_size, *after), the sizes' product n.
    Gradient: dx = dy in x's shape. As in torch, y and dx are views of x and dy where those are contiguous.

    Named dimensions, which torch's documentation mentions, are refused, as by torch.nn.Unflatten itself.

    Raises IndexError where the axis does not exist, ValueError for sizes that do not multiply up to it, TypeError for
    sizes that are not integers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unflatten.html
    """

    dim: int
    unflattened_size: tuple[int, ...]

    def __post_init__(self) -> None:
        _check.integer("Unflatten", "dim", self.dim)
        sizes = self.unflattened_size
        if not isinstance(sizes, tuple | list) or any(type(size) is not int for size in sizes):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of integers, not of names, got {sizes!r}")
        if not sizes or min(sizes) < -1 or sizes.count(-1) > 1:
            raise ValueError(f"Unflatten: unflattened_size must hold sizes, at most one of them -1, got {sizes!r}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Unflatten", x=x)
        axis = _check.axis("Unflatten", "dim", self.dim, x.ndim)
        if not x.ndim:
            raise ValueError("Unflatten: x must have at least one dimension, got shape ()")
        n, sizes = x.shape[axis], self.unflattened_size
        known = math.prod(size for size in sizes if size >= 0)
        # Beside a 0, -1 could be anything.
        if (-1 in sizes and (not known or n % known)) or (-1 not in sizes and known != n):
            raise ValueError(f"Unflatten: unflattened_size {sizes} does not multiply up to the {n} of x.shape[{axis}]")
        split = (n // known if size < 0 else size for size in sizes)
        y = x.reshape(*x.shape[:axis], *split, *x.shape[axis + 1 :])

        def backward(dy: Array) -> Gradients:
            return {"x": _check.cotangent("Unflatten", dy, y.shape).reshape(x.shape)}

        return y, backward


def _image(layer: str, x: Array) -> Array:
    """x, refused unless it has channels, rows and columns."""
    (x,) = _check.real(layer, x=x)
    if x.ndim < 3:
        raise ValueError(f"{layer}: x must have at least 3 dimensions (*, C, H, W), got shape {x.shape}")
    return x


def _shuffle(x: Array, r: int) -> Array:
    """(*, C·r², H, W) to (*, C, H·r, W·r): r² channels become blocks of r by r cells."""
    *lead, channels, height, width = x.shape
    blocks = x.reshape(*lead, channels // r**2, r, r, height, width)
    cells = np.moveaxis(blocks, (-4, -3), (-3, -1))
    return cells.reshape(*lead, channels // r**2, height * r, width * r)


def _unshuffle(y: Array, r: int) -> Array:
    """The inverse of `_shuffle`, which is its adjoint: nothing but the order changes."""
    *lead, channels, height, width = y.shape
    cells = y.reshape(*lead, channels, height // r, r, width // r, r)
    blocks = np.moveaxis(cells, (-3, -1), (-4, -3))
    return blocks.reshape(*lead, channels * r**2, height // r, width // r)


@dataclass(frozen=True)
class PixelShuffle:
    """y[…, c, h·r + i, w·r + j] = x[…, c·r² + i·r + j, h, w], r being `upscale_factor`.

    Shapes: x (*, C·r², H, W), y (*, C, H·r, W·r); * is any number of axes, none included. Any of them may be empty
    (torch has no gradient there). Gradient: dx is PixelUnshuffle of dy.

    Raises ValueError where r² does not divide the channels, TypeError where r is not an integer.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html; Shi et al., Real-Time Single
    Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network, 2016.
    """

    upscale_factor: int

    def __post_init__(self) -> None:
        _check.integer("PixelShuffle", "upscale_factor", self.upscale_factor, least=1)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, r = "PixelShuffle", self.upscale_factor
        x = _image(name, x)
        if x.shape[-3] % r**2:
            raise ValueError(f"{name}: the channels of x must be a multiple of {r}², got shape {x.shape}")
        y = _shuffle(x, r)

        def backward(dy: Array) -> Gradients:
            return {"x": _unshuffle(_check.cotangent(name, dy, y.shape), r)}

        return y, backward


@dataclass(frozen=True)
class PixelUnshuffle:
    """y[…, c·r² + i·r + j, h, w] = x[…, c, h·r + i, w·r + j], r being `downscale_factor`.

    Shapes: x (*, C, H·r, W·r), y (*, C·r², H, W); * is any number of axes, none included. Any of them may be empty
    (torch then answers x in its own shape). Gradient: dx is PixelShuffle of dy.

    Raises ValueError where r does not divide height and width, TypeError where r is not an integer.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html
    """

    downscale_factor: int

    def __post_init__(self) -> None:
        _check.integer("PixelUnshuffle", "downscale_factor", self.downscale_factor, least=1)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name, r = "PixelUnshuffle", self.downscale_factor
        x = _image(name, x)
        if x.shape[-2] % r or x.shape[-1] % r:
            raise ValueError(f"{name}: height and width of x must be multiples of {r}, got shape {x.shape}")
        y = _unshuffle(x, r)

        def backward(dy: Array) -> Gradients:
            return {"x": _shuffle(_check.cotangent(name, dy, y.shape), r)}

        return y, backward


@dataclass(frozen=True)
class ChannelShuffle:
    """y[n, k·g + i] = x[n, i·C/g + k], g being `groups`: the channels of the groups take turns.

    Shapes: x (N, C, *) with at least one axis behind the channels, y the same.
    Gradient: dx is dy with its channels put back.

    Raises ValueError where g does not divide C, TypeError where it is not an integer.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html; Zhang et al., ShuffleNet, 2017.
    """

    groups: int

    def __post_init__(self) -> None:
        _check.integer("ChannelShuffle", "groups", self.groups, least=1)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "ChannelShuffle"
        x = _image(name, x)
        n, channels, *rest = x.shape
        if channels % self.groups:
            raise ValueError(f"{name}: x must have a multiple of {self.groups} channels, got shape {x.shape}")
        size = channels // self.groups
        y = x.reshape(n, self.groups, size, *rest).swapaxes(1, 2).reshape(x.shape)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape)
            return {"x": dy.reshape(n, size, self.groups, *rest).swapaxes(1, 2).reshape(x.shape)}

        return y, backward
