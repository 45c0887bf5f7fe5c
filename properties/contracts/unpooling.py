"""Contracts of max unpooling. Where indices repeat, torch does not say which value wins: they are drawn distinct."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Module
from ..values import Given, Places, Real, Spec
from .common import each, number_or_each


def _domain(rank: int) -> Domain:
    def domain(d: Draft) -> dict[str, Spec]:
        sizes = number_or_each(1, 3, rank)
        chosen = d.option("kernel_size", sizes)
        kernel = each(chosen, rank)
        stride = d.option("stride", st.one_of(st.none(), sizes))
        steps = kernel if stride is None else each(stride, rank)
        # Every value needs a cell of its own.
        most = [(k - (s == 1)) // 2 for k, s in zip(kernel, steps, strict=True)]
        pads = st.one_of(st.integers(0, min(most)), st.tuples(*(st.integers(0, m) for m in most)))
        padding = each(d.option("padding", pads), rank)
        spatial = [d(st.integers(1 + (k == 2 * p), 4)) for k, p in zip(kernel, padding, strict=True)]
        out = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(spatial, steps, kernel, padding, strict=True)]
        shape = (*d.batch(), d.size(3), *spatial)
        wanted = d(st.sampled_from((None, "spatial", None, "all")))
        if wanted:
            out = [d(st.integers(max(n, o - s + 1), o + s - 1)) for n, o, s in zip(spatial, out, steps, strict=True)]
        specs: dict[str, Spec] = {"x": Real(shape), "indices": Places(shape, rank, math.prod(out))}
        if wanted:
            # Of all axes the first two are not looked at.
            specs["output_size"] = Given((*((2, 7) if wanted == "all" else ()), *out))
        return specs

    return domain


MaxUnpool1d = Contract("MaxUnpool1d", Module(torch.nn.MaxUnpool1d), _domain(1))
MaxUnpool2d = Contract("MaxUnpool2d", Module(torch.nn.MaxUnpool2d), _domain(2))
MaxUnpool3d = Contract("MaxUnpool3d", Module(torch.nn.MaxUnpool3d), _domain(3))
