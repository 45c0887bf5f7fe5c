"""Explanations by place: the right numbers, elsewhere; and answers computed from a turned filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations

import numpy as np

from ..vjp import Array
from .observation import Explanation, Observation, Pattern, axis_words, has_axes, predicting

Axes = tuple[int, ...]
Change = Callable[[Array], Array | None]

_FLIPPED: tuple[Axes, ...] = ((-2, -1), (-1,), (-2,), (0,), (1,), (0, 1), (0, 1, 2), (0, 1, 2, 3))
_EXCHANGED: tuple[Axes, ...] = ((-2, -1), (0, 1), (1, 2), (-3, -2), (-3, -1), (0, 2))


def _flip(a: Array, axes: Axes) -> Array | None:
    return np.flip(a, axes) if has_axes(a, axes) else None


def _exchange(a: Array, axes: Axes) -> Array | None:
    return np.swapaxes(a, *axes) if has_axes(a, axes) else None


def _wanted(seen: Observation, change: Change) -> Array | None:
    return change(seen.want)


def flips(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Reversed along some axes: the answer itself, or a filter or cotangent it was computed from."""
    for axes in _FLIPPED:
        words = f"is reversed along {axis_words(axes)}"
        yield predicting(Pattern.FLIP, words, _wanted, partial(_flip, axes=axes))
    for axes in _FLIPPED:
        words = f"is what it would be for {{}} rotated, reversed along {axis_words(axes)}"
        yield from _from_changed(wrong, Pattern.FLIP, words, partial(_flip, axes=axes))


def exchanges(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Axes in another order, in the answer or in what it was computed from; and the gradient of another input."""
    for axes in _EXCHANGED:
        words = f"is transposed: {axis_words(axes)} are exchanged"
        yield predicting(Pattern.PERMUTATION, words, _wanted, partial(_exchange, axes=axes))
    rank = wrong[0].want.ndim
    for order in [*permutations(range(rank))][1:] if rank <= 4 else ():
        yield predicting(Pattern.PERMUTATION, f"has its axes in the order {order}", _transposed, order)
    for other in wrong[0].truth.gradients:
        if isinstance(wrong[0].place, str) and other != wrong[0].place:
            words = f"is the gradient of {other}"
            yield predicting(Pattern.PERMUTATION, words, lambda seen, name: seen.truth.gradients.get(name), other)
    for axes in _EXCHANGED:
        words = f"is what it would be for {{}} transposed, {axis_words(axes)} exchanged"
        yield from _from_changed(wrong, Pattern.PERMUTATION, words, partial(_exchange, axes=axes))


def _transposed(seen: Observation, order: Axes) -> Array | None:
    return seen.want.transpose(order) if seen.want.ndim == len(order) else None


def _from_changed(wrong: Sequence[Observation], pattern: Pattern, words: str, change: Change) -> Iterator[Explanation]:
    """The right answer to another question, in which an input or the cotangent is changed along some axes."""
    for name in wrong[0].reals:
        yield predicting(pattern, words.format(name), Observation.with_input, name, words, change)
    yield predicting(pattern, words.format("dy"), Observation.with_cotangent, words, change)


def reshapes(wrong: Sequence[Observation]) -> Iterator[Explanation]:  # noqa: ARG001
    """Read or written in another order of memory, or shifted."""
    column_major: dict[str, Callable[[Observation], Array | None]] = {
        "is dy reshaped in column-major order": lambda s: (
            s.dy.reshape(s.want.shape, order="F") if np.array_equal(s.dy.ravel(), s.want.ravel()) else None
        ),
        "has its elements in column-major order": lambda s: s.want.reshape(-1).reshape(s.want.shape, order="F"),
        "has elements that were read in column-major order": lambda s: s.want.reshape(-1, order="F").reshape(
            s.want.shape
        ),
    }
    for words, predict in column_major.items():
        yield predicting(Pattern.PERMUTATION, words, predict)
    for axes in _EXCHANGED:
        words = f"is reshaped with {axis_words(axes)} exchanged, where it must be transposed"
        yield predicting(Pattern.PERMUTATION, words, _reshaped, axes)
    for axis in (-1, -2, 0, 1):
        for step, direction in ((1, "forward"), (-1, "back")):
            words = f"is shifted {direction} by one along axis {axis}"
            yield predicting(Pattern.PERMUTATION, words, _rolled, axis, step)


def _reshaped(seen: Observation, axes: Axes) -> Array | None:
    found = _exchange(seen.want, axes)
    return None if found is None else found.reshape(seen.want.shape)


def _rolled(seen: Observation, axis: int, step: int) -> Array | None:
    return np.roll(seen.want, step, axis) if has_axes(seen.want, (axis,)) else None


def other_shape(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Answers of another shape than the input's: reshaped, transposed, not summed over the axes of a broadcast."""
    if all(seen.got.shape != seen.want.shape for seen in wrong):
        yield Explanation(Pattern.PERMUTATION, "is right but for its shape", _right_but_for_shape)
        yield Explanation(Pattern.PERMUTATION, "is transposed", _right_but_transposed)
        words = "lacks the sum over the axes along which the input was repeated"
        yield Explanation(Pattern.MISSING_TERM, words, _right_but_unsummed)


def _right_but_for_shape(seen: Observation) -> bool | None:
    return _is_expected(seen, seen.got)


def _right_but_transposed(seen: Observation) -> bool | None:
    turned = map(seen.got.transpose, permutations(range(seen.got.ndim)))
    return any(a.shape == seen.want.shape and _is_expected(seen, a) for a in turned)


def _right_but_unsummed(seen: Observation) -> bool | None:
    ranks = range(seen.got.ndim)
    subsets = [axes for count in range(1, seen.got.ndim + 1) for axes in combinations(ranks, count)]
    return any(_is_expected(seen, np.asarray(seen.got.sum(axis=axes))) for axes in subsets)


def _is_expected(seen: Observation, found: Array) -> bool:
    """Whether an array has the numbers that were expected; each of the terms summed to one may be off."""
    if found.size != seen.want.size:
        return False
    terms = max(1, seen.got.size // max(1, seen.want.size))
    return seen.within((found.reshape(seen.want.shape) - seen.want) / terms, seen.got)


def shuffles(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """The right slices along an axis, or the right numbers, in an order with no simpler rule."""
    for axis in (0, 1, -1, -2):
        if any(has_axes(seen.want, (axis,)) and seen.want.size > seen.want.shape[axis] > 1 for seen in wrong):
            words = f"has its slices along axis {axis} in another order"
            yield Explanation(Pattern.PERMUTATION, words, partial(_same_slices, axis=axis))
    if any(np.unique(seen.want).size > 2 for seen in wrong):
        yield Explanation(Pattern.PERMUTATION, "has the right numbers in the wrong places", _same_numbers)


def _same_slices(seen: Observation, axis: int) -> bool | None:
    if not has_axes(seen.want, (axis,)) or seen.got.shape != seen.want.shape:
        return None
    got, want = (np.moveaxis(a, axis, 0) for a in (seen.got, seen.want))
    left, order = list(range(len(want))), []
    for mine in got:
        nearest = int(np.abs(want[left] - mine).reshape(len(left), -1).sum(axis=1).argmin())
        order.append(left.pop(nearest))
    return seen.reproduces(seen.want.take(order, axis))


def _same_numbers(seen: Observation) -> bool | None:
    if seen.got.shape != seen.want.shape:
        return None
    error = np.sort(seen.got, axis=None) - np.sort(seen.want, axis=None)
    return seen.within(error.reshape(seen.want.shape), seen.want)
