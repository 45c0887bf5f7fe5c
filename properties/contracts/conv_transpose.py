"""Contracts of the transposed convolutions."""

from functools import partial

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Given, Real, Spec
from .common import each, number_or_each, one_or_each


def _conv_transpose(d: Draft, rank: int) -> dict[str, Spec]:
    groups = d.option("groups", st.sampled_from((1, 1, 2, 3)))
    channels = st.integers(1, 3).map(lambda n: n * groups)
    n_in = d.option("in_channels", channels)
    n_out = d.option("out_channels", channels)
    kernel = each(d.option("kernel_size", number_or_each(1, 4 if rank < 3 else 3, rank)), rank)
    # Asked for a size, torch does not find each axis' number in a tuple of one.
    sized = d(st.sampled_from((False, False, True)))
    numbers = number_or_each if sized else one_or_each
    stride = each(d.option("stride", numbers(1, 3, rank)), rank)
    dilation = each(d.option("dilation", numbers(1, 3, rank)), rank)
    padding = each(d.option("padding", numbers(0, 3, rank)), rank)
    # torch wants the output padding below stride or dilation, in every axis.
    most = [max(s, g) - 1 for s, g in zip(stride, dilation, strict=True)]
    smallest = st.integers(0, min(most))
    d.option("output_padding", st.one_of(smallest, st.tuples(*(st.integers(0, m) for m in most)), st.tuples(smallest)))
    # Something must be left when the padding is cut off both ends.
    sizes, least = [], []
    for k, s, g, p in zip(kernel, stride, dilation, padding, strict=True):
        reach = g * (k - 1) + 1
        cells = max(1, -((reach - 2 * p - 1) // s) + 1) + d(st.integers(0, 3 if rank < 3 else 2))
        sizes.append(cells)
        least.append((cells - 1) * s - 2 * p + reach)
    lead = d.batch()
    specs: dict[str, Spec] = {
        "x": Real((*lead, n_in, *sizes)),
        "weight": Real((n_in, n_out // groups, *kernel)),
    }
    if d.option("bias", st.sampled_from((True, False))):
        specs["bias"] = Real((n_out,))
    if sized:
        asked = tuple(low + d(st.integers(0, s - 1)) for low, s in zip(least, stride, strict=True))
        specs["output_size"] = Given((*(lead and (7,)), 5, *asked) if d(st.booleans()) else asked)
    return specs


def _contract(module: type[torch.nn.Module], rank: int) -> Contract:
    # The only padding mode is "zeros".
    reference = Module(module, settled=("padding_mode",))
    return Contract(module.__name__, reference, partial(_conv_transpose, rank=rank))


ConvTranspose1d = _contract(torch.nn.ConvTranspose1d, 1)
ConvTranspose2d = _contract(torch.nn.ConvTranspose2d, 2)
ConvTranspose3d = _contract(torch.nn.ConvTranspose3d, 3)
