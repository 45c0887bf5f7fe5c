"""Contracts of the convolutions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..laws.convolution import THEOREM
from ..twins import Module
from ..values import Real, Spec
from .common import each, number_or_each, one_or_each


@dataclass(frozen=True)
class Convolution(Module):
    """torch's class, given a dilation for each axis: of a tuple of one number torch may pad a single axis for it."""

    rank: int = 1

    def _options(self, config: Mapping[str, Any]) -> dict[str, Any]:
        options = super()._options(config)
        dilation = options.get("dilation")
        if isinstance(dilation, tuple) and len(dilation) == 1:
            options["dilation"] = dilation * self.rank
        return options


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
    dilation = each(d.option("dilation", one_or_each(1, 3, rank)), rank)
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


Conv1d = Contract("Conv1d", Convolution(torch.nn.Conv1d, rank=1), partial(_conv, rank=1), laws=(THEOREM,))
Conv2d = Contract("Conv2d", Convolution(torch.nn.Conv2d, rank=2), partial(_conv, rank=2), laws=(THEOREM,))
Conv3d = Contract("Conv3d", Convolution(torch.nn.Conv3d, rank=3), partial(_conv, rank=3), laws=(THEOREM,))
