"""Contracts of the losses that compare numbers."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec
from .arithmetic import broadcast_pair
from .common import REDUCTIONS


def _mse(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    if d(st.sampled_from((False, False, False, True))):
        x, target = broadcast_pair(d)
    else:
        x = target = d.shape()
    return {"x": Real(x), "target": Real(target)}


MSELoss = Contract("MSELoss", Module(torch.nn.MSELoss), _mse)
