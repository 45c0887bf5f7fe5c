"""Strategies that several families share."""

from __future__ import annotations

from hypothesis import strategies as st


def number_or_pair(least: int, most: int) -> st.SearchStrategy[int | tuple[int, int]]:
    """One number for both spatial axes, or one each."""
    number = st.integers(least, most)
    return st.one_of(number, st.tuples(number, number))


def pair(value: int | str | tuple[int, ...] | None) -> tuple[int, ...]:
    """The number of each axis."""
    if isinstance(value, tuple):
        return value * 2 if len(value) == 1 else value
    if not isinstance(value, int):
        raise TypeError(f"no pair of numbers: {value!r}")
    return (value, value)


def number_or_each(least: int, most: int, rank: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    """One number for all spatial axes, or one each."""
    number = st.integers(least, most)
    return st.one_of(number, st.tuples(*(rank * [number])))


def each(value: int | str | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The number of each axis."""
    if isinstance(value, tuple):
        return value * rank if len(value) == 1 else value
    if not isinstance(value, int):
        raise TypeError(f"no number of each axis: {value!r}")
    return (value,) * rank
