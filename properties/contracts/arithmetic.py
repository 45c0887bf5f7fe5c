"""Contracts of the arithmetic gates."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function
from ..values import Real, Shape, Spec

SIDES = st.sampled_from(("none", "left", "right"))


def broadcast_pair(d: Draft, shape: Shape) -> tuple[Shape, Shape]:
    """Two shapes that broadcast to this: axes are stretched on one side, the other or neither; leading ones missing."""
    stretched = d(st.lists(SIDES, min_size=len(shape), max_size=len(shape)))
    left = tuple(1 if side == "left" else n for n, side in zip(shape, stretched, strict=True))
    right = tuple(1 if side == "right" else n for n, side in zip(shape, stretched, strict=True))
    missing = d(st.integers(0, len(shape)))
    side = d(SIDES)
    return left[missing:] if side == "left" else left, right[missing:] if side == "right" else right


def _gate(d: Draft) -> dict[str, Spec]:
    x, other = broadcast_pair(d, d.shape())
    return {"x": Real(x), "other": Real(other)}


Add = Contract("Add", Function(torch.add, ("x", "other")), _gate)
Multiply = Contract("Multiply", Function(torch.mul, ("x", "other")), _gate)
