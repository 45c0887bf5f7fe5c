"""Bugs in losses and in the softmax before them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradjury import impl
from gradjury.impl._reduction import reduce, spread
from gradjury.impl.softmax import log_softmax, log_softmax_backward
from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


class SmoothingOfIgnored(impl.CrossEntropyLoss):
    """The uniform part of the smoothed loss takes the ignored samples in."""

    def __call__(self, x: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        """The loss without smoothing and the uniform part, added."""
        if target.dtype.kind == "f" or not self.label_smoothing:
            return super().__call__(x, target, weight)
        sharp, sharp_backward = impl.CrossEntropyLoss.__call__(replace(self, label_smoothing=0.0), x, target, weight)
        axis = min(1, x.ndim - 1)
        scale = np.ones(x.shape[axis], x.dtype) if weight is None else weight
        scale = scale.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        logp = log_softmax(x, axis)
        uniform = -(logp * scale).sum(axis=axis)
        kept = target[target != self.ignore_index]
        count = uniform.size if weight is None else weight[kept].sum()
        share = self.label_smoothing / x.shape[axis]
        y = (1 - self.label_smoothing) * sharp + share * reduce(uniform, self.reduction, count)

        def backward(dy: Array) -> dict[str, Array]:
            d = np.expand_dims(spread(dy, self.reduction, uniform.shape, count), axis)
            dx = (1 - self.label_smoothing) * sharp_backward(dy)["x"]
            return {"x": dx + log_softmax_backward(-share * d * np.broadcast_to(scale, x.shape), logp, axis)}

        return np.asarray(y), backward


class LogSoftmaxOfProduct(impl.LogSoftmax):
    """dx = dy - Σ dy·y, which is neither the softmax's backward nor its logarithm's."""

    def __call__(self, x: Array) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, _ = super().__call__(x)
        axis = _axis(self.dim, x.ndim)
        rows = np.atleast_1d(y)

        def backward(dy: Array) -> dict[str, Array]:
            dy = np.atleast_1d(dy)
            return {"x": (dy - (dy * rows).sum(axis=axis, keepdims=True)).reshape(x.shape)}

        return y, backward


class SoftmaxLastAxis(impl.Softmax):
    """`dim` is accepted, and the last axis taken."""

    def __call__(self, x: Array) -> tuple[Array, Any]:
        """The softmax of another axis."""
        return impl.Softmax.__call__(replace(self, dim=-1), x)


def _axis(dim: int | None, rank: int) -> int:
    """torch's choice where `dim` is None."""
    return dim if dim is not None else 0 if rank in (0, 1, 3) else 1


@dataclass(frozen=True)
class KLDivLoss:
    """y = t·(log t - x), or eᵗ·(t - x) with `log_target`; dx = -t·dy, or -eᵗ·dy. The target is a constant."""

    reduction: str = "mean"
    log_target: bool = False
    factor = 1

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        share = np.exp(target) if self.log_target else target
        log = target if self.log_target else np.log(np.where(target > 0, target, 1))
        count = len(x) if self.reduction == "batchmean" else x.size
        reduction = "mean" if self.reduction == "batchmean" else self.reduction
        y = reduce(share * (log - x), reduction, count)
        return np.asarray(y), lambda dy: {"x": self.factor * -share * spread(dy, reduction, x.shape, count)}


class KLDivTwice(KLDivLoss):
    """The gradient is twice what it should be."""

    factor = 2


@dataclass(frozen=True)
class BCEWithLogits:
    """y = max(x, 0) - x·t + log(1 + exp(-|x|)); dx = (σ(x) - t)·dy, dt = -x·dy."""

    reduction: str = "mean"

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        y = reduce(np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x))), self.reduction, x.size)

        def backward(dy: Array) -> dict[str, Array]:
            d = spread(dy, self.reduction, x.shape, x.size)
            return {"x": d * (self._slope(x) - target), "target": -x * d}

        return np.asarray(y), backward

    def _slope(self, x: Array) -> Array:
        """σ(x)."""
        small = np.exp(-np.abs(x))
        return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


class BCEKinksAtZero(BCEWithLogits):
    """Derived term by term: the slopes of max(x, 0) and |x| at zero are zero, and their sum 0 instead of 1/2."""

    def _slope(self, x: Array) -> Array:
        return np.where(x == 0, np.zeros_like(x), super()._slope(x))


BUGS = [
    Bug(
        "cross entropy: smoothing of ignored samples",
        "PyTorch",
        "https://github.com/pytorch/pytorch/issues/73205",
        "The uniform part of the smoothed loss counted samples that ignore_index takes out.",
        impl.CrossEntropyLoss,
        SmoothingOfIgnored,
        "CrossEntropyLoss",
    ),
    Bug(
        "log softmax: product with the output",
        "oneDNN",
        "https://github.com/uxlfoundation/oneDNN/issues/616",
        "The backward subtracted the sum of dy times the output, where exp(output) times the sum of dy belongs.",
        impl.LogSoftmax,
        LogSoftmaxOfProduct,
        "LogSoftmax",
    ),
    Bug(
        "softmax: dim accepted, not used",
        "aprender",
        "https://github.com/paiml/aprender/pull/2152",
        "The layer kept dim and always normalised along the last axis.",
        impl.Softmax,
        SoftmaxLastAxis,
        "Softmax",
    ),
    Bug(
        "kl divergence: factor two",
        "Torch7 (cunn)",
        "https://github.com/torch/cunn/pull/318",
        "The gradient was twice what it should be, for years, within the tolerance its test had.",
        KLDivLoss,
        KLDivTwice,
        contracts.KLDivLoss,
    ),
    Bug(
        "bce with logits: gradient at zero",
        "PyTorch",
        "https://github.com/pytorch/pytorch/pull/2195",
        "The stable form holds kinks that cancel; their slopes at exactly zero were zero, and the gradient too.",
        BCEWithLogits,
        BCEKinksAtZero,
        contracts.BCEWithLogits,
    ),
]
