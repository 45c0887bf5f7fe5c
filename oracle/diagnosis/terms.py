"""Explanations by terms of a sum: some are missing, some are counted twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from ..vjp import Array
from .factors import SAME, name_factor
from .observation import Explanation, Observation, Pattern, axis_words, has_axes, predicting
from .questions import MOST_ASKED

Axes = tuple[int, ...]
_ENDS = {"first": 0, "last": -1}


def slices_of_the_cotangent(wrong: Sequence[Observation]) -> Iterator[Explanation]:  # noqa: ARG001
    """A backward is a sum over the elements of dy: only the first index along an axis counts, or all but it, …"""
    for axis in (0, 1, -1, -2, -3):
        for end, index in _ENDS.items():
            where = f"the {end} index of dy along axis {axis}"
            yield predicting(Pattern.MISSING_TERM, f"counts only {where}", _part, axis, index)
            yield predicting(Pattern.MISSING_TERM, f"leaves out {where}", _with_part, axis, index, -1)
            yield predicting(Pattern.DOUBLED_TERM, f"counts {where} twice", _with_part, axis, index, 1)


def _part(seen: Observation, axis: int, index: int) -> Array | None:
    """The gradient from one index of dy along an axis."""

    def only(dy: Array) -> Array | None:
        if not has_axes(dy, (axis,)) or not dy.shape[axis]:
            return None
        kept = np.zeros_like(dy)
        np.moveaxis(kept, axis, 0)[index] = np.moveaxis(dy, axis, 0)[index]
        return kept

    return seen.with_cotangent(f"only {index} along {axis}", only)


def _with_part(seen: Observation, axis: int, index: int, times: int) -> Array | None:
    found = _part(seen, axis, index)
    return None if found is None else seen.want + times * found


def single_terms(wrong: Sequence[Observation]) -> Iterator[Explanation]:  # noqa: ARG001
    """= for +=: of the elements of dy that reach an element of the gradient, one counts; or those at its own place."""
    choices: tuple[Axes | None, ...] = ((-2, -1), (-1,), (0,), None)
    for axes in choices:
        over = "dy" if axes is None else f"dy along {axis_words(axes)}"
        for end, index in _ENDS.items():
            words = f"counts only the {end} element of {over} that reaches it: = in the place of +="
            yield predicting(Pattern.MISSING_TERM, words, _one_term, axes, index)
    words = "has only the diagonal of the Jacobian: what other elements of dy add is missing"
    yield predicting(Pattern.MISSING_TERM, words, _diagonal)


def _one_term(seen: Observation, axes: Axes | None, index: int) -> Array | None:
    terms = _terms(seen, axes)
    if terms is None:
        return None
    values, reached = terms
    order = np.arange(len(values)).reshape(-1, *(1,) * seen.want.ndim)
    first, last = np.where(reached, order, len(values) - 1).min(0), np.where(reached, order, 0).max(0)
    chosen = np.take_along_axis(values, (last if index else first)[None], 0)[0]
    return np.asarray(chosen * reached.any(0))


def _diagonal(seen: Observation) -> Array | None:
    terms = _terms(seen, None) if seen.dy.shape == seen.want.shape else None
    if terms is None:
        return None
    return np.diagonal(terms[0].reshape(seen.dy.size, seen.dy.size)).reshape(seen.want.shape)


def _terms(seen: Observation, axes: Axes | None) -> tuple[Array, Array] | None:
    """What each index of dy along these axes adds to the gradient, in row-major order, and which elements it reaches.

    An element may be reached and get nothing, where dy is zero; so ones are tried in its place.
    """
    dy = seen.dy
    axes = tuple(range(dy.ndim)) if axes is None else axes
    sizes = tuple(dy.shape[axis] for axis in axes) if has_axes(dy, axes) else ()
    if len(seen.case.cotangents) > 1 or not 1 < np.prod(sizes) <= MOST_ASKED:
        return None
    values, reached = [], []
    for index in np.ndindex(*sizes):
        mask = np.zeros(dy.shape)
        np.moveaxis(mask, axes, range(len(axes)))[index] = 1
        value = seen.with_cotangent(f"only {index} of {axes}", mask.__mul__)
        ones = seen.with_cotangent(f"one at {index} of {axes}", partial(_instead, mask))
        if value is None or ones is None:
            return None
        values.append(value)
        reached.append(ones != 0)
    return np.array(values), np.array(reached)


def _instead(new: Array, old: Array) -> Array:  # noqa: ARG001
    return new


Weight = Callable[[Observation, Axes], Array]

_WEIGHTS: dict[str, Weight] = {
    "": lambda seen, axes: np.ones(seen.want.shape),  # noqa: ARG005
    "y times ": lambda seen, axes: seen.y,  # noqa: ARG005
    "exp(y) times ": lambda seen, axes: np.exp(seen.y),  # noqa: ARG005
    "(x - its mean) times ": lambda seen, axes: _centred(seen.reals[str(seen.place)], axes),
}


def _centred(x: Array, axes: Axes) -> Array:
    return np.asarray(x - x.mean(axis=axes, keepdims=True))


def along_axes(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Off by something constant along some axes, alone or times y, eʸ or x: a sum over those axes, as in softmax."""
    if not isinstance(wrong[0].place, str):
        return
    rank = wrong[0].want.ndim
    ends = [axes for count in (1, 2, 3) for axes in combinations((-1, -2, -3), count)]
    but_channels = tuple(axis for axis in range(rank) if axis != 1)
    for axes in [*ends, (0,), (1,), (0, 1), but_channels, None]:
        if not any(_length(seen, axes) > 2 for seen in wrong):
            continue
        where = "all axes" if axes is None else axis_words(axes)
        for name, weight in _WEIGHTS.items():
            constant = partial(_constant_along, axes=axes, weight=weight)
            if all(map(constant, wrong)):
                yield from _known_term(wrong, where, partial(_lengths, axes=axes))
                words = f"is off by {name}something constant along {where}: a sum over {where} is missing or wrong"
                yield Explanation(Pattern.MISSING_TERM, words, constant)
    for name, weight in _WEIGHTS.items():
        constant = partial(_constant_along_one, weight=weight)
        if sum(min(seen.want.shape, default=0) > 1 for seen in wrong) > 1 and all(map(constant, wrong)):
            yield from _known_term(wrong, "an axis", partial(_lengths_of_one, weight=weight))
            words = f"is off by {name}something constant along an axis: a sum over it is missing or wrong"
            yield Explanation(Pattern.MISSING_TERM, words, constant)


