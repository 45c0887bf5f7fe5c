"""Contracts of softmax and its logarithm."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec


def _along_dim(d: Draft) -> dict[str, Spec]:
    shape = d.shape()
    rank = max(len(shape), 1)
    d.option("dim", st.one_of(st.none(), st.integers(-rank, rank - 1)))
    return {"x": Real(shape)}


Softmax = Contract("Softmax", Module(torch.nn.Softmax), _along_dim)
LogSoftmax = Contract("LogSoftmax", Module(torch.nn.LogSoftmax), _along_dim)
