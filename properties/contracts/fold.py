"""Contracts of folding and unfolding."""

import math

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Real, Spec
from .common import number_or_each, pair


def _blocks(d: Draft) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, int]]:
    """The kernel, a plane that it fits, and how many blocks there are along each axis."""
    kernel = pair(d.option("kernel_size", number_or_each(1, 4, 2)))
    dilation = pair(d.option("dilation", number_or_each(1, 3, 2)))
    padding = pair(d.option("padding", number_or_each(0, 3, 2)))
    stride = pair(d.option("stride", number_or_each(1, 3, 2)))
    reach = [g * (k - 1) + 1 for k, g in zip(kernel, dilation, strict=True)]
    plane = tuple(max(1, r - 2 * p) + d(st.integers(0, 4)) for r, p in zip(reach, padding, strict=True))
    high, wide = ((n + 2 * p - r) // s + 1 for n, p, r, s in zip(plane, padding, reach, stride, strict=True))
    return kernel, plane, (high, wide)


def _unfold(d: Draft) -> dict[str, Spec]:
    _, plane, _ = _blocks(d)
    return {"x": Real((*d.batch(), d.size(3), *plane))}


def _fold(d: Draft) -> dict[str, Spec]:
    kernel, plane, counts = _blocks(d)
    height, width = plane
    d.option("output_size", st.just(plane) if height != width else st.sampled_from((plane, height)))
    return {"x": Real((*d.batch(), d.size(3) * math.prod(kernel), math.prod(counts)))}


Fold = Contract("Fold", Module(torch.nn.Fold), _fold)
Unfold = Contract("Unfold", Module(torch.nn.Unfold), _unfold)
