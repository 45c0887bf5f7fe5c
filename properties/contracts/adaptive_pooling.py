"""Contracts of adaptive pooling."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec


def _output_size(rank: int) -> st.SearchStrategy[Any]:
    """One number for all axes, or one each; from two axes on None keeps an axis."""
    number = st.integers(1, (9, 6, 4)[rank - 1])
    each = st.tuples(*(number if rank == 1 else st.one_of(number, number, st.none()),) * rank)
    return st.one_of(number, each, each, st.sampled_from((1, (1,) * rank)))


def _shape(rank: int, d: Draft) -> tuple[int, ...]:
    sizes = (d.size((12, 8, 5)[rank - 1]) for _ in range(rank))
    return (*d.batch(), d.size((4, 3, 2)[rank - 1]), *sizes)


def _avg(rank: int, d: Draft) -> dict[str, Spec]:
    size = d.option("output_size", _output_size(rank))
    shape = _shape(rank, d)
    # One window over everything is a mean of the last axes: torch then takes any number of axes before them, where it
    # need not compare their number with that of the sizes.
    if size == 1 and rank > 1 and d(st.sampled_from((False, False, False, True))):
        shape = d(st.sampled_from((shape[-rank:], (2, *shape))))
    return {"x": Real(shape)}


def _max(rank: int, d: Draft) -> dict[str, Spec]:
    d.option("output_size", _output_size(rank))
    d.option("return_indices", st.booleans())
    return {"x": Real(_shape(rank, d))}


AdaptiveAvgPool1d = Contract("AdaptiveAvgPool1d", Module(torch.nn.AdaptiveAvgPool1d), partial(_avg, 1))
AdaptiveAvgPool2d = Contract("AdaptiveAvgPool2d", Module(torch.nn.AdaptiveAvgPool2d), partial(_avg, 2))
AdaptiveAvgPool3d = Contract("AdaptiveAvgPool3d", Module(torch.nn.AdaptiveAvgPool3d), partial(_avg, 3))
AdaptiveMaxPool1d = Contract("AdaptiveMaxPool1d", Module(torch.nn.AdaptiveMaxPool1d), partial(_max, 1))
AdaptiveMaxPool2d = Contract("AdaptiveMaxPool2d", Module(torch.nn.AdaptiveMaxPool2d), partial(_max, 2))
AdaptiveMaxPool3d = Contract("AdaptiveMaxPool3d", Module(torch.nn.AdaptiveMaxPool3d), partial(_max, 3))
