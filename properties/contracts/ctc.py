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
    """The recursion over the states blank, label, blank, … in operations whose gradients are derivatives.

    What all states share is taken out of each frame. The posterior is found before a cotangent meets it: so torch's own
    passes on an infinite one.
    """
    own, spoken, counts = log_probs.detach(), input_lengths.flatten(), target_lengths.flatten()
    rest = (targets, input_lengths, target_lengths, blank, "none")
    never = torch.nn.functional.ctc_loss(own, *rest).reshape(-1) == torch.inf
    used = torch.arange(int(counts.max())) < counts[:, None]
    labels = targets[:, : used.shape[1]][used] if targets.dim() == 2 else targets
    if ((labels < 0) | (labels >= own.shape[-1])).any():  # torch would read elsewhere (docs/discrepancies.md)
        raise IndexError(f"labels {labels}")
    ways = torch.full((len(counts), 2 * used.shape[1] + 1), blank)
    ways[:, 1::2] = ways[:, 1::2].masked_scatter(used, labels.long())
    states = torch.arange(ways.shape[1])
    jumps = (ways != ways.roll(2, 1)) & (states >= 2)
    inside = states <= 2 * counts[:, None]
    ends = inside & (states >= 2 * counts[:, None] - 1)

    def log_sum(a: torch.Tensor, reached: torch.Tensor) -> torch.Tensor:
        top = torch.where(reached, a.detach(), -torch.inf).amax(0)
        top = torch.where(top == -torch.inf, 0, top)
        total = torch.where(reached, (torch.where(reached, a, 0) - top).exp(), 0).sum(0)
        return torch.where(total > 0, torch.where(total > 0, total, 1).log() + top, -torch.inf)

    def behind(a: torch.Tensor, n: int) -> torch.Tensor:
        return torch.where(states >= n, a.roll(n, 1), -torch.inf)

    with torch.enable_grad():
        frames = own.requires_grad_().reshape(len(own), len(counts), -1)
        alpha = torch.where(states < 2, 0, -torch.inf).to(own.dtype).expand(ways.shape)
        losses, level = torch.where(counts == 0, 0, torch.inf).to(own.dtype), 0
        for t in range(len(frames)):
            if t:
                steps = torch.stack([alpha, behind(alpha, 1), torch.where(jumps, behind(alpha, 2), -torch.inf)])
                alpha = log_sum(steps, steps > -torch.inf)
            shared = frames[t].detach().amax(1)
            said = (frames[t] - shared[:, None]).gather(1, ways)
            alpha = torch.where(inside & (alpha > -torch.inf), alpha + said, -torch.inf)
            top = alpha.detach().amax(1)
            top = torch.where(top == -torch.inf, 0, top)
            alpha, level = alpha - top[:, None], level + top + shared
            final = -(log_sum(alpha.T, (ends & (alpha > -torch.inf)).T) + level)
            losses = torch.where(spoken == t + 1, final, losses)
        (slope,) = torch.autograd.grad(torch.where(never, 0, losses).sum(), own)
    values = torch.where(never & zero_infinity, 0, losses).detach()
    live = (torch.arange(len(own))[:, None] < spoken) & ~(never & zero_infinity)
    change = (log_probs - log_probs.detach()) * slope
    losses = values + torch.where(live[:, :, None], change.reshape(frames.shape), 0).sum((0, 2))
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
    # Mostly enough frames for the labels, repeated ones needing one more; now and then none or one.
    lengths = st.sampled_from((2, 1, 3, 0, 2, 1, 4)) if classes > 1 else st.just(0)  # a label is no blank
    counts = [d(lengths) for _ in range(samples)]
    few = d(st.sampled_from((False,) * 7 + (True,)))
    spoken = [d(st.sampled_from((0, 1, frames)) if few else st.integers(min(frames, n), frames)) for n in counts]
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
    finite=lambda config: {  # noqa: ARG005
        "log_probs": "which states a NaN or an infinity reaches is torch's own order; CTCLoss is held against that"
    },
)
