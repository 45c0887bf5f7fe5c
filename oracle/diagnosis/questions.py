"""Explanations by the reference's answer to another question: the layer answered that one instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..vjp import Array, Case
from .observation import Call, Explanation, Observation, Pattern, predicting

_WHEN: dict[str, Callable[[tuple[Call, ...]], Call]] = {
    "the call before": lambda earlier: earlier[-1],
    "the first call": lambda earlier: earlier[0],
}


def stale(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """A value kept from an earlier call of the same layer."""
    if not all(seen.earlier for seen in wrong):
        return
    names = list(wrong[0].case.inputs)
    for when in _WHEN:
        yield predicting(Pattern.STALE, f"is that of {when}", _answered, when)
        yield predicting(Pattern.STALE, f"is added to that of {when}", _added, when)
        for some in dict.fromkeys([tuple(names), *((name,) for name in names)]):
            words = f"is computed from {', '.join(some)} of {when}"
            yield predicting(Pattern.STALE, words, _from_old_inputs, when, some)
        yield predicting(Pattern.STALE, f"is computed from dy of {when}", _from_old_cotangent, when)


def _answered(seen: Observation, when: str) -> Array | None:
    return seen.picked(_WHEN[when](seen.earlier).answer) if seen.earlier else None


def _added(seen: Observation, when: str) -> Array | None:
    before = _answered(seen, when)
    return seen.want + before if before is not None and before.shape == seen.want.shape else None


def _from_old_inputs(seen: Observation, when: str, names: tuple[str, ...]) -> Array | None:
    if not seen.earlier:
        return None
    old = {n: _exact(a) for n, a in _WHEN[when](seen.earlier).case.inputs.items() if n in names}
    if any(n not in old or n not in seen.case.inputs or old[n].shape != seen.case.inputs[n].shape for n in names):
        return None
    return seen.asked(f"{names} of {when}", lambda case: replace(case, inputs={**case.inputs, **old}))


def _from_old_cotangent(seen: Observation, when: str) -> Array | None:
    if not seen.earlier:
        return None
    old = tuple(map(_exact, _WHEN[when](seen.earlier).case.cotangents))
    if [a.shape for a in old] != [a.shape for a in seen.case.cotangents]:
        return None
    return seen.asked(f"dy of {when}", lambda case: replace(case, cotangents=old))


def _exact(a: Array) -> Array:
    return a.astype(np.float64) if a.dtype.kind == "f" else a


_COTANGENTS: list[tuple[Pattern, str, Callable[[Array], Array]]] = [
    (Pattern.MISSING_TERM, "is that for a cotangent of ones: dy is not multiplied in", np.ones_like),
    (Pattern.DOUBLED_TERM, "is that for dy²: dy is multiplied in twice", np.square),
    (Pattern.SIGN, "is that for |dy|: the sign of dy is lost", np.abs),
    (Pattern.MISSING_TERM, "is that for the mean of dy in the place of each element", lambda a: 0 * a + a.mean()),
    (Pattern.MISSING_TERM, "is that for the sum of dy in the place of each element", lambda a: 0 * a + a.sum()),
]


def other_cotangents(wrong: Sequence[Observation]) -> Iterator[Explanation]:  # noqa: ARG001
    """The cotangent ignored, or counted twice."""
    for pattern, words, change in _COTANGENTS:
        yield predicting(pattern, words, Observation.with_cotangent, words, change)


_INPUTS: list[tuple[Pattern, str, Callable[[Array], Array]]] = [
    (Pattern.MISSING_TERM, "1: it is not multiplied in", np.ones_like),
    (Pattern.MISSING_TERM, "0: what depends on it is missing", np.zeros_like),
    (Pattern.SIGN, "negated", np.negative),
    (Pattern.SIGN, "never negative: its sign is lost", np.abs),
    (Pattern.DOUBLED_TERM, "twice as large: it counts twice", lambda a: 2 * a),
    (Pattern.DOUBLED_TERM, "squared: it is multiplied in twice", np.square),
    (Pattern.FACTOR, "half as large: it has a factor of 1/2", lambda a: a / 2),
]


def other_inputs(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """An input ignored, negated, or counted twice."""
    for pattern, words, change in _INPUTS:
        for name in wrong[0].reals:
            sentence = f"is what it would be if {name} were {words}"
            if words == "negated" and name == wrong[0].place and all(map(_piecewise_linear, wrong)):
                turned = f"{sentence}: the comparison is the wrong way round"
                yield predicting(Pattern.MASK, turned, Observation.with_input, name, words, change)
            yield predicting(pattern, sentence, Observation.with_input, name, words, change)


def _piecewise_linear(seen: Observation) -> bool:
    """Whether the derivative stays what it is, bit for bit, where its input grows by a part in a million."""
    near = seen.with_input(str(seen.place), "nearby", lambda a: a * (1 + 2.0**-20))
    return near is not None and bool((near == seen.want).all())


def _ranked(a: Array, direction: int) -> Array:
    """Each element larger by as many units in the last place as it has elements before it, or behind it."""
    order = np.arange(a.size).reshape(a.shape)
    return np.asarray(a + np.spacing(np.abs(a)) * (order if direction > 0 else a.size - 1 - order))


_KINKS: dict[str, Callable[[Array], Array]] = {
    "at a kink is that of the other side, as if {} were a little larger": lambda a: np.nextafter(a, np.inf),
    "at a kink is that of the other side, as if {} were a little smaller": lambda a: np.nextafter(a, -np.inf),
}
_TIES: dict[str, Callable[[Array], Array]] = {
    "at a tie goes to the last of equal values in {}": lambda a: _ranked(a, 1),
    "at a tie goes to the first of equal values in {}": lambda a: _ranked(a, -1),
}


def kinks(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Another choice at kinks and ties: the answer is right for an input moved by a unit in the last place."""
    for words, change in (_KINKS | _TIES).items():
        for name in wrong[0].reals:
            yield predicting(Pattern.MASK, words.format(name), Observation.with_input, name, words, change)
    if isinstance(wrong[0].place, str):
        yield predicting(Pattern.MASK, "at a kink is the mean of both sides", _middle)
        words = "at a tie goes whole to each of the equal values"
        yield predicting(Pattern.DOUBLED_TERM, words, _each_of_the_equal)


