"""Contracts of the layers that only rearrange."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec


def _flatten(d: Draft) -> dict[str, Spec]:
    shape = d.shape()
    rank = max(len(shape), 1)
    start = d.option("start_dim", st.integers(min(1, rank - 1), rank - 1) | st.integers(-rank, rank - 1))
    first = start % rank
    d.option("end_dim", st.just(-1) | st.integers(first, rank - 1) | st.integers(first - rank, -1))
    return {"x": Real(shape)}


Flatten = Contract("Flatten", Module(torch.nn.Flatten), _flatten)
