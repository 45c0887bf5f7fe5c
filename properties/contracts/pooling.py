"""Contracts of the pooling layers."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec
from .common import number_or_pair, pair


def _window(d: Draft, dilated: bool) -> dict[str, Spec]:
    kernel = pair(d.option("kernel_size", number_or_pair(1, 4)))
    dilation = pair(d.option("dilation", number_or_pair(1, 3))) if dilated else (1, 1)
    d.option("stride", st.one_of(st.none(), number_or_pair(1, 3)))
    # torch pads by half a kernel at most, dilated or not.
    half = [k // 2 for k in kernel]
    each = st.tuples(*(st.integers(0, h) for h in half))
    padding = pair(d.option("padding", st.one_of(st.integers(0, min(half)), each)))
    d.option("ceil_mode", st.booleans())
    sizes = [
        # Below `dilation` cells a window can fall between the cells and hold none of them. torch then answers -inf with
        # an index outside the plane and writes the gradient there, outside its memory: nothing to compare with.
        max(s, s * (k - 1) + 1 - 2 * p) + d(st.integers(0, 5))
        for s, k, p in zip(dilation, kernel, padding, strict=True)
    ]
    return {"x": Real((*d.batch(), d.size(3), *sizes))}


def _max_pool2d(d: Draft) -> dict[str, Spec]:
    d.option("return_indices", st.booleans())
    return _window(d, dilated=True)


def _avg_pool2d(d: Draft) -> dict[str, Spec]:
    d.option("count_include_pad", st.sampled_from((True, False)))
    # Without an override there is more to go wrong, so it is drawn as often as all of them.
    d.option("divisor_override", st.sampled_from((None, None, None, None, 1, 2, 7, -3)))
    return _window(d, dilated=False)


MaxPool2d = Contract("MaxPool2d", Module(torch.nn.MaxPool2d), _max_pool2d)
AvgPool2d = Contract("AvgPool2d", Module(torch.nn.AvgPool2d), _avg_pool2d)
