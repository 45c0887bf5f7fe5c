"""Arrays as source code that gives back every bit, and names that source code may use."""

from __future__ import annotations

import pprint
import re
from typing import Any

from numpy.typing import NDArray


def array_source(array: NDArray[Any], width: int = 110) -> str:
    """An expression in which `np` is NumPy, and `nan` and `inf` are its numbers; empty shapes are kept."""
    if array.size == 0:
        return f"np.zeros({array.shape}, dtype={array.dtype.name!r})"
    body = pprint.pformat(array.tolist(), width=width, compact=True)
    return f"np.array({body}, dtype={array.dtype.name!r})"


def script_name(name: str) -> str:
    """A name as Python's, for scripts: "0.weight" becomes p0_weight."""
    return name if name.isidentifier() else "p" + re.sub(r"\W", "_", name)
