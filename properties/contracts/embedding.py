"""Contracts of the embeddings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ...oracle.vjp import Case
from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Given, Index, Real, Spec


def embedding_bag(x, *tensors, num_embeddings, embedding_dim, **options):  # type: ignore[no-untyped-def]
    """torch's own, but for what is wrong in it; see docs/discrepancies.md.

    What stands behind the last bag is cut off, offsets without a bag or decreasing ones are refused, and where
    gradients are divided by how often a row was looked up, rows are looked up one by one and added up here.
    """
    *optional, weight = tensors
    offsets = next((t for t in optional if not t.is_floating_point()), None)
    factors = next((t for t in optional if t.is_floating_point()), None)
    if weight.shape != (num_embeddings, embedding_dim):
        raise ValueError(f"weight of shape {tuple(weight.shape)}")
    ends = None
    if x.dim() == 1 and offsets is not None:
        last = options.get("include_last_offset", False)
        ends = torch.cat([offsets.flatten(), offsets.new_full([0 if last else 1], len(x))])
        if not len(ends) or (ends.diff() < 0).any() or ends[0] < 0 or (len(x) and len(ends) == 1):
            raise ValueError(f"offsets {offsets}")
        if ends[-1] < len(x):
            x, factors = x[: ends[-1]], None if factors is None else factors[: ends[-1]]
    own = weight.detach().clone().requires_grad_() if options.get("scale_grad_by_freq") else weight
    y = torch.nn.functional.embedding_bag(x, own, offsets, per_sample_weights=factors, **options)
    if options.get("scale_grad_by_freq"):
        norm = {name: options[name] for name in ("max_norm", "norm_type") if name in options}
        rows = torch.nn.functional.embedding(x, weight, scale_grad_by_freq=True, **norm).flatten(0, -2)
        sizes = torch.full(x.shape[:1], x.shape[-1]) if ends is None else ends.diff()
        bags = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        padding = options.get("padding_idx")
        kept = x.flatten() != (-1 if padding is None else padding % num_embeddings)
        rows, bags = rows[kept], bags[kept]
        if factors is not None:
            rows = rows * factors.flatten()[kept, None]
        y = rows.new_zeros(y.shape).index_add(0, bags, rows)
        if options.get("mode", "mean") == "mean":
            y = y / bags.bincount(minlength=len(sizes)).clamp(min=1)[:, None]
    return y if options.get("max_norm") is None else (y, weight.detach().clone())


def _renormalised(case: Case) -> bool:
    """Whether a row that was looked up is longer than `max_norm`, or as long: most of what is near is longer."""
    most = case.config.get("max_norm")
    if most is None:
        return False
    rows, p = case.inputs["weight"][np.unique(case.inputs["x"])], case.config.get("norm_type", 2.0)
    if p == 0:  # the number of elements that are not zero; nearby all are
        return bool(rows.shape[1] > most)
    return bool((np.linalg.norm(rows, p, axis=1) >= most).any())


def _repeated(case: Case) -> bool:
    """Whether a row was looked up twice, where gradients are divided by that number."""
    x = case.inputs["x"]
    return bool(case.config.get("scale_grad_by_freq")) and np.unique(x).size < x.size


def _padded(case: Case) -> bool:
    """Whether the row that gets no gradient was looked up."""
    row = case.config.get("padding_idx")
    return row is not None and bool((case.inputs["x"] == row % case.config["num_embeddings"]).any())


CONVENTIONS = {
    "a row is shortened to max_norm as if it had been so before": _renormalised,
    "scale_grad_by_freq divides a row's gradient by how often it was looked up": _repeated,
}


def _state(config: Mapping[str, Any]) -> tuple[str, ...]:
    return () if config.get("max_norm") is None else ("weight",)


def _table(d: Draft) -> tuple[int, Real]:
    """The number of rows and the table, with the options that both layers have."""
    rows = d.option("num_embeddings", st.sampled_from((3, 5, 2, 7, 4, 1)))
    width = d.option("embedding_dim", st.sampled_from((3, 2, 4, 1, 3, 2, 5, 3, 4, 2, 0)))
    d.option("padding_idx", st.one_of(st.none(), st.none(), st.integers(-rows, rows - 1)))
    norm = d.option("norm_type", st.sampled_from((2.0, 1.0, 3.0, math.inf, 1.5, 2, 0.0)))
    # torch has no largest element of a row without any. Norms that roundings are part of are never near the limit.
    exact = (1.0, 2.0, 2, 0.3) if norm in (0, 1, 2, math.inf) else (0.3, 1.7)
    d.option("max_norm", st.none() if not width else st.sampled_from((*(None,) * 6, *exact)))
    return rows, Real((rows, width))


def _kind(d: Draft) -> str:
    return d(st.sampled_from(("int64", "int64", "int32")))


def _embedding(d: Draft) -> dict[str, Spec]:
    rows, table = _table(d)
    d.option("scale_grad_by_freq", st.sampled_from((False, False, False, True)))
    return {"x": Index(d.shape(most=3), rows, dtype=_kind(d)), "weight": table}


def _embedding_bag(d: Draft) -> dict[str, Spec]:
    rows, table = _table(d)
    mode = d.option("mode", st.sampled_from(("mean", "max", "sum", "max", "sum")))
    d.option("scale_grad_by_freq", st.just(False) if mode == "max" else st.sampled_from((False, False, False, True)))
    last = d.option("include_last_offset", st.booleans())
    specs: dict[str, Spec] = {}
    if d(st.sampled_from((False, False, True))):
        shape: tuple[int, ...] = (d(st.sampled_from((2, 3, 1, 4, 0))), d.size())
    else:
        # Bags of all lengths, empty ones among them; behind the last there may be more.
        lengths = [d(st.sampled_from((2, 3, 1, 0, 4))) for _ in range(d(st.sampled_from((2, 3, 4, 1, 3, 2, 0))))]
        ends = (0, *accumulate(lengths))
        shape = (ends[-1] + (d(st.sampled_from((0, 0, 2))) if last and lengths else 0),)
        specs["offsets"] = Given(ends if last else ends[:-1])
    specs = {"x": Index(shape, rows, dtype=_kind(d)), **specs}
    if mode == "sum" and d(st.sampled_from((True, True, False))):
        specs["per_sample_weights"] = Real(shape)
    return {**specs, "weight": table}


Embedding = Contract(
    "Embedding",
    Module(torch.nn.Embedding, state=_state),
    _embedding,
    conventions={**CONVENTIONS, "the row of padding_idx has gradient zero": _padded},
)
EmbeddingBag = Contract(
    "EmbeddingBag",
    Function(embedding_bag, ("x", "offsets", "per_sample_weights", "weight"), Module(torch.nn.EmbeddingBag).defaults),
    _embedding_bag,
    conventions=CONVENTIONS,
)
