"""Normalisation of each channel by its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients


def _neighbours(a: Array, before: int, after: int) -> Array:
    """Σ of a over the channels c - before … c + after, those that exist."""
    total = a.copy()
    for step in range(1, before + 1):
        total[:, step:] += a[:, :-step]
    for step in range(1, after + 1):
        total[:, :-step] += a[:, step:]
    return total


@dataclass(frozen=True)
class LocalResponseNorm:
    """y[c] = x[c]/s[c]^beta with s[c] = k + alpha/size · Σ x[c']² over the channels c' from c - ⌊size/2⌋ to
    c + ⌊(size - 1)/2⌋; channels that do not exist count as 0, and the sum is divided by `size` all the same.

    Shapes: x (N, C, *) with at least one axis *, y the same. An even `size` looks back one channel further.

    Gradient: dx[c] = dy[c]/s[c]^beta - 2·alpha·beta/size · x[c] · Σ dy[c']·y[c']/s[c'] over the channels c' whose
    window holds c, from c - ⌊(size - 1)/2⌋ to c + ⌊size/2⌋.

    Raises ValueError where x has fewer than three axes or `size` is not positive, TypeError for options that are no
    numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html; Krizhevsky, Sutskever,
    Hinton, ImageNet Classification with Deep Convolutional Neural Networks, 2012.
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check.integer(name, "size", self.size, least=1)
        for option in ("alpha", "beta", "k"):
            _check.number(name, option, getattr(self, option))

    def _check_rank(self, x: Array) -> None:
        """ValueError where x has too few axes, or too many."""
        if x.ndim < 3:
            raise ValueError(f"LocalResponseNorm: x must have at least 3 dimensions, got shape {x.shape}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        self._check_rank(x)
        alpha, beta, k = (x.dtype.type(option) for option in (self.alpha, self.beta, self.k))
        share = alpha / x.dtype.type(self.size)
        before, after = self.size // 2, (self.size - 1) // 2
        with np.errstate(all="ignore"):
            s = _neighbours(x * x, before, after)
            s *= share
            s += k
            d = s**beta
            y = x / d

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape)
            with np.errstate(all="ignore"):
                dx = dy / d
                # dy·y/s in torch's order: where s or x is infinite, another one has its NaN elsewhere.
                spread = _neighbours(dx * y * s ** (beta - 1), after, before) if beta else beta
                dx -= x * spread * (2 * share * beta)
            return {"x": dx}

        return y, backward


@dataclass(frozen=True)
class CrossMapLRN2d(LocalResponseNorm):
    """`LocalResponseNorm` for x (N, C, H, W): y[c] = x[c]/(k + alpha/size · Σ x[c']²)^beta.

    Gradient and window as there. torch's layer of this name computes neither: see docs/discrepancies.md.

    Raises ValueError unless x has four axes and `size` is positive, TypeError for options that are no numbers.

    Source: https://github.com/torch/nn/blob/master/doc/convolution.md#nn.SpatialCrossMapLRN, whose port torch's is.
    """

    k: float = 1

    def _check_rank(self, x: Array) -> None:
        if x.ndim != 4 or not x.shape[1]:
            raise ValueError(f"CrossMapLRN2d: x must have 4 dimensions and a channel, got shape {x.shape}")
