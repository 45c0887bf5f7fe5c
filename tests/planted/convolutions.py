"""Faults in convolutions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradjury import impl


class FilterNotRotated(impl.Conv2d):
    """dX is the full convolution with the filter as it is."""

    def __call__(self, x, weight, bias=None):
        y, _ = super().__call__(x, weight, bias)
        _, right = super().__call__(x, weight, bias)
        _, turned = super().__call__(x, weight[:, :, ::-1, ::-1].copy(), bias)
        return y, lambda dy: {**right(dy), "x": turned(dy)["x"]}


class StrideIgnored(impl.Conv2d):
    """The weight's gradient is gathered as if the stride were 1."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)
        if self.stride in (1, (1, 1)):
            return y, backward
        dense = replace(self, stride=1)

        def wrong(dy):
            wide, close = impl.Conv2d.__call__(dense, x, weight, bias)
            padded = np.zeros(wide.shape, dy.dtype)
            padded[..., : dy.shape[-2], : dy.shape[-1]] = dy
            return {**backward(dy), "weight": close(padded)["weight"]}

        return y, wrong


class DilationIgnored(impl.Conv2d):
    """The gradient of x is scattered as if the dilation were 1."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)
        if self.dilation in (1, (1, 1)) or self.padding == "same":
            return y, backward
        dense = replace(self, dilation=1)

        def wrong(dy):
            wide, close = impl.Conv2d.__call__(dense, x, weight, bias)
            padded = np.zeros(wide.shape, dy.dtype)
            padded[..., : dy.shape[-2], : dy.shape[-1]] = dy
            return {**backward(dy), "x": close(padded)["x"]}

        return y, wrong


class BiasOverBatchOnly(impl.Conv2d):
    """The bias gradient is summed over the batch and averaged over positions."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)

        def wrong(dy):
            grads = backward(dy)
            if bias is not None:
                grads["bias"] = grads["bias"] / (dy.shape[-1] * dy.shape[-2])
            return grads

        return y, wrong


class PaddingGradientKept(impl.Conv2d):
    """Circular padding: what reached the border is dropped instead of going round."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)
        if self.padding_mode != "circular":
            return y, backward
        plain = replace(self, padding_mode="zeros")
        _, cropped = impl.Conv2d.__call__(plain, x, weight, bias)
        return y, lambda dy: {**backward(dy), "x": cropped(dy)["x"]}


class GroupsMixed(impl.Conv2d):
    """The groups of the weight's gradient come out in reverse order."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)

        def wrong(dy):
            grads = backward(dy)
            blocks = np.split(grads["weight"], self.groups)
            return {**grads, "weight": np.concatenate(blocks[::-1])}

        return y, wrong


FAULTS = [
    (FilterNotRotated, "Conv2d", "convolution_theorem"),
    (StrideIgnored, "Conv2d", "gradients"),
    (DilationIgnored, "Conv2d", "gradients"),
    (BiasOverBatchOnly, "Conv2d", "gradients"),
    (PaddingGradientKept, "Conv2d", "gradients"),
    (GroupsMixed, "Conv2d", "gradients"),
]
