"""Faults in losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradjury import impl


class MSEMeanForgotten(impl.MSELoss):
    """The backward of "mean" lacks 1/n."""

    def __call__(self, x, target):
        y, backward = super().__call__(x, target)
        if self.reduction != "mean":
            return y, backward
        _, summed = impl.MSELoss.__call__(replace(self, reduction="sum"), x, target)
        return y, summed


class MSETwoForgotten(impl.MSELoss):
    """The 2 of the square is missing."""

    def __call__(self, x, target):
        y, backward = super().__call__(x, target)
        return y, lambda dy: {name: g / 2 for name, g in backward(dy).items()}


class MSEHalved(impl.MSELoss):
    """A convention, in forward and backward alike: half of the square."""

    def __call__(self, x, target):
        y, backward = super().__call__(x, target)
        return y / 2, lambda dy: {name: g / 2 for name, g in backward(dy).items()}


class CrossEntropySmoothingForgotten(impl.CrossEntropyLoss):
    """Label smoothing in the forward only."""

    def __call__(self, x, target, weight=None):
        y, _ = super().__call__(x, target, weight)
        _, sharp = impl.CrossEntropyLoss.__call__(replace(self, label_smoothing=0.0), x, target, weight)
        return y, sharp


class CrossEntropyIgnoredCounted(impl.CrossEntropyLoss):
    """Ignored samples count in the denominator of the mean's gradient."""

    def __call__(self, x, target, weight=None):
        y, backward = super().__call__(x, target, weight)
        if self.reduction != "mean" or target.dtype.kind == "f" or weight is not None:
            return y, backward
        kept = int((target != self.ignore_index).sum())

        def wrong(dy):
            grads = backward(dy)
            return {"x": grads["x"] * (kept / target.size)} if target.size else grads

        return y, wrong


class CrossEntropyWeightForgotten(impl.CrossEntropyLoss):
    """Class weights in the forward only."""

    def __call__(self, x, target, weight=None):
        y, _ = super().__call__(x, target, weight)
        _, plain = super().__call__(x, target)
        return y, plain


class CrossEntropyNaNSwallowed(impl.CrossEntropyLoss):
    """NaN is replaced by 0 on the way in."""

    def __call__(self, x, target, weight=None):
        return super().__call__(np.where(np.isnan(x), 0, x).astype(x.dtype), target, weight)


class CrossEntropyAcceptsAnything(impl.CrossEntropyLoss):
    """Indices out of range are clipped instead of refused."""

    def __call__(self, x, target, weight=None):
        if target.dtype.kind in "iu" and x.ndim:
            kept = target == self.ignore_index
            target = np.where(kept, target, np.clip(target, 0, x.shape[min(1, x.ndim - 1)] - 1))
        return super().__call__(x, target, weight)


FAULTS = [
    (MSEMeanForgotten, "MSELoss", "gradients"),
    (MSETwoForgotten, "MSELoss", "finite_differences"),
    (MSEHalved, "MSELoss", "forward"),
    (CrossEntropySmoothingForgotten, "CrossEntropyLoss", "gradients"),
    (CrossEntropyIgnoredCounted, "CrossEntropyLoss", "gradients"),
    (CrossEntropyWeightForgotten, "CrossEntropyLoss", "gradients"),
    (CrossEntropyNaNSwallowed, "CrossEntropyLoss", "nonfinite"),
    (CrossEntropyAcceptsAnything, "CrossEntropyLoss", "refusal"),
]
