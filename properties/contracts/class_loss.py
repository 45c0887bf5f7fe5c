"""Contracts of the losses of classifiers."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Index, Positive, Probabilities, Real, Spec
from .common import REDUCTIONS


def _cross_entropy(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    d.option("label_smoothing", st.sampled_from((0.0, 0.1, 0.5, 0.1, 0.0, 1.0)))
    classes = d(st.sampled_from((2, 3, 4, 5, 1)))  # with a single class every gradient is zero
    batch = d.batch()
    spatial = d.shape(most=2) if batch else ()
    x = (*batch, classes, *spatial)
    specs: dict[str, Spec] = {"x": Real(x)}
    # Probabilities have a gradient that nothing else shows, and half of what is drawn leaves it zero or empty.
    kind = d(st.sampled_from(("indices", "ignored", "probabilities", "ignored", "probabilities", "probabilities")))
    if kind == "probabilities":
        d.option("ignore_index", st.just(-100))
        specs["target"] = Probabilities(x, axis=len(batch))
    else:
        ignored = d.option("ignore_index", st.sampled_from((-100, -1, 0, classes - 1, classes)))
        specs["target"] = Index((*batch, *spatial), classes, ignored if kind == "ignored" else None)
    if d(st.booleans()):
        specs["weight"] = Positive((classes,))
    return specs


CrossEntropyLoss = Contract("CrossEntropyLoss", Module(torch.nn.CrossEntropyLoss, buffers=("weight",)), _cross_entropy)
