"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import _check
from ._check import Array
from ._optimizer import Arrays, Step, check_number, each


@dataclass(frozen=True)
class SGD:
    """p ← p - lr·d for every parameter p; d is its gradient g, or what momentum makes of it.

    With weight decay λ, g + λ·p takes the place of g; with `maximize`, -g does first. With momentum μ and dampening τ
    the buffer b is g at the first step, then μ·b + (1 - τ)·g, and d = b, or g + μ·b with `nesterov`.

    Called with parameters, gradients and its own state by name, it answers the new parameters and the new state, and
    changes nothing in place. State: with momentum "NAME.momentum_buffer" in the parameter's shape and dtype.

    Raises KeyError where a parameter has no gradient; ValueError for negative options, and for Nesterov's momentum
    without momentum or with dampening; TypeError for options of another type and parameters that are not floating
    point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html; Sutskever et al., On the Importance of
    Initialization and Momentum in Deep Learning, 2013.
    """

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            check_number("SGD", name, getattr(self, name))
        for name in ("nesterov", "maximize"):
            _check.boolean("SGD", name, getattr(self, name))
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError("SGD: nesterov needs a momentum and no dampening")

    def __call__(self, params: Arrays, grads: Arrays, state: Arrays | None = None) -> Step:
        """The parameters and the state after one step."""
        stepped: dict[str, Array] = {}
        after = dict(state or {})
        for name, p, g in each("SGD", params, grads):
            number = p.dtype.type
            if self.maximize:
                g = np.negative(g)
            d = g + number(self.weight_decay) * p if self.weight_decay else g
            if self.momentum:
                key = f"{name}.momentum_buffer"
                b = number(self.momentum) * after[key] + number(1 - self.dampening) * d if key in after else d
                after[key] = np.array(b)
                d = d + number(self.momentum) * b if self.nesterov else b
            stepped[name] = np.asarray(p - number(self.lr) * d)
        return stepped, after
