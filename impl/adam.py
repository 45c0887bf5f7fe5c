"""Adam, and the step that AdamW shares with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from . import _check
from ._check import Array
from ._optimizer import Arrays, Step, check_number, each


@dataclass(frozen=True)
class Adam:
    """p ← p - lr·m̂/(√v̂ + eps) for every parameter p, where m̂ and v̂ are running means of its gradient g and of g².

    At step t, m ← β₁·m + (1 - β₁)·g and v ← β₂·v + (1 - β₂)·g², both 0 before the first, and m̂ = m/(1 - β₁ᵗ),
    v̂ = v/(1 - β₂ᵗ) take out what the zeros left. With weight decay λ, g + λ·p takes the place of g; with `maximize`, -g
    does first; with `amsgrad`, the largest v so far takes the place of v.

    Called with parameters, gradients and its own state by name, it answers the new parameters and the new state, and
    changes nothing in place. State: "NAME.step", a float32 number; "NAME.exp_avg" m, "NAME.exp_avg_sq" v and, with
    `amsgrad`, "NAME.max_exp_avg_sq" in the parameter's shape and dtype.

    Raises KeyError where a parameter has no gradient; ValueError for negative options and betas outside [0, 1);
    TypeError for options of another type and parameters that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html; Kingma and Ba, Adam: A Method for
    Stochastic Optimization, 2015; Reddi, Kale, Kumar, On the Convergence of Adam and Beyond, 2018.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    maximize: bool = field(default=False, kw_only=True)

    _decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        optimizer = type(self).__name__
        for name in ("lr", "eps", "weight_decay"):
            check_number(optimizer, name, getattr(self, name))
        for beta in _pair(optimizer, self.betas):
            check_number(optimizer, "betas", beta, below=1)
        for name in ("amsgrad", "maximize"):
            _check.boolean(optimizer, name, getattr(self, name))

    def __call__(self, params: Arrays, grads: Arrays, state: Arrays | None = None) -> Step:
        """The parameters and the state after one step."""
        stepped: dict[str, Array] = {}
        after = dict(state or {})
        beta1, beta2 = self.betas
        for name, p, g in each(type(self).__name__, params, grads):
            number = p.dtype.type
            if self.maximize:
                g = np.negative(g)
            if self._decoupled:
                p = p * number(1 - self.lr * self.weight_decay)
            elif self.weight_decay:
                g = g + number(self.weight_decay) * p
            step = np.asarray(after.get(f"{name}.step", 0) + np.float32(1))
            m, v = (after.get(f"{name}.{kept}", np.zeros_like(p)) for kept in ("exp_avg", "exp_avg_sq"))
            m = np.asarray(m + number(1 - beta1) * (g - m))
            v = np.asarray(number(beta2) * v + number(1 - beta2) * g * g)
            after |= {f"{name}.step": step, f"{name}.exp_avg": m, f"{name}.exp_avg_sq": v}
            if self.amsgrad:
                v = np.maximum(after.get(f"{name}.max_exp_avg_sq", v), v)
                after[f"{name}.max_exp_avg_sq"] = v
            t = float(step)
            spread = np.sqrt(v) / number((1 - beta2**t) ** 0.5) + number(self.eps)
            stepped[name] = np.asarray(p - number(self.lr / (1 - beta1**t)) * (m / spread))
        return stepped, after


def _pair(optimizer: str, betas: Any) -> tuple[Any, Any]:
    if not isinstance(betas, list | tuple) or len(betas) != 2:
        raise ValueError(f"{optimizer}: betas must be two numbers, got {betas!r}")
    first, second = betas
    return first, second