def _length(seen: Observation, axes: Axes | None) -> int:
    """How many elements there are along these axes; 0 where the array does not have them."""
    if axes is None:
        return seen.want.size
    return int(np.prod([seen.want.shape[axis] for axis in axes])) if has_axes(seen.want, axes) else 0


def _constant_along(seen: Observation, axes: Axes | None, weight: Weight) -> bool | None:
    if not seen.got.shape == seen.want.shape == seen.y.shape or not _length(seen, axes):
        return None
    every = tuple(range(seen.want.ndim)) if axes is None else axes
    off, v = seen.got - seen.want, weight(seen, every)
    square = (v * v).sum(axis=every, keepdims=True)
    with np.errstate(all="ignore"):
        times = np.where(square > 0, (off * v).sum(axis=every, keepdims=True) / square, 0)
        return seen.within(off - times * v, seen.got)


def _constant_along_one(seen: Observation, weight: Weight) -> bool | None:
    """The same along any one axis, which may be another in another configuration."""
    return bool(_lengths_of_one(seen, weight))


def _lengths(seen: Observation, axes: Axes | None) -> list[int]:
    return [_length(seen, axes)]


def _lengths_of_one(seen: Observation, weight: Weight) -> list[int]:
    """The lengths of those axes along which it is constant; an axis of a single element is one of them."""
    return [n for axis, n in enumerate(seen.want.shape) if _constant_along(seen, (axis,), weight)]


def _known_term(
    wrong: Sequence[Observation], where: str, lengths: Callable[[Observation], list[int]]
) -> Iterator[Explanation]:
    """What has become of the sum, where the rest of the gradient is dy·y or dy."""
    firsts: dict[str, Callable[[Observation], Array]] = {"dy·y": lambda s: s.dy * s.y, "dy": lambda s: s.dy}
    for shown, first in firsts.items():
        factors = [(seen, _times(seen, first)) for seen in wrong]
        values = {c if c is None else round(c, 6) for _, c in factors}
        if None in values:
            continue
        if values == {0.0}:
            yield _seen_to_hold(Pattern.MISSING_TERM, f"is {shown}: the sum over {where} is missing")
        elif values == {2.0}:
            yield _seen_to_hold(Pattern.DOUBLED_TERM, f"counts the sum over {where} twice")
        elif values == {-1.0}:
            yield _seen_to_hold(Pattern.SIGN, f"has the wrong sign before the sum over {where}")
        elif all(any(abs(c * n - 1) < SAME for n in lengths(seen)) for seen, c in factors if c is not None):
            yield _seen_to_hold(Pattern.FACTOR, f"has the mean over {where} where a sum belongs")
        elif all(any(abs(c - n) < SAME * n for n in lengths(seen)) for seen, c in factors if c is not None):
            yield _seen_to_hold(Pattern.FACTOR, f"has the sum over {where} where a mean belongs")
        elif (name := name_factor(factors)) is not None:
            yield _seen_to_hold(Pattern.FACTOR, f"has {name[0]} times the sum over {where} that it should have")


def _times(seen: Observation, first: Callable[[Observation], Array]) -> float | None:
    """How many times the answer has what it should have beside a first term; None where that is no number."""
    beside, has = seen.want - first(seen), seen.got - first(seen)
    square = float((beside * beside).sum())
    times = float((beside * has).sum() / square) if square else 0.0
    return times if seen.reproduces(first(seen) + times * beside) else None


def _seen_to_hold(pattern: Pattern, sentence: str) -> Explanation:
    """An explanation of the wrong answers that leaves nothing to be predicted of the right ones."""
    return Explanation(pattern, sentence, lambda seen: seen.wrong or None)
