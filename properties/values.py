"""Values for the arrays of a case, made with NumPy from a drawn seed.

Hypothesis' own array strategy gives four or five distinct values and becomes unusable above 500 elements; here
it draws the shapes, a seed and the names of edits, and a generator seeded with the former fills the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]


def _some(rng: np.random.Generator, a: Array) -> Array:
    """A random third of the elements, at least one, as a mask."""
    mask = rng.random(a.shape) < 1 / 3
    if a.size:
        mask.flat[rng.integers(a.size)] = True
    return mask


def _ties(rng: np.random.Generator, a: Array) -> Array:
    return np.where(_some(rng, a), rng.permutation(a.ravel()).reshape(a.shape), a)


def _zeros(rng: np.random.Generator, a: Array) -> Array:
    return np.where(_some(rng, a), rng.choice([0.0, -0.0], a.shape), a)


def _equal_rows(rng: np.random.Generator, a: Array) -> Array:
    if not a.ndim:
        return a
    axis = int(rng.integers(a.ndim))
    return np.broadcast_to(a.take([0] if a.shape[axis] else [], axis), a.shape).copy()


def _tiny(rng: np.random.Generator, a: Array) -> Array:
    return np.where(_some(rng, a), a * 2.0 ** -rng.integers(20, 60), a)


def _huge(rng: np.random.Generator, a: Array) -> Array:
    return np.where(_some(rng, a), a * 2.0 ** rng.integers(4, 30), a)


def _scaled(rng: np.random.Generator, a: Array) -> Array:
    return np.asarray(a * 2.0 ** rng.integers(-10, 11))


def _shifted(rng: np.random.Generator, a: Array) -> Array:
    return np.asarray(a + rng.choice([-1000.0, 1000.0]))


def _planted(*values: float) -> Callable[[np.random.Generator, Array], Array]:
    def edit(rng: np.random.Generator, a: Array) -> Array:
        a = a.copy()
        if a.size:
            spots = rng.integers(a.size, size=rng.integers(1, 3))
            if rng.random() < 0.5:  # neighbours, which meet in one window or row
                spots = (spots[0] + np.arange(rng.integers(2, 4))) % a.size
            a.flat[spots] = rng.choice(values, len(spots))
        return a

    return edit


Edit = Callable[[np.random.Generator, Array], Array]

EDITS: dict[str, Edit] = {
    "ties": _ties,
    "zeros": _zeros,
    "equal rows": _equal_rows,
    "tiny": _tiny,
    "huge": _huge,
    "scaled": _scaled,
    "shifted": _shifted,
}
NONFINITE: dict[str, Edit] = {
    "nan": _planted(np.nan),
    "infinity": _planted(np.inf, -np.inf),
    "negative infinity": _planted(-np.inf),
}


@dataclass(frozen=True)
class Brush:
    """How the arrays of one sub-case are filled: plain numbers, and the edits some arrays get on top."""

    rng: np.random.Generator
    whole: bool
    edits: Sequence[Edit]

    def numbers(self, shape: Shape) -> Array:
        """Small integers or a standard normal, before edits."""
        if self.whole:
            return self.rng.integers(-3, 4, shape).astype(np.float64)
        return self.rng.standard_normal(shape)

    def paint(self, shape: Shape) -> Array:
        """Numbers with each edit applied or not, by chance."""
        a = self.numbers(shape)
        for edit in self.edits:
            if self.rng.random() < 2 / 3:
                a = edit(self.rng, a)
        return a

    def cotangent(self, shape: Shape) -> Array:
        """Numbers, edited like inputs, that are never all zero nor all the same, and never the number one alone."""
        dy = self.paint(shape)
        if dy.size and (dy == dy.flat[0]).all():
            ramp = np.arange(2.0, 2.0 + dy.size).reshape(shape)
            return ramp if dy.size > 1 or dy.flat[0] in (0.0, 1.0) else dy
        return dy


class Spec(Protocol):
    """What an input of a layer may hold: its shape, its values, and whether a gradient is asked for."""

    @property
    def shape(self) -> Shape:
        """The array's shape."""

    @property
    def grad(self) -> bool:
        """Whether the layer must answer a gradient for it."""

    def make(self, brush: Brush) -> Array:
        """An array of that kind, in float64 or int64."""


@dataclass(frozen=True)
class Real:
    """Any real numbers."""

    shape: Shape
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Numbers with the drawn edits."""
        return brush.paint(self.shape)


@dataclass(frozen=True)
class Tailed(Real):
    """Any real numbers, three times as far out in half of the arrays: the tails of a bell, which ends near 8."""

    def make(self, brush: Brush) -> Array:
        """Numbers with the drawn edits, and further out by chance; plain ones stay plain."""
        return np.asarray(super().make(brush) * (brush.rng.choice((1, 3)) if brush.edits else 1))


@dataclass(frozen=True)
class Positive:
    """Numbers above zero, such as class weights: `scale` times those from 0.5 on."""

    shape: Shape
    grad: bool = False
    scale: float = 1.0

    def make(self, brush: Brush) -> Array:
        """Absolute values of plain numbers, shifted away from zero."""
        return (np.abs(brush.numbers(self.shape)) + 0.5) * self.scale


@dataclass(frozen=True)
class NonNegative:
    """Numbers from zero, such as rates."""

    shape: Shape
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Absolute values of numbers with the drawn edits."""
        return np.abs(brush.paint(self.shape))


