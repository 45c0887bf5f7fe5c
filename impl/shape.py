"""Layers that only rearrange."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import _check
from ._check import Array, Backward, Gradients


@dataclass(frozen=True)
class Flatten:
    """y = x with the axes start_dim … end_dim (inclusive) gathered into one.

    Shapes: x any, y (*before, product of the gathered axes, *after); rank 0 becomes (1,).
    Gradient: dx = dy in x's shape. As in torch, y and dx are views of x and dy where those are contiguous.

    Raises IndexError where an axis does not exist, ValueError where start_dim comes after end_dim.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    start_dim: int = 1
    end_dim: int = -1

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real("Flatten", x=x)
        start = _check.axis("Flatten", "start_dim", self.start_dim, x.ndim)
        end = _check.axis("Flatten", "end_dim", self.end_dim, x.ndim)
        if start > end:
            raise ValueError(f"Flatten: start_dim={self.start_dim} comes after end_dim={self.end_dim} in {x.shape}")
        shape = (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])

        def backward(dy: Array) -> Gradients:
            return {"x": _check.cotangent("Flatten", dy, shape).reshape(x.shape)}

        return x.reshape(shape), backward
