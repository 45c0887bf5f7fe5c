"""Borders around an array and the adjoint, by slices alone: one axis after the other, no cell looked up by its index.

Every layer of the family `padding` is `bordered`: widths of either sign, in torch.nn.functional.pad's modes and under
its rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._windows import Widths

MODES = ("constant", "reflect", "replicate", "circular")
MIRRORS = ("reflect", "replicate")


def widen(x: Array, widths: Widths, mode: str, value: float) -> Array:
    """A copy of x, its axes widened by (before, after), none negative; `mode` is torch.nn.functional.pad's."""
    y = np.empty(tuple(n + sum(width) for n, width in zip(x.shape, widths, strict=True)), x.dtype)
    y[_inner(x.shape, widths)] = x
    # An axis' border is made from all cells between its ends, borders of earlier axes among them: corners are right.
    for border, source, _ in _borders(y, widths, mode):
        border[...] = value if mode == "constant" else source
    return y


def fold(dy: Array, widths: Widths, mode: str) -> Array:
    """The adjoint of `widen`: what reached a border is added to the cells it was made from."""
    shape = tuple(n - sum(width) for n, width in zip(dy.shape, widths, strict=True))
    if mode == "constant":
        return np.array(dy[_inner(shape, widths)])
    dx = dy.copy()
    for border, source, shared in _borders(dx, widths, mode):
        if shared:
            source[0] += border.sum(axis=0)
        else:
            source += border
    return np.asarray(dx[_inner(shape, widths)])


def crop(x: Array, widths: Widths) -> Array:
    """A view of x without the cells that negative widths take off its axes."""
    return np.asarray(x[_kept(x.shape, widths)])


def uncrop(dy: Array, shape: tuple[int, ...], widths: Widths) -> Array:
    """The adjoint of `crop`: dy among zeros; dy itself where nothing was cut off."""
    if dy.shape == shape:
        return dy
    dx = np.zeros(shape, dy.dtype)
    dx[_kept(shape, widths)] = dy
    return dx


def last(x: Array, widths: Widths) -> Widths:
    """Widths of the last axes as those of all: the others stay as they are."""
    return ((0, 0),) * (x.ndim - len(widths)) + widths


