"""Contracts of the normalisation of channels by their neighbours."""

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Spec


def _options(d: Draft) -> None:
    d.option("size", st.sampled_from((3, 2, np.int64(5), 4, 1, 7)))
    # The defaults leave nearly all of x as it is: larger numbers show more.
    d.option("alpha", st.sampled_from((1.0, 1e-4, np.float64(0.5), 3.0, 1, 0.0)))
    d.option("beta", st.sampled_from((0.75, 0.5, 1.0, np.float64(2.0), 0.0, -0.5)))
    d.option("k", st.sampled_from((1.0, 2.0, 1, np.float64(0.5))))


def _channels(d: Draft) -> int:
    return d(st.sampled_from((4, 3, 5, 2, 8, 1)))


def _local(d: Draft) -> dict[str, Spec]:
    _options(d)
    batch = d(st.sampled_from((2, 1, 3, 0)))
    return {"x": Real((batch, _channels(d), *d.shape(least=1, most=3)))}


def _cross_map(d: Draft) -> dict[str, Spec]:
    _options(d)
    batch = d(st.sampled_from((2, 1, 3, 0)))
    return {"x": Real((batch, _channels(d), d.size(), d.size()))}


# torch's own never drops channel 0 from a running sum, and its backward is not the derivative of that.
def _cross_map_lrn2d(x: torch.Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> torch.Tensor:
    if x.dim() != 4 or size < 1:
        raise ValueError("x must have 4 dimensions and size be positive")
    padded = torch.nn.functional.pad(x * x, (0, 0, 0, 0, size // 2, (size - 1) // 2))
    windows = padded.unfold(1, size, 1)
    return x / (windows.sum(-1) * (alpha / size) + k).pow(beta)


LocalResponseNorm = Contract("LocalResponseNorm", Module(torch.nn.LocalResponseNorm), _local)
CrossMapLRN2d = Contract(
    "CrossMapLRN2d", Function(_cross_map_lrn2d, ("x",), Module(torch.nn.CrossMapLRN2d).defaults), _cross_map
)
