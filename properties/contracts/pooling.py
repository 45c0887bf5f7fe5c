"""Contracts of max pooling, and what all pooling over sliding windows draws."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec
from .common import each, number_or_each


def window(
    d: Draft, rank: int, *, padded: bool = True, dilated: bool = False, tuples: bool = True, whole: bool = False
) -> tuple[int, ...]:
    """The shape of x, once the options of a sliding window are drawn.

    `whole`: as long as the kernel, at least. `tuples`: whether the kernel size may be one.
    """
    most = (5, 4, 3)[rank - 1]
    sizes_drawn = number_or_each(1, most, rank) if tuples else st.integers(1, most)
    kernel = each(d.option("kernel_size", sizes_drawn), rank)
    dilation = each(d.option("dilation", number_or_each(1, 3, rank)), rank) if dilated else (1,) * rank
    stride = d.option("stride", st.one_of(st.none(), number_or_each(1, 3, rank)))
    steps = kernel if stride is None else each(stride, rank)
    # torch pads by half a kernel at most, dilated or not.
    half = [k // 2 for k in kernel]
    pads = st.one_of(number_or_each(0, min(half), rank), st.tuples(*(st.integers(0, h) for h in half)))
    padding = each(d.option("padding", pads), rank) if padded else (0,) * rank
    ceil = d.option("ceil_mode", st.booleans())
    sizes = []
    for k, s, p, gap in zip(kernel, steps, padding, dilation, strict=True):
        fits = gap * (k - 1) + 1 - 2 * p - (s - 1 if ceil else 0)
        # Below `dilation` cells a window can fall between the cells and hold none of them. torch then answers -inf with
        # an index outside the plane and writes the gradient there, outside its memory: only an empty batch is safe.
        sizes.append(max(gap, fits, k if whole else 1) + d(st.integers(0, (6, 5, 3)[rank - 1])))
    return (*d.batch(), d.size((4, 3, 2)[rank - 1]), *sizes)


def _max_pool(rank: int, d: Draft) -> dict[str, Spec]:
    d.option("return_indices", st.booleans())
    if d(st.sampled_from((False,) * 14 + (True,))):
        # A single window, which falls between the cells of each axis.
        gap = d.option("dilation", st.sampled_from((2, 3)))
        for name, value in (("kernel_size", 2), ("stride", 1), ("padding", 1)):
            d.option(name, st.just(value))
        return {"x": Real((0, d.size(3), *(rank * [gap - 1])))}
    return {"x": Real(window(d, rank, dilated=True))}


MaxPool1d = Contract("MaxPool1d", Module(torch.nn.MaxPool1d), partial(_max_pool, 1))
MaxPool2d = Contract("MaxPool2d", Module(torch.nn.MaxPool2d), partial(_max_pool, 2))
MaxPool3d = Contract("MaxPool3d", Module(torch.nn.MaxPool3d), partial(_max_pool, 3))
