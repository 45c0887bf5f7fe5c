"""Dropout: elements or whole channels are dropped at random in training. The noise is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients

Shape = tuple[int, ...]

# The value that SELU saturates to, with its sign changed: scale·alpha.
ALPHA = 1.7580993408473766


def _times(a: Array, factor: Array) -> Array:
    with np.errstate(invalid="ignore"):  # an infinity that is dropped is NaN, as in torch
        return np.asarray(a * factor)


@dataclass(frozen=True)
class _Dropout:
    """What all of them share; a class says which elements are dropped together, and what becomes of them."""

    p: float = 0.5
    training: bool = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check.number(name, "p", self.p)
        if not 0 <= self.p <= 1:
            raise ValueError(f"{name}: p must be a probability, from 0 to 1, got {self.p}")

    def __call__(self, x: Array, mask: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass; `mask` is True where x is kept."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        self._check_rank(x.ndim)
        factor, shift = self._affine(x, mask)
        y = _times(x, factor)
        if shift is not None:
            y = np.asarray(y + shift)

        def backward(dy: Array) -> Gradients:
            return {"x": _times(_check.cotangent(name, dy, x.shape), factor)}

        return y, backward

    def noise(self, rng: np.random.Generator, shape: Shape, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """A mask for an x of this shape: True, with probability 1 - p, where x is kept. A mask has no use for dtype."""
        return {"mask": np.asarray(rng.random(self._mask_shape(shape)) >= self.p)}

    def _affine(self, x: Array, mask: Array | None) -> tuple[Array, Array | None]:
        """What x is multiplied by, and what is added."""
        name = type(self).__name__
        if mask is not None and (mask := np.asarray(mask)).dtype != np.bool_:
            raise TypeError(f"{name}: mask must hold truth values, True where x is kept, got dtype {mask.dtype}")
        # As in torch the ends are no matter of chance, and there is nothing to draw for an x without elements.
        if not self.training or self.p == 0 or not x.size:
            return np.ones((), x.dtype), None
        if self.p == 1:
            return np.zeros((), x.dtype), None
        shape = self._mask_shape(x.shape)
        if mask is None:
            raise ValueError(
                f"{name}: mask is missing, which training takes; draw one with layer.noise(rng, x.shape), "
                "or set training=False"
            )
        _check.shape(name, "mask", mask, shape)
        return self._noisy(mask, x.dtype.type)

    def _noisy(self, mask: Array, number: type) -> tuple[Array, Array | None]:
        return mask / number(1 - self.p), None

    def _check_rank(self, rank: int) -> None:
        pass

    def _mask_shape(self, shape: Shape) -> Shape:
        return shape

    def _channels(self, shape: Shape, lead: int) -> Shape:
        """One truth value for all of what follows the first `lead` axes."""
        if len(shape) < lead:
            raise ValueError(f"{type(self).__name__}: x must have at least {lead} dimensions, got shape {shape}")
        return shape[:lead] + (1,) * (len(shape) - lead)


class Dropout(_Dropout):
    """y = x·mask/(1 - p) in training, x in eval: each element is 0 with probability p, and the mean stays.

    Shapes: x any, y the same; mask, truth values that are True where x is kept, has the shape of x. It is not looked at
    in eval, for p = 0 (y = x) and p = 1 (y = 0·x, which is NaN for infinite x), and may be left out there.

    Gradient: dx = dy·mask/(1 - p), by the same rules.

    Raises ValueError for p outside [0, 1], a mask of another shape, or none where one is needed; TypeError for a mask
    that does not hold truth values.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html; Srivastava et al., Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting, 2014.
    """


class Dropout1d(_Dropout):
    """Dropout of whole channels: y = x·mask/(1 - p) in training, x in eval.

    Shapes: x (N, C, L) with mask (N, C, 1), or x (C, L) with mask (C, 1); y the shape of x. The rest, gradient and
    errors are as for `Dropout`; x of other dimensions raises ValueError.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html; Tompson et al., Efficient Object
    Localization Using Convolutional Networks, 2015.
    """

    def _check_rank(self, rank: int) -> None:
        if rank not in (2, 3):
            raise ValueError(f"Dropout1d: x must have 3 dimensions (N, C, L) or 2 (C, L), got {rank}")

    def _mask_shape(self, shape: Shape) -> Shape:
        return self._channels(shape, max(len(shape) - 1, 1))


class Dropout2d(_Dropout):
    """Dropout of whole channels: y = x·mask/(1 - p) in training, x in eval.

    Shapes: x (N, C, H, W) with mask (N, C, 1, 1); y the shape of x. As in torch there is no unbatched form: three
    dimensions are (N, C, L) with mask (N, C, 1), and any x of two dimensions or more has a mask that is 1 behind its
    first two axes. The rest, gradient and errors are as for `Dropout`; fewer dimensions raise ValueError where there is
    something to draw.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html
    """

    def _mask_shape(self, shape: Shape) -> Shape:
        return self._channels(shape, 2)


class Dropout3d(_Dropout):
    """Dropout of whole channels: y = x·mask/(1 - p) in training, x in eval.

    Shapes: x (N, C, D, H, W) with mask (N, C, 1, 1, 1), or x (C, D, H, W) with mask (C, 1, 1, 1); y the shape of x. As
    in torch, x of any number of dimensions but five counts as unbatched: its mask is 1 behind the first axis. The rest,
    gradient and errors are as for `Dropout`; x without dimensions raises ValueError where something is to be drawn.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html
    """

    def _mask_shape(self, shape: Shape) -> Shape:
        return self._channels(shape, 2 if len(shape) == 5 else 1)


class AlphaDropout(_Dropout):
    """y = a·(x where mask, else -α) + b in training, x in eval.

    α = 1.7580993… is what SELU saturates to; a = 1/√((1 + α²p)(1 - p)) and b = aαp keep mean 0 and variance 1.

    Shapes: x any, y the same; mask, truth values that are True where x is kept, has the shape of x. It is not looked at
    in eval, for p = 0 (y = x) and p = 1 (y = 0·x), and may be left out there. An infinite x that is dropped gives NaN,
    as it is multiplied by 0.

    Gradient: dx = a·dy·mask. Errors are as for `Dropout`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html; Klambauer et al.,
    Self-Normalizing Neural Networks, 2017.
    """

    def _noisy(self, mask: Array, number: type) -> tuple[Array, Array | None]:
        a = 1 / math.sqrt((ALPHA * ALPHA * self.p + 1) * (1 - self.p))
        shift = np.where(mask, number(ALPHA * a * self.p), number(ALPHA * a * (self.p - 1)))
        return mask * number(a), shift


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels.

    Shapes: x (N, C, ...) of two dimensions or more, there is no unbatched form; mask (N, C, 1, ...). Fewer dimensions
    raise ValueError where something is to be drawn.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html
    """

    def _mask_shape(self, shape: Shape) -> Shape:
        return self._channels(shape, 2)
