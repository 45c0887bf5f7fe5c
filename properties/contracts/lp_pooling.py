"""Contracts of power-average pooling."""

from __future__ import annotations

import math
from functools import partial

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Positive, Real, Spec
from .pooling import window

# Powers of odd or fractional order are of x, not of |x|, so that with negative numbers much is NaN.
NORMS = st.sampled_from((2.0, 1, 3.0, math.inf, 2, 1.5, 0.5, 1.0, 4.0, -math.inf, 3, 2.5, -1.0))


def _lp_pool(rank: int, d: Draft) -> dict[str, Spec]:
    norm = d.option("norm_type", NORMS)
    # With infinite p torch pools maxima, which takes tuples of one number, and kernels longer than the input.
    finite = not math.isinf(norm)
    shape = window(d, rank, padded=False, one=rank == 1 and not finite, whole=rank == 3 and finite)
    if finite and norm % 2 and d(st.booleans()):
        return {"x": Positive(shape, grad=True)}
    return {"x": Real(shape)}


LPPool1d = Contract("LPPool1d", Module(torch.nn.LPPool1d), partial(_lp_pool, 1))
LPPool2d = Contract("LPPool2d", Module(torch.nn.LPPool2d), partial(_lp_pool, 2))
LPPool3d = Contract("LPPool3d", Module(torch.nn.LPPool3d), partial(_lp_pool, 3))
