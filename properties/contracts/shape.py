"""Contracts of the layers that only rearrange."""

import inspect
import math

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Spec


def _flatten(d: Draft) -> dict[str, Spec]:
    shape = d.shape()
    rank = max(len(shape), 1)
    start = d.option("start_dim", st.integers(min(1, rank - 1), rank - 1) | st.integers(-rank, rank - 1))
    first = start % rank
    d.option("end_dim", st.just(-1) | st.integers(first, rank - 1) | st.integers(first - rank, -1))
    return {"x": Real(shape)}


def _unflatten(d: Draft) -> dict[str, Spec]:
    sizes = d(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    if d(st.sampled_from((False,) * 7 + (True,))):
        sizes[d(st.integers(0, len(sizes) - 1))] = 0
    before, after = d.shape(most=2), d.shape(most=2)
    rank = len(before) + 1 + len(after)
    d.option("dim", st.sampled_from((len(before), len(before) - rank)))
    n = math.prod(sizes)
    # The size -1 stands for what the others leave; nothing says what that is beside a 0.
    if d(st.booleans()) and 0 not in sizes:
        sizes[d(st.integers(0, len(sizes) - 1))] = -1
    d.option("unflattened_size", st.just(tuple(sizes)))
    return {"x": Real((*before, n, *after))}


FACTORS = st.sampled_from((2, 3, 2, 1))


def _images(d: Draft, channels: int, height: int, width: int) -> dict[str, Spec]:
    """Images with any axes before them, seldom empty: the first axis, or the channels or columns."""
    lead = d(st.sampled_from(((), (1,), (2,), (3,), (2, 3), (2,), (0,))))
    if d(st.sampled_from((False,) * 15 + (True,))):
        channels, width = d(st.sampled_from(((0, width), (channels, 0))))
    return {"x": Real((*lead, channels, height, width))}


def _pixel_shuffle(d: Draft) -> dict[str, Spec]:
    r = d.option("upscale_factor", FACTORS)
    return _images(d, d.size(3) * r**2, d.size(4), d.size(4))


def _pixel_unshuffle(d: Draft) -> dict[str, Spec]:
    r = d.option("downscale_factor", FACTORS)
    return _images(d, d.size(3), d.size(4) * r, d.size(4) * r)


def _channel_shuffle(d: Draft) -> dict[str, Spec]:
    groups = d.option("groups", st.sampled_from((2, 3, 4, 1)))
    n = d(st.sampled_from((1, 2, 3, 2, 0)))  # without channels torch's backward fails (docs/discrepancies)
    rest = d(st.lists(st.sampled_from((1, 2, 3, 4) * 3 + (0,)), min_size=1, max_size=3))
    return {"x": Real((n, groups * d.size(4), *rest))}


# Of an empty x torch's PixelUnshuffle answers x in its own shape, and so does the backward of PixelShuffle, which fails
# (docs/discrepancies).
def pixel_shuffle(x: torch.Tensor, upscale_factor: int) -> torch.Tensor:
    """torch's, with a gradient for an empty x too."""
    y = torch.pixel_shuffle(x, upscale_factor)
    return y if x.numel() else x.reshape(y.shape)


def pixel_unshuffle(x: torch.Tensor, downscale_factor: int) -> torch.Tensor:
    """torch's, an empty x in the shape that any other would come out in."""
    y = torch.pixel_unshuffle(x, downscale_factor)
    if x.numel():
        return y
    r, (*lead, channels, height, width) = downscale_factor, x.shape
    return x.reshape(*lead, channels * r**2, height // r, width // r)


Flatten = Contract("Flatten", Module(torch.nn.Flatten), _flatten)
Unflatten = Contract("Unflatten", Module(torch.nn.Unflatten), _unflatten)
PixelShuffle = Contract(
    "PixelShuffle", Function(pixel_shuffle, ("x",), {"upscale_factor": inspect.Parameter.empty}), _pixel_shuffle
)
PixelUnshuffle = Contract(
    "PixelUnshuffle", Function(pixel_unshuffle, ("x",), {"downscale_factor": inspect.Parameter.empty}), _pixel_unshuffle
)
ChannelShuffle = Contract("ChannelShuffle", Module(torch.nn.ChannelShuffle), _channel_shuffle)
