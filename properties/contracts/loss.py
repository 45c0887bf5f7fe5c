"""Contracts of the losses that compare numbers."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from ...oracle.vjp import Case
from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import NonNegative, Positive, Real, Shape, Spec
from .arithmetic import broadcast_pair
from .common import REDUCTIONS

SELDOM = st.sampled_from((False, False, True))


def two_shapes(d: Draft) -> tuple[Shape, Shape]:
    """The shapes of x and target: mostly the same, else they broadcast."""
    if d(st.sampled_from((False, False, False, True))):
        return broadcast_pair(d, d.shape())
    shape = d.shape()
    return shape, shape


def _difference(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    x, target = two_shapes(d)
    return {"x": Real(x), "target": Real(target)}


def _smooth_l1(d: Draft) -> dict[str, Spec]:
    d.option("beta", st.sampled_from((1.0, 0.5, 2, np.float64(0.3), 0.0, 3.0)))
    return _difference(d)


def _huber(d: Draft) -> dict[str, Spec]:
    d.option("delta", st.sampled_from((1.0, 0.5, 2, np.float64(0.3), 3.0)))
    return _difference(d)


def poisson_nll_loss(
    x: torch.Tensor,
    target: torch.Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> torch.Tensor:
    """torch's own, but for Stirling's term, whose gradient is NaN there where target <= 0 and it counts for nothing."""
    loss = torch.nn.functional.poisson_nll_loss(x, target, log_input=log_input, eps=eps, reduction="none")
    if full:
        few = target <= 1
        n = torch.where(few, 2, target)
        stirling = n * torch.log(n) - n + 0.5 * torch.log(2 * torch.pi * n)
        loss = loss + torch.where(few, 0, stirling)
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def _poisson(d: Draft) -> dict[str, Spec]:
    log_input = d.option("log_input", st.booleans())
    d.option("full", st.booleans())
    # A larger eps is seen in every rate.
    d.option("eps", st.sampled_from((1e-8, 0.5, np.float64(0.1), 1, 1e-8)))
    d.option("reduction", REDUCTIONS)
    x, target = two_shapes(d)
    return {"x": Real(x) if log_input else counts(d, x), "target": counts(d, target)}


def counts(d: Draft, shape: Shape) -> Spec:
    """Numbers from zero; seldom negative ones, of which there is no logarithm."""
    return Real(shape) if d(SELDOM) else NonNegative(shape)


def _gaussian(d: Draft) -> dict[str, Spec]:
    d.option("full", st.booleans())
    # Variances are 0.5 and more, for finite differences to stay above zero: a larger eps is what bounds them; or all of
    # them are far below the default.
    eps = d.option("eps", st.sampled_from((1e-6, 1.0, np.float64(0.75), 1.5, 1e-6, 0.0, 2)))
    d.option("reduction", REDUCTIONS)
    x, target = two_shapes(d)
    kind = d(st.sampled_from(("each", "each", "one axis", "last axis")))
    var = list(x)
    scale = d(st.sampled_from((1.0, 1.0, 1.0, 2.0**-30))) if eps else 1.0
    if kind == "one axis" and x:
        var[d(st.integers(0, len(x) - 1))] = 1
    return {
        "x": Real(x),
        "target": Real(target),
        "var": Positive(tuple(var[:-1] if kind == "last axis" else var), grad=True, scale=scale),
    }


def _bounded(case: Case) -> bool:
    return bool((case.inputs["var"] < case.config.get("eps", 1e-6)).any())


L1Loss = Contract("L1Loss", Module(torch.nn.L1Loss), _difference)
MSELoss = Contract("MSELoss", Module(torch.nn.MSELoss), _difference)
SmoothL1Loss = Contract("SmoothL1Loss", Module(torch.nn.SmoothL1Loss), _smooth_l1)
HuberLoss = Contract("HuberLoss", Module(torch.nn.HuberLoss), _huber)
PoissonNLLLoss = Contract(
    "PoissonNLLLoss",
    Function(poisson_nll_loss, ("x", "target"), Module(torch.nn.PoissonNLLLoss).defaults),
    _poisson,
)
GaussianNLLLoss = Contract(
    "GaussianNLLLoss",
    Module(torch.nn.GaussianNLLLoss),
    _gaussian,
    conventions={"a variance below eps has the gradient of eps": _bounded},
    finite=lambda config: {"var": "a variance of minus infinity is refused"},  # noqa: ARG005
)
