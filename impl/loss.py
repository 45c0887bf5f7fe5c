"""Losses that compare numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._reduction import reduce, spread
from .arithmetic import broadcast, unbroadcast


@dataclass(frozen=True)
class MSELoss:
    """y = (x - target)², as it is, summed, or averaged over all elements.

    Shapes: x and target broadcast to one shape; y has that shape with reduction="none", else ().
    Gradient: dx = 2·(x - target)·dy (divided by the number of elements for "mean"), dtarget = -dx; each summed over
    the axes along which it was repeated.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        _check.choice("MSELoss", "reduction", self.reduction, _check.REDUCTIONS)

    def __call__(self, x: Array, target: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        x, target = _check.real("MSELoss", x=x, target=target)
        shape = broadcast("MSELoss", x=x, target=target)
        difference = np.asarray(x - target)
        y = reduce(difference * difference, self.reduction, difference.size)

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("MSELoss", dy, y.shape)
            d = 2 * difference * spread(dy, self.reduction, shape, difference.size)
            return {"x": unbroadcast(d, x.shape), "target": -unbroadcast(d, target.shape)}

        return y, backward
