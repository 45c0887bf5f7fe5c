"""Parameters that a layer takes by name, `**params`: those of its parts have dots in theirs, `linear.weight`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _check
from ._check import Array


def parameters(
    layer: str, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], **like: Array
) -> dict[str, Array]:
    """The parameters in the order of `shapes`, which are theirs, all of the dtype of the input `like`, given by name.

    ValueError where one is missing, or is too many.
    """
    for name in {**shapes, **given}:
        if name not in given:
            raise ValueError(f"{layer}: {name} is missing; this configuration has {', '.join(shapes)}")
        if name not in shapes:
            raise ValueError(f"{layer}: {name} was given, but this configuration has {', '.join(shapes)}")
    _, *arrays = _check.real(layer, **like, **{name: given[name] for name in shapes})
    found = dict(zip(shapes, arrays, strict=True))
    for name, expected in shapes.items():
        _check.shape(layer, name, found[name], expected)
    return found


def xavier(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A fresh matrix, uniform in ±√(6 / (rows + columns)): Glorot and Bengio, 2010."""
    return rng.uniform(-1, 1, shape) * math.sqrt(6 / sum(shape))
