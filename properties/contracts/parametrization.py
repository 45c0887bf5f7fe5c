"""Contracts of the parametrizations of torch.nn.utils."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function
from ..values import Real, Shape, Spec


def weight_norm(weight_g: torch.Tensor, weight_v: torch.Tensor, dim: int | None = 0) -> torch.Tensor:
    """What torch.nn.utils.parametrizations.weight_norm computes; lengths of the wrong shape it may take."""
    norm = torch.norm_except_dim(weight_v.detach(), 2, -1 if dim is None else dim)
    if weight_g.shape != norm.shape:
        raise ValueError(f"weight_g of shape {tuple(weight_g.shape)}")
    return torch._weight_norm(weight_v, weight_g, -1 if dim is None else dim)


def spectral_norm(weight, _u=None, _v=None, n_power_iterations=1, eps=1e-12, dim=0, training=True):  # type: ignore[no-untyped-def]
    """The module of torch.nn.utils.parametrizations, with this state."""
    norm = torch.nn.utils.parametrizations._SpectralNorm(weight.detach(), n_power_iterations, dim, eps)
    if weight.dim() == 1:
        return norm(weight)
    norm._u, norm._v = _u.clone(), _v.clone()
    y = norm.train(training)(weight)
    return (y, norm._u.clone(), norm._v.clone()) if training else y


def _shape(d: Draft) -> Shape:
    return tuple(d.size(4) for _ in range(d(st.sampled_from((2, 3, 2, 4, 1)))))


def _emptied(d: Draft, shape: Shape, kept: int | None) -> Shape:
    """Now and then a shape whose last axis is empty, or the one before where the last is kept: torch then takes it."""
    if len(shape) == 1 or not d(st.sampled_from((False,) * 15 + (True,))):
        return shape
    last = len(shape) - 1
    empty = last if kept is None or kept % len(shape) != last else last - 1
    return tuple(0 if axis == empty else n for axis, n in enumerate(shape))


def _weight_norm(d: Draft) -> dict[str, Spec]:
    shape = _shape(d)
    dim = d.option("dim", st.sampled_from((None, *range(-len(shape), len(shape)))))
    shape = _emptied(d, shape, dim)
    whole = dim in (None, -1)
    lengths = () if whole else tuple(n if axis == dim % len(shape) else 1 for axis, n in enumerate(shape))
    return {"weight_g": Real(lengths), "weight_v": Real(shape)}


def _spectral_norm(d: Draft) -> dict[str, Spec]:
    shape = _shape(d)
    dim = d.option("dim", st.integers(-len(shape), len(shape) - 1))
    shape = _emptied(d, shape, dim)
    d.option("n_power_iterations", st.integers(1, 3))
    d.option("eps", st.sampled_from((1e-12, 1e-3, 1.0, 100.0)))
    d.option("training", st.booleans())
    specs: dict[str, Spec] = {"weight": Real(shape)}
    if len(shape) > 1:
        rows = shape[dim]
        specs |= {"_u": Real((rows,), grad=False), "_v": Real((math.prod(shape) // rows,), grad=False)}
    return specs


WeightNorm = Contract("WeightNorm", Function(weight_norm, ("weight_g", "weight_v"), {"dim": 0}), _weight_norm)
SpectralNorm = Contract(
    "SpectralNorm",
    Function(
        spectral_norm,
        ("weight", "_u", "_v"),
        {"n_power_iterations": 1, "eps": 1e-12, "dim": 0, "training": True},
    ),
    _spectral_norm,
    conventions={
        "u and v count as constants, though they come of the weight": lambda case: (
            case.config.get("training", True) and case.inputs["weight"].ndim > 1
        )
    },
)
