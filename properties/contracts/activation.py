"""Contracts of the activations."""

import mpmath
import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec


def _any_shape(d: Draft) -> dict[str, Spec]:
    return {"x": Real(d.shape())}


def _leaky_relu(d: Draft) -> dict[str, Spec]:
    # A slope that comes out of other NumPy code does not make float32 float64.
    d.option("negative_slope", st.sampled_from((0.01, 0.0, 1.0, np.float64(0.25), 2.0, -0.5)))
    return _any_shape(d)


ReLU = Contract("ReLU", Module(torch.nn.ReLU), _any_shape, scalar=lambda x: max(x, 0))
LeakyReLU = Contract(
    "LeakyReLU",
    Module(torch.nn.LeakyReLU),
    _leaky_relu,
    scalar=lambda x, negative_slope=0.01: x if x > 0 else x * negative_slope,
)
Sigmoid = Contract("Sigmoid", Module(torch.nn.Sigmoid), _any_shape, scalar=lambda x: 1 / (1 + mpmath.exp(-x)))
Tanh = Contract("Tanh", Module(torch.nn.Tanh), _any_shape, scalar=mpmath.tanh)
