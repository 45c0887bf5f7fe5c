"""Contracts of the recurrent cells: torch's, and a refusal where torch's own check is missing."""

from __future__ import annotations

from inspect import Parameter

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Formula
from ..values import Real, Spec

OPTIONS = {"input_size": Parameter.empty, "hidden_size": Parameter.empty, "bias": True}


def recurrent_cell(cell, x, hx=None, h_0=None, c_0=None, **given):  # type: ignore[no-untyped-def]
    """torch's own, but for states with an axis more than x, which it takes or dies of; see docs/discrepancies.md."""
    weights = {name: a for name, a in given.items() if name.startswith(("weight_", "bias_"))}
    options = {name: value for name, value in given.items() if name not in weights}
    if any(state is not None and state.dim() != x.dim() for state in (hx, h_0, c_0)):
        raise ValueError("states must have as many axes as x")
    state = (h_0, c_0) if cell == "LSTMCell" and (h_0, c_0) != (None, None) else hx
    module = getattr(torch.nn, cell)(**options, device="meta")
    return torch.func.functional_call(module, weights, (x, state), strict=True)


def cell_weights(gates: int, inputs: int, hidden: int, projected: int = 0, *, bias: bool) -> dict[str, Spec]:
    """The parameters of one cell."""
    rows = gates * hidden
    specs: dict[str, Spec] = {"weight_ih": Real((rows, inputs)), "weight_hh": Real((rows, projected or hidden))}
    if bias:
        specs |= {"bias_ih": Real((rows,)), "bias_hh": Real((rows,))}
    if projected:
        specs["weight_hr"] = Real((projected, hidden))
    return specs


def _cell(gates: int, states: tuple[str, ...]) -> Domain:
    def domain(d: Draft) -> dict[str, Spec]:
        if gates == 1:
            d.option("nonlinearity", st.sampled_from(("tanh", "relu")))
        bias = d.option("bias", st.sampled_from((True, True, False)))
        inputs = d.option("input_size", st.sampled_from((3, 2, 4, 1, 3, 2, 5, 0)))
        hidden = d.option("hidden_size", st.sampled_from((3, 2, 4, 1, 3, 2, 5, 4, 0)))
        batch = d.batch()
        specs: dict[str, Spec] = {"x": Real((*batch, inputs))}
        if d(st.sampled_from((True, True, False))):
            specs |= {name: Real((*batch, hidden)) for name in states}
        return specs | cell_weights(gates, inputs, hidden, bias=bias)

    return domain


def _contract(name: str, gates: int, states: tuple[str, ...] = ("hx",), **options: str) -> Contract:
    reference = Formula(recurrent_cell, ("x", *states), OPTIONS | options, {"cell": name})
    return Contract(name, reference, _cell(gates, states))


RNNCell = _contract("RNNCell", 1, nonlinearity="tanh")
LSTMCell = _contract("LSTMCell", 4, ("h_0", "c_0"))
GRUCell = _contract("GRUCell", 3)
