"""Contracts of sampling at given positions."""

from inspect import Parameter

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function
from ..values import Positions, Real, Spec

CRASH = "torch's backward crashes on a NaN among positions that are moved inside"
ALIGN = st.sampled_from((None, True, False, True))


def _grid_sample(d: Draft) -> dict[str, Spec]:
    mode = d.option("mode", st.sampled_from(("bilinear", "nearest", "bicubic", "bilinear", "bicubic")))
    d.option("padding_mode", st.sampled_from(("zeros", "border", "reflection")))
    align = d.option("align_corners", ALIGN)
    rank = 2 if mode == "bicubic" else d(st.sampled_from((2, 2, 3)))
    batch = d(st.sampled_from((1, 2, 3, 2, 1, 0)))
    cells = tuple(d.size() for _ in range(rank))
    points = tuple(d.size(4) for _ in range(rank))
    return {
        "x": Real((batch, d.size(3), *cells)),
        "grid": Positions((batch, *points, rank), cells, bool(align), grad=True),
    }


def _affine_grid(d: Draft) -> dict[str, Spec]:
    align = d.option("align_corners", ALIGN)
    spatial = d(st.integers(2, 3).flatmap(lambda rank: st.tuples(*[st.integers(1, 5)] * rank)))
    # torch looks for an empty batch only where it does not warn of an axis of one cell.
    batch = st.integers(0 if align and 1 in spatial else 1, 3)
    size = d.option("size", st.tuples(batch, st.integers(1, 3), *map(st.just, spatial)))
    return {"theta": Real((size[0], len(size) - 2, len(size) - 1))}


GridSample = Contract(
    "GridSample",
    Function(
        torch.nn.functional.grid_sample,
        ("x", "grid"),
        {"mode": "bilinear", "padding_mode": "zeros", "align_corners": None},
    ),
    _grid_sample,
    finite=lambda config: {} if config.get("padding_mode", "zeros") == "zeros" else {"grid": CRASH},
)
AffineGrid = Contract(
    "AffineGrid",
    Function(torch.nn.functional.affine_grid, ("theta",), {"size": Parameter.empty, "align_corners": None}),
    _affine_grid,
)
