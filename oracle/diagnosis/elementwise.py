"""Explanations element by element: zeros, signs, masks, and forward values where a derivative belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..vjp import Array
from .observation import Explanation, Observation, Pattern, axis_words, has_axes, predicting


def zeros(wrong: Sequence[Observation]) -> Iterator[Explanation]:  # noqa: ARG001
    """Zero everywhere."""
    yield Explanation(Pattern.ZEROS, "is zero everywhere", lambda seen: not seen.got.any())


# Parts of an axis of n elements, n > 0.
_PARTS: dict[str, Callable[[int], list[int]]] = {
    "at the last index along {}": lambda n: [n - 1],
    "at the first index along {}": lambda n: [0] * min(n, 1),
    "at the first and last index along {}": lambda n: [0, n - 1],
    "everywhere but at the first index along {}": lambda n: list(range(1, n)),
    "everywhere but at the last index along {}": lambda n: list(range(n - 1)),
}


def zero_slices(wrong: Sequence[Observation]) -> Iterator[Explanation]:  # noqa: ARG001
    """Zero in a slice, right elsewhere."""
    for axes in ((-1,), (-2,), (0,), (1,), (-2, -1)):
        for words, part in _PARTS.items():
            yield predicting(Pattern.ZEROS, f"is zero {words.format(axis_words(axes))}", _emptied, axes, part)


def _emptied(seen: Observation, axes: tuple[int, ...], part: Callable[[int], list[int]]) -> Array | None:
    """What was expected, with zeros in a part of each of some axes."""
    if not has_axes(seen.want, axes) or not seen.want.size:
        return None
    found = seen.want.copy()
    for axis in axes:
        np.moveaxis(found, axis, 0)[part(found.shape[axis])] = 0
    return found


def signs(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """The sign, everywhere or in some places."""
    yield predicting(Pattern.SIGN, "has the wrong sign", lambda seen: -seen.want)
    yield predicting(Pattern.SIGN, "has lost its sign: it is never negative", lambda seen: np.abs(seen.want))
    yield predicting(Pattern.SIGN, "has lost its sign: it is never positive", lambda seen: -np.abs(seen.want))
    if any((seen.want != 0).sum() > 1 for seen in wrong):
        words = "has the right size but the wrong sign in some places"
        yield predicting(Pattern.SIGN, words, _as_seen, lambda seen: np.copysign(seen.want, seen.got))


def holes(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Right or zero, with no simpler rule where."""
    if any(seen.got.any() for seen in wrong):
        words = "is zero in some places where it should not be, and right elsewhere"
        yield predicting(Pattern.ZEROS, words, _as_seen, lambda seen: np.where(seen.got == 0, 0, seen.want))


def _as_seen(seen: Observation, rule: Callable[[Observation], Array]) -> Array | None:
    """A prediction that looks at the answer, of the right shape, to see where it is to be applied."""
    return rule(seen) if seen.got.shape == seen.want.shape else None


def masks(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Zero where the cotangent should pass, and the reverse."""
    if any(seen.want.any() and seen.got.any() for seen in wrong):
        words = "is zero just where it should not be: the mask is on the wrong side"
        yield Explanation(Pattern.MASK, words, _inverted)
        words = "is dy where it should be zero: the mask is not applied"
        yield predicting(Pattern.MASK, words, _unmasked)


def _inverted(seen: Observation) -> bool | None:
    if not seen.got.shape == seen.want.shape == seen.dy.shape:
        return None
    return bool((((seen.got != 0) ^ (seen.want != 0)) == (seen.dy != 0)).all())


def _unmasked(seen: Observation) -> Array | None:
    return np.where(seen.want == 0, seen.dy, seen.want) if seen.want.shape == seen.dy.shape else None


Formula = Callable[[Array, Array], Array]

# Derivatives in which a value of the forward stands for the derivative; and those of y, in which x stands for y.
_VALUES: dict[str, Formula] = {"dy·{}": lambda dy, v: dy * v, "{}": lambda dy, v: v + 0 * dy}
_OF_OUTPUTS: dict[str, Formula] = {
    "dy·{0}·(1 - {0})": lambda dy, v: dy * v * (1 - v),
    "dy·(1 - {}²)": lambda dy, v: dy * (1 - v * v),
}


def forward_values(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """f in the place of f', or a derivative taken elsewhere than at x."""
    place = wrong[0].place
    if not isinstance(place, str):
        return
    tried = [(name, formula, compute) for formula, compute in _VALUES.items() for name in ("y", *wrong[0].reals)]
    tried += [(place, formula, compute) for formula, compute in _OF_OUTPUTS.items()]
    for name, formula, compute in tried:
        words = f"is {formula.format(name)}: a value of the forward stands where the derivative belongs"
        yield predicting(Pattern.FORWARD_VALUE, words, _formula, name, compute)
    words = f"is taken at {{}}, where {place} belongs"
    yield predicting(
        Pattern.FORWARD_VALUE, words.format("y"), lambda seen: seen.with_input(place, "y", lambda _: seen.y)
    )
    yield predicting(Pattern.MASK, words.format("dy"), lambda seen: seen.with_input(place, "dy", lambda _: seen.dy))


def handed_on(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """dy itself, or 1 - y for 1 - y²."""
    if isinstance(wrong[0].place, str):
        words = "is dy itself: it is not multiplied by the derivative"
        yield predicting(Pattern.MISSING_TERM, words, _formula, "y", lambda dy, v: dy + 0 * v)
        words = "is dy·(1 - y): a square is missing"
        yield predicting(Pattern.MISSING_TERM, words, _formula, "y", lambda dy, v: dy * (1 - v))


def _formula(seen: Observation, name: str, compute: Formula) -> Array | None:
    """A formula in dy and y or an input, summed over the axes along which the input in question was repeated."""
    value = seen.y if name == "y" else seen.reals.get(name)
    if value is None:
        return None
    try:
        found = compute(seen.dy, value)
    except ValueError:  # the shapes do not broadcast
        return None
    shape, lead = seen.got.shape, found.ndim - seen.got.ndim
    if lead < 0:
        return None
    repeated = [lead + axis for axis, n in enumerate(shape) if n == 1 != found.shape[lead + axis]]
    summed: Array = np.asarray(found.sum(axis=(*range(lead), *repeated)))
    return summed.reshape(shape) if summed.size == seen.got.size else None