def _middle(seen: Observation) -> Array | None:
    larger, smaller = (seen.with_input(str(seen.place), words, change) for words, change in _KINKS.items())
    return None if larger is None or smaller is None else (larger + smaller) / 2


# Explanations that ask the reference once an element are tried on arrays up to this size.
MOST_ASKED = 128


def _each_of_the_equal(seen: Observation) -> Array | None:
    """What each element gets when it alone is a unit in the last place larger, and so wins."""
    if seen.want.size > MOST_ASKED:
        return None
    found = np.empty(seen.want.shape)
    for index in np.ndindex(found.shape):
        answer = seen.with_input(str(seen.place), f"larger at {index}", partial(_raised, index=index))
        if answer is None:
            return None
        found[index] = answer[index]
    return found


def _raised(a: Array, index: tuple[int, ...]) -> Array:
    a = a.copy()
    a[index] = np.nextafter(a[index], np.inf)
    return a


_DEFAULT = object()


def options(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """An option that is not heeded: the answer is that of another value of it."""
    for name in wrong[0].options:
        present = [seen.options.get(name) for seen in wrong]
        values: list[Any] = [_DEFAULT] if any(name in seen.case.config for seen in wrong) else []
        if all(isinstance(v, bool) for v in present):
            values += [True, False]
        elif all(isinstance(v, int | float) for v in present):
            values += [0, 1]
        elif all(isinstance(v, str) for v in present):
            values += sorted({str(v) for v in present})
        for value in values:
            shown = "its default" if value is _DEFAULT else repr(value)
            words = f"is what it would be with {name} at {shown}: the option is not heeded"
            yield predicting(Pattern.MISSING_TERM, words, _with_option, name, value)


def _with_option(seen: Observation, name: str, value: Any) -> Array | None:
    def change(case: Case) -> Case:
        rest = {k: v for k, v in case.config.items() if k != name}
        return replace(case, config=rest if value is _DEFAULT else {**rest, name: value})

    return seen.asked(f"{name}={value!r}", change)
