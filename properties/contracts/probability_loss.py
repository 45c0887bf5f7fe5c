"""Contracts of the losses that compare probabilities."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Chance, Positive, Real, Shape, Spec
from .common import REDUCTIONS
from .loss import counts, two_shapes


def _kl_div(d: Draft) -> dict[str, Spec]:
    d.option("reduction", st.sampled_from(("mean", "sum", "none", "batchmean", "mean", "none", "batchmean")))
    log_target = d.option("log_target", st.booleans())
    x, target = two_shapes(d)
    return {"x": Real(x), "target": Real(target) if log_target else counts(d, target)}


def _weight(d: Draft, shape: Shape) -> Shape:
    """A shape that broadcasts to another: some axes are 1, the first ones missing."""
    kept = d(st.lists(st.sampled_from((True, True, False)), min_size=len(shape), max_size=len(shape)))
    weight = tuple(n if keep else 1 for n, keep in zip(shape, kept, strict=True))
    return weight[d(st.sampled_from((0, 0, *range(len(shape) + 1)))) :]


def _target(d: Draft, shape: Shape) -> Spec:
    """Probabilities, or any numbers, which a loss takes that does not check them."""
    return Chance(shape) if d(st.booleans()) else Real(shape)


def _bce(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    shape = d.shape()
    specs: dict[str, Spec] = {"x": Chance(shape), "target": Chance(shape)}
    if d(st.booleans()):
        specs["weight"] = Real(_weight(d, shape), grad=False)
    return specs


def binary_cross_entropy(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, reduction: str = "mean"
) -> torch.Tensor:
    """torch's own, which refuses a 1 that was moved to measure what rounding does: it is moved back."""
    x, target = x.clone().clamp_(0, 1), target.clone().clamp_(0, 1)
    return torch.nn.functional.binary_cross_entropy(x, target, weight, reduction=reduction)


def _bce_with_logits(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    shape = d.shape()
    specs: dict[str, Spec] = {"x": Real(shape), "target": _target(d, shape)}
    for name in ("weight", "pos_weight"):
        if d(st.booleans()):
            weight = _weight(d, shape)
            specs[name] = Positive(weight) if d(st.booleans()) else Real(weight, grad=False)
    return specs


def _multi_label(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    x, target = two_shapes(d)
    if not x:  # of rank 0 there are no classes
        x = target or (d.size(),)
    specs: dict[str, Spec] = {"x": Real(x), "target": _target(d, target)}
    if d(st.booleans()):
        specs["weight"] = Real(_weight(d, x))
    return specs


PROBABILITY = "anything but numbers from 0 to 1 is refused"

KLDivLoss = Contract("KLDivLoss", Module(torch.nn.KLDivLoss), _kl_div)
BCELoss = Contract(
    "BCELoss",
    Function(binary_cross_entropy, ("x", "target", "weight"), {"reduction": "mean"}),
    _bce,
    finite=lambda config: {"x": PROBABILITY, "target": PROBABILITY},  # noqa: ARG005
)
BCEWithLogitsLoss = Contract(
    "BCEWithLogitsLoss",
    Module(torch.nn.BCEWithLogitsLoss, buffers=("weight", "pos_weight")),
    _bce_with_logits,
)
MultiLabelSoftMarginLoss = Contract(
    "MultiLabelSoftMarginLoss", Module(torch.nn.MultiLabelSoftMarginLoss, buffers=("weight",)), _multi_label
)
