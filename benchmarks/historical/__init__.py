"""Gradient bugs that really happened in public projects, re-created as small NumPy layers in our own words.

Each stands beside the same layer without the fault: the one must be found guilty, the other pass. Run it from the
checkout: `python -m benchmarks.historical`.
"""

from . import (
    activation,
    arithmetic,
    convolution,
    ctc,
    indexing,
    loss,
    normalization,
    pooling,
    recurrent,
    upsampling,
)
from .bug import Bug

_FAMILIES = (
    convolution,
    pooling,
    upsampling,
    activation,
    normalization,
    recurrent,
    indexing,
    arithmetic,
    loss,
    ctc,
)
BUGS: list[Bug] = [bug for family in _FAMILIES for bug in family.BUGS]

__all__ = ["BUGS", "Bug"]
