"""The backward is not the derivative of its own forward, which is torch's: activations, gates, softmax."""

from __future__ import annotations

import numpy as np

from gradjury.oracle.referee import Fault

from . import plain
from .cause import cause


@cause(Fault.BACKWARD, pattern="mask")
class ReLUMaskOfCotangent(plain.ReLU):
    """The mask is taken from dy instead of x."""

    def gradients(self, dy, y, x):
        return {"x": dy * (dy > 0)}


@cause(Fault.BACKWARD, pattern="mask")
class ReLUMaskInverted(plain.ReLU):
    """dy passes where x is not positive."""

    def gradients(self, dy, y, x):
        return {"x": dy * (x <= 0)}


@cause(Fault.BACKWARD, pattern="mask")
class ReLUThresholdOne(plain.ReLU):
    """dy passes where x > 1."""

    def gradients(self, dy, y, x):
        return {"x": dy * (x > 1)}


@cause(Fault.BACKWARD, pattern="forward value")
class ReLUTimesOutput(plain.ReLU):
    """y in the place of the mask."""

    def gradients(self, dy, y, x):
        return {"x": dy * y}


@cause(Fault.BACKWARD, pattern="stale")
class ReLUFirstMask(plain.ReLU):
    """Keeps the mask of the first call, as long as the shape stays the same."""

    mask = None

    def gradients(self, dy, y, x):
        if self.mask is None or self.mask.shape != x.shape:
            self.mask = x > 0
        return {"x": dy * self.mask}


@cause(Fault.BACKWARD, pattern="mask")
class LeakyReLUSwapped(plain.LeakyReLU):
    """The slope goes to the positive side."""

    def gradients(self, dy, y, x):
        return {"x": dy * self.slopes(x <= 0, x.dtype)}


@cause(Fault.BACKWARD, pattern="mask")
class LeakyReLUMagnitude(plain.LeakyReLU):
    """The mask is that of |x|: both sides pass."""

    def gradients(self, dy, y, x):
        return {"x": dy * self.slopes(np.abs(x) > 0, x.dtype)}


@cause(Fault.BACKWARD, pattern="forward value")
class LeakyReLUAnswersOutput(plain.LeakyReLU):
    """y is returned for dy·f'(x)."""

    def gradients(self, dy, y, x):
        return {"x": y.copy()}


@cause(Fault.BACKWARD, pattern="sign")
class SigmoidSign(plain.Sigmoid):
    """y·(y - 1)."""

    def gradients(self, dy, y, x):
        return {"x": dy * y * (y - 1)}


@cause(Fault.BACKWARD)
class SigmoidHalf(plain.Sigmoid):
    """The factor y is missing: dy·(1 - y)."""

    def gradients(self, dy, y, x):
        return {"x": dy * (1 - y)}


@cause(Fault.BACKWARD, pattern="stale")
class SigmoidPrevious(plain.Sigmoid):
    """The cache is written too late: the backward sees the output of the call before."""

    before = now = None

    def value(self, x):
        y = super().value(x)
        self.before, self.now = self.now, y
        return y

    def gradients(self, dy, y, x):
        kept = y if self.before is None or self.before.shape != x.shape else self.before
        return {"x": dy * kept * (1 - kept)}


