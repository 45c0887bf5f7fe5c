"""Forward and backward agree with each other, but keep another convention than torch's."""

from __future__ import annotations

import numpy as np

from gradjury.oracle.referee import Fault

from . import plain
from .cause import cause


class WeightInOut(plain.Linear):
    def value(self, x, weight, bias=None):
        return super().value(x, weight.T, bias)

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight.T, bias)
        return {**found, "weight": found["weight"].T.copy()}


@cause(Fault.CONVENTION, in_features=3, out_features=3)
class LinearSquareWeightInOut(WeightInOut):
    """The weight is (in, out); it is square, so nothing is refused."""


@cause(Fault.CONVENTION, in_features=2, out_features=3)
class LinearWeightInOut(WeightInOut):
    """The weight is (in, out): torch's (out, in) is refused."""


def columns(a):
    return a if a.ndim < 2 else a.swapaxes(-1, -2).copy()


@cause(Fault.CONVENTION)
class LinearColumns(plain.Linear):
    """Samples are columns: x is (features, batch), y = W·x + b, as textbooks write it."""

    def value(self, x, weight, bias=None):
        return columns(super().value(columns(x), weight, bias))

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(columns(dy), columns(y), columns(x), weight, bias)
        return {**found, "x": columns(found["x"])}


@cause(Fault.CONVENTION, Fault.BACKWARD, pattern="factor")
class LinearWeightAveraged(plain.Linear):
    """The gradients of weight and bias are averaged over the rows; x's is not."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        n = dy.dtype.type(max(1, len(plain.rows(x))))
        return {name: g if name == "x" else g / n for name, g in found.items()}


@cause(Fault.CONVENTION, pattern="factor", reduction="mean")
class MSESummed(plain.MSELoss):
    """Summed where torch averages."""

    def count(self, difference):
        return 1


@cause(Fault.CONVENTION, pattern="factor", reduction="mean")
class MSEPerSample(plain.MSELoss):
    """Averaged over the batch, summed over the rest."""

    def count(self, difference):
        return max(1, len(np.atleast_1d(difference)))


@cause(Fault.CONVENTION, pattern="factor", reduction="mean")
class CrossEntropySummed(plain.CrossEntropyLoss):
    """Summed where torch averages."""

    def count(self, x, target, shares, kept):
        return x.dtype.type(1)


@cause(Fault.CONVENTION, pattern="factor", reduction="mean")
class CrossEntropyPerImage(plain.CrossEntropyLoss):
    """Averaged over the batch, summed over the positions of an image."""

    def count(self, x, target, shares, kept):
        positions = max(1, int(np.prod(x.shape[2:])))
        return super().count(x, target, shares, kept) / x.dtype.type(positions)


@cause(Fault.CONVENTION, pattern="factor", reduction="mean")
class CrossEntropyWeightsNotCounted(plain.CrossEntropyLoss):
    """The mean divides by the number of samples, where torch divides by the sum of their class weights."""

    def count(self, x, target, shares, kept):
        if target.dtype.kind == "f":
            return super().count(x, target, shares, kept)
        return x.dtype.type(kept.sum())


class ChannelsLast:
    """A layer over (N, H, W, C) or (H, W, C) made of one over (N, C, H, W)."""

    def value(self, x, *parameters):
        return np.moveaxis(super().value(np.moveaxis(x, -1, -3), *parameters), -3, -1).copy()

    def gradients(self, dy, y, x, *parameters):
        first = (np.moveaxis(a, -1, -3) for a in (dy, y, x))
        found = super().gradients(*first, *parameters)
        return {**found, "x": np.moveaxis(found["x"], -3, -1).copy()}


@cause(Fault.CONVENTION)
class ConvChannelsLast(ChannelsLast, plain.Conv2d):
    """Images are (N, H, W, C); the weight is torch's."""


@cause(Fault.CONVENTION)
class MaxPoolChannelsLast(ChannelsLast, plain.MaxPool2d):
    """Images are (N, H, W, C)."""


@cause(Fault.CONVENTION)
class ConvTrue(plain.Conv2d):
    """A true convolution: the filter is rotated by 180°, in forward and backward alike."""

    def value(self, x, weight, bias=None):
        return super().value(x, weight[:, :, ::-1, ::-1], bias)

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight[:, :, ::-1, ::-1], bias)
        return {**found, "weight": found["weight"][:, :, ::-1, ::-1].copy()}


@cause(Fault.CONVENTION, Fault.BACKWARD, pattern="factor")
class ConvWeightAveraged(plain.Conv2d):
    """The gradients of weight and bias are averaged over the batch; x's is not."""

    def gradients(self, dy, y, x, weight, bias=None):
        found = super().gradients(dy, y, x, weight, bias)
        n = dy.dtype.type(max(1, len(x)) if x.ndim == 4 else 1)
        return {name: g if name == "x" else g / n for name, g in found.items()}


@cause(Fault.CONVENTION)
class ReLUOneAtZero(plain.ReLU):
    """ReLU'(0) = 1."""

    def gradients(self, dy, y, x):
        return {"x": dy * ~(x < 0)}


@cause(Fault.CONVENTION)
class ReLUHalfAtZero(plain.ReLU):
    """ReLU'(0) = 1/2, for it is (1 + sign x)/2, and sign 0 is 0."""

    def gradients(self, dy, y, x):
        return {"x": dy * (1 + np.sign(x)) / 2}


@cause(Fault.CONVENTION)
class LeakyReLUOneAtZero(plain.LeakyReLU):
    """The slope at 0 is that of the positive side."""

    def gradients(self, dy, y, x):
        return {"x": dy * self.slopes(x >= 0, x.dtype)}


@cause(Fault.CONVENTION)
class MaxPoolLastOfTie(plain.MaxPool2d):
    """Of equal cells the last one gets the gradient."""

    def winner(self, x):
        cells = self.cells(x)
        return len(cells) - 1 - cells[::-1].argmax(axis=0)


@cause(Fault.CONVENTION)
class MaxPoolTieEvenly(plain.MaxPool2d):
    """Equal cells share the gradient evenly."""

    def gradients(self, dy, y, x):
        cells = self.cells(x)
        shares = (cells == y) / (cells == y).sum(axis=0).astype(dy.dtype)
        dx = np.zeros_like(plain.padded(x, self.widths()))
        for number, at in enumerate(self.places(dx)):
            dx[at] += dy * shares[number]
        return {"x": plain.cropped(dx, self.widths())}


@cause(Fault.CONVENTION, dim=1)
class SoftmaxChannelsLast(plain.Softmax):
    """The classes are the last axis, where torch has them second."""

    def axis(self, x):
        return -1


@cause(Fault.CONVENTION, dim=1)
class LogSoftmaxColumns(plain.LogSoftmax):
    """Samples are columns: the classes are the first axis, where torch has them second."""

    def axis(self, x):
        return 0


@cause(Fault.CONVENTION, pattern="permutation", start_dim=1, end_dim=-1)
class FlattenChannelsLast(plain.Flatten):
    """The second axis, channels, is gathered last: (N, C, H, W) is flattened as (N, H, W, C)."""

    def value(self, x):
        return super().value(np.moveaxis(x, 1, -1) if x.ndim > 2 else x)

    def gradients(self, dy, y, x):
        if x.ndim <= 2:
            return super().gradients(dy, y, x)
        last = (x.shape[0], *x.shape[2:], x.shape[1])
        return {"x": np.moveaxis(dy.reshape(last), -1, 1).copy()}
