"""What every layer asks of its arguments, and how it says so: who refuses, what came, what was expected."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradients = dict[str, Array]
Backward = Callable[[Array], Gradients]

REDUCTIONS = ("none", "mean", "sum")


def real(layer: str, **arrays: Any) -> list[Array]:
    """The arguments as floating-point arrays of one dtype; TypeError for anything else."""
    found: list[Array] = []
    for name, value in arrays.items():
        array = np.asarray(value)
        if not np.issubdtype(array.dtype, np.inexact):
            raise TypeError(f"{layer}: {name} must hold floating-point numbers, got dtype {array.dtype}")
        if found and array.dtype != found[0].dtype:
            first = next(iter(arrays))
            raise TypeError(
                f"{layer}: {name} has dtype {array.dtype} but {first} has {found[0].dtype}; cast one of them"
            )
        found.append(array)
    return found


def shape(layer: str, name: str, array: Array, expected: tuple[int, ...]) -> None:
    """ValueError unless the array has exactly this shape."""
    if array.shape != expected:
        raise ValueError(f"{layer}: {name} must have shape {expected}, got {array.shape}")


def cotangent(layer: str, dy: Any, expected: tuple[int, ...], name: str = "dy") -> Array:
    """The cotangent as an array, refused unless it is floating point, in the shape of the output it belongs to."""
    (array,) = real(layer, **{name: dy})
    if array.shape != expected:
        raise ValueError(f"{layer}: {name} must have the output's shape {expected}, got {array.shape}")
    return array


def integer(layer: str, name: str, value: Any, *, least: int | None = None) -> int:
    """A whole number, not below `least` where that is given; truth values are none, as in torch's own arguments."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{layer}: {name} must be an integer, got {value!r}")
    if least is not None and number < least:
        raise ValueError(f"{layer}: {name} must be at least {least}, got {number}")
    return number


def integers(layer: str, name: str, value: Any, *, rank: int, least: int | None = None) -> tuple[int, ...]:
    """A number for all spatial axes or a sequence of one number an axis, as a tuple of length `rank`."""
    if not isinstance(value, list | tuple):
        value = (value,) * rank
    if len(value) != rank:
        raise ValueError(f"{layer}: {name} must be an integer or {rank} integers, got {value!r}")
    return tuple(integer(layer, name, item, least=least) for item in value)


def one_or_more(layer: str, name: str, value: Any, *, rank: int, least: int | None = None) -> tuple[int, ...]:
    """The same, where a sequence of one number stands for all axes, too."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return integers(layer, name, value, rank=rank, least=least)


def fits(layer: str, name: str, value: float, dtype: np.dtype[Any]) -> None:
    """ValueError for a finite number that is beyond the largest of its array's dtype."""
    if float(np.finfo(dtype).max) < abs(float(value)) < np.inf:
        raise ValueError(f"{layer}: {name} must not overflow {dtype}, got {value!r}")


def number(layer: str, name: str, value: Any) -> None:
    """TypeError unless the value is a real number."""
    if not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{layer}: {name} must be a number, got {value!r}")


def boolean(layer: str, name: str, value: Any) -> None:
    """TypeError unless the value is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{layer}: {name} must be True or False, got {value!r}")


def choice(layer: str, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """ValueError unless the value is one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"{layer}: {name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def optional(layer: str, name: str, wanted: bool, given: Any) -> None:
    """ValueError where an argument is missing, or given although the configuration has none."""
    if wanted is (given is None):
        raise ValueError(f"{layer}: {name} {'is missing in' if wanted else 'was given to'} this configuration")


def axis(layer: str, name: str, value: int, rank: int) -> int:
    """A dimension number counted from the front; IndexError outside [-rank, rank). Rank 0 counts as 1."""
    rank = max(rank, 1)
    number = integer(layer, name, value)
    if not -rank <= number < rank:
        raise IndexError(f"{layer}: {name} must be in [{-rank}, {rank - 1}] for this input, got {number}")
    return number % rank


def like(y: Array, x: Array) -> Array:
    """y with a batch axis as it is, or without where x has none."""
    return np.asarray(y if x.ndim == y.ndim else y[0])


def spatial(layer: str, name: str, array: Array, rank: int) -> Array:
    """The array with a batch axis: (N, C, *spatial), or (C, *spatial) seen as a batch of one."""
    if array.ndim == rank + 1:
        array = array[None]
    if array.ndim != rank + 2:
        raise ValueError(
            f"{layer}: {name} must have {rank + 2} dimensions (N, C, ...) or {rank + 1} (C, ...), "
            f"got shape {array.shape}"
        )
    return array
