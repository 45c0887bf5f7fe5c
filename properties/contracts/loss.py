"""Contracts of the losses."""

import torch
from hypothesis import strategies as st

from ..contract import Contract, Module
from ..domain import Draft
from ..values import Index, Positive, Probabilities, Real, Spec
from .arithmetic import broadcast_pair

REDUCTIONS = st.sampled_from(("mean", "sum", "none"))


def _mse(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    if d(st.integers(0, 3)) == 3:
        x, target = broadcast_pair(d)
    else:
        x = target = d.shape()
    return {"x": Real(x), "target": Real(target)}


def _cross_entropy(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    d.option("label_smoothing", st.sampled_from((0.0, 0.1, 0.5, 1.0)))
    classes = d.size()
    batch = d.batch()
    spatial = d.shape(most=2) if batch else ()
    x = (*batch, classes, *spatial)
    specs: dict[str, Spec] = {"x": Real(x)}
    if d(st.booleans()):
        d.option("ignore_index", st.just(-100))
        specs["target"] = Probabilities(x, axis=len(batch))
    else:
        ignored = d.option("ignore_index", st.sampled_from((-100, -1, 0, classes - 1, classes)))
        specs["target"] = Index((*batch, *spatial), classes, ignored if d(st.booleans()) else None)
    if d(st.booleans()):
        specs["weight"] = Positive((classes,))
    return specs


MSELoss = Contract("MSELoss", Module(torch.nn.MSELoss), _mse)
CrossEntropyLoss = Contract("CrossEntropyLoss", Module(torch.nn.CrossEntropyLoss, buffers=("weight",)), _cross_entropy)
