"""The formula is right, forward and backward, and digits are lost in the way it is computed."""

from __future__ import annotations

import numpy as np

from gradjury.oracle.referee import Fault

from . import plain
from .cause import cause

LOST = (Fault.PRECISION, Fault.UNDECIDED)


@cause(*LOST)
class LogSoftmaxUnshifted(plain.LogSoftmax):
    """x - log Σ eˣ, with nothing taken out: it overflows where x is large."""

    def value(self, x):
        return x - np.log(np.exp(x).sum(axis=self.axis(x), keepdims=True)) if x.ndim else np.zeros_like(x)


@cause(*LOST)
class LogSoftmaxOfSoftmax(plain.LogSoftmax):
    """The logarithm of a softmax that has underflowed."""

    def value(self, x):
        return np.log(np.exp(super().value(x)))


@cause(*LOST)
class SoftmaxUnshifted(plain.Softmax):
    """eˣ / Σ eˣ, with nothing taken out: ∞/∞ where x is large."""

    def value(self, x):
        e = np.exp(x)
        return e / e.sum(axis=self.axis(x) if x.ndim else None, keepdims=True)


@cause(*LOST)
class SigmoidByTanh(plain.Sigmoid):
    """(1 + tanh(x/2))/2, which has no digit left where x is far below zero."""

    def value(self, x):
        return (1 + np.tanh(x / 2)) / 2


@cause(*LOST)
class TanhByExponential(plain.Tanh):
    """(1 - e)/(1 + e) with e = e^-2|x|, which cancels near zero."""

    def value(self, x):
        e = np.exp(-2 * np.abs(x))
        return np.copysign((1 - e) / (1 + e), x)


@cause(*LOST)
class MSEExpanded(plain.MSELoss):
    """x² - 2·x·t + t² for (x - t)²."""

    def value(self, x, target):
        return self.reduce(x * x - 2 * x * target + target * target)


@cause(*LOST)
class MultiplyQuarterSquares(plain.Multiply):
    """((x + z)² - (x - z)²)/4, which cancels where one factor is far larger."""

    def value(self, x, other):
        return ((x + other) ** 2 - (x - other) ** 2) / 4


@cause(*LOST)
class AvgPoolIntegralImage(plain.AvgPool2d):
    """Differences of running sums, which remember every large cell above and to the left."""

    def value(self, x):
        plane = plain.padded(x, self.widths())
        total = plain.padded(plane, ((1, 0), (1, 0))).cumsum(axis=-1).cumsum(axis=-2)
        (kh, kw), (sh, sw) = plain.pair(self.kernel_size), self.steps()
        h, w = plane.shape[-2] - kh + 1, plane.shape[-1] - kw + 1
        corners = total[..., kh:, kw:] - total[..., :h, kw:] - total[..., kh:, :w] + total[..., :h, :w]
        return corners[..., ::sh, ::sw] / self.area()


@cause(*LOST)
class ConvByFourier(plain.Conv2d):
    """The convolution theorem of Fourier: each output carries the rounding error of the largest."""

    def value(self, x, weight, bias=None):
        x = plain.padded(x, self.widths())
        size, kernel, (sh, sw) = x.shape[-2:], weight.shape[2:], plain.pair(self.stride)
        product = np.einsum("...chw,kchw->...khw", np.fft.rfft2(x), np.fft.rfft2(weight, size).conj())
        h, w = (n - k + 1 for n, k in zip(size, kernel, strict=True))
        y = np.fft.irfft2(product, size)[..., :h, :w][..., ::sh, ::sw].astype(x.dtype)
        return y if bias is None else y + bias[:, None, None]


@cause(*LOST)
class LinearInSingle(plain.Linear):
    """Computes in float32, whatever comes in."""

    def value(self, x, weight, bias=None):
        low = (None if a is None else a.astype(np.float32) for a in (x, weight, bias))
        return super().value(*low).astype(x.dtype)
