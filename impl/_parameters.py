"""Parameters whose names have dots, those of a layer inside another: `linear.weight`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _check
from ._check import Array


def parameters(layer: str, x: Array, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> list[Array]:
    """The parameters in this order, all of x's dtype and of their shapes; ValueError where names differ."""
    for name in {**shapes, **given}:
        if name not in given:
            raise ValueError(f"{layer}: {name} is missing; this configuration has {', '.join(shapes)}")
        if name not in shapes:
            raise ValueError(f"{layer}: {name} was given, but this configuration has {', '.join(shapes)}")
    _, *arrays = _check.real(layer, x=x, **{name: given[name] for name in shapes})
    for (name, expected), array in zip(shapes.items(), arrays, strict=True):
        _check.shape(layer, name, array, expected)
    return arrays
