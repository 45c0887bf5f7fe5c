"""Contracts of the convolutions."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..laws.convolution import THEOREM
from ..twins import Module
from ..values import Real, Spec
from .common import number_or_pair, pair


def _conv2d(d: Draft) -> dict[str, Spec]:
    groups = d.option("groups", st.sampled_from((1, 1, 2, 3)))
    channels = st.integers(1, 3).map(lambda n: n * groups)
    n_in = d.option("in_channels", channels)
    n_out = d.option("out_channels", channels)
    kernel = pair(d.option("kernel_size", number_or_pair(1, 4)))
    dilation = pair(d.option("dilation", number_or_pair(1, 3)))
    mode = d.option("padding_mode", st.sampled_from(("zeros", "reflect", "replicate", "circular")))
    padding = d.option("padding", st.one_of(number_or_pair(0, 3), st.sampled_from(("valid", "same"))))
    d.option("stride", st.just(1) if padding == "same" else number_or_pair(1, 3))
    sizes = []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1)
        if padding == "same":
            before = after = (reach + 1) // 2
        else:
            before = after = 0 if padding == "valid" else pair(padding)[axis]
        # The kernel must fit the padded input; a reflection needs one cell more than it mirrors, a circle as many.
        source = {"zeros": 1, "replicate": 1, "reflect": after + 1, "circular": max(after, 1)}[mode]
        width = 0 if padding == "valid" else reach if padding == "same" else before + after
        sizes.append(max(source, reach + 1 - width) + d(st.integers(0, 4)))
    specs: dict[str, Spec] = {
        "x": Real((*d.batch(), n_in, *sizes)),
        "weight": Real((n_out, n_in // groups, *kernel)),
    }
    if d.option("bias", st.sampled_from((True, False))):
        specs["bias"] = Real((n_out,))
    return specs


Conv2d = Contract("Conv2d", Module(torch.nn.Conv2d), _conv2d, laws=(THEOREM,))
