"""The forward is not torch's, and no convention explains it: another function, a forgotten term, the wrong cells."""

from __future__ import annotations

import numpy as np

from gradjury.oracle.referee import Fault

from . import plain
from .cause import cause


@cause(Fault.FORWARD)
class ReLUSix(plain.ReLU):
    """Clips at 6 from above, in forward and backward alike."""

    def value(self, x):
        return x.clip(0, 6)

    def gradients(self, dy, y, x):
        return {"x": dy * ((x > 0) & (x < 6))}


@cause(Fault.FORWARD)
class LeakyReLULarger(plain.LeakyReLU):
    """max(x, slope·x), which is another function where the slope is above 1; the backward is torch's."""

    def value(self, x):
        return np.maximum(x, x.dtype.type(self.negative_slope) * x)


@cause(Fault.FORWARD)
class SigmoidMirrored(plain.Sigmoid):
    """1 / (1 + eˣ): the minus is missing; the backward y·(1 - y) is that of the sigmoid."""

    def value(self, x):
        return super().value(-x)


@cause(Fault.FORWARD)
class SigmoidHard(plain.Sigmoid):
    """The piecewise linear approximation, with its own derivative."""

    def value(self, x):
        return (x / 6 + x.dtype.type(0.5)).clip(0, 1)

    def gradients(self, dy, y, x):
        return {"x": dy * (np.abs(x) < 3) / 6}


@cause(Fault.FORWARD)
class TanhFromSigmoid(plain.Tanh):
    """2σ(x) - 1 for 2σ(2x) - 1; the backward is 1 - y²."""

    def value(self, x):
        return np.tanh(x / 2)


@cause(Fault.FORWARD)
class AddSubtracts(plain.Add):
    """A minus in the forward; the backward is that of the sum."""

    def value(self, x, other):
        return x - other


@cause(Fault.FORWARD)
class MultiplySquares(plain.Multiply):
    """Where the shapes allow it, x is multiplied by itself; the backward is that of the product."""

    def value(self, x, other):
        return x * x if x.shape == other.shape else x * other


@cause(Fault.FORWARD)
class LinearWithoutBias(plain.Linear):
    """The forward forgets the bias; the backward answers its gradient."""

    def value(self, x, weight, bias=None):
        return x @ weight.T


@cause(Fault.FORWARD)
class ConvBiasPerChannel(plain.Conv2d):
    """The bias is added within the loop over input channels, so once for each of them."""

    def value(self, x, weight, bias=None):
        return super().value(x, weight, None if bias is None else bias * x.shape[-3])


@cause(Fault.FORWARD)
class ConvPadsOneSide(plain.Conv2d):
    """All of the padding stands before the image; the backward crops likewise."""

    def widths(self):
        return tuple((before + after, 0) for before, after in super().widths())


@cause(Fault.FORWARD)
class MSEAbsolute(plain.MSELoss):
    """The absolute error, with its own derivative."""

    def value(self, x, target):
        return self.reduce(np.abs(x - target))

    def gradients(self, dy, y, x, target):
        d = np.sign(x - target) * (dy / dy.dtype.type(self.count(x - target)))
        return {"x": plain.summed(d, x.shape), "target": -plain.summed(d, target.shape)}


@cause(Fault.FORWARD)
class CrossEntropyInBits(plain.CrossEntropyLoss):
    """log₂ in the forward, the derivative of the natural logarithm in the backward."""

    def value(self, x, target, weight=None):
        return super().value(x, target, weight) / x.dtype.type(np.log(2))


@cause(Fault.FORWARD)
class MaxPoolPadsWithZeros(plain.MaxPool2d):
    """The padding is zeros, which win over negative cells; the gradient of such windows goes into the padding."""

    def cells(self, x):
        x = plain.padded(x, self.widths())
        return np.stack([x[at] for at in self.places(x)])


@cause(Fault.FORWARD)
class AvgPoolOfMaximum(plain.AvgPool2d):
    """The centre of the range in each window, (max + min)/2; the backward is that of the average."""

    def value(self, x):
        x = plain.padded(x, self.widths())
        cells = np.stack([x[at] for at in self.places(x)])
        return (cells.max(axis=0) + cells.min(axis=0)) / 2


@cause(Fault.FORWARD)
class SoftmaxOverEverything(plain.Softmax):
    """Normalised over the whole array, whatever `dim` says; the backward does the same."""

    def value(self, x):
        e = np.exp(x - x.max(initial=-np.inf))
        return e / e.sum()

    def gradients(self, dy, y, x):
        return {"x": y * (dy - (dy * y).sum())}


@cause(Fault.FORWARD)
class LogSoftmaxPlusOne(plain.LogSoftmax):
    """log1p where log is meant."""

    def value(self, x):
        shifted = x - x.max(axis=self.axis(x), keepdims=True, initial=-np.inf) if x.ndim else np.zeros_like(x)
        return shifted - np.log1p(np.exp(shifted).sum(axis=self.axis(x) if x.ndim else None, keepdims=True))


@cause(Fault.FORWARD)
class FlattenLeftRight(plain.Flatten):
    """Each row of the image is read backwards, and written backwards."""

    def value(self, x):
        return super().value(x[..., ::-1] if x.ndim else x)

    def gradients(self, dy, y, x):
        dx = dy.reshape(x.shape)
        return {"x": (dx[..., ::-1] if x.ndim else dx).copy()}
