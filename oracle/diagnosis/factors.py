"""Explanations by a factor, named after what it equals in every case: a number, the batch, a window, an option."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations

import numpy as np

from .observation import Explanation, Observation, Pattern

# What a factor may be made of a quantity q, from likely to unlikely.
_FORMS: dict[str, Callable[[float], float]] = {
    "1/{}": lambda q: 1 / q,
    "{}": lambda q: q,
    "1/√{}": lambda q: 1 / math.sqrt(q),
    "√{}": math.sqrt,
    "1 - {}": lambda q: 1 - q,
    "1/(1 - {})": lambda q: 1 / (1 - q),
    "({0} - 1)/{0}": lambda q: (q - 1) / q,
    "{0}/({0} - 1)": lambda q: q / (q - 1),
    "{}²": lambda q: q * q,
    "1/{}²": lambda q: 1 / q**2,
}
MOST_SHOWN = 6
# Numbers that come before a named quantity: 2/N.
_MULTIPLES = (1, 2, Fraction(1, 2), -1, -2, Fraction(-1, 2))
# Two factors are the same where they differ by no more than this: they are quotients of numbers that are right to
# single precision at worst, and quantities of a case are far apart.
SAME = 2.0**-16


def factor_of(seen: Observation) -> float | None:
    """The one number by which all of the answer is a multiple of what it should be; None where there is none."""
    if seen.got.shape != seen.want.shape or not seen.want.any():
        return None
    largest = np.unravel_index(int(np.abs(seen.want).argmax()), seen.want.shape)
    factor = float(seen.got[largest] / seen.want[largest])
    error = (seen.got - factor * seen.want) / max(1.0, abs(factor))  # the budget is multiplied too
    return factor if seen.within(error, seen.want) else None


def factors(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """The whole array times a number that has a name."""
    name = name_factor([(seen, factor_of(seen)) for seen in wrong])
    if name is not None:
        words, value = name
        yield Explanation(Pattern.FACTOR, f"is {words} times what it should be", partial(_is_multiple, value=value))


def unnamed_factors(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Proportional in every case, by a number that no quantity of the case explains."""
    several = [factor_of(seen) for seen in wrong if (seen.want != 0).sum() > 1]
    known = [c for c in several if c is not None]
    if len(several) == len(known) and not all(_close(c, known[0]) for c in known):
        shown = ", ".join(dict.fromkeys(str(_fraction(c)) for c in known[:MOST_SHOWN]))
        words = f"is a multiple of what it should be, by a factor that differs from case to case ({shown})"
        yield Explanation(Pattern.FACTOR, words, lambda seen: factor_of(seen) is not None or not seen.wrong)


Value = Callable[[Observation], float | None]


def name_factor(factors: Sequence[tuple[Observation, float | None]]) -> tuple[str, Value] | None:
    """What these factors are called, and how the name is computed of any case; None where nothing fits them all.

    A constant is a plain number; else each quantity is tried in each form, then products and quotients of two.
    """
    if any(c is None or not math.isfinite(c) for _, c in factors):
        return None
    known = [(seen, float(c)) for seen, c in factors if c is not None]
    if all(_close(c, known[0][1]) for _, c in known):
        number = _fraction(known[0][1])
        # One number is a multiple of any other: without a second element or a second case this says nothing.
        telling = len({seen.want.tobytes() for seen, _ in known}) > 2 or any(seen.want.size > 1 for seen, _ in known)
        return (str(number), lambda seen: float(number)) if number and telling else None  # noqa: ARG005
    tables = [(quantities(seen), c) for seen, c in known]
    names = [name for name in tables[0][0] if all(name in table for table, _ in tables)]
    for words, compute, arguments in _candidates(names):
        if all(_close(_computed(table, compute, arguments), c) for table, c in tables):
            return words, partial(_value, compute=compute, names=arguments)
    return None


def _candidates(names: Sequence[str]) -> Iterator[tuple[str, Callable[..., float], tuple[str, ...]]]:
    """What a factor may be called, how it is computed, and of which quantities."""
    for multiple in _MULTIPLES:
        for form, compute in _FORMS.items():
            for name in names:
                yield _worded(multiple, form.format(name)), partial(_times, float(multiple), compute), (name,)
    for first, second in combinations(names, 2):
        yield f"{first}/{second}", lambda p, q: p / q, (first, second)
        yield f"{second}/{first}", lambda p, q: q / p, (first, second)
        yield f"1/({first}·{second})", lambda p, q: 1 / (p * q), (first, second)
        yield f"{first}·{second}", lambda p, q: p * q, (first, second)


def _times(multiple: float, compute: Callable[[float], float], q: float) -> float:
    return multiple * compute(q)


def _value(seen: Observation, compute: Callable[..., float], names: tuple[str, ...]) -> float | None:
    return _computed(quantities(seen), compute, names)


def _computed(table: Mapping[str, float], compute: Callable[..., float], names: tuple[str, ...]) -> float | None:
    """A formula of quantities; None where one is missing, or there is no such number."""
    if any(name not in table for name in names):
        return None
    try:
        value = compute(*(table[name] for name in names))
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def quantities(seen: Observation) -> dict[str, float]:
    """The numbers of a case that factors are made of, by name, from likely to unlikely."""
    arrays = [*seen.case.inputs.items(), *(("dy", dy) for dy in seen.case.cotangents[:1])]
    found: dict[str, float] = {}
    for name, a in arrays:
        found |= {f"{name}.shape[{axis}]": n for axis, n in enumerate(a.shape)}
    for name, a in arrays:
        found[f"{name}.size"] = a.size
        found |= {f"{name}.shape[-{axis}]": a.shape[-axis] for axis in range(1, min(a.ndim, 3) + 1)}
        if a.ndim > 2:
            found[f"prod({name}.shape[-2:])"] = math.prod(a.shape[-2:])
        for axis in range(1, a.ndim - 1):
            found[f"prod({name}.shape[{axis}:])"] = math.prod(a.shape[axis:])
            found[f"prod({name}.shape[:-{axis}])"] = math.prod(a.shape[:-axis])
    with contextlib.suppress(ValueError):
        shape = np.broadcast_shapes(*(a.shape for a in seen.case.inputs.values()))
        found[f"({' + '.join(seen.case.inputs)}).size"] = math.prod(shape)
    for name, value in seen.options.items():
        if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            found[f"prod({name})"] = math.prod(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
            if isinstance(value, int) and value > 0:
                found[f"prod({name})"] = value**2  # one number for two axes
    for name, a in seen.case.inputs.items():
        if a.dtype.kind in "iu":
            for option, value in seen.options.items():
                if isinstance(value, int) and not isinstance(value, bool):
                    found[f"mean({name} != {option})"] = float((a != value).mean()) if a.size else 1.0
        elif not a.ndim:
            found[name] = float(a)
    if seen.dy.size == 1:
        found["dy"] = float(seen.dy.reshape(()))
    return found


def _is_multiple(seen: Observation, value: Value) -> bool | None:
    factor = value(seen)
    return None if factor is None else seen.reproduces(factor * seen.want)


def _close(value: float | None, factor: float) -> bool:
    return value is not None and abs(value - factor) <= SAME * abs(factor)


def _fraction(value: float) -> Fraction | float:
    """A small fraction where there is one."""
    near = Fraction(value).limit_denominator(4096)
    return near if _close(float(near), value) else float(f"{value:.6g}")


def _worded(multiple: Fraction | int, name: str) -> str:
    if abs(multiple) == 1:
        return name if multiple == 1 else f"-{name}"
    return f"{multiple}·{name}"
