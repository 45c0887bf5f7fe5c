"""Contract of attention by several heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module, Noisy
from ..values import Added, Causal, Mask, Real, Shape, Spec
from .common import CHANCES, PLACES

HEADS: tuple[Any, ...] = (2, 1, 3, np.int64(2))

# Without one there is more to be seen of the other mask and of what is said of it.
KINDS = ("none", "numbers", "none", "truth", "numbers", "hiding")
# Of scores, each query's with each key, which may only look back.
OF_SCORES = ("none", "numbers", "truth", "hiding", "causal")


def mask(d: Draft, name: str, shape: Shape, kinds: tuple[str, ...] = KINDS) -> dict[str, Spec]:
    """A mask that hides keys, of any kind, or none. True hides, so most are False: a row of True is a corner."""
    kind = d(st.sampled_from(kinds))
    if kind == "none":
        return {}
    if kind == "causal":
        return {name: Causal(shape)}
    return {name: Mask(shape, 0.3) if kind == "truth" else Added(shape, kind == "hiding")}


def kept(d: Draft, p: float, shapes: Mapping[str, Shape]) -> dict[str, Spec]:
    """Masks of these names and shapes, for something that is dropped with chance p; also where there is none."""
    if not (p or d(st.sampled_from((False, True)))):
        return {}
    return {name: Mask(shape, 1 - p if 0 < p < 1 else 0.5) for name, shape in shapes.items()}


def dropped(d: Draft, p: float, shapes: Mapping[str, Shape]) -> dict[str, Spec]:
    """The mode, and in training such masks."""
    return kept(d, p, shapes) if d.option("training", st.sampled_from((True, True, False))) else {}


def _attention(d: Draft) -> dict[str, Spec]:
    heads = d.option("num_heads", st.sampled_from(HEADS))
    e = d.option("embed_dim", st.sampled_from((heads, 2 * heads, 3 * heads, 2 * heads)))
    sizes = [d.option(name, st.sampled_from((None, None, 3, 5, e))) or e for name in ("kdim", "vdim")]
    bias = d.option("bias", st.sampled_from((True, True, False)))
    added_bias = d.option("add_bias_kv", st.sampled_from((False, False, True)))
    added = added_bias + d.option("add_zero_attn", st.sampled_from((False, False, True)))
    first = d.option("batch_first", st.booleans())
    weights = d.option("need_weights", st.sampled_from((True, False, False)))
    d.option("average_attn_weights", st.booleans())
    batch, queries, keys = d.batch(), d(PLACES), d(PLACES)
    if not weights:
        keys = max(keys, 1)  # a sum over nothing takes over torch's NaN (docs/discrepancies)
    several = weights or batch != (0,)  # of no batch torch cannot tell how masks are to be reshaped

    def sequence(places: int, features: int) -> Real:
        return Real((*batch, places, features) if first else (places, *batch, features))

    specs: dict[str, Spec] = {"query": sequence(queries, e)}
    specs |= {name: sequence(keys, size) for name, size in zip(("key", "value"), sizes, strict=True)}
    specs |= mask(d, "key_padding_mask", (*batch, keys)) if several else {}
    blocks = d(st.sampled_from(((), (heads * (batch[0] if batch else 1),)))) if several else ()
    specs |= mask(d, "attn_mask", (*blocks, queries, keys), OF_SCORES)
    # torch hides the added keys where it replaces the mask (docs/discrepancies).
    replaced = not weights and "key_padding_mask" not in specs
    may = "attn_mask" in specs and not (replaced and added)
    d.option("is_causal", st.sampled_from((True, False, True)) if may else st.just(False))
    specs |= dropped(d, d.option("dropout", CHANCES), {"dropout_mask": (*batch, heads, queries, keys + added)})
    if sizes == [e, e]:
        specs["in_proj_weight"] = Real((3 * e, e))
    else:
        specs |= {f"{word}_proj_weight": Real((e, n)) for word, n in zip("qkv", (e, *sizes), strict=True)}
    if bias:
        specs["in_proj_bias"] = Real((3 * e,))
    if added_bias:
        specs |= {"bias_k": Real((1, 1, e)), "bias_v": Real((1, 1, e))}
    specs["out_proj.weight"] = Real((e, e))
    if bias:
        specs["out_proj.bias"] = Real((e,))
    return specs


MultiheadAttention = Contract(
    "MultiheadAttention",
    Noisy(
        Module(
            torch.nn.MultiheadAttention,
            modes=True,
            switches=("need_weights", "average_attn_weights", "is_causal"),
        ),
        lambda config: ("dropout_mask",),  # noqa: ARG005
    ),
    _attention,
)
