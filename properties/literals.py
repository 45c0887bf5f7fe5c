"""Arrays as source code that gives back every bit."""

from __future__ import annotations

import pprint
from typing import Any

from numpy.typing import NDArray


def array_source(array: NDArray[Any], width: int = 110) -> str:
    """An expression in which `np` is NumPy, and `nan` and `inf` are its numbers; empty shapes are kept."""
    if array.size == 0:
        return f"np.zeros({array.shape}, dtype={array.dtype.name!r})"
    body = pprint.pformat(array.tolist(), width=width, compact=True)
    return f"np.array({body}, dtype={array.dtype.name!r})"
