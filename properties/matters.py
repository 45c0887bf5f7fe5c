"""Which parts of a case matter for a fault: each option, the dtype, the shapes and the values.

A fault is looked for in situations drawn at the smallest case's configuration, and with each option varied alone. What
these cannot tell is not said: a field matters only where it separates what fails from what passes, and too sharply for
chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.diagnosis import Observation
from .values import Array

# What is said must be less likely than this to be chance.
CHANCE = 0.02
MOST_NAMED = 4
MOST_TRIED = 8

Seen = Sequence[Observation]  # the sub-cases of one situation


@dataclass(frozen=True)
class Tries:
    """What was seen: at one configuration, with each option varied alone (its value beside it), and in another dtype.

    `config` is that configuration, `other_dtype` the name of the other dtype; `again` asks a new layer about a case
    that was seen, one input changed.
    """

    config: Mapping[str, Any]
    near: Sequence[Seen]
    varied: Mapping[str, Sequence[tuple[Any, Seen]]]
    other_dtype: str
    retyped: Sequence[Seen]
    again: Callable[[Observation, str, Callable[[Array], Array]], Observation | None]


def failed(seen: Seen) -> bool:
    """Whether any sub-case of a situation is wrong."""
    return any(one.wrong for one in seen)


def telling(seen: Seen) -> bool:
    """Whether a situation could have failed: there was something to be wrong about."""
    return failed(seen) or any(one.want.any() for one in seen)


def what_matters(tries: Tries, elsewhere: Sequence[Seen] = ()) -> str | None:
    """One sentence; None where nothing can be said. What fails elsewhere can refute what is said of shapes."""
    near = [seen for seen in tries.near if telling(seen)]
    if not any(map(failed, near)):
        return None
    often = sum(map(failed, near)) / (len(near) + 1)  # never certain: a single pass proves nothing
    needed: list[str] = []
    idle: list[str] = []
    for name, tried in tries.varied.items():
        condition = _condition(name, tries.config.get(name), tried, often)
        if condition is not None:
            (needed if condition else idle).append(condition or name)
    needed += _shape(near, [seen for seen in elsewhere if failed(seen)])
    where = _values(tries, near)
    if tries.retyped and all(map(failed, tries.retyped)):
        idle.append("dtype")
    elif _improbable(1 - often, sum(map(telling, tries.retyped))) and not any(map(failed, tries.retyped)):
        needed.append(f"dtype is not {tries.other_dtype}")
    parts = []
    if needed or where:
        when = [f"when {' and '.join(_merged(needed, tries.config))}"] if needed else []
        parts.append("fails " + ", ".join([*when, *where]))
    if idle:
        parts.append(f"{_listed(idle)} {'does' if len(idle) == 1 else 'do'} not matter")
    return "; ".join(parts) or None


def _improbable(share: float, times: int) -> bool:
    """Whether an event with this share is improbable to have happened each time."""
    return bool(share**times < CHANCE)


def _condition(name: str, base: Any, tried: Sequence[tuple[Any, Seen]], often: float) -> str | None:
    """Under which values of an option it fails: "" where it always does, None where that is not known."""
    failing: dict[Any, None] = {}
    passes: Counter[Any] = Counter()
    for value, seen in [(base, None), *tried]:
        key = key_of(value)
        if seen is None or failed(seen):
            failing[key] = None
        elif telling(seen):
            passes[key] += 1
    passing = [key for key, count in passes.items() if key not in failing and _improbable(1 - often, count)]
    if not passing:
        unclear = [key for key in passes if key not in failing]
        return "" if len(failing) > 1 and not unclear else None
    return _separated(name, list(failing), passing)


def key_of(value: Any) -> Any:
    """A number for each axis counts as the largest of them."""
    if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
        return max(value)
    return value


def _separated(name: str, failing: list[Any], passing: list[Any]) -> str:
    """The values that fail, as a threshold where there is one."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (*failing, *passing))
    if numbers and min(failing) > max(passing):
        return f"{name} > {max(passing)}"
    if numbers and max(failing) < min(passing):
        return f"{name} < {min(passing)}"
    if len(failing) == 1:
        return f"{name} = {failing[0]!r}"
    if len(passing) == 1:
        return f"{name} is not {passing[0]!r}"
    shown = failing[:MOST_NAMED]
    return f"{name} is {_listed(list(map(repr, shown)), 'or')}{' …' if len(failing) > MOST_NAMED else ''}"


