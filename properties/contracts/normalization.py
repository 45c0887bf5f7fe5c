"""Contracts of the layers that normalise each sample."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec

EPS = st.sampled_from((1e-5, 1e-3, 0.1, 1e-8))


def _group_norm(d: Draft) -> dict[str, Spec]:
    groups = d.option("num_groups", st.integers(1, 3))
    channels = d.option("num_channels", st.integers(1, 3).map(lambda n: n * groups))
    d.option("eps", EPS)
    affine = d.option("affine", st.sampled_from((True, True, False)))
    bias = d.option("bias", st.sampled_from((True, True, False)))
    batch = d(st.sampled_from((2, 3, 1, 4, 2, 0)))
    cells = d.shape(most=3)
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
    length = st.sampled_from((2, 3, 4, 5, 1, 7, 16))
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


GroupNorm = Contract("GroupNorm", Module(torch.nn.GroupNorm), _group_norm)
LayerNorm = Contract("LayerNorm", Module(torch.nn.LayerNorm), _layer_norm)
RMSNorm = Contract("RMSNorm", Module(torch.nn.RMSNorm), _rms_norm)
