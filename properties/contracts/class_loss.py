"""Contracts of the losses of classifiers."""

import math

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Index, Positive, Probabilities, Real, Shape, Spec
from .common import REDUCTIONS

CLASSES = st.sampled_from((2, 3, 4, 5, 1))  # with a single class the gradient of a softmax is zero


def _cross_entropy(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    d.option("label_smoothing", st.sampled_from((0.0, 0.1, 0.5, 0.1, 0.0, 1.0)))
    classes = d(CLASSES)
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


def _nll(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    classes = d(CLASSES)
    batch = d.batch()
    spatial = d.shape(most=3) if batch else ()
    ignored = d.option("ignore_index", st.sampled_from((-100, -1, 0, classes - 1, classes)))
    samples = (*batch, *spatial)
    # A single sample's target may have an axis; of more classes than one torch then has no gradient
    # (docs/discrepancies.md).
    if not batch and classes == 1:
        samples = d(st.sampled_from(((), (1,))))
    target = Index(samples, classes, d(st.sampled_from((None, ignored))))
    specs: dict[str, Spec] = {"x": Real((*batch, classes, *spatial)), "target": target}
    if d(st.booleans()):
        specs["weight"] = Positive((classes,))
    return specs


def _linear_cross_entropy(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    d.option("label_smoothing", st.sampled_from((0.0, 0.1, 0.5, 0.1, 0.0, 1.0)))
    features = d.option("in_features", st.sampled_from((2, 3, 1, 4, 3, 2, 0)))
    classes = d.option("num_classes", CLASSES)
    batch = d.batch()
    places: Shape = d.option(
        "out_features", st.sampled_from(((), (2,), (3, 2), (1, 2), (), (0,))) if batch else st.just(())
    )
    specs: dict[str, Spec] = {"x": Real((*batch, features))}
    kind = d(st.sampled_from(("indices", "ignored", "probabilities", "ignored", "probabilities")))
    if kind == "probabilities":
        d.option("ignore_index", st.none())
        specs["target"] = Probabilities((*batch, classes, *places), axis=len(batch))
    else:
        ignored = d.option("ignore_index", st.sampled_from((None, -100, -1, 0, classes - 1, classes)))
        instead = -100 if ignored is None else ignored
        specs["target"] = Index((*batch, *places), classes, instead if kind == "ignored" else None)
    if d(st.booleans()):
        specs["weight"] = Positive((classes,))
    rows = classes * math.prod(places)
    specs["linear.weight"] = Real((rows, features))
    if d.option("bias", st.booleans()):
        specs["linear.bias"] = Real((rows,))
    return specs


NLLLoss = Contract("NLLLoss", Module(torch.nn.NLLLoss, buffers=("weight",)), _nll)
CrossEntropyLoss = Contract("CrossEntropyLoss", Module(torch.nn.CrossEntropyLoss, buffers=("weight",)), _cross_entropy)
# torch's `options` say how it takes the samples in parts, to save memory.
LinearCrossEntropyLoss = Contract(
    "LinearCrossEntropyLoss",
    Module(torch.nn.LinearCrossEntropyLoss, buffers=("weight",), settled=("options",)),
    _linear_cross_entropy,
)
