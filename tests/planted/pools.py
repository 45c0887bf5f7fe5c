"""Faults in pooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradjury import impl
from gradjury.impl._windows import gather, scatter
from gradjury.properties.contracts.common import pair


class MaxTieToBoth(impl.MaxPool2d):
    """Of equal cells both get the gradient."""

    def __call__(self, x):
        answer, backward = super().__call__(x)
        y = answer[0] if self.return_indices else answer
        if self.padding not in (0, (0, 0)) or self.dilation not in (1, (1, 1)) or self.ceil_mode:
            return answer, backward
        kernel = pair(self.kernel_size)
        stride = pair(self.stride or kernel)

        def wrong(dy):
            windows = gather(x, kernel, stride, (1, 1), y.shape[-2:])
            winners = windows == y[..., None, None, :, :]
            dx = np.zeros_like(x)
            scatter(winners * dy[..., None, None, :, :], dx, stride, (1, 1))
            return {"x": dx}

        return answer, wrong


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


class MaxFirstNaN(impl.MaxPool1d):
    """Of several NaN in a window the first wins; torch's is the last."""

    def __call__(self, x):
        answer, backward = super().__call__(x)
        if not self.return_indices or self.padding not in (0, (0,)):
            return answer, backward
        y, indices = answer
        (kernel,), (dilation,) = (n if isinstance(n, tuple) else (n,) for n in (self.kernel_size, self.dilation))
        first = indices.copy()
        for place in range(1, kernel):  # back from the winner, as far as the window may reach
            cells = indices - place * dilation
            start = np.arange(y.shape[-1]) * (np.atleast_1d(self.stride)[0] if self.stride else kernel)
            inside = cells >= start
            before = np.take_along_axis(x, np.maximum(cells, 0), -1)
            first = np.where(np.isnan(y) & inside & np.isnan(before), cells, first)
        return (y, first), backward


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
    (MaxFirstNaN, "MaxPool1d", "nonfinite"),
    (AvgPaddingNotCounted, "AvgPool2d", "gradients"),
    (AvgDivisorForgotten, "AvgPool2d", "gradients"),
]
