"""Contracts of dropout: formulas, as torch draws its noise itself; a test holds them against torch.nn with that noise.

As in torch the mask plays no part in eval, at p = 0 and at p = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Formula
from ..values import Mask, Real, Shape, Spec


def dropout(
    x: torch.Tensor,
    mask: torch.Tensor | None = None,
    p: float = 0.5,
    training: bool = True,
    ranks: tuple[int, ...] = (),
) -> torch.Tensor:
    """x·mask/(1 - p); x of other than these dimensions is refused, if there are any."""
    if ranks and x.ndim not in ranks:
        raise ValueError(f"x has {x.ndim} dimensions")
    if not training or p == 0 or not x.numel():
        return x.clone()
    if p == 1 or mask is None:
        return x * 0
    return x * (mask.to(x.dtype) / (1 - p))


def alpha_dropout(
    x: torch.Tensor, mask: torch.Tensor | None = None, p: float = 0.5, training: bool = True
) -> torch.Tensor:
    """The affine function that keeps mean and variance, of x where it is kept and of SELU's lowest value elsewhere."""
    if not training or p == 0 or not x.numel():
        return x.clone()
    if p == 1 or mask is None:
        return x * 0
    alpha = 1.7580993408473766
    a = ((alpha**2 * p + 1) * (1 - p)) ** -0.5
    kept = mask.to(x.dtype)
    noisy: torch.Tensor = a * kept * x + a * alpha * (p - (1 - kept))
    return noisy


def _domain(shape: Callable[[Draft], Shape], masked: Callable[[Shape], Shape]) -> Domain:
    def domain(d: Draft) -> dict[str, Spec]:
        p = d.option("p", st.sampled_from((0.5, 0.1, 0.75, 0.5, 0.9, 0.25, 0.5, 0.0, 1.0, 1)))
        x = shape(d)
        specs: dict[str, Spec] = {"x": Real(x)}
        if d.option("training", st.sampled_from((True, True, True, False))):
            # Where there is no chance, a mask of both truth values shows that it plays no part.
            specs["mask"] = Mask(masked(x), 1 - p if 0 < p < 1 else 0.5)
        return specs

    return domain


def _channels(lead: int) -> Callable[[Shape], Shape]:
    """One truth value for all that follows the first axes."""
    return lambda x: x[:lead] + (1,) * (len(x) - lead)


def _contract(
    name: str,
    formula: Callable[..., torch.Tensor],
    shape: Callable[[Draft], Shape],
    masked: Callable[[Shape], Shape],
    **fixed: Any,
) -> Contract:
    reference = Formula(formula, ("x", "mask"), {"p": 0.5, "training": True}, fixed=fixed)
    return Contract(name, reference, _domain(shape, masked))


Dropout = _contract("Dropout", dropout, lambda d: d.shape(), lambda x: x)
Dropout1d = _contract("Dropout1d", dropout, lambda d: d.shape(2, 3), lambda x: (*x[:-1], 1), ranks=(2, 3))
Dropout2d = _contract("Dropout2d", dropout, lambda d: d.shape(2, 5), _channels(2))
Dropout3d = _contract("Dropout3d", dropout, lambda d: d.shape(1, 5), lambda x: _channels(2 if len(x) == 5 else 1)(x))
AlphaDropout = _contract("AlphaDropout", alpha_dropout, lambda d: d.shape(), lambda x: x)
FeatureAlphaDropout = _contract("FeatureAlphaDropout", alpha_dropout, lambda d: d.shape(2, 5), _channels(2))
