"""What the inputs of a contract of your own hold: axes by name, and numbers of other kinds than any real ones.

A shape is written as its axes, with spaces between them: "N C H W". Equal names are equal lengths, in all inputs; "3"
is that length, "4*H" four times H, "" the shape of a single number. "... C" has any number of axes before C, the same
ones wherever "..." stands; these may be empty, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from keyword import iskeyword

from .values import Index, Mask, NonNegative, Positive, Probabilities, Real, Shape, Spec

Lengths = Mapping[str, int]

_AXIS = re.compile(r"(?:(\d+)\*)?([^\W\d]\w*)|(\d+)")
LEADING = "..."


@dataclass(frozen=True)
class Axis:
    """An axis: so many times the length of this name, or of 1 where there is no name."""

    times: int
    name: str | None

    def length(self, lengths: Lengths) -> int:
        """How long it is."""
        return self.times * (1 if self.name is None else lengths[self.name])


@dataclass(frozen=True)
class Input:
    """An input: its axes, and what kind of numbers an array of that shape holds.

    `leading`: any number of axes come before those. `needs` are names whose length the numbers depend on.
    """

    axes: tuple[Axis, ...]
    leading: bool
    kind: Callable[[Shape, Lengths], Spec]
    needs: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its axes."""
        return tuple(axis.name for axis in self.axes if axis.name is not None)

    @property
    def outermost(self) -> Axis | str | None:
        """Its first axis, or "..."; None for a single number."""
        return LEADING if self.leading else next(iter(self.axes), None)

    def spec(self, lead: Shape, lengths: Lengths) -> Spec:
        """The input where the axes are that long."""
        shape = tuple(axis.length(lengths) for axis in self.axes)
        return self.kind((*lead, *shape) if self.leading else shape, lengths)


def real(shape: str, *, grad: bool = True) -> Input:
    """Any real numbers, which a shape alone means, too; without a gradient where `grad` is false."""
    return _input(shape, lambda lengths, _: Real(lengths, grad))


def positive(shape: str, *, grad: bool = True) -> Input:
    """Numbers from 0.5, such as a scale or a temperature."""
    return _input(shape, lambda lengths, _: Positive(lengths, grad))


def nonnegative(shape: str, *, grad: bool = True) -> Input:
    """Numbers from zero, zero among them, such as counts or rates."""
    return _input(shape, lambda lengths, _: NonNegative(lengths, grad))


def probabilities(shape: str, *, axis: str, grad: bool = True) -> Input:
    """Numbers from 0 to 1, both among them, that sum to 1 along the axis of this name."""
    made = _input(shape, lambda lengths, _: Probabilities(lengths, place, grad))
    if made.names.count(axis) != 1:
        raise ValueError(f"probabilities sum to 1 along one axis of their shape {shape!r}, which {axis!r} is not")
    place = [a.name for a in made.axes].index(axis) - len(made.axes)
    return made


def index(shape: str, *, below: str | int) -> Input:
    """Whole numbers from 0 below a number, or below the length of an axis of any input; they have no gradient."""
    limit = Axis(below, None) if isinstance(below, int) else _axis(below, str(below))
    if limit.times < 1:
        raise ValueError(f"there is no index below {below}; write an axis, or a number from 1")
    needs = () if limit.name is None else (limit.name,)
    return _input(shape, lambda lengths, named: Index(lengths, limit.length(named)), needs)


def boolean(shape: str) -> Input:
    """Truth values, such as a mask; they have no gradient."""
    return _input(shape, lambda lengths, _: Mask(lengths))


def _input(shape: str, kind: Callable[[Shape, Lengths], Spec], needs: tuple[str, ...] = ()) -> Input:
    if not isinstance(shape, str):
        raise TypeError(f'a shape is text that names its axes, such as "N C H W"; {shape!r} is none')
    first, *rest = shape.split() or [""]
    leading = first == LEADING
    named = rest if leading else shape.split()
    return Input(tuple(_axis(text, shape) for text in named), leading, kind, needs)


def _axis(text: str, shape: str) -> Axis:
    found = _AXIS.fullmatch(text)
    if found is None or iskeyword(found[2] or ""):
        where = f"in the shape {shape!r}, {text!r}" if text != shape else repr(text)
        raise ValueError(
            f"{where} is no axis: an axis is a name (N), a length (3) or a multiple (4*N), spaces stand between "
            'axes, and "..." may stand before them'
        )
    return Axis(int(found[3] or found[1] or 1), found[2])
