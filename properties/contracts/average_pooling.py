"""Contracts of average pooling over sliding windows."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec
from .pooling import window


def _avg_pool(rank: int, d: Draft) -> dict[str, Spec]:
    d.option("count_include_pad", st.sampled_from((True, False)))
    if rank > 1:
        # Without an override there is more to go wrong, so it is drawn as often as all of them.
        d.option("divisor_override", st.sampled_from((None, None, None, None, 1, 2, 7, -3)))
    # On three axes torch refuses a kernel that is longer than the input, even where it fits the padded one.
    return {"x": Real(window(d, rank, whole=rank == 3))}


AvgPool1d = Contract("AvgPool1d", Module(torch.nn.AvgPool1d), partial(_avg_pool, 1))
AvgPool2d = Contract("AvgPool2d", Module(torch.nn.AvgPool2d), partial(_avg_pool, 2))
AvgPool3d = Contract("AvgPool3d", Module(torch.nn.AvgPool3d), partial(_avg_pool, 3))