@cause(Fault.BACKWARD, pattern="zeros")
class SigmoidTail(plain.Sigmoid):
    """Works in blocks of four numbers and never comes to the tail."""

    def gradients(self, dy, y, x):
        dx = (dy * y * (1 - y)).reshape(-1)
        dx[dx.size // 4 * 4 :] = 0
        return {"x": dx.reshape(x.shape)}


@cause(Fault.BACKWARD, pattern="forward value")
class TanhTimesOutput(plain.Tanh):
    """f in the place of f'."""

    def gradients(self, dy, y, x):
        return {"x": dy * y}


@cause(Fault.BACKWARD)
class TanhOfInput(plain.Tanh):
    """1 - x² for 1 - y²."""

    def gradients(self, dy, y, x):
        return {"x": dy * (1 - x * x)}


@cause(Fault.BACKWARD, pattern="stale")
class TanhFirstInput(plain.Tanh):
    """The cache is filled by the first call and never again, unless the shape changes."""

    kept = None

    def value(self, x):
        if self.kept is None or self.kept.shape != x.shape:
            self.kept = x.copy()
        return np.tanh(x)

    def gradients(self, dy, y, x):
        return {"x": (dy * (1 - np.tanh(self.kept) ** 2)).astype(dy.dtype)}


@cause(Fault.BACKWARD, pattern="zeros")
class TanhFirstSample(plain.Tanh):
    """Only the first sample of the batch gets a gradient."""

    def gradients(self, dy, y, x):
        dx = np.array(dy * (1 - y * y))
        if x.ndim:
            dx[1:] = 0
        return {"x": dx}


@cause(Fault.BACKWARD, pattern="sign")
class AddOtherNegated(plain.Add):
    """The backward of a difference."""

    def gradients(self, dy, y, x, other):
        return {"x": plain.summed(dy, x.shape), "other": -plain.summed(dy, other.shape)}


def first_slice(dy, shape):
    """What is left of the sum over repeated axes where only their first entries are taken."""
    for axis in plain.repeated(dy, shape):
        dy = dy.take([0] if dy.shape[axis] else [], axis).sum(axis=axis, keepdims=True)
    return dy.reshape(shape)


@cause(Fault.BACKWARD, pattern="missing term")
class AddFirstOfRepeated(plain.Add):
    """Along axes that were repeated, the first cotangent is taken instead of the sum."""

    def gradients(self, dy, y, x, other):
        return {"x": first_slice(dy, x.shape), "other": first_slice(dy, other.shape)}


@cause(Fault.BACKWARD, pattern="factor")
class MultiplyAveragesRepeated(plain.Multiply):
    """Along axes that were repeated, the mean is taken instead of the sum."""

    def gradients(self, dy, y, x, other):
        found = super().gradients(dy, y, x, other)
        return {n: (g / max(1, dy.size // max(1, g.size))).astype(g.dtype) for n, g in found.items()}


@cause(Fault.BACKWARD, pattern="zeros")
class MultiplyConstant(plain.Multiply):
    """The second factor is taken for a constant."""

    def gradients(self, dy, y, x, other):
        return {"x": plain.summed(dy * other, x.shape), "other": np.zeros_like(other)}


@cause(Fault.BACKWARD, pattern="forward value")
class MultiplyTimesOutput(plain.Multiply):
    """dy·y for both factors."""

    def gradients(self, dy, y, x, other):
        return {"x": plain.summed(dy * y, x.shape), "other": plain.summed(dy * y, other.shape)}


@cause(Fault.BACKWARD, pattern="stale")
class MultiplyFirstFactor(plain.Multiply):
    """Keeps the second factor of the first call for the gradient of x."""

    kept = None

    def gradients(self, dy, y, x, other):
        if self.kept is None or self.kept.shape != other.shape:
            self.kept = other.copy()
        return {"x": plain.summed(dy * self.kept.astype(dy.dtype), x.shape), "other": plain.summed(dy * x, other.shape)}


@cause(Fault.BACKWARD, pattern=("missing term", "forward value"))
class SoftmaxSumForgotten(plain.Softmax):
    """dy·y: the term y·Σ dy·y is missing."""

    def gradients(self, dy, y, x):
        return {"x": dy * y}


@cause(Fault.BACKWARD, pattern="doubled term")
class SoftmaxSumTwice(plain.Softmax):
    """y·Σ dy·y is subtracted twice."""

    def gradients(self, dy, y, x):
        return {"x": y * (dy - 2 * (dy * y).sum(axis=self.axis(x) if x.ndim else None, keepdims=True))}


@cause(Fault.BACKWARD, pattern="zeros")
class SoftmaxLastClass(plain.Softmax):
    """The loop over the classes ends one too early."""

    def gradients(self, dy, y, x):
        dx = super().gradients(dy, y, x)["x"]
        if x.ndim:
            np.moveaxis(dx, self.axis(x), 0)[-1:] = 0
        return {"x": dx}


@cause(Fault.BACKWARD, pattern="sign")
class LogSoftmaxSign(plain.LogSoftmax):
    """eʸ·Σ dy - dy."""

    def gradients(self, dy, y, x):
        return {"x": -super().gradients(dy, y, x)["x"]}


@cause(Fault.BACKWARD, pattern="missing term")
class LogSoftmaxSumForgotten(plain.LogSoftmax):
    """dy alone: the term eʸ·Σ dy is missing."""

    def gradients(self, dy, y, x):
        return {"x": dy.copy()}


@cause(Fault.BACKWARD, pattern="doubled term")
class LogSoftmaxSumTwice(plain.LogSoftmax):
    """The normaliser's gradient is counted twice."""

    def gradients(self, dy, y, x):
        dx = super().gradients(dy, y, x)["x"]
        return {"x": 2 * dx - dy if x.ndim else dx}


@cause(Fault.BACKWARD, pattern="permutation")
class LogSoftmaxNotMovedBack(plain.LogSoftmax):
    """Works with the classes last, and reshapes where it should move the axis back."""

    def gradients(self, dy, y, x):
        dx = super().gradients(dy, y, x)["x"]
        return {"x": np.moveaxis(dx, self.axis(x), -1).reshape(x.shape) if x.ndim else dx}
