"""Contracts of the linear layers."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec


def _linear(d: Draft) -> dict[str, Spec]:
    features = st.sampled_from((1, 2, 3, 4, 5, 16, 33))
    lead = d.shape(most=3)
    n = d.option("in_features", features)
    m = d.option("out_features", features)
    specs: dict[str, Spec] = {"x": Real((*lead, n)), "weight": Real((m, n))}
    if d.option("bias", st.sampled_from((True, False))):
        specs["bias"] = Real((m,))
    return specs


def _bilinear(d: Draft) -> dict[str, Spec]:
    features = st.sampled_from((1, 2, 3, 4, 5, 9))
    lead = d.shape(most=3)
    n = d.option("in1_features", features)
    m = d.option("in2_features", features)
    out = d.option("out_features", features)
    specs: dict[str, Spec] = {"input1": Real((*lead, n)), "input2": Real((*lead, m)), "weight": Real((out, n, m))}
    if d.option("bias", st.sampled_from((True, False))):
        specs["bias"] = Real((out,))
    return specs


def _identity(d: Draft) -> dict[str, Spec]:
    return {"x": Real(d.shape())}


Bilinear = Contract("Bilinear", Module(torch.nn.Bilinear), _bilinear)
Identity = Contract("Identity", Module(torch.nn.Identity), _identity)
Linear = Contract("Linear", Module(torch.nn.Linear), _linear)
