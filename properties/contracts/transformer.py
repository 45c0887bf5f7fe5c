"""Contracts of encoders, of decoders, and of both together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ...oracle.vjp import Case
from ..contract import Contract
from ..domain import Draft
from ..twins import Module, Noisy
from ..values import Real, Shape, Spec
from .common import SOME_PLACES
from .multihead_attention import dropped, kept
from .transformer_layer import (
    DECODER,
    DECODER_NOISE,
    DEFAULTS,
    ENCODER,
    ENCODER_NOISE,
    decoder_masks,
    layer_options,
    masks,
    noise_shapes,
    parameters,
    sequence,
    told,
)

NORM = Module(torch.nn.LayerNorm)
SELF, BOTH = ("self_attn",), ("self_attn", "multihead_attn")
ENCODERS = Module(
    torch.nn.TransformerEncoder,
    modes=True,
    switches=("is_causal",),
    settled=("enable_nested_tensor", "mask_check"),  # of no effect where there are gradients
    parts={"encoder_layer": ENCODER, "norm": NORM},
)
DECODERS = Module(
    torch.nn.TransformerDecoder,
    modes=True,
    switches=("tgt_is_causal", "memory_is_causal"),
    parts={"decoder_layer": DECODER, "norm": NORM},
)
WHOLE = Module(
    torch.nn.Transformer,
    modes=True,
    switches=("src_is_causal", "tgt_is_causal", "memory_is_causal"),
    parts={"custom_encoder": ENCODERS, "custom_decoder": DECODERS},
    instead=DEFAULTS | dict.fromkeys(("d_model", "nhead", "num_encoder_layers", "num_decoder_layers"), Parameter.empty),
)


def _taken_for_causal(mask: str, told: str) -> dict[str, Callable[[Case], bool]]:
    """The convention of a mask of which nothing is told, and which is causal by its values."""

    def holds(case: Case) -> bool:
        given = case.inputs.get(mask)
        if given is None or case.config.get(told) is not None or given.dtype == bool:
            return False
        return np.array_equal(given, np.triu(np.full(given.shape[-2:], -np.inf), 1))

    return {f"{mask} is taken for the causal one, and then is not looked at further": holds}


class Options(dict[str, Any]):
    """The options of a layer, which stand for it, as a value that can be counted."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