def _kept(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    """The cells that the negative ones among the widths leave."""
    pairs = zip(shape, widths, strict=True)
    return tuple(slice(max(-before, 0), n + min(after, 0)) for n, (before, after) in pairs)


def _inner(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    """Where an array of this shape lies in the widened one."""
    return tuple(slice(before, before + n) for n, (before, _) in zip(shape, widths, strict=True))


def _borders(wide: Array, widths: Widths, mode: str) -> Iterator[tuple[Array, Array, bool]]:
    """Each border that is not empty, the cells it is made from, as views, and whether one cell makes all of it."""
    for axis, (before, after) in enumerate(widths):
        line = np.moveaxis(wide, axis, 0)
        end = len(line) - after
        for size, border, first in ((before, line[:before], True), (after, line[end:], False)):
            if not size:
                continue
            if mode == "reflect":
                mirrored = line[before + 1 : 2 * before + 1] if first else line[end - 1 - after : end - 1]
                yield border, mirrored[::-1], False
            elif mode == "circular":
                yield border, line[end - before : end] if first else line[before : before + after], False
            else:
                yield border, line[before : before + 1] if first else line[end - 1 : end], True


def read(layer: str, name: str, value: Any, axes: int | None) -> tuple[int, ...]:
    """The padding as integers, two an axis, the last axis first; a single number stands for all of `axes`."""
    if isinstance(value, list | tuple):
        if len(value) % 2:
            raise ValueError(f"{layer}: {name} must hold two numbers for each axis, got {value!r}")
    elif axes is None:
        raise TypeError(f"{layer}: {name} must be a tuple of integers, got {value!r}")
    else:
        value = (value,) * (2 * axes)
    return tuple(_check.integer(layer, name, number) for number in value)


def _widths(layer: str, name: str, x: Array, sizes: tuple[int, ...], mode: str) -> Widths:
    """(before, after) of the axes that are padded, in their order; ValueError where x has not as many."""
    axes = len(sizes) // 2
    if mode == "constant" and axes > x.ndim:
        raise ValueError(f"{layer}: {name} has numbers for {axes} axes, but x has shape {x.shape}")
    if mode != "constant" and not (axes in (1, 2, 3) and x.ndim in (axes + 1, axes + 2)):
        raise ValueError(
            f"{layer}: x must have a channel axis, and at most a batch axis, before the {axes} of 1 to 3 axes that "
            f"are padded in mode {mode!r}, got shape {x.shape}"
        )
    pairs = zip(sizes[::2], sizes[1::2], strict=True)
    return tuple(pairs)[::-1]


def _check_sizes(layer: str, name: str, x: Array, widths: Widths, mode: str) -> None:
    """ValueError where an axis is too short for what is mirrored, repeated or cut off."""
    lead, spatial = x.shape[: x.ndim - len(widths)], x.shape[x.ndim - len(widths) :]
    out = tuple(n + sum(width) for n, width in zip(spatial, widths, strict=True))
    if mode in MIRRORS:
        if 0 in (*lead[-1:], *spatial):
            raise ValueError(f"{layer}: only the batch axis of x may be empty in mode {mode!r}, got shape {x.shape}")
        # One axis may come out empty, but not all of them: torch asks it of them together.
        if min(out) < 0 or not any(out):
            raise ValueError(f"{layer}: {name} takes more cells off than x of shape {x.shape} has")
        if mode == "reflect" and any(max(width) >= n for n, width in zip(spatial, widths, strict=True)):
            raise ValueError(f"{layer}: {name} must be less than the axis it mirrors, got shape {x.shape}")
        return
    rest = tuple(n + min(before, 0) + min(after, 0) for n, (before, after) in zip(spatial, widths, strict=True))
    if min(rest, default=0) < 0:
        raise ValueError(f"{layer}: {name} takes more cells off than x of shape {x.shape} has")
    if mode == "circular":
        around = rest if 0 not in (*lead, *out) else spatial
        if any(max(width) > n for n, width in zip(around, widths, strict=True)):
            raise ValueError(f"{layer}: {name} must not go around more than once, got {around} cells to repeat")


def border(x: Array, widths: Widths, mode: str, value: float = 0.0) -> tuple[Array, Callable[[Array], Array]]:
    """x widened by (before, after), or cropped where that is negative, on its last axes; and the adjoint.

    A mirror sees the cells that a negative width cuts off on the other side, a circle does not: the first widens and
    then crops, the second the other way round.
    """
    widths = last(x, widths)
    positive = tuple((max(before, 0), max(after, 0)) for before, after in widths)
    if mode in MIRRORS:
        wide = widen(x, positive, mode, value)
        return crop(wide, widths), lambda dy: fold(uncrop(dy, wide.shape, widths), positive, mode)
    rest = crop(x, widths)
    return widen(rest, positive, mode, value), lambda dy: uncrop(fold(dy, positive, mode), x.shape, widths)


def bordered(
    layer: str, name: str, x: Array, sizes: tuple[int, ...], mode: str, value: float | None
) -> tuple[Array, Backward]:
    """What all layers of this family do."""
    (x,) = _check.real(layer, x=x)
    widths = _widths(layer, name, x, sizes, mode)
    _check_sizes(layer, name, x, widths, mode)
    fill = 0.0 if value is None else value
    if max(sizes, default=0) > 0:
        _check.fits(layer, "value", fill, x.dtype)
    y, adjoint = border(x, widths, mode, fill)

    def backward(dy: Array) -> Gradients:
        return {"x": adjoint(_check.cotangent(layer, dy, y.shape))}

    return y, backward
