"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import _check
from ._check import Array


@dataclass(frozen=True)
class SGD:
    """p ← p - lr·g for every parameter p with gradient g.

    Called with parameters and gradients by name, it answers with the new parameters and changes nothing in place.
    Raises KeyError where a parameter has no gradient, ValueError for a negative learning rate, TypeError for one that
    is no number and for parameters that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
    """

    lr: float = 1e-3

    def __post_init__(self) -> None:
        _check.number("SGD", "lr", self.lr)
        if not self.lr >= 0:
            raise ValueError(f"SGD: lr must not be negative, got {self.lr}")

    def __call__(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> dict[str, Array]:
        """The parameters after one step."""
        missing = params.keys() - grads.keys()
        if missing:
            raise KeyError(f"SGD: no gradient for {', '.join(sorted(missing))}")
        stepped = {}
        for name, value in params.items():
            (p,) = _check.real("SGD", **{name: value})
            stepped[name] = p - p.dtype.type(self.lr) * grads[name]
        return stepped
