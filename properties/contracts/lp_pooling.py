"""Contracts of power-average pooling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from hypothesis import strategies as st

from ...oracle.vjp import Case
from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Array, Brush, Real, Spec
from .pooling import window

NORMS = st.sampled_from((2.0, 1, 3.0, math.inf, 2, 1.5, 0.5, -1, 1.0, 4.0, -math.inf, 3, -2.0, 2.5, 5.0))


@dataclass(frozen=True)
class Magnitudes:
    """Numbers that are not negative."""

    shape: tuple[int, ...]
    grad: bool = True

    def make(self, brush: Brush) -> Array:
        """Magnitudes of numbers with the drawn edits."""
        return np.asarray(np.abs(brush.paint(self.shape)))


def _lp_pool(rank: int, d: Draft) -> dict[str, Spec]:
    norm = d.option("norm_type", NORMS)
    # With infinite p torch pools maxima, which takes a tuple for a single axis, and kernels longer than the input.
    finite = not math.isinf(norm)
    shape = window(d, rank, padded=False, tuples=rank > 1 or not finite, whole=rank == 3 and finite)
    # Powers of odd or fractional order are of x, not of |x|, so that with negative numbers much is NaN; and reciprocals
    # of both signs cancel at a pole of y, where nothing but rounding is left of it.
    if finite and norm % 2 and (norm < 0 or d(st.booleans())):
        return {"x": Magnitudes(shape)}
    return {"x": Real(shape)}


def _sum_is_zero(rank: int, case: Case) -> bool:
    """Whether p is 1 and a window's sum is 0."""
    norm, kernel = case.config["norm_type"], case.config["kernel_size"]
    if norm != 1:
        return False
    pools: list[type[torch.nn.Module]] = [torch.nn.AvgPool1d, torch.nn.AvgPool2d, torch.nn.AvgPool3d]
    mean = pools[rank - 1](kernel, case.config.get("stride"), ceil_mode=case.config.get("ceil_mode", False))
    return bool((mean(torch.from_numpy(case.inputs["x"])) == 0).any())


def _contract(module: type[torch.nn.Module], rank: int) -> Contract:
    # Documented by torch: the gradient of a window whose sum is 0 is set to 0. For p = 1, y being the sum, it is 1.
    reason = "where p is 1 and a window's sum is 0, torch sets its gradient to 0"
    conventions = {reason: partial(_sum_is_zero, rank)}
    return Contract(module.__name__, Module(module), partial(_lp_pool, rank), conventions=conventions)


LPPool1d = _contract(torch.nn.LPPool1d, 1)
LPPool2d = _contract(torch.nn.LPPool2d, 2)
LPPool3d = _contract(torch.nn.LPPool3d, 3)
