"""Arrays as source code that gives back every bit, and names that source code may use."""

from __future__ import annotations

import pprint
import re
from keyword import iskeyword
from typing import Any

from numpy.typing import NDArray

# The names in which scripts speak of other things while inputs and formulas are there by name.
# fmt: off
_WORDS = {
    "np", "torch", "sys", "inf", "nan", "Layer", "layer", "forward", "backward", "cache", "case", "inputs",
    "cotangents", "ask", "ask_in_place", "start", "later", "before", "got", "expected", "allowed", "wrong",
    "loss", "moved", "gradients", "h", "y", "g",
}
# fmt: on


def array_source(array: NDArray[Any], width: int = 110) -> str:
    """An expression in which `np` is NumPy, and `nan` and `inf` are its numbers; empty shapes are kept."""
    if array.size == 0:
        return f"np.zeros({array.shape}, dtype={array.dtype.name!r})"
    body = pprint.pformat(array.tolist(), width=width, compact=True)
    return f"np.array({body}, dtype={array.dtype.name!r})"


def script_name(name: str) -> str:
    """A name as Python's, for scripts: "0.weight" becomes p0_weight."""
    return name if name.isidentifier() else "p" + re.sub(r"\W", "_", name)


def is_word(name: str) -> bool:
    """Whether a name means something else in scripts, so that no input and no formula can have it."""
    return name in _WORDS or iskeyword(name) or re.fullmatch(r"dy\d*", name) is not None
