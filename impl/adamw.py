"""Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .adam import Adam


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, but that weight decay λ shrinks the parameter itself, p ← (1 - lr·λ)·p, and no gradient hears of it.

    State, other options and errors are those of Adam.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html; Loshchilov and Hutter, Decoupled
    Weight Decay Regularization, 2019.
    """

    weight_decay: float = 1e-2

    _decoupled: ClassVar[bool] = True
