"""Contracts of softmax and its logarithm."""

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Spec


def gumbel_softmax(logits, gumbels, tau=1, hard=False, dim=-1):  # type: ignore[no-untyped-def]
    """torch's own, which draws the noise itself; a test holds this against it with that noise."""
    if gumbels.shape != logits.shape:
        raise ValueError(f"gumbels of shape {tuple(gumbels.shape)}")
    soft = ((logits + gumbels) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    return torch.zeros_like(logits).scatter_(dim, index, 1.0) - soft.detach() + soft


def _gumbel_softmax(d: Draft) -> dict[str, Spec]:
    hard = d.option("hard", st.booleans())
    shape = d.shape()
    rank = max(len(shape), 1)
    # Of no elements there is no largest.
    axes = [axis for axis in range(-rank, rank) if not (hard and shape and shape[axis] == 0)]
    if not axes:
        shape, axes = (3,), [-1, 0]
    d.option("dim", st.sampled_from(axes))
    d.option("tau", st.sampled_from((1, 0.5, np.float64(2.0), 0.1, 10.0, 1)))
    return {"logits": Real(shape), "gumbels": Real(shape, grad=False)}


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
GumbelSoftmax = Contract(
    "GumbelSoftmax",
    Function(gumbel_softmax, ("logits", "gumbels"), {"tau": 1, "hard": False, "dim": -1}),
    _gumbel_softmax,
    conventions={"a hard sample passes the gradient of the soft one": lambda case: bool(case.config.get("hard"))},
)
