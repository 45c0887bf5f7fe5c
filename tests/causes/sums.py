"""The backward is not the derivative of its own forward, which is torch's: linear layers, losses, shapes."""

from __future__ import annotations

import numpy as np

from gradjury.oracle.referee import Fault

from . import plain
from .cause import cause


@cause(Fault.BACKWARD, pattern="permutation")
class LinearReshapes(plain.Linear):
    """xᵀ·dy has the weight's numbers in the other order; reshape is not transpose."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        return {**found, "weight": found["weight"].T.reshape(weight.shape)}


@cause(Fault.BACKWARD, pattern="flip")
class LinearRowsReversed(plain.Linear):
    """Walks through the batch backwards and appends: the rows of dx come out in reverse."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        return {**found, "x": found["x"][::-1].copy() if x.ndim > 1 else found["x"]}


@cause(Fault.BACKWARD, pattern="doubled term")
class LinearFirstRowTwice(plain.Linear):
    """The sum over the rows starts from the first and then adds all of them."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        return {**found, "weight": found["weight"] + plain.rows(dy)[:1].T @ plain.rows(x)[:1]}


@cause(Fault.BACKWARD, pattern="missing term")
class LinearBiasOverwritten(plain.Linear):
    """= for += in the loop over the rows: the last one is left."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        return found if bias is None else {**found, "bias": plain.rows(dy)[-1:].sum(axis=0)}


@cause(Fault.BACKWARD, pattern="missing term")
class LinearBiasOverOneAxis(plain.Linear):
    """Of several leading axes, the bias gradient is summed over the first and taken at 0 of the others."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        if bias is not None and x.ndim > 2:
            found["bias"] = plain.rows(dy.sum(axis=0))[:1].sum(axis=0)
        return found


@cause(Fault.BACKWARD, pattern="zeros")
class LinearBiasTail(plain.Linear):
    """The loop over the features ends one too early."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        if bias is not None:
            found["bias"][-1:] = 0
        return found


@cause(Fault.BACKWARD, pattern="stale")
class LinearFirstInput(plain.Linear):
    """The input of the first call stays in the cache, unless the shape changes."""

    def gradients(self, dy, y, x, weight, bias=None):
        kept = vars(self).setdefault(f"input of {x.shape}", x.copy())
        return super().gradients(dy, y, kept.astype(dy.dtype), weight, bias)


@cause(Fault.BACKWARD, pattern="permutation")
class FlattenAxesSwapped(plain.Flatten):
    """Brings the gradient back with the last two axes in the other order."""

    def gradients(self, dy, y, x):
        if x.ndim < 2:
            return super().gradients(dy, y, x)
        swapped = (*x.shape[:-2], x.shape[-1], x.shape[-2])
        return {"x": dy.reshape(swapped).swapaxes(-1, -2).copy()}


@cause(Fault.BACKWARD, pattern="flip")
class FlattenBackwards(plain.Flatten):
    """Pops the gradient from a stack: it comes back in reverse."""

    def gradients(self, dy, y, x):
        return {"x": dy.reshape(-1)[::-1].reshape(x.shape).copy()}


@cause(Fault.BACKWARD, pattern="factor", reduction="mean")
class MSEBackwardPerSample(plain.MSELoss):
    """The forward averages over all elements, the backward divides by the batch alone."""

    def gradients(self, dy, y, x, target):
        found = super().gradients(dy, y, x, target)
        difference = x - target
        if not difference.size:
            return found
        return {name: g * (difference.size // len(np.atleast_1d(difference))) for name, g in found.items()}


@cause(Fault.BACKWARD, pattern="sign")
class MSETargetSign(plain.MSELoss):
    """The target's gradient has the sign of x's."""

    def gradients(self, dy, y, x, target):
        found = super().gradients(dy, y, x, target)
        return {**found, "target": -found["target"]}


@cause(Fault.BACKWARD, pattern="zeros")
class MSETargetConstant(plain.MSELoss):
    """The target's gradient is zeros."""

    def gradients(self, dy, y, x, target):
        return {**super().gradients(dy, y, x, target), "target": np.zeros_like(target)}


@cause(Fault.BACKWARD, pattern="factor")
class MSETwoTwice(plain.MSELoss):
    """The 2 of the square comes in twice: 4·(x - target)."""

    def gradients(self, dy, y, x, target):
        return {name: 2 * g for name, g in super().gradients(dy, y, x, target).items()}


@cause(Fault.BACKWARD, pattern="sign")
class CrossEntropySign(plain.CrossEntropyLoss):
    """Target minus softmax."""

    def gradients(self, dy, y, x, target, weight=None):
        found = super().gradients(dy, y, x, target, weight)
        return {**found, "x": -found["x"]}


@cause(Fault.BACKWARD, pattern="factor", reduction="mean")
class CrossEntropyMeanForgotten(plain.CrossEntropyLoss):
    """1/N is missing in the backward."""

    def each(self, dy, x, target, shares, kept):
        return np.expand_dims(np.where(kept, dy, 0), min(1, x.ndim - 1))


@cause(Fault.BACKWARD, pattern="factor", reduction="mean")
class CrossEntropyMeanTwice(plain.CrossEntropyLoss):
    """The backward divides by N, and by N again."""

    def each(self, dy, x, target, shares, kept):
        return super().each(dy / self.count(x, target, shares, kept), x, target, shares, kept)


@cause(Fault.BACKWARD, pattern="missing term")
class CrossEntropyOneHotForgotten(plain.CrossEntropyLoss):
    """Softmax alone, the target is not subtracted."""

    def gradients(self, dy, y, x, target, weight=None):
        shares, kept = self.dense(x, target, weight)
        found = super().gradients(dy, y, x, target, weight)
        return {**found, "x": found["x"] + self.each(dy, x, target, shares, kept) * shares}


@cause(Fault.BACKWARD, pattern="doubled term")
class CrossEntropyOneHotTwice(plain.CrossEntropyLoss):
    """The target is subtracted twice."""

    def gradients(self, dy, y, x, target, weight=None):
        shares, kept = self.dense(x, target, weight)
        found = super().gradients(dy, y, x, target, weight)
        return {**found, "x": found["x"] - self.each(dy, x, target, shares, kept) * shares}


@cause(Fault.BACKWARD, pattern="mask", reduction="sum")
class CrossEntropyIgnoredCounts(plain.CrossEntropyLoss):
    """Softmax minus one-hot without the mask: the one-hot of an ignored sample is zeros, its softmax is not."""

    def gradients(self, dy, y, x, target, weight=None):
        found = super().gradients(dy, y, x, target, weight)
        if target.dtype.kind == "f":
            return found
        axis = min(1, x.ndim - 1)
        ignored = np.expand_dims(target == self.ignore_index, axis)
        return {"x": np.where(ignored, dy * np.exp(plain.log_softmax(x, axis)), found["x"]).astype(x.dtype)}
