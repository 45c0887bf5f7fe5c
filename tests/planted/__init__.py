"""Copies of layers, each with one fault of the kind people make; every one must be caught.

`FAULTS` lists them: the layer, the contract it claims to keep, and the law that must be among the broken ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import activations, arithmetics, convolutions, losses, pools


class Fault(NamedTuple):
    """A faulty layer, its contract, and a law that it must break."""

    layer: Any
    to: str
    law: str


FAULTS = [
    Fault(*entry)
    for entry in (
        *activations.FAULTS,
        *arithmetics.FAULTS,
        *convolutions.FAULTS,
        *losses.FAULTS,
        *pools.FAULTS,
    )
]
