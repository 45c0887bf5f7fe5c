"""Faults in pooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradjury import impl


class MaxTieToBoth(impl.MaxPool2d):
    """Of equal cells both get the gradient."""

    def __call__(self, x):
        y, backward = super().__call__(x)
        plain = (self.kernel_size, self.stride, self.padding, self.dilation, self.return_indices, self.ceil_mode)
        if plain[0] not in (2, (2, 2)) or plain[1:] not in ((None, 0, 1, False, False), (2, 0, 1, False, False)):
            return y, backward

        def wrong(dy):
            dx = np.zeros_like(x)
            height, width = y.shape[-2:]
            for i in range(2):
                for j in range(2):
                    cells = (..., slice(i, 2 * height, 2), slice(j, 2 * width, 2))
                    dx[cells] += dy * (x[cells] == y)
            return {"x": dx}

        return y, wrong


class MaxOverlapOverwritten(impl.MaxPool2d):
    """= for +=: of overlapping windows the last one wins."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        with_indices = replace(self, return_indices=True)
        (_, indices), _ = impl.MaxPool2d.__call__(with_indices, x)

        def wrong(dy):
            planes = int(np.prod(x.shape[:-2]))
            flat = np.zeros((planes, x.shape[-2] * x.shape[-1]), dy.dtype)
            count = dy.shape[-2] * dy.shape[-1]
            np.put_along_axis(flat, indices.reshape(planes, count), dy.reshape(planes, count), axis=1)
            return {"x": flat.reshape(x.shape)}

        return y, wrong


class AvgPaddingNotCounted(impl.AvgPool2d):
    """The backward divides by the real cells, whatever count_include_pad says."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        _, uncounted = impl.AvgPool2d.__call__(replace(self, count_include_pad=False), x)
        return y, uncounted


class AvgDivisorForgotten(impl.AvgPool2d):
    """divisor_override in the forward only."""

    def __call__(self, x):
        y, _ = super().__call__(x)
        _, plain = impl.AvgPool2d.__call__(replace(self, divisor_override=None), x)
        return y, plain


FAULTS = [
    (MaxTieToBoth, "MaxPool2d", "gradients"),
    (MaxOverlapOverwritten, "MaxPool2d", "gradients"),
    (AvgPaddingNotCounted, "AvgPool2d", "gradients"),
    (AvgDivisorForgotten, "AvgPool2d", "gradients"),
]
