"""Contract of scaled dot-product attention."""

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Noisy
from ..values import Added, Mask, Real, Shape, Spec
from .common import CHANCES, PLACES


def attention(query, key, value, *mask, **options):  # type: ignore[no-untyped-def]
    """torch's own, but for a sum over nothing, which there has query's batch axes alone and takes over its NaN, and for
    values without a head of keys, which end the process.

    See docs/discrepancies.md.
    """
    grouped = options.get("enable_gqa")
    if grouped and min(key.dim(), value.dim()) > 2 and not key.shape[-3] and value.shape[-3]:
        raise ValueError("values for no head of keys")
    function = torch.nn.functional.scaled_dot_product_attention
    y = function(query, key, value, *mask, **options)
    heads = -3 if grouped else -2
    batch = torch.broadcast_shapes(*(t.shape[:heads] for t in (query, key, value)))  # type: ignore[no-untyped-call]
    if 0 in (*batch, *query.shape[heads:-1], key.shape[-2]):
        nothing = query[..., :0].sum() + key[..., :0].sum() + value[..., :0].sum()
        return nothing.expand(*batch, *query.shape[heads:-1], value.shape[-1]).clone()
    if not value.shape[-1]:
        return function(query, key, torch.nn.functional.pad(value, (0, 1)), *mask, **options)[..., :-1]
    return y


INPUTS = ("query", "key", "value", "attn_mask")
DEFAULTS = {"dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False}


def _narrow(d: Draft, shape: Shape) -> Shape:
    """A shape that broadcasts to this one: some axes have length 1, some of the first are missing."""
    kept = tuple(d(st.sampled_from((n, n, n, 1))) for n in shape)
    return kept[d(st.sampled_from((0, 0, 0, len(shape), len(shape) // 2))) :]


def _attention(d: Draft) -> dict[str, Spec]:
    grouped = d.option("enable_gqa", st.sampled_from((False, False, True)))
    d.option("scale", st.sampled_from((None, np.float64(0.5), None, -0.3, None, 2, 0.0)))
    batch = d.shape(most=1 if grouped else 2)
    sides = [_narrow(d, batch) for _ in range(3)]
    if grouped:
        key_heads, value_heads = (d(st.sampled_from((1, 2, 2, 3))) for _ in range(2))
        heads = key_heads * value_heads * d(st.sampled_from((1, 2, 1)))
        sides = [(*side, n) for side, n in zip(sides, (heads, key_heads, value_heads), strict=True)]
    queries, keys = d(PLACES), d(PLACES)
    features, out = (d(st.sampled_from((2, 1, 3, 4, 2, 1, 5, 2, 3, 0))) for _ in range(2))
    specs: dict[str, Spec] = {
        "query": Real((*sides[0], queries, features)),
        "key": Real((*sides[1], keys, features)),
        "value": Real((*sides[2], keys, out)),
    }
    ends = [side[: len(side) - grouped] for side in sides[:2]]
    whole = (*np.broadcast_shapes(*ends), *sides[0][len(ends[0]) :], queries, keys)
    if not d.option("is_causal", st.sampled_from((False, False, True))):
        kind = d(st.sampled_from(("numbers", "truth", "none", "numbers", "hiding")))
        if kind != "none":
            shape = _narrow(d, whole)
            specs["attn_mask"] = Mask(shape) if kind == "truth" else Added(shape, kind == "hiding")
    p = d.option("dropout_p", CHANCES)
    if p or d(st.sampled_from((False, False, True))):
        specs["dropout_mask"] = Mask(whole, 1 - p if 0 < p < 1 else 0.5)
    return specs


ScaledDotProductAttention = Contract(
    "ScaledDotProductAttention",
    Noisy(
        Function(attention, INPUTS, DEFAULTS),
        lambda config: ("dropout_mask",),  # noqa: ARG005
    ),
    _attention,
)
