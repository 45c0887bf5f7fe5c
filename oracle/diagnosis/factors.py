"""Explanations by a factor, named after what it equals in every case: a number, the batch, a window, an option."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np

from ..vjp import Array
from .observation import Explanation, Observation, Pattern

# What a factor may be made of a quantity q, from likely to unlikely.
_FORMS: dict[str, Callable[[float], float]] = {
    "1/({})": lambda q: 1 / q,
    "{}": lambda q: q,
    "1/√({})": lambda q: 1 / math.sqrt(q),
    "√({})": math.sqrt,
    "1 - {}": lambda q: 1 - q,
    "1/(1 - {})": lambda q: 1 / (1 - q),
    "({0} - 1)/({0})": lambda q: (q - 1) / q,
    "({0})/({0} - 1)": lambda q: q / (q - 1),
    "({})²": lambda q: q * q,
    "1/({})²": lambda q: 1 / q**2,
}
# Numbers that come before a named quantity: 2/N.
_MULTIPLES = (1, 2, Fraction(1, 2), -1, -2, Fraction(-1, 2))
# Two factors are the same where they differ by no more than this: they are quotients of numbers that are right to
# single precision at worst, and quantities of a case are far apart.
_SAME = 2.0**-16


def factor_of(got: Array, want: Array, allowed: Array) -> float | None:
    """The one number by which all of `got` is a multiple of `want`; None where there is none."""
    if got.shape != want.shape or not want.any():
        return None
    largest = np.unravel_index(int(np.abs(want).argmax()), want.shape)
    factor = float(got[largest] / want[largest])
    return factor if bool((np.abs(got - factor * want) <= max(1.0, abs(factor)) * allowed).all()) else None


def factors(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """The whole array times a number that has a name."""
    found = {id(seen): factor_of(seen.got, seen.want, seen.allowance(seen.got)) for seen in wrong}
    name = name_factor([(seen, found[id(seen)]) for seen in wrong])
    if name is not None:
        words, value = name
        yield Explanation(
            Pattern.FACTOR, f"is {words} times what it should be", lambda seen: _is_multiple(seen, value(seen))
        )


def unnamed_factors(wrong: Sequence[Observation]) -> Iterator[Explanation]:
    """Proportional in every case, by a number that no quantity of the case explains."""
    several = [seen for seen in wrong if (seen.want != 0).sum() > 1]
    if len(several) < 2:
        return
    shown = [factor_of(s.got, s.want, s.allowance(s.got)) for s in several]
    if None in shown:
        return
    values = ", ".join(dict.fromkeys(str(_fraction(c)) for c in shown if c is not None))
    yield Explanation(
        Pattern.FACTOR,
        f"is a multiple of what it should be, by a factor that differs from case to case ({_cut(values)})",
        lambda seen: factor_of(seen.got, seen.want, seen.allowance(seen.got)) is not None or not seen.want.any(),
    )


Value = Callable[[Observation], float | None]


def name_factor(factors: Sequence[tuple[Observation, float | None]]) -> tuple[str, Value] | None:
    """What these factors are called, and how the name is computed of any case; None where nothing fits them all.

    A constant is a plain number; else each quantity is tried in each form, then products and quotients of two.
    """
    if any(c is None or not math.isfinite(c) for _, c in factors):
        return None
    known = [(seen, float(c)) for seen, c in factors if c is not None]
    cases = len({round(c, 9) for _, c in known})
    if cases == 1:
        number = _fraction(known[0][1])
        # One number is a multiple of any other: without a second element or a second case this says nothing.
        telling = len({seen.want.tobytes() for seen, _ in known}) > 2 or any(seen.want.size > 1 for seen, _ in known)
        return (str(number), lambda seen: float(number)) if number and telling else None  # noqa: ARG005
    tables = [(quantities(seen), c) for seen, c in known]
    names = [name for name in tables[0][0] if all(name in table for table, _ in tables)]
    for multiple in _MULTIPLES:
        for form, compute in _FORMS.items():
            for name in names:

                def value(
                    seen: Observation,
                    name: str = name,
                    compute: Callable[[float], float] = compute,
                    multiple: Fraction | int = multiple,
                ) -> float | None:
                    q = quantities(seen).get(name)
                    return None if q is None else _finite(lambda: float(multiple) * compute(q))

                if all(_close(value(seen), c) for seen, c in known):
                    return _worded(multiple, form.format(name)), value
    return _pair(tables, names)


def _pair(tables: Sequence[tuple[Mapping[str, float], float]], names: Sequence[str]) -> tuple[str, Value] | None:
    operations: dict[str, Callable[[float, float], float]] = {
        "({})/({})": lambda p, q: p / q,
        "1/({}·{})": lambda p, q: 1 / (p * q),
        "{}·{}": lambda p, q: p * q,
    }
    for form, compute in operations.items():
        for first, second in [*combinations(names, 2), *combinations(names[::-1], 2)]:

            def value(
                table: Mapping[str, float],
                first: str = first,
                second: str = second,
                compute: Callable[[float, float], float] = compute,
            ) -> float | None:
                if first not in table or second not in table:
                    return None
                return _finite(lambda: compute(table[first], table[second]))

            if all(_close(value(table), c) for table, c in tables):
                return form.format(first, second), lambda seen, value=value: value(quantities(seen))
    return None


def quantities(seen: Observation) -> dict[str, float]:
    """The numbers of a case that factors are made of, by name, from likely to unlikely."""
    arrays = [*seen.case.inputs.items(), *(("dy", dy) for dy in seen.case.cotangents[:1])]
    found: dict[str, float] = {}
    for name, a in arrays:
        found |= {f"{name}.shape[{axis}]": n for axis, n in enumerate(a.shape)}
    for name, a in arrays:
        found[f"{name}.size"] = a.size
        found |= {f"{name}.shape[-{axis}]": a.shape[-axis] for axis in range(1, min(a.ndim, 3) + 1)}
        for axis in range(1, a.ndim - 1):
            found[f"the product of {name}.shape[{axis}:]"] = math.prod(a.shape[axis:])
            found[f"the product of {name}.shape[:-{axis}]"] = math.prod(a.shape[:-axis])
        if a.ndim > 2:
            found[f"the product of {name}.shape[-2:]"] = math.prod(a.shape[-2:])
    for name, value in seen.options.items():
        if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            found[f"the product of {name}"] = math.prod(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
            if isinstance(value, int) and value > 0:
                found[f"the product of {name}"] = value**2  # one number for two axes
    for name, a in seen.case.inputs.items():
        if a.dtype.kind in "iu":
            for option, value in seen.options.items():
                if isinstance(value, int) and not isinstance(value, bool):
                    found[f"the share of {name} that is not {option}"] = float((a != value).mean()) if a.size else 1.0
        elif not a.ndim:
            found[name] = float(a)
    if seen.dy.size == 1:
        found["dy"] = float(seen.dy.reshape(()))
    return found


def _is_multiple(seen: Observation, factor: float | None) -> bool | None:
    return None if factor is None else seen.reproduces(factor * seen.want)


def _finite(compute: Callable[[], float]) -> float | None:
    try:
        value = compute()
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _close(value: float | None, factor: float) -> bool:
    return value is not None and abs(value - factor) <= _SAME * abs(factor)


def _fraction(value: float) -> Fraction | float:
    """A small fraction where there is one."""
    near = Fraction(value).limit_denominator(4096)
    return near if _close(float(near), value) else float(f"{value:.6g}")


def _worded(multiple: Fraction | int, name: str) -> str:
    if multiple == 1:
        words = name
    elif multiple == -1:
        words = f"-{name}"
    else:
        words = f"{multiple}·{name}"
    return words.replace("(", "", 1).replace(")", "", 1) if words.count("(") == 1 and " " not in words else words


def _cut(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[:most].rpartition(",")[0] + ", …"
