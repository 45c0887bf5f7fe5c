"""What the optimizers share: what they ask of their arguments, and how their state is named.

An optimizer is a frozen configuration that is called with parameters, gradients and its own state, all by name, and
answers the new parameters and the new state; it changes nothing in place. What it keeps of a parameter stands under the
parameter's name and torch's word for it, "0.weight.exp_avg"; at the first step there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import _check
from ._check import Array

Arrays = Mapping[str, Array]
Step = tuple[dict[str, Array], dict[str, Array]]


def check_number(optimizer: str, name: str, value: Any, *, below: float = np.inf) -> None:
    """TypeError or ValueError unless the value is a number from 0 on, and less than `below`."""
    _check.number(optimizer, name, value)
    if not 0 <= value < below:
        limit = "negative" if below == np.inf else f"outside [0, {below:g})"
        raise ValueError(f"{optimizer}: {name} must not be {limit}, got {value}")


def each(optimizer: str, params: Arrays, grads: Arrays) -> Iterator[tuple[str, Array, Array]]:
    """Every parameter's name, its value and its gradient; KeyError where one has no gradient."""
    missing = params.keys() - grads.keys()
    if missing:
        raise KeyError(f"{optimizer}: no gradient for {', '.join(sorted(missing))}")
    for name, value in params.items():
        (p,) = _check.real(optimizer, **{name: value})
        g = np.asarray(grads[name])
        _check.shape(optimizer, f"the gradient of {name}", g, p.shape)
        yield name, p, g.astype(p.dtype, copy=False)
