"""Strategies that several families share."""

from __future__ import annotations

from hypothesis import strategies as st

# A loss' reductions. The default has most to go wrong; without one the cotangent is an array, with zeros of both signs.
REDUCTIONS = st.sampled_from(("mean", "sum", "none", "mean", "none"))

# How likely something is dropped out. At 0 and 1 nothing is left to chance.
CHANCES = st.sampled_from((0.0, 0.5, 0.1, 0.0, 0.5, 0.0, 1.0))

# How long a sequence is; seldom empty.
PLACES = st.sampled_from((2, 3, 4, 1, 5, 3, 2, 4, 3, 0))
SOME_PLACES = PLACES.filter(bool)


def number_or_each(least: int, most: int, rank: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    """One number for all spatial axes, or one each."""
    number = st.integers(least, most)
    return st.one_of(number, st.tuples(*(rank * [number])))


def one_or_each(least: int, most: int, rank: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    """The same, or one number for all axes in a tuple."""
    return st.one_of(number_or_each(least, most, rank), st.tuples(st.integers(least, most)))


def each(value: int | str | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The number of each axis."""
    if isinstance(value, tuple):
        return value * rank if len(value) == 1 else value
    if not isinstance(value, int):
        raise TypeError(f"no number of each axis: {value!r}")
    return (value,) * rank


def pair(value: int | str | tuple[int, ...]) -> tuple[int, ...]:
    """The number of each of two axes."""
    return each(value, 2)