@dataclass(frozen=True)
class Index:
    """Whole numbers from 0 below `below`; some are `instead`, where that is given."""

    shape: Shape
    below: int
    instead: int | None = None
    grad: bool = False
    dtype: str = "int64"

    def make(self, brush: Brush) -> Array:
        """Uniform indices, one and about a quarter of the others replaced by `instead`."""
        index = np.asarray(brush.rng.integers(0, self.below, self.shape), self.dtype)
        if self.instead is None:
            return index
        replaced = np.array(brush.rng.random(self.shape) < 1 / 4)  # an array for rank 0 too
        if replaced.size:
            replaced.flat[brush.rng.integers(replaced.size)] = True
        return np.where(replaced, index.dtype.type(self.instead), index)


@dataclass(frozen=True)
class Places:
    """Whole numbers from 0 below `below`, distinct within the last `axes` axes: cells to put things in."""

    shape: Shape
    axes: int
    below: int
    grad: bool = False

    def make(self, brush: Brush) -> Array:
        """The beginning of a permutation for each block."""
        lead, block = self.shape[: -self.axes], self.shape[-self.axes :]
        cells = np.broadcast_to(np.arange(self.below), (*lead, self.below))
        chosen = brush.rng.permuted(cells, axis=-1)[..., : math.prod(block)]
        return np.asarray(chosen.reshape(self.shape))


@dataclass(frozen=True)
class Probabilities:
    """Numbers from 0 to 1 that sum to 1 along an axis, exact zeros and ones among them."""

    shape: Shape
    axis: int
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Normalised non-negative numbers; an all-zero row becomes one-hot."""
        a = np.abs(brush.numbers(self.shape))
        total = a.sum(axis=self.axis, keepdims=True)
        first = np.zeros_like(a)
        np.moveaxis(first, self.axis, 0)[:1] = 1.0
        return np.where(total > 0, a / np.where(total > 0, total, 1), first)


@dataclass(frozen=True)
class Between:
    """Numbers of an interval, its upper end excluded, such as the random samples of a layer."""

    shape: Shape
    low: float
    high: float
    grad: bool = False

    def make(self, brush: Brush) -> Array:
        """Uniform numbers, the lower end among them."""
        a = np.asarray(brush.rng.uniform(self.low, self.high, self.shape))
        if brush.whole and a.size:
            a.flat[brush.rng.integers(a.size)] = self.low
        # Rounded to float32 they are still below the upper end.
        return np.minimum(a, np.nextafter(np.float32(self.high), np.float32(self.low), dtype=np.float32))


@dataclass(frozen=True)
class Chance(Between):
    """Numbers from 0 to 1, where a layer refuses all others.

    The ends are among them where edits make numbers large. Without these, and so for finite differences, which step to
    both sides, they stay clear of the ends.
    """

    low: float = 0.0
    high: float = 1.0
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Numbers with the drawn edits around one half, cut off at the ends."""
        return np.clip(0.5 + brush.paint(self.shape) / 16, self.low, self.high)


@dataclass(frozen=True)
class Positions:
    """Normalised positions in a plane of these cells, -1 to 1 from edge to edge; some lie outside.

    Whole brushes pick edges, centres of cells and the middle between two, as exactly as the dtype can say them.
    """

    shape: Shape
    cells: Shape
    align_corners: bool
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Uniform numbers, or halves of cells."""
        if not brush.whole:
            return brush.rng.uniform(-1.5, 1.5, self.shape)
        count = np.array(self.cells[::-1])  # the last coordinate belongs to the first axis
        half = brush.rng.integers(-3, 2 * count + 2, self.shape) / 2
        if self.align_corners:
            return np.asarray(2 * half / np.maximum(count - 1, 1) - 1)
        return np.asarray((2 * half + 1) / count - 1)


@dataclass(frozen=True)
class Mask:
    """Truth values, true with probability `share`."""

    shape: Shape
    share: float = 0.5
    grad: bool = False

    def make(self, brush: Brush) -> Array:
        """Booleans."""
        return np.asarray(brush.rng.random(self.shape) < self.share)


@dataclass(frozen=True)
class Added:
    """Real numbers to be added to the scores of attention; where `hiding` about a quarter are -∞."""

    shape: Shape
    hiding: bool
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Numbers with the drawn edits, and then -∞."""
        a = brush.paint(self.shape)
        return np.where(brush.rng.random(self.shape) < 1 / 4, -np.inf, a) if self.hiding else a


@dataclass(frozen=True)
class Causal:
    """0 where a query may look, and -∞ for keys behind it: the mask that torch finds to be the causal one."""

    shape: Shape
    grad: bool = True

    def make(self, brush: Brush) -> Array:  # noqa: ARG002
        """The same for all batches."""
        return np.triu(np.full(self.shape, -np.inf), 1)


@dataclass(frozen=True)
class Given:
    """Whole numbers that were drawn already, such as sizes and offsets."""

    numbers: tuple[int, ...]
    grad: bool = False

    @property
    def shape(self) -> Shape:
        """One axis."""
        return (len(self.numbers),)

    def make(self, brush: Brush) -> Array:  # noqa: ARG002
        """Those numbers."""
        return np.array(self.numbers, np.int64)
