"""Bugs in connectionist temporal classification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradjury.impl.softmax import log_softmax, log_softmax_backward
from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


@dataclass(frozen=True)
class CTC:
    """-log of the probability that the frames, softmax(x), spell the target with blanks and repetitions between.

    The forward variable α and the backward variable β over the target with blanks around each label give, for each
    frame, how probable each class is on a path that spells the target: dx = softmax(x) - that. A target that cannot be
    spelled in so few frames gives 0. "mean" divides each loss by the target's length first.

    Shapes: x (T, N, C), targets (N, S). Source: Graves et al., Connectionist Temporal Classification, 2006.
    """

    input_lengths: tuple[int, ...]
    target_lengths: tuple[int, ...]
    blank: int = 0
    reduction: str = "mean"

    def __call__(self, x: Array, targets: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        logp = log_softmax(x, 2)
        losses, slopes = np.zeros(x.shape[1], x.dtype), np.zeros_like(x)
        for n, (frames, length) in enumerate(zip(self.input_lengths, self.target_lengths, strict=True)):
            losses[n], slopes[:frames, n] = self._sample(logp[:frames, n], targets[n, :length])
        share = np.ones_like(losses)
        if self.reduction == "mean":
            share = 1 / (np.maximum(self.target_lengths, 1) * len(losses)).astype(x.dtype)
        y = losses if self.reduction == "none" else (losses * share).sum()
        return np.asarray(y), lambda dy: {"x": slopes * (np.asarray(dy) * share)[:, None]}

    def _sample(self, logp: Array, target: Array) -> tuple[Array, Array]:
        """The loss of one sample and its gradient: scalar and (T, C)."""
        spelled = np.full(2 * len(target) + 1, self._blank())
        spelled[1::2] = target
        # A blank between two labels may be left out where they differ.
        skips = np.zeros(len(spelled), bool)
        skips[3::2] = target[1:] != target[:-1]
        emitted = logp[:, spelled]
        alpha = _paths(emitted, skips)
        back = np.zeros(len(spelled), bool)
        back[:-2] = skips[2:]
        beta = _paths(emitted[::-1, ::-1], back[::-1])[::-1, ::-1]
        total = np.logaddexp.reduce(alpha[-1, -2:])
        p = np.exp(logp)
        if not np.isfinite(total):
            return np.zeros((), p.dtype), self._impossible(p)
        on_path = np.zeros_like(p)
        for place, label in enumerate(spelled):
            on_path[:, label] += np.exp(alpha[:, place] + beta[:, place] - emitted[:, place] - total)
        # p - on_path sums to zero over the classes; taking out what rounding left of that mends the small ones.
        return -total, log_softmax_backward(p - on_path, logp, 1)

    def _blank(self) -> int:
        return self.blank

    def _impossible(self, p: Array) -> Array:
        return np.zeros_like(p)


def _paths(emitted: Array, skips: Array) -> Array:
    """log of the sum over all paths to each place at each frame, its own emission counted."""
    alpha = np.full(emitted.shape, -np.inf, emitted.dtype)
    alpha[0, :2] = emitted[0, :2]
    for t in range(1, len(emitted)):
        before = alpha[t - 1]
        reached = before.copy()
        reached[1:] = np.logaddexp(reached[1:], before[:-1])
        reached[2:] = np.logaddexp(reached[2:], np.where(skips[2:], before[:-2], -np.inf))
        alpha[t] = reached + emitted[t]
    return alpha


class CTCBlankIsZero(CTC):
    """`blank` is accepted, and class 0 taken."""

    def _blank(self) -> int:
        return 0


class CTCImpossibleTarget(CTC):
    """Where no path spells the target the loss is 0, but the gradient softmax(x)."""

    def _impossible(self, p: Array) -> Array:
        return p


BUGS = [
    Bug(
        "ctc: blank accepted, not used",
        "enctc.crnn",
        "https://github.com/liuhu-bigeye/enctc.crnn/issues/9",
        "The index of the blank was an argument, but class 0 was taken for it.",
        CTC,
        CTCBlankIsZero,
        contracts.CTC,
    ),
    Bug(
        "ctc: impossible targets",
        "RETURNN",
        "https://github.com/rwth-i6/returnn/issues/1835",
        "A target that does not fit the frames gave loss 0 but the softmax as its gradient.",
        CTC,
        CTCImpossibleTarget,
        contracts.CTC,
    ),
]
