"""Contracts of fractional max pooling."""

from __future__ import annotations

from itertools import count
from typing import TypeVar

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Module
from ..values import Between, Real, Spec

T = TypeVar("T")


def _domain(rank: int, slack: int) -> Domain:
    """torch wants `slack` cells more than the windows need."""

    def for_axes(one: st.SearchStrategy[T]) -> st.SearchStrategy[T | tuple[T, ...]]:
        return st.one_of(one, st.tuples(*(one,) * rank))

    def each(value: T | tuple[T, ...]) -> tuple[T, ...]:
        return value if isinstance(value, tuple) else (value,) * rank

    def domain(d: Draft) -> dict[str, Spec]:
        kernel = each(d.option("kernel_size", for_axes(st.sampled_from((2, 3, 2, 1)))))
        if d(st.booleans()):
            # Without windows along an axis there is nothing to see.
            sizes = each(d.option("output_size", for_axes(st.sampled_from((3, 2, 4, 3, 2, 5, 3, 4, 1, 2, 3, 0)))))
            d.option("output_ratio", st.none())
            least = [max(o + k - 1 + slack, 1) for o, k in zip(sizes, kernel, strict=True)]
        else:
            d.option("output_size", st.none())
            ratios = each(d.option("output_ratio", for_axes(st.sampled_from((0.5, 0.3, 0.7, 0.55, 0.81)))))
            least = [
                next(n for n in count(2) if int(n * r) + k - 1 + slack <= n and n * r >= 1)
                for r, k in zip(ratios, kernel, strict=True)
            ]
        d.option("return_indices", st.booleans())
        batch, channels = d.batch(), d.size(3)
        x = (*batch, channels, *(n + d(st.integers(0, 4)) for n in least))
        return {"x": Real(x), "_random_samples": Between((*(batch or (1,)), channels, rank), 0, 1)}

    return domain


def _contract(cls: type[torch.nn.Module], rank: int, slack: int) -> Contract:
    return Contract(cls.__name__, Module(cls, buffers=("_random_samples",)), _domain(rank, slack))


FractionalMaxPool2d = _contract(torch.nn.FractionalMaxPool2d, 2, 0)
FractionalMaxPool3d = _contract(torch.nn.FractionalMaxPool3d, 3, 1)
