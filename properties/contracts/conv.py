"""Contracts of the convolutions."""

from functools import partial

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..laws.convolution import THEOREM
from ..twins import Module
from ..values import Real, Spec
from .common import each, number_or_each, one_or_each


def _conv(d: Draft, rank: int) -> dict[str, Spec]:
    groups = d.option("groups", st.sampled_from((1, 1, 2, 3)))
    channels = st.integers(1, 3).map(lambda n: n * groups)
    n_in = d.option("in_channels", channels)
    n_out = d.option("out_channels", channels)
    kernel = each(d.option("kernel_size", number_or_each(1, 4 if rank < 3 else 3, rank)), rank)
    mode = d.option("padding_mode", st.sampled_from(("zeros", "reflect", "replicate", "circular")))
    # Negative padding crops; torch refuses it for zeros.
    widths = one_or_each(0, 3, rank) if mode == "zeros" else number_or_each(-1, 3, rank)
    padding = d.option("padding", st.one_of(widths, st.sampled_from(("valid", "same"))))
    # Of "same" and a border of cells, torch pads one axis only where the dilation is a tuple of one.
    numbers = number_or_each if padding == "same" and mode != "zeros" else one_or_each
    dilation = each(d.option("dilation", numbers(1, 3, rank)), rank)
    d.option("stride", st.just(1) if padding == "same" else one_or_each(1, 3, rank))
    sizes = []
    for axis in range(rank):
        reach = dilation[axis] * (kernel[axis] - 1)
        if padding == "same":
            before = after = (reach + 1) // 2
        else:
            before = after = 0 if padding == "valid" else each(padding, rank)[axis]
        # The kernel must fit the padded input; a reflection needs one cell more than it mirrors, a circle as many.
        source = {"zeros": 1, "replicate": 1, "reflect": after + 1, "circular": max(after, 1)}[mode]
        width = 0 if padding == "valid" else reach if padding == "same" else before + after
        sizes.append(max(source, reach + 1 - width) + d(st.integers(0, 4 if rank < 3 else 2)))
    specs: dict[str, Spec] = {
        "x": Real((*d.batch(), n_in, *sizes)),
        "weight": Real((n_out, n_in // groups, *kernel)),
    }
    if d.option("bias", st.sampled_from((True, False))):
        specs["bias"] = Real((n_out,))
    return specs


Conv1d = Contract("Conv1d", Module(torch.nn.Conv1d), partial(_conv, rank=1), laws=(THEOREM,))
Conv2d = Contract("Conv2d", Module(torch.nn.Conv2d), partial(_conv, rank=2), laws=(THEOREM,))
Conv3d = Contract("Conv3d", Module(torch.nn.Conv3d), partial(_conv, rank=3), laws=(THEOREM,))
