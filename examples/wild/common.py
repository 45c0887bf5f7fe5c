"""What the files of declarations share.

What packages claim to take is said by `where` of gradjury.adapt: none of them says a word of arrays without elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest import mock

import numpy as np

Config = Mapping[str, Any]
Shapes = Mapping[str, tuple[int, ...]]


def filled(config: Config, shapes: Shapes) -> bool:  # noqa: ARG001
    """No axis is empty, and x is not a bare number."""
    return all(map(all, shapes.values())) and shapes["x"] != ()


def of_rank(*ranks: int) -> Any:
    """x has so many axes, and none of them is empty."""

    def where(config: Config, shapes: Shapes) -> bool:
        return filled(config, shapes) and len(shapes["x"]) in ranks

    return where


def same_shapes(config: Config, shapes: Shapes) -> bool:
    """Prediction and target have one shape."""
    return filled(config, shapes) and shapes["x"] == shapes["target"]


def drawing(mask: Any, p: float, kept: float, dropped: float) -> Any:
    """Lets np.random.rand answer `kept` where the mask is true or nothing is dropped, and `dropped` elsewhere."""

    def rand(*_: int) -> Any:
        return np.where(mask | (p == 0), kept, dropped)

    return mock.patch.object(np.random, "rand", rand)
