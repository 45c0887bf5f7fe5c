"""The backward is not the derivative of its own forward, which is torch's: convolutions and pooling."""

from __future__ import annotations

import numpy as np

from gradjury.oracle.referee import Fault

from . import plain
from .cause import cause


@cause(Fault.BACKWARD, pattern="flip")
class ConvFilterNotRotated(plain.Conv2d):
    """dx is the full convolution of dy with the filter as it stands, not rotated by 180°."""

    def to_input(self, dy, x, weight):
        return super().to_input(dy, x, weight[:, :, ::-1, ::-1])


@cause(Fault.BACKWARD, pattern="flip")
class ConvWeightRotated(plain.Conv2d):
    """dW comes out rotated by 180°, as if the forward were a true convolution."""

    def to_weight(self, dy, x, weight):
        return super().to_weight(dy, x, weight)[:, :, ::-1, ::-1].copy()


@cause(Fault.BACKWARD, pattern="flip")
class ConvWeightMirrored(plain.Conv2d):
    """dW is mirrored along its width."""

    def to_weight(self, dy, x, weight):
        return super().to_weight(dy, x, weight)[:, :, :, ::-1].copy()


@cause(Fault.BACKWARD, pattern="permutation")
class ConvWeightAxesSwapped(plain.Conv2d):
    """Height and width of dW are exchanged where the kernel is square."""

    def to_weight(self, dy, x, weight):
        found = super().to_weight(dy, x, weight)
        return found.swapaxes(2, 3).copy() if found.shape[2] == found.shape[3] else found


@cause(Fault.BACKWARD, pattern="permutation")
class ConvWeightReshaped(plain.Conv2d):
    """dW was gathered as (C, K, kh, kw) and reshaped to (K, C, kh, kw)."""

    def to_weight(self, dy, x, weight):
        return super().to_weight(dy, x, weight).swapaxes(0, 1).reshape(weight.shape)


@cause(Fault.BACKWARD, pattern="missing term")
class ConvWeightLastSample(plain.Conv2d):
    """= for += in the loop over the batch: dW is that of the last sample."""

    def to_weight(self, dy, x, weight):
        if x.ndim == 3 or not len(x):
            return super().to_weight(dy, x, weight)
        return super().to_weight(dy[-1], x[-1], weight)


@cause(Fault.BACKWARD, pattern="doubled term")
class ConvBiasFirstSampleTwice(plain.Conv2d):
    """The bias gradient starts from the first sample and then adds all of them."""

    def to_bias(self, dy):
        found = super().to_bias(dy)
        return found + dy[0].sum(axis=(-1, -2)) if dy.ndim == 4 and len(dy) else found


@cause(Fault.BACKWARD, pattern="missing term")
class ConvBiasOneRow(plain.Conv2d):
    """The bias gradient is summed over batch and width, and taken in the first row."""

    def to_bias(self, dy):
        return super().to_bias(dy[..., :1, :])


@cause(Fault.BACKWARD, pattern="zeros")
class ConvBorder(plain.Conv2d):
    """dx is zero where the window would hang over the border, as far in as the padding reaches."""

    def to_input(self, dy, x, weight):
        dx = super().to_input(dy, x, weight)
        (top, bottom), (left, right) = self.widths()
        inside = np.zeros_like(dx)
        inner = (..., slice(top, dx.shape[-2] - bottom), slice(left, dx.shape[-1] - right))
        inside[inner] = dx[inner]
        return inside


@cause(Fault.BACKWARD, pattern="permutation")
class MaxPoolIndexTransposed(plain.MaxPool2d):
    """The winner's place is taken as column·H + row where the plane is square."""

    def gradients(self, dy, y, x):
        dx = super().gradients(dy, y, x)["x"]
        return {"x": dx.swapaxes(-1, -2).copy() if x.shape[-1] == x.shape[-2] else dx}


@cause(Fault.BACKWARD, pattern="doubled term")
class MaxPoolLastColumnTwice(plain.MaxPool2d):
    """The loop over the windows clamps its end and visits the last column twice."""

    def gradients(self, dy, y, x):
        dy = dy.copy()
        dy[..., -1] *= 2
        return super().gradients(dy, y, x)


@cause(Fault.BACKWARD, pattern="stale")
class MaxPoolFirstWinners(plain.MaxPool2d):
    """The winners of the first call stay in the cache, unless the shape changes."""

    def winner(self, x):
        return vars(self).setdefault(f"winners of {x.shape}", super().winner(x))


@cause(Fault.BACKWARD, pattern="mask")
class MaxPoolPositiveOnly(plain.MaxPool2d):
    """The mask is x·(x == y) > 0: windows whose largest cell is not positive pass nothing on."""

    def gradients(self, dy, y, x):
        return super().gradients(dy * (y > 0), y, x)


@cause(Fault.BACKWARD, pattern="factor")
class AvgPoolNotDivided(plain.AvgPool2d):
    """The backward hands each cell the whole dy."""

    def gradients(self, dy, y, x):
        return super().gradients(dy * self.area(), y, x)


@cause(Fault.BACKWARD, pattern="factor")
class AvgPoolSquareOfHeight(plain.AvgPool2d):
    """The backward divides by kh², right for square windows only."""

    def gradients(self, dy, y, x):
        height, width = plain.pair(self.kernel_size)
        return super().gradients((dy * width / height).astype(dy.dtype), y, x)


@cause(Fault.BACKWARD, pattern="missing term")
class AvgPoolOverwritten(plain.AvgPool2d):
    """= for +=: where windows overlap, one of them is left."""

    def gradients(self, dy, y, x):
        dx = np.zeros_like(plain.padded(x, self.widths()))
        for at in self.places(dx):
            dx[at] = dy / self.area()
        return {"x": plain.cropped(dx, self.widths())}


@cause(Fault.BACKWARD, pattern="zeros", stride=None)
class AvgPoolTail(plain.AvgPool2d):
    """The loop over the rows of windows, which do not overlap here, ends one too early."""

    def gradients(self, dy, y, x):
        dy = dy.copy()
        dy[..., -1, :] = 0
        return super().gradients(dy, y, x)