def _stack(d: Draft, word: str, twin: Module, shared: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the layers of a stack, and those that the stack itself takes."""
    inner = Draft(d, twin.defaults, shared)
    layer_options(inner)
    own = d.option(word, st.just(Options(inner.config)))
    options = {**twin.defaults, **own}
    e = options["d_model"]
    norms = (None, Options(normalized_shape=e), Options(normalized_shape=(e,), eps=0.1, bias=False))
    norm = d.option("norm", st.sampled_from(norms))
    count = d.option("num_layers", st.sampled_from((1, 2)))
    return options, {word: own, "num_layers": count, "norm": norm}


def _learned(options: Mapping[str, Any], stack: Mapping[str, Any], attentions: tuple[str, ...]) -> dict[str, Spec]:
    """What a stack learns, in torch's order."""
    layer = parameters(options, attentions)
    specs = {f"layers.{n}.{name}": spec for n in range(stack["num_layers"]) for name, spec in layer.items()}
    norm = stack["norm"]
    if norm is not None:
        specs["norm.weight"] = Real((options["d_model"],))
        if norm.get("bias", True):
            specs["norm.bias"] = Real((options["d_model"],))
    return specs


def _noise_shapes(
    options: Mapping[str, Any], stack: Mapping[str, Any], batch: Shape, attentions: Mapping[str, tuple[int, int]]
) -> dict[str, Shape]:
    """The masks of dropout of a stack."""
    layer = noise_shapes(options, batch, attentions)
    return {f"layers.{n}.{name}": shape for n in range(stack["num_layers"]) for name, shape in layer.items()}


def _noise(count: int, names: tuple[str, ...], prefix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}layers.{number}.{name}" for number in range(count) for name in names)


def _encoder(d: Draft) -> dict[str, Spec]:
    options, stack = _stack(d, "encoder_layer", ENCODER, {})
    batch, places = d.batch(), d(SOME_PLACES)
    specs: dict[str, Spec] = {"src": Real(sequence(options, batch, places, options["d_model"]))}
    specs |= masks(d, ("mask", "src_key_padding_mask"), options, batch, (places, places))
    told(d, "is_causal", specs, "mask", None)
    shapes = _noise_shapes(options, stack, batch, {"self_attn": (places, places)})
    return specs | dropped(d, options["dropout"], shapes) | _learned(options, stack, SELF)


def _decoder(d: Draft) -> dict[str, Spec]:
    options, stack = _stack(d, "decoder_layer", DECODER, {})
    batch, targets, places = d.batch(), d(SOME_PLACES), d(SOME_PLACES)
    specs: dict[str, Spec] = {
        name: Real(sequence(options, batch, count, options["d_model"]))
        for name, count in (("tgt", targets), ("memory", places))
    }
    specs |= decoder_masks(d, options, batch, targets, places)
    told(d, "tgt_is_causal", specs, "tgt_mask", None)
    told(d, "memory_is_causal", specs, "memory_mask")
    scores = {"self_attn": (targets, targets), "multihead_attn": (targets, places)}
    shapes = _noise_shapes(options, stack, batch, scores)
    return specs | dropped(d, options["dropout"], shapes) | _learned(options, stack, BOTH)


def _custom(
    d: Draft, name: str, options: dict[str, Any], twin: Module, word: str, layer: Module
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the layers of encoder or decoder, and of the stack: Transformer's own, or now and then others."""
    own = Draft(d, twin.defaults, {})
    _stack(own, word, layer, {key: options[key] for key in ("d_model", "batch_first", "nhead")})
    custom = d.option(name, st.sampled_from((None, None, Options(own.config))))
    if custom is not None:
        return {**layer.defaults, **custom[word]}, {"norm": None, **custom}
    count = d.option(f"num_{name.removeprefix('custom_')}_layers", st.sampled_from((1, 2)))
    return options, {"num_layers": count, "norm": {"bias": options["bias"]}}


def _transformer(d: Draft) -> dict[str, Spec]:
    options = layer_options(d)
    sides = [
        _custom(d, "custom_encoder", options, ENCODERS, "encoder_layer", ENCODER),
        _custom(d, "custom_decoder", options, DECODERS, "decoder_layer", DECODER),
    ]
    batch, places, targets = d.batch(), d(SOME_PLACES), d(SOME_PLACES)
    specs: dict[str, Spec] = {
        name: Real(sequence(options, batch, count, options["d_model"]))
        for name, count in (("src", places), ("tgt", targets))
    }
    given = masks(d, ("src_mask", "src_key_padding_mask"), options, batch, (places, places))
    given |= decoder_masks(d, options, batch, targets, places)
    specs |= {name: given[name] for name in WHOLE.inputs if name in given}
    told(d, "src_is_causal", specs, "src_mask", None)
    told(d, "tgt_is_causal", specs, "tgt_mask", None)
    told(d, "memory_is_causal", specs, "memory_mask")
    scores = [
        {"self_attn": (places, places)},
        {"self_attn": (targets, targets), "multihead_attn": (targets, places)},
    ]
    training = d.option("training", st.sampled_from((True, True, False)))
    for name, (own, stack), attentions in zip(("encoder", "decoder"), sides, scores, strict=True):
        # Of a side that drops nothing or all torch draws nothing: its masks would be taken for the other's.
        shapes = _noise_shapes(own, stack, batch, attentions) if training and 0 < own["dropout"] < 1 else {}
        side = kept(d, own["dropout"], shapes) | _learned(own, stack, tuple(attentions))
        specs |= {f"{name}.{word}": spec for word, spec in side.items()}
    return specs


def _whole_noise(config: Mapping[str, Any]) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    for side, own in (("encoder", ENCODER_NOISE), ("decoder", DECODER_NOISE)):
        custom = config.get(f"custom_{side}")
        count = config[f"num_{side}_layers"] if custom is None else custom["num_layers"]
        names += _noise(count, own, f"{side}.")
    return names


TransformerEncoder = Contract(
    "TransformerEncoder",
    Noisy(ENCODERS, lambda config: _noise(config["num_layers"], ENCODER_NOISE)),
    _encoder,
    conventions=_taken_for_causal("mask", "is_causal"),
)
TransformerDecoder = Contract(
    "TransformerDecoder",
    Noisy(DECODERS, lambda config: _noise(config["num_layers"], DECODER_NOISE)),
    _decoder,
    conventions=_taken_for_causal("tgt_mask", "tgt_is_causal"),
)
Transformer = Contract(
    "Transformer",
    Noisy(WHOLE, _whole_noise),
    _transformer,
    conventions=_taken_for_causal("src_mask", "src_is_causal") | _taken_for_causal("tgt_mask", "tgt_is_causal"),
)
