"""Contracts of the layers of encoders and decoders."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from typing import Any

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module, Noisy
from ..values import Real, Shape, Spec
from .common import CHANCES, SOME_PLACES
from .multihead_attention import OF_SCORES, dropped, mask

# torch's default of `activation` is a function of its own, and that of this size too large to be tried.
DEFAULTS = {"activation": "relu", "dim_feedforward": Parameter.empty}
ENCODER = Module(torch.nn.TransformerEncoderLayer, modes=True, switches=("is_causal",), instead=DEFAULTS)
DECODER = Module(
    torch.nn.TransformerDecoderLayer,
    modes=True,
    switches=("tgt_is_causal", "memory_is_causal"),
    instead=DEFAULTS,
)
# The parts that drop something out, in the order in which torch draws: the attentions, what is behind each, the rest.
ENCODER_NOISE = ("self_attn.dropout_mask", "dropout1.mask", "dropout.mask", "dropout2.mask")
DECODER_NOISE = (
    *("self_attn.dropout_mask", "dropout1.mask", "multihead_attn.dropout_mask", "dropout2.mask"),
    *("dropout.mask", "dropout3.mask"),
)


def layer_options(d: Draft) -> dict[str, Any]:
    """The options of a layer; sizes are small, for failures to be seen."""
    heads = d.option("nhead", st.sampled_from((2, 1, 2, 3)))
    return {
        "nhead": heads,
        "d_model": d.option("d_model", st.sampled_from((2 * heads, heads, 2 * heads, 3 * heads))),
        "dim_feedforward": d.option("dim_feedforward", st.sampled_from((3, 5, 2, 4, 1))),
        "dropout": d.option("dropout", CHANCES),
        "activation": d.option("activation", st.sampled_from(("relu", "gelu"))),
        "layer_norm_eps": d.option("layer_norm_eps", st.sampled_from((1e-5, 1e-3, 0.1))),
        "batch_first": d.option("batch_first", st.booleans()),
        "norm_first": d.option("norm_first", st.booleans()),
        "bias": d.option("bias", st.sampled_from((True, True, False))),
    }


def parameters(options: Mapping[str, Any], attentions: tuple[str, ...]) -> dict[str, Spec]:
    """What a layer learns, in torch's order."""
    e, hidden, bias = options["d_model"], options["dim_feedforward"], options.get("bias", True)
    shapes: dict[str, tuple[Shape, Shape]] = {}
    for name in attentions:
        shapes |= {f"{name}.in_proj_": ((3 * e, e), (3 * e,)), f"{name}.out_proj.": ((e, e), (e,))}
    shapes |= {"linear1.": ((hidden, e), (hidden,)), "linear2.": ((e, hidden), (e,))}
    shapes |= {f"norm{number}.": ((e,), (e,)) for number in range(1, len(attentions) + 2)}
    specs: dict[str, Spec] = {}
    for name, (weight, own) in shapes.items():
        specs[f"{name}weight"] = Real(weight)
        if bias:
            specs[f"{name}bias"] = Real(own)
    return specs


def sequence(options: Mapping[str, Any], batch: Shape, places: int, features: int) -> Shape:
    """The shape of a sequence."""
    return (*batch, places, features) if options.get("batch_first") else (places, *batch, features)


def masks(d: Draft, words: tuple[str, str], options: Mapping[str, Any], batch: Shape, scores: Shape) -> dict[str, Spec]:
    """The two masks of an attention, by their names here; of no batch torch cannot tell how to reshape them."""
    several = batch != (0,)
    blocks = (options["nhead"] * (batch[0] if batch else 1),)
    shape = (*d(st.sampled_from(((), blocks))), *scores) if several else scores
    return mask(d, words[0], shape, OF_SCORES) | (mask(d, words[1], (*batch, scores[1])) if several else {})


def told(d: Draft, option: str, specs: Mapping[str, Spec], word: str, *unsaid: None) -> None:
    """That a mask is causal, which only makes sense where there is one; `unsaid` is what stands for not saying so."""
    said = (*unsaid, False)
    d.option(option, st.sampled_from((*said, *(len(said) * (True,) if word in specs else ()))))


def noise_shapes(
    options: Mapping[str, Any], batch: Shape, attentions: Mapping[str, tuple[int, int]]
) -> dict[str, Shape]:
    """The masks of dropout of a layer, whose attentions have so many queries and keys."""
    (queries, _), *_ = attentions.values()
    own = sequence(options, batch, queries, options["d_model"])
    shapes = {"dropout.mask": (*own[:-1], options["dim_feedforward"])}
    for number, (name, scores) in enumerate(attentions.items(), 1):
        shapes |= {f"{name}.dropout_mask": (*batch, options["nhead"], *scores), f"dropout{number}.mask": own}
    return shapes | {f"dropout{len(attentions) + 1}.mask": own}


def _encoder_layer(d: Draft) -> dict[str, Spec]:
    options = layer_options(d)
    batch, places = d.batch(), d(SOME_PLACES)
    specs: dict[str, Spec] = {"src": Real(sequence(options, batch, places, options["d_model"]))}
    specs |= masks(d, ("src_mask", "src_key_padding_mask"), options, batch, (places, places))
    told(d, "is_causal", specs, "src_mask")
    specs |= dropped(d, options["dropout"], noise_shapes(options, batch, {"self_attn": (places, places)}))
    return specs | parameters(options, ("self_attn",))


def decoder_masks(d: Draft, options: Mapping[str, Any], batch: Shape, targets: int, places: int) -> dict[str, Spec]:
    """The four masks of a decoder, in torch's order."""
    own = masks(d, ("tgt_mask", "tgt_key_padding_mask"), options, batch, (targets, targets))
    other = masks(d, ("memory_mask", "memory_key_padding_mask"), options, batch, (targets, places))
    order = ("tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
    return {name: (own | other)[name] for name in order if name in own | other}


def _decoder_layer(d: Draft) -> dict[str, Spec]:
    options = layer_options(d)
    batch, targets, places = d.batch(), d(SOME_PLACES), d(SOME_PLACES)
    specs: dict[str, Spec] = {
        name: Real(sequence(options, batch, count, options["d_model"]))
        for name, count in (("tgt", targets), ("memory", places))
    }
    specs |= decoder_masks(d, options, batch, targets, places)
    told(d, "tgt_is_causal", specs, "tgt_mask")
    told(d, "memory_is_causal", specs, "memory_mask")
    shapes = noise_shapes(options, batch, {"self_attn": (targets, targets), "multihead_attn": (targets, places)})
    specs |= dropped(d, options["dropout"], shapes)
    return specs | parameters(options, ("self_attn", "multihead_attn"))


TransformerEncoderLayer = Contract(
    "TransformerEncoderLayer",
    Noisy(ENCODER, lambda config: ENCODER_NOISE),  # noqa: ARG005
    _encoder_layer,
)
TransformerDecoderLayer = Contract(
    "TransformerDecoderLayer",
    Noisy(DECODER, lambda config: DECODER_NOISE),  # noqa: ARG005
    _decoder_layer,
)