def _merged(conditions: list[str], config: Mapping[str, Any]) -> list[str]:
    """Two options that must have one and the same value are said to be equal."""
    exact = {name: value for name, value in config.items() if f"{name} = {value!r}" in conditions}
    numbers = {n: v for n, v in exact.items() if isinstance(v, int) and not isinstance(v, bool)}
    for first, value in numbers.items():
        for second in (n for n, v in numbers.items() if v == value and n > first):
            pair = (f"{first} = {value!r}", f"{second} = {value!r}")
            return [f"{first} = {second}", *(c for c in conditions if c not in pair)]
    return conditions


def _shape(near: Sequence[Seen], elsewhere: Sequence[Seen]) -> list[str]:
    """A rank or an axis that is longer in all that fails than in all that passes.

    By chance, each of them separates one in C(n, k) ways to choose the k that fail.
    """
    failing, passing = ([_sizes(seen[0]) for seen in near if failed(seen) is wrong] for wrong in (True, False))
    others = [_sizes(seen[0]) for seen in elsewhere]
    for name in failing[0] if math.comb(len(near), len(failing)) * CHANCE > len(failing[0]) else ():
        limit = max((found.get(name, 0) for found in passing), default=0)
        if all(found.get(name, limit) > limit for found in failing) and all(
            found.get(name, limit + 1) > limit for found in others
        ):
            return [f"{name} > {limit}"]
    return []


def _sizes(one: Observation) -> dict[str, int]:
    """The lengths of all axes, the sizes and the ranks, from likely to unlikely."""
    inputs = one.case.inputs.items()
    found = {f"{name}.shape[{axis}]": n for name, a in inputs for axis, n in enumerate(a.shape)}
    found |= {f"{name}.shape[{axis}]": a.shape[axis] for name, a in inputs for axis in range(-a.ndim, 0)}
    return found | {f"{name}.size": a.size for name, a in inputs} | {f"{name}.ndim": a.ndim for name, a in inputs}


# What an input may hold, and the same input without it.
_VALUES: dict[str, tuple[Callable[[Array], bool], Callable[[Array], Array]]] = {
    "holds a zero": (lambda a: bool((a == 0).any()), lambda a: a + (np.max(np.abs(a)) or 1.0) / 7),
    "holds a negative number": (lambda a: bool((a < 0).any()), np.abs),
    "holds equal values": (
        lambda a: np.unique(a).size < a.size,
        lambda a: a + np.linspace(0.01, 0.09, a.size).reshape(a.shape),
    ),
}


def _values(tries: Tries, near: Sequence[Seen]) -> list[str]:
    """What an input must hold to fail: all that fails holds it, and passes without it."""
    every = [one for seen in near if failed(seen) for one in seen if telling([one])]
    failing, passing = ([o for o in every if o.wrong is wrong] for wrong in (True, False))
    for name in every[0].reals:
        for holds, (test, without) in _VALUES.items():
            if all(name in o.reals and test(o.reals[name]) for o in failing):
                lacking = sum(name in o.reals and not test(o.reals[name]) for o in passing)
                if lacking and _improbable(1 - lacking / len(every), len(failing)):
                    changed = [tries.again(one, name, without) for one in failing[:MOST_TRIED]]
                    if not any(one is None or one.wrong for one in changed):
                        return [f"only where {name} {holds}"]
    return []


def _listed(names: Iterable[str], last: str = "and") -> str:
    *most, end = names
    return f"{', '.join(most)} {last} {end}" if most else end
