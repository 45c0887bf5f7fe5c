"""Connectionist temporal classification: the probability of a sequence of labels, whenever each of them is said."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._reduction import reduce, spread


def _log_add(*terms: Array) -> Array:
    """log Σ eᵃ, the largest taken out first."""
    top = np.maximum.reduce(terms)
    top = np.where(top == -np.inf, 0, top)
    return np.asarray(top + np.log(sum(np.exp(term - top) for term in terms)))


def _level(a: Array) -> Array:
    """The largest finite number of each row, in a column; 0 where there is none."""
    top = np.max(a, axis=1, initial=-np.inf, where=np.isfinite(a), keepdims=True)
    return np.where(top == -np.inf, 0, top)


def _step(a: Array, jumps: Array) -> Array:
    """log Σ eᵃ over the ways into each state: from itself, the one before, and where it jumps the one before that."""
    one, two = np.full_like(a, -np.inf), np.full_like(a, -np.inf)
    one[:, 1:] = a[:, :-1]
    two[:, 2:] = np.where(jumps, a[:, :-2], -np.inf)
    return _log_add(a, one, two)


@dataclass(frozen=True)
class _Lattice:
    """The states of each sample, blank, label, blank, …, blank, and log_probs (T, N, C) as they are visited.

    `exact` takes out of each frame what its states share, so that sums of large numbers cost no digits. torch does not.
    """

    frames: Array
    classes: Array
    used: Array
    exact: bool

    @property
    def jumps(self) -> Array:
        """Whether the state before may be left out, for the states from the third on."""
        return np.asarray(self.classes[:, 2:] != self.classes[:, :-2])

    def said(self, t: int) -> Array:
        """log_probs of each state's class in frame t, without what is `shared`."""
        return np.where(self.used, np.take_along_axis(self.frames[t], self.classes, 1), -np.inf) - self.shared(t)

    def shared(self, t: int) -> Array:
        """What is taken out of frame t before the recursion, a column."""
        return _level(self.frames[t]) if self.exact else np.zeros((1, 1), self.frames.dtype)

    def forward(self) -> tuple[Array, Array]:
        """log of the probability of what was said up to each frame and to be in each state then, (T, N, states).

        And what was taken out up to each frame, (T, N).
        """
        alpha = np.full((len(self.frames), *self.classes.shape), -np.inf, self.frames.dtype)
        levels = np.zeros(alpha.shape[:2], alpha.dtype)
        alpha[0, :, :2] = self.said(0)[:, :2]
        jumps = self.jumps
        for t in range(len(alpha)):
            if t:
                alpha[t] = _step(alpha[t - 1], jumps) + self.said(t)
            if self.exact:
                level = _level(alpha[t])
                alpha[t] -= level
                levels[t] = levels[t - 1] + (level + self.shared(t))[:, 0]
        return alpha, levels

    def backward(self, alpha: Array, last: Array, ends: Array, losses: Array) -> Array:
        """The probability of each class in each frame, (T, N, C), given the labels.

        `last` is each sample's last frame and `ends` tells its last states; what stands behind that frame is of no use.
        """
        samples, classes = self.frames.shape[1:]
        index = (np.arange(samples)[:, None] * classes + self.classes).ravel()
        found, jumps = np.empty_like(self.frames), self.jumps[:, ::-1]
        # log of the probability of what is said behind each frame, and from it on; backwards the states are stepped
        # through like forwards in reversed order.
        beta = np.full(self.classes.shape, -np.inf, alpha.dtype)
        for t in reversed(range(len(alpha))):
            now, said = (last == t)[:, None], self.said(t)
            behind = np.where((last > t)[:, None], _step(beta[:, ::-1], jumps)[:, ::-1], 0)
            if self.exact:
                behind = behind - _level(behind)
            beta = np.where(now & ~ends, -np.inf, behind + said)  # a NaN is not said where nothing is said behind it
            joint = np.where(now & ~ends, -np.inf, alpha[t] + (behind if self.exact else beta))
            log_p = joint - _level(joint) if self.exact else joint + losses[:, None] - said
            p = np.where(joint == -np.inf, 0, np.exp(log_p))
            if self.exact:
                p /= p.sum(axis=1, keepdims=True)
            found[t] = np.bincount(index, p.ravel(), samples * classes).reshape(samples, classes)
        return found


