"""Contracts of the layers that normalise each sample."""

import math

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Spec

EPS = st.sampled_from((1e-5, 1e-3, 0.1, 1e-8))


def _group_norm(d: Draft) -> dict[str, Spec]:
    groups = d.option("num_groups", st.integers(1, 3))
    channels = d.option("num_channels", st.sampled_from((2, 3, 1, 4, 0)).map(lambda n: n * groups))
    d.option("eps", EPS)
    affine = d.option("affine", st.sampled_from((True, True, False)))
    bias = d.option("bias", st.sampled_from((True, True, False)))
    batch = d(st.sampled_from((2, 3, 1, 4, 2, 0)))
    # Without positions torch's gradient of the weight is NaN, for a sum of nothing.
    cells = tuple(max(n, 1) for n in d.shape(most=3))
    if batch == 1 and channels == groups and set(cells) <= {1}:
        batch = 2  # torch refuses a batch of one with a single value a group
    specs: dict[str, Spec] = {"x": Real((batch, channels, *cells))}
    if affine:
        specs["weight"] = Real((channels,))
        if bias:
            specs["bias"] = Real((channels,))
    return specs


def _last_axes(d: Draft) -> tuple[int, ...]:
    """`normalized_shape`, as a number or a tuple."""
    length = st.sampled_from((2, 3, 4, 5, 1, 7, 16, 0))
    short = st.integers(1, 4)
    axes = st.one_of(length, st.tuples(length), st.tuples(short, short), st.tuples(short, short, short))
    shape = d.option("normalized_shape", axes)
    return shape if isinstance(shape, tuple) else (shape,)


def _layer_norm(d: Draft) -> dict[str, Spec]:
    shape = _last_axes(d)
    d.option("eps", EPS)
    affine = d.option("elementwise_affine", st.sampled_from((True, True, False)))
    bias = d.option("bias", st.sampled_from((True, True, False)))
    specs: dict[str, Spec] = {"x": Real((*d.shape(most=2), *shape))}
    if affine:
        specs["weight"] = Real(shape)
        if bias:
            specs["bias"] = Real(shape)
    return specs


def _rms_norm(d: Draft) -> dict[str, Spec]:
    shape = _last_axes(d)
    d.option("eps", st.sampled_from((None, None, 1e-5, 0.1, 1e-12)))
    specs: dict[str, Spec] = {"x": Real((*d.shape(most=2), *shape))}
    if d.option("elementwise_affine", st.sampled_from((True, True, False))):
        specs["weight"] = Real(shape)
    return specs


def _normalize(d: Draft) -> dict[str, Spec]:
    d.option("p", st.sampled_from((2.0, 1.0, 3.0, 0.5, math.inf, 1.5, 2, 0.0, -1.0, -math.inf)))
    shape = d.shape(most=3)
    rank = max(len(shape), 1)
    axis = st.integers(-rank, rank - 1)
    several = st.lists(axis, max_size=rank, unique_by=lambda n: n % rank).map(tuple)
    # Of the default, 1, there is more than chance would bring.
    d.option("dim", st.one_of(st.just(1) if rank > 1 else axis, axis, several))
    d.option("eps", st.sampled_from((1e-12, 1e-12, np.float64(0.1), 2.0, 1)))
    if d.config.get("p", 2.0) in (math.inf, -math.inf, -1.0):
        shape = tuple(max(n, 1) for n in shape)  # torch takes no maximum of nothing
    return {"x": Real(shape)}


GroupNorm = Contract("GroupNorm", Module(torch.nn.GroupNorm), _group_norm)
LayerNorm = Contract("LayerNorm", Module(torch.nn.LayerNorm), _layer_norm)
RMSNorm = Contract("RMSNorm", Module(torch.nn.RMSNorm), _rms_norm)
Normalize = Contract(
    "Normalize",
    Function(torch.nn.functional.normalize, ("x",), {"p": 2.0, "dim": 1, "eps": 1e-12}),
    _normalize,
    # Where x has a zero, p = 0 counts one more on both sides of it, and p < 0 has norm 0 and so the slope 1/eps within
    # eps of it: differences step over both.
    conventions={
        "p is not positive and x has a zero": lambda case: (
            case.config.get("p", 2.0) <= 0 and bool((case.inputs["x"] == 0).any())
        )
    },
)
