"""Contracts of the losses that want a margin."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Index, Real, Shape, Spec
from .arithmetic import SIDES
from .common import REDUCTIONS
from .distance import power, vectors
from .loss import two_shapes

# Numbers, some of them out of other NumPy code, which does not make float32 float64.
MARGINS = (1.0, 0.0, 0.5, 2, np.float64(0.3), -0.5)


def _labels(d: Draft, shape: Shape) -> Spec:
    """-1, 1 and 0, which is neither; without a gradient.

    Integers, for what rounding may do is found by moving floating-point numbers, and a label that was moved is none.
    """
    return Index(shape, 2, -1, dtype=d(st.sampled_from(("int64", "int64", "int32"))))


def _stretched(d: Draft, shape: Shape, count: int) -> list[Shape]:
    """Shapes of one rank that broadcast, mostly all the same."""
    if not d(st.sampled_from((False, False, False, True))):
        return [shape] * count
    # For each axis, in binary, those that have length 1 there; never all of them.
    short = d(st.lists(st.integers(0, 2**count - 2), min_size=len(shape), max_size=len(shape)))
    return [tuple(1 if bits >> k & 1 else n for n, bits in zip(shape, short, strict=True)) for k in range(count)]


def _hinge_embedding(d: Draft) -> dict[str, Spec]:
    d.option("margin", st.sampled_from(MARGINS))
    d.option("reduction", REDUCTIONS)
    x, target = two_shapes(d)
    return {"x": Real(x), "target": _labels(d, target)}


def soft_margin_loss(x: torch.Tensor, target: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """torch's formula by logsigmoid: its own overflows where e^(-target·x) does."""
    loss = -torch.nn.functional.logsigmoid((target * x).expand(x.shape))
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def _soft_margin(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    shape = d.shape()
    target = shape
    if d(st.sampled_from((False, False, False, True))):
        stretched = d(st.lists(SIDES, min_size=len(shape), max_size=len(shape)))
        target = tuple(1 if side == "left" else n for n, side in zip(shape, stretched, strict=True))
        target = target[d(st.integers(0, len(shape))) :]
    kinds = (_labels(d, target), Real(target, grad=False))
    return {"x": Real(shape), "target": d(st.sampled_from(kinds))}


def _margin_ranking(d: Draft) -> dict[str, Spec]:
    d.option("margin", st.sampled_from(MARGINS))
    d.option("reduction", REDUCTIONS)
    input1, input2, target = _stretched(d, d.shape(), 3)
    whole = d(st.booleans())
    return {
        "input1": Real(input1),
        "input2": Real(input2),
        "target": Index(target, 2, -1) if whole else Real(target),
    }


def _cosine_embedding(d: Draft) -> dict[str, Spec]:
    d.option("margin", st.sampled_from((0.0, 0.5, -0.5, np.float64(0.3), -1, 1.0)))
    d.option("reduction", REDUCTIONS)
    samples = d.batch()
    rows = _stretched(d, samples, 3)
    one, two = _stretched(d, (d(st.sampled_from((3, 2, 4, 1, 5, 0, 17))),), 2)
    return {"input1": Real(rows[0] + one), "input2": Real(rows[1] + two), "target": _labels(d, rows[2])}


def _triplet(d: Draft, shape: Shape) -> dict[str, Spec]:
    # Margins as large as distances are, for the gradient not to be zero.
    d.option("margin", st.sampled_from((1.0, 0.5, 3, np.float64(10.0), 3.0)))
    d.option("swap", st.booleans())
    d.option("reduction", REDUCTIONS)
    names = ("anchor", "positive", "negative")
    return {name: Real(one) for name, one in zip(names, _stretched(d, shape, 3), strict=True)}


def _triplet_margin(d: Draft) -> dict[str, Spec]:
    shape = vectors(d, power(d))
    d.option("eps", st.sampled_from((1e-6, 0.0, 0.5, 0.0, np.float64(-1.0))))
    return _triplet(d, shape)


HingeEmbeddingLoss = Contract("HingeEmbeddingLoss", Module(torch.nn.HingeEmbeddingLoss), _hinge_embedding)
SoftMarginLoss = Contract(
    "SoftMarginLoss", Function(soft_margin_loss, ("x", "target"), {"reduction": "mean"}), _soft_margin
)
MarginRankingLoss = Contract("MarginRankingLoss", Module(torch.nn.MarginRankingLoss), _margin_ranking)
CosineEmbeddingLoss = Contract("CosineEmbeddingLoss", Module(torch.nn.CosineEmbeddingLoss), _cosine_embedding)
TripletMarginLoss = Contract("TripletMarginLoss", Module(torch.nn.TripletMarginLoss), _triplet_margin)
# A distance of torch's is none of ours: tests hold ours against torch's one by one.
TripletMarginWithDistanceLoss = Contract(
    "TripletMarginWithDistanceLoss",
    Module(torch.nn.TripletMarginWithDistanceLoss, settled=("distance_function",)),
    lambda d: _triplet(d, d.shape()),
)
