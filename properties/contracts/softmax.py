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


def _softmax2d(d: Draft) -> dict[str, Spec]:
    return {"x": Real(d.shape(least=3))}


Softmax = Contract("Softmax", Module(torch.nn.Softmax), _along_dim)
Softmin = Contract("Softmin", Module(torch.nn.Softmin), _along_dim)
Softmax2d = Contract("Softmax2d", Module(torch.nn.Softmax2d), _softmax2d)
LogSoftmax = Contract("LogSoftmax", Module(torch.nn.LogSoftmax), _along_dim)
