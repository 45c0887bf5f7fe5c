"""Contracts of the smooth activations."""

from typing import Any

import mpmath
import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Spec, Tailed


def any_shape(d: Draft) -> dict[str, Spec]:
    """One input of any shape."""
    return {"x": Real(d.shape())}


def _softplus(d: Draft) -> dict[str, Spec]:
    # An option that comes out of other NumPy code does not make float32 float64.
    d.option("beta", st.sampled_from((1.0, 0.5, 2, -0.5, np.float64(0.1), 3.0)))
    d.option("threshold", st.sampled_from((20.0, 1000.0, 20.0, 1, np.float64(0.5), 0.0, -1.0)))
    return any_shape(d)


def _gelu(d: Draft) -> dict[str, Spec]:
    d.option("approximate", st.sampled_from(("none", "tanh")))
    return {"x": Tailed(d.shape())}


def _glu(d: Draft) -> dict[str, Spec]:
    shape = list(d.shape(least=1))
    dim = d.option("dim", st.integers(-len(shape), len(shape) - 1))
    if isinstance(dim, int) and -len(shape) <= dim < len(shape):
        shape[dim] = 2 * shape[dim]
    return {"x": Real(tuple(shape))}


def softplus(x: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
    """torch's formula by logaddexp: its own overflows where e^(beta·x) does, if the threshold lets it."""
    z = beta * x
    return torch.where(z > threshold, x, torch.logaddexp(z, torch.zeros_like(z)) / beta)


def glu(x: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """torch's formula by its parts: its own gradient is 0, or NaN, where 1 - σ(b) rounds to 0 inside one operation."""
    half = x.shape[dim] // 2
    a, b = torch.split_with_sizes(x, (half, half), dim)
    return a * torch.sigmoid(b)


def _gelu_scalar(x: Any, approximate: str = "none") -> Any:
    if approximate == "none":
        return x * mpmath.ncdf(x)
    return x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3)))


def _softplus_scalar(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return x if beta * x > threshold else mpmath.log1p(mpmath.exp(beta * x)) / beta


Sigmoid = Contract("Sigmoid", Module(torch.nn.Sigmoid), any_shape, scalar=lambda x: 1 / (1 + mpmath.exp(-x)))
Tanh = Contract("Tanh", Module(torch.nn.Tanh), any_shape, scalar=mpmath.tanh)
LogSigmoid = Contract(
    "LogSigmoid", Module(torch.nn.LogSigmoid), any_shape, scalar=lambda x: -mpmath.log1p(mpmath.exp(-x))
)
Tanhshrink = Contract("Tanhshrink", Module(torch.nn.Tanhshrink), any_shape, scalar=lambda x: x - mpmath.tanh(x))
Softplus = Contract(
    "Softplus",
    Function(softplus, ("x",), Module(torch.nn.Softplus).defaults),
    _softplus,
    scalar=_softplus_scalar,
)
Softsign = Contract("Softsign", Module(torch.nn.Softsign), any_shape, scalar=lambda x: x / (1 + abs(x)))
GELU = Contract("GELU", Module(torch.nn.GELU), _gelu, scalar=_gelu_scalar)
SiLU = Contract("SiLU", Module(torch.nn.SiLU), any_shape, scalar=lambda x: x / (1 + mpmath.exp(-x)))
Mish = Contract(
    "Mish",
    Module(torch.nn.Mish),
    any_shape,
    scalar=lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
)
GLU = Contract("GLU", Function(glu, ("x",), {"dim": -1}), _glu)