@dataclass(frozen=True)
class _CTC(ABC):
    """What both share: the loss. They differ in the gradient."""

    blank: int = 0
    reduction: str = "mean"
    zero_infinity: bool = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check.integer(name, "blank", self.blank, least=0)
        _check.choice(name, "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(
        self, log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array
    ) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = type(self).__name__
        (log_probs,) = _check.real(name, log_probs=log_probs)
        if log_probs.ndim not in (2, 3) or not log_probs.size:
            raise ValueError(f"{name}: log_probs must have shape (T, N, C) or (T, C), not empty, got {log_probs.shape}")
        frames = log_probs if log_probs.ndim == 3 else log_probs[:, None]
        if self.blank >= frames.shape[2]:
            raise ValueError(f"{name}: blank must be a class of {frames.shape[2]}, got {self.blank}")
        spoken = self._lengths("input_lengths", input_lengths, frames)
        if (spoken > len(frames)).any():
            raise ValueError(f"{name}: input_lengths must be at most {len(frames)}, got {spoken.max()}")
        counts = self._lengths("target_lengths", target_lengths, frames)
        lattice = self._lattice(frames, targets, counts)

        last, samples = spoken - 1, np.arange(len(counts))
        states = np.arange(lattice.classes.shape[1])
        ends = (states <= 2 * counts[:, None]) & (states >= 2 * counts[:, None] - 1)
        with np.errstate(divide="ignore", invalid="ignore"):  # log 0 is -∞, and ∞ - ∞ NaN, as in torch
            alpha, levels = lattice.forward()
            blank, label = alpha[last, samples, 2 * counts], alpha[last, samples, 2 * counts - 1]
            losses = -(np.where(counts == 0, blank, _log_add(blank, label)) + levels[last, samples])
        # Without frames there is one way to say nothing, and none to say something.
        losses = np.where(spoken == 0, np.where(counts == 0, 0, np.inf), losses).astype(log_probs.dtype)
        share = np.maximum(counts, 1).astype(losses.dtype) if self.reduction == "mean" else np.ones_like(losses)
        kept = np.where((losses == np.inf) & self.zero_infinity, 0, losses)
        y = reduce((kept / share).reshape(log_probs.shape[1:-1]), self.reduction, len(losses))

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, y.shape)
            d = spread(dy, self.reduction, losses.shape, len(losses)) / share
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                slope = self._slope(frames, lattice.backward(alpha, last, ends, losses), losses) * d[:, None]
            dead = (np.arange(len(frames))[:, None] > last) | ((losses == np.inf) & self.zero_infinity)
            return {"log_probs": np.where(dead[:, :, None], 0, slope).reshape(log_probs.shape)}

        return y, backward

    @abstractmethod
    def _slope(self, frames: Array, posterior: Array, losses: Array) -> Array:
        """The gradient for a cotangent of one, (T, N, C)."""

    def _lengths(self, word: str, given: Any, frames: Array) -> Array:
        name, lengths = type(self).__name__, np.asarray(given)
        if not np.issubdtype(lengths.dtype, np.integer):
            raise TypeError(f"{name}: {word} must hold integers, got dtype {lengths.dtype}")
        if lengths.size != frames.shape[1]:
            raise ValueError(f"{name}: {word} must hold one number a sample, {frames.shape[1]}, got {lengths.shape}")
        if (lengths < 0).any():
            raise ValueError(f"{name}: {word} must be at least 0, got {lengths.min()}")
        return lengths.reshape(-1)

    def _lattice(self, frames: Array, given: Any, counts: Array) -> _Lattice:
        """The states of all samples, from targets that are padded, (N, S), or stand one behind the other."""
        name, targets = type(self).__name__, np.asarray(given)
        if not np.issubdtype(targets.dtype, np.integer):
            raise TypeError(f"{name}: targets must hold class indices, integers, got dtype {targets.dtype}")
        longest, total = int(counts.max()), int(counts.sum())
        if targets.ndim == 2:
            if len(targets) != len(counts) or targets.shape[1] < longest:
                raise ValueError(
                    f"{name}: targets must have shape ({len(counts)}, S), S ≥ {longest}, got {targets.shape}"
                )
        elif targets.shape != (total,):
            raise ValueError(
                f"{name}: targets must have shape (N, S), or ({total},) one behind the other, got {targets.shape}"
            )
        used = np.arange(longest) < counts[:, None]
        labels = targets[:, :longest][used] if targets.ndim == 2 else targets
        if ((labels < 0) | (labels >= frames.shape[2])).any():
            raise IndexError(f"{name}: targets must hold class indices in [0, {frames.shape[2]})")
        classes = np.full((len(counts), 2 * longest + 1), self.blank)
        classes[:, 1::2][used] = labels
        used_states = np.arange(classes.shape[1]) <= 2 * counts[:, None]
        return _Lattice(frames, classes, used_states, isinstance(self, ExactCTCLoss))


class CTCLoss(_CTC):
    """y = -log of the probability that log_probs say the labels; summed, or averaged over the samples.

    In every frame one class is said, each with the probability exp log_probs. The labels are what was said, with
    repetitions of a class taken together and then `blank` left out; their probability is the sum over all ways to say
    them. It comes by the forward-backward recursion over the states blank, label, blank, …, blank.

    Shapes: log_probs (T, N, C), or (T, C) for a single sample; input_lengths and target_lengths (N,), how many frames
    and labels a sample has; targets (N, S), of which the first target_lengths count, or one behind the other in one
    axis. y is (N,), for a single sample (), with reduction="none", else (); "mean" divides each sample's loss by its
    number of labels first. A target that cannot be said in so few frames gives ∞, or 0 with `zero_infinity`.

    Gradient: dlog_probs = (exp log_probs - posterior)·dy, the posterior being the probability of a class in a frame
    given the labels; 0 behind a sample's last frame; NaN where y is ∞, or 0 with `zero_infinity`. This is torch's, and
    no derivative: it is that with respect to the scores behind a log softmax, which passes it on as it is. Where
    log_probs come from anything else, `ExactCTCLoss` is right.

    Raises ValueError, IndexError or TypeError for lengths and targets that do not fit.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html; Graves et al., Connectionist Temporal
    Classification: Labelling Unsegmented Sequence Data with Recurrent Neural Networks, 2006.
    """

    def _slope(self, frames: Array, posterior: Array, losses: Array) -> Array:
        slope = np.exp(frames) - posterior
        return np.where((frames == -np.inf) | ~(losses < np.inf)[:, None], np.nan, slope)


class ExactCTCLoss(_CTC):
    """`CTCLoss` with the derivative of y as its gradient: right behind a log softmax and anywhere else.

    Gradient: dlog_probs = -posterior·dy, 0 behind a sample's last frame and where y is ∞, whatever log_probs are.

    What the states of a frame share is taken out of the recursion, so that large numbers cost fewer digits.

    Shapes, errors and source as there.
    """

    def _slope(self, frames: Array, posterior: Array, losses: Array) -> Array:  # noqa: ARG002
        return -np.where((losses == np.inf)[:, None], 0, posterior)
