"""Contracts of connectionist temporal classification: with torch's gradient, and with the derivative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Array, Brush, Given, Real, Shape, Spec
from .common import REDUCTIONS


def exact_ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):  # type: ignore[no-untyped-def]
    """torch's own behind a log softmax, where its gradient is right, and what that took from the scores put back.

    The gradients of both are joined to one before a cotangent meets them: infinities would not cancel.
    """
    rest = (targets, input_lengths, target_lengths, blank, "none")
    own = log_probs.detach()
    never = torch.nn.functional.ctc_loss(own, *rest).reshape(-1) == torch.inf
    counts = target_lengths.flatten()
    used = targets[torch.arange(targets.shape[-1]) < counts[:, None]] if targets.dim() == 2 else targets
    if ((used < 0) | (used >= own.shape[-1])).any():  # torch's backward would write elsewhere (docs/discrepancies.md)
        raise IndexError(f"labels {used}")
    own.requires_grad_()
    with torch.enable_grad():
        losses = torch.nn.functional.ctc_loss(own.log_softmax(-1), *rest, True).reshape(-1)
        (slope,) = torch.autograd.grad(losses.sum(), own)
    shape = (len(own), len(losses), -1)
    spoken = torch.arange(len(own))[:, None] < input_lengths.flatten()
    posterior = torch.where((spoken & ~never)[:, :, None], (own.softmax(-1) - slope).reshape(shape), 0).detach()
    taken = torch.where(spoken, own.logsumexp(-1).reshape(shape[:2]), 0).sum(0)
    values = torch.where(never, 0 if zero_infinity else torch.inf, losses - taken).detach()
    live = (spoken & ~(never & zero_infinity))[:, :, None]
    change = torch.where(live, (log_probs - log_probs.detach()).reshape(shape) * posterior, 0)
    losses = values - change.sum((0, 2))
    if reduction == "mean":
        return (losses / counts.clamp(min=1)).mean()
    return losses.sum() if reduction == "sum" else losses.reshape(log_probs.shape[1:-1])


@dataclass(frozen=True)
class LogProbabilities:
    """Logarithms of probabilities that sum to 1 along the last axis, made of any numbers."""

    shape: Shape
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Numbers with the drawn edits, normalised."""
        a = brush.paint(self.shape)
        return np.asarray(a - np.logaddexp.reduce(a, axis=-1, keepdims=True))


@dataclass(frozen=True)
class Labels:
    """Class indices that are not the blank, many like the one before."""

    shape: Shape
    classes: int
    blank: int
    grad: bool = False

    def make(self, brush: Brush) -> Array:
        """Uniform indices; about a fourth repeat the one before."""
        labels = (self.blank + brush.rng.integers(1, max(self.classes, 2), self.shape)) % self.classes
        again = brush.rng.random(self.shape) < 1 / 4
        labels[..., 1:] = np.where(again[..., 1:], labels[..., :-1], labels[..., 1:])
        return labels


def _ctc(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    d.option("zero_infinity", st.booleans())
    batch = d(st.sampled_from(((2,), (1,), (3,), (), (2,), (4,))))
    classes = d(st.sampled_from((3, 4, 2, 5, 1)))
    blank = d.option("blank", st.integers(0, classes - 1))
    frames = d(st.sampled_from((4, 5, 3, 6, 8, 2, 1)))
    samples = batch[0] if batch else 1
    # Mostly enough frames for the labels, repeated ones needing one more.
    lengths = st.sampled_from((2, 1, 3, 0, 2, 1, 4)) if classes > 1 else st.just(0)  # a label is no blank
    counts = [d(lengths) for _ in range(samples)]
    spoken = [d(st.integers(min(frames, n), frames)) for n in counts]
    shape = (frames, *batch, classes)
    log_probs: Spec = LogProbabilities(shape) if d(st.booleans()) else Real(shape)
    specs: dict[str, Spec] = {"log_probs": log_probs}
    if d(st.booleans()):
        longest = max(counts) + d(st.sampled_from((0, 1)))
        specs["targets"] = Labels((samples, longest), classes, blank)
    else:
        specs["targets"] = Labels((sum(counts),), classes, blank)
    return specs | {"input_lengths": Given(tuple(spoken)), "target_lengths": Given(tuple(counts))}


CTCLoss = Contract(
    "CTCLoss",
    Module(torch.nn.CTCLoss),
    _ctc,
    conventions={"the gradient is that of the scores behind a log softmax": lambda case: True},  # noqa: ARG005
)
ExactCTCLoss = Contract(
    "ExactCTCLoss",
    Function(exact_ctc_loss, CTCLoss.reference.inputs, CTCLoss.reference.defaults),
    _ctc,
    finite={"log_probs": "a log softmax spreads NaN and infinities over their frame; CTCLoss takes them as they are"},
)
