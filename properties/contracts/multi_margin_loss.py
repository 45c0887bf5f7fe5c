"""Contracts of the losses that keep the scores of right classes a margin above the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Array, Brush, Index, Positive, Real, Shape, Spec
from .common import REDUCTIONS


def multilabel_margin_loss(x, target, reduction="mean"):  # type: ignore[no-untyped-def]
    """torch's own, forward and backward. What marks the targets between them is no number that is rounded."""
    kind = ("none", "mean", "sum").index(reduction)

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            y, marks = torch.ops.aten.multilabel_margin_loss_forward(x, target, kind)
            ctx.save_for_backward(x, marks.round_())
            return y

        @staticmethod
        def backward(ctx, dy):  # type: ignore[no-untyped-def]
            x, marks = ctx.saved_tensors
            return torch.ops.aten.multilabel_margin_loss_backward(dy, x, target, kind, marks)

    return Loss.apply(x)  # type: ignore[no-untyped-call]


def _samples(d: Draft, reduction: str) -> Shape:
    """The shape of x: samples and classes, a single sample, or a single score."""
    # Of no samples torch answers memory that was never written, unless nothing is reduced (docs/discrepancies.md).
    batch = d(st.sampled_from(((2,), (3,), (1,), (4,), (2,), (0,) if reduction == "none" else (3,), (), ())))
    classes = d(st.sampled_from((3, 2, 4, 5, 7, 1)))
    return d(st.sampled_from(((classes,), (classes,), (classes,), ()))) if not batch else (*batch, classes)


def _multi_margin(d: Draft) -> dict[str, Spec]:
    reduction = d.option("reduction", REDUCTIONS)
    d.option("p", st.sampled_from((1, 2)))
    # Whole margins have ties at the edge; with a negative one it lies beyond the target.
    d.option("margin", st.sampled_from((1.0, np.float64(0.5), 2.0, 1.0, 0.0, 3, -1.0)))
    x = _samples(d, reduction)
    classes = x[-1] if x else 1
    # A single sample's target has an axis or none.
    target = x[:1] if len(x) == 2 and x[0] != 1 else d(st.sampled_from(((), (1,))))
    specs: dict[str, Spec] = {"x": Real(x), "target": Index(target, classes)}
    if d(st.booleans()):
        specs["weight"] = Positive((classes,))
    return specs


@dataclass(frozen=True)
class Labels:
    """Class indices along the last axis, up to a -1; behind it may stand anything."""

    shape: Shape
    classes: int
    grad: bool = False

    def make(self, brush: Brush) -> Array:
        """Uniform indices; about a fifth of them are -1."""
        labels = brush.rng.integers(0, self.classes, self.shape)
        return np.where(brush.rng.random(self.shape) < 1 / 5, -1, labels)


def _multi_label_margin(d: Draft) -> dict[str, Spec]:
    x = _samples(d, d.option("reduction", REDUCTIONS))
    target = d(st.sampled_from(((), (1,)))) if x in ((), (1,)) else x
    return {"x": Real(x), "target": Labels(target, x[-1] if x else 1)}


MultiMarginLoss = Contract("MultiMarginLoss", Module(torch.nn.MultiMarginLoss, buffers=("weight",)), _multi_margin)
MultiLabelMarginLoss = Contract(
    "MultiLabelMarginLoss",
    Function(multilabel_margin_loss, ("x", "target"), {"reduction": "mean"}),
    _multi_label_margin,
)
