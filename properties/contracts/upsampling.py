"""Contracts of the resampling layers."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Spec

T = TypeVar("T")

RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}
PLAIN = ("nearest", "nearest-exact", "area")

FACTORS = st.sampled_from((2.0, 0.5, 1.5, 3, 0.7, 1 / 3, 2.3, 1.0, 1.25))


def _cell_counts(cells: Sequence[int], dtype: torch.dtype, options: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """How often torch's forward takes each cell, and how often its backward adds to it."""
    x = torch.arange(math.prod(cells), dtype=dtype).reshape(1, 1, *cells).requires_grad_()
    y = torch.nn.functional.interpolate(x, **options)
    (dx,) = torch.autograd.grad(y.sum(), x)
    return torch.bincount(y.detach().flatten().long(), minlength=x.numel()).tolist(), dx.flatten().tolist()


def _consistent(cells: Sequence[int], out: Sequence[int], antialias: bool, options: Mapping[str, Any]) -> bool:
    """Whether torch's backward is that of its forward, and its forward a resampling.

    Each exception is a finding, see docs/discrepancies.md.
    """
    mode, factor = options["mode"], options["scale_factor"]
    if mode in ("nearest", "nearest-exact"):
        # The forward computes cells with the precision of the input, the backward in float32; and that a size stays or
        # doubles is a special case in some places and in others not.
        counts = [_cell_counts(cells, dtype, options) for dtype in (torch.float32, torch.float64)]
        return all(count == counts[0][0] for count in itertools.chain(*counts))
    kept = [n == m for n, m in zip(cells, out, strict=True)]
    if factor is None or options.get("recompute_scale_factor") or options.get("align_corners"):
        unscaled = [True] * len(kept)
    else:
        unscaled = [f == 1 for f in _each(factor, len(kept))]
    if antialias:
        # The forward leaves out an axis that keeps its length, even where the factor says otherwise; and an output of
        # width 1 repeats its first row.
        faithful = all(one or not same for same, one in zip(kept, unscaled, strict=True))
        return faithful and (out[1] > 1 or out[0] in (1, cells[0]))
    # The backward of "bicubic" copies where all axes keep their length, even where the factor says otherwise.
    return mode != "bicubic" or not all(kept) or all(unscaled)


def _each(value: T | tuple[T, ...], rank: int) -> tuple[T, ...]:
    return value if isinstance(value, tuple) else (value,) * rank


def _resampled(d: Draft, options: Mapping[str, Any], rank: int, antialias: bool = False) -> dict[str, Spec]:
    """Draws size or factor, and an input that torch can be held to; `options` are those drawn so far."""
    short = st.integers(1, 9)
    # torch computes images of more than 128 rows and columns otherwise than small ones.
    first = st.one_of(*[short] * 9, st.just(130)) if rank == 2 else short
    size = d.option("size", st.one_of(st.none(), short, st.tuples(first, *[short] * (rank - 1))))
    factors = st.one_of(FACTORS, st.tuples(*[FACTORS] * rank))
    factor = d.option("scale_factor", factors if size is None else st.none())
    options = {**options, "size": size, "scale_factor": factor}
    if factor is not None and "recompute_scale_factor" in options:
        recompute = st.sampled_from((None, None, True, False))
        options["recompute_scale_factor"] = d.option("recompute_scale_factor", recompute)
    rank = len(size) if isinstance(size, tuple) else len(factor) if isinstance(factor, tuple) else rank
    each = [1.0] * rank if factor is None else _each(factor, rank)

    def usable(cells: Sequence[int]) -> bool:
        out = tuple(int(n * f) for n, f in zip(cells, each, strict=True)) if size is None else _each(size, rank)
        return (size is not None and factor is not None) or _consistent(cells, out, antialias, options)

    # Long axes are not worth a dense matrix.
    longer = st.sampled_from((0, 1, 2, 3, 4, 5) * 3 + ((260,) if rank == 1 else ()))
    least = [math.ceil(1 / f) for f in each]
    several = st.tuples(*[longer] * rank).map(lambda more: tuple(map(operator.add, least, more)))
    same = several if size is None else st.just(_each(size, rank))
    cells = d(st.one_of(several, several, several, same).filter(usable))
    return {"x": Real((d(st.sampled_from((1, 2, 3, 2, 1, 0))), d.size(3), *cells))}


def _choices(d: Draft, mode: str) -> dict[str, Any]:
    """The other options of a mode."""
    if mode in PLAIN:
        corners = st.none()
    else:
        corners = st.sampled_from((None, False) if mode == "lanczos" else (None, True, False, True))
    return {"mode": mode, "recompute_scale_factor": None, "align_corners": d.option("align_corners", corners)}


def _upsample(d: Draft) -> dict[str, Spec]:
    mode = d.option("mode", st.sampled_from((*PLAIN, "linear", "bilinear", "bicubic", "bicubic", "trilinear")))
    return _resampled(d, _choices(d, mode), RANKS.get(mode) or d(st.integers(1, 3)))


def _interpolate(d: Draft) -> dict[str, Spec]:
    if not d.option("antialias", st.booleans()):
        return _upsample(d)
    mode = d.option("mode", st.sampled_from(("bilinear", "bicubic", "lanczos")))
    return _resampled(d, _choices(d, mode), 2, antialias=True)


def _nearest(d: Draft) -> dict[str, Spec]:
    return _resampled(d, {"mode": "nearest"}, d(st.sampled_from((2, 2, 2, 1, 3))))


def _bilinear(d: Draft) -> dict[str, Spec]:
    return _resampled(d, {"mode": "bilinear", "align_corners": True}, 2)


Upsample = Contract("Upsample", Module(torch.nn.Upsample), _upsample)
UpsamplingNearest2d = Contract("UpsamplingNearest2d", Module(torch.nn.UpsamplingNearest2d), _nearest)
UpsamplingBilinear2d = Contract("UpsamplingBilinear2d", Module(torch.nn.UpsamplingBilinear2d), _bilinear)
Interpolate = Contract(
    "Interpolate",
    Function(
        torch.nn.functional.interpolate,
        ("x",),
        {
            "size": None,
            "scale_factor": None,
            "mode": "nearest",
            "align_corners": None,
            "recompute_scale_factor": None,
            "antialias": False,
        },
    ),
    _interpolate,
)
