"""Encoders and decoders: layers on one another, and both together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Gradients
from ._parameters import xavier
from ._parts import Layer, Parts, add, fresh, part
from .attention import causal
from .normalization import LayerNorm
from .transformer_layer import Answer, TransformerDecoderLayer, TransformerEncoderLayer, check_masks

Shape = tuple[int, ...]


def _built(value: Any, cls: type) -> Any:
    """A layer from its options, where these stand for it."""
    return cls(**value) if isinstance(value, Mapping) else value


def _is_causal(told: bool | None, mask: Any) -> bool:
    """What is said of a mask, else whether it is the causal one, as torch looks."""
    if told is not None or mask is None:
        return told is True
    found = np.asarray(mask)
    return found.ndim == 2 and np.array_equal(found, causal(found.shape[0], found.shape[1], found.dtype))


def _numbered(masks: list[dict[str, Array]]) -> dict[str, Array]:
    return {f"layers.{number}.{name}": mask for number, own in enumerate(masks) for name, mask in own.items()}


@dataclass(frozen=True)
class _Stack:
    """What encoder and decoder share: layers on one another, and a norm behind them."""

    def _checked(self, word: str, cls: type, count: int, norm: Any) -> None:
        """Options that stand for layers become these; TypeError or ValueError where they are none."""
        name = type(self).__name__
        with part(name, f"{word}: "):
            layer = _built(getattr(self, word), cls)
        if not isinstance(layer, cls):
            raise TypeError(f"{name}: {word} must be a {cls.__name__} or its options, got {layer!r}")
        object.__setattr__(self, word, layer)
        _check.integer(name, "num_layers", count, least=1)
        with part(name, "norm: "):
            norm = _built(norm, LayerNorm)
        if norm is not None and not callable(norm):
            raise TypeError(f"{name}: norm must be a layer or None, got {norm!r}")
        object.__setattr__(self, "norm", norm)

    def _fresh(
        self, layer: Any, count: int, norm: Layer | None, rng: np.random.Generator, dtype: type
    ) -> dict[str, Array]:
        """Every layer begins as a copy of one that is drawn, which is torch's way."""
        drawn = layer.initial_parameters(rng, dtype)
        copies = _numbered([{name: value.copy() for name, value in drawn.items()} for _ in range(count)])
        return copies | fresh({"norm": norm}, rng, dtype)

    def _run(
        self,
        layer: Layer,
        count: int,
        norm: Layer | None,
        inputs: dict[str, Array],
        masks: dict[str, tuple[str, Array | None]],
        params: dict[str, Array],
    ) -> Answer:
        """Each layer is given the first input behind the last, the others as they are, and masks under its own names.

        `masks` are by our names: what each layer calls it, and the mask.
        """
        name = type(self).__name__
        inputs = dict(zip(inputs, _check.real(name, **inputs), strict=True))
        (first, x), *others = inputs.items()
        check_masks(name, x, {ours: mask for ours, (_, mask) in masks.items()})
        theirs = dict(masks.values())
        ours = {word: ours for ours, (word, _) in masks.items()}
        stacked = tuple(f"layers.{number}" for number in range(count))
        last = {} if norm is None else {"norm": norm}
        parts = Parts(name, dict.fromkeys(stacked, layer) | last, params)
        backs = []
        for own in stacked:
            x, back = parts(own, x, *(value for _, value in others), **theirs)
            backs.append(back)
        y, norm_backward = parts.chain(tuple(last), x)

        def backward(dy: Array) -> Gradients:
            grads: Gradients = {}
            dx = norm_backward(_check.cotangent(name, dy, y.shape), grads)
            for back in reversed(backs):
                own = back(dx, grads)
                dx = own.pop(first)
                add(grads, {ours.get(word, word): d for word, d in own.items()})
            return {first: dx, **grads}

        return y, backward


@dataclass(frozen=True)
class TransformerEncoder(_Stack):
    """y = norm(layer_n(… layer_1(src))): `num_layers` layers as `encoder_layer` is, each with parameters of its own.

    `encoder_layer` is a `TransformerEncoderLayer`, or its options as a mapping; `norm` a layer, the options of a
    `LayerNorm`, or None. `training` and `is_causal` take the place of the layer's own; with None
    a mask is taken for the causal one where it looks like it.

    Shapes: src and y as for the layer, and so are `mask`, the layer's src_mask, and src_key_padding_mask, which all
    layers are given. Parameters and masks of dropout go by `layers.0.linear1.weight` and so on, and `norm.weight`.

    Gradient: the chain rule; those of the masks are sums over the layers. A mask taken for the causal one is not looked
    at further, as for `MultiheadAttention`, and then has gradient 0, which is torch's convention.

    Raises ValueError or TypeError for what a layer refuses, and for parameters that belong to none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
    """

    encoder_layer: TransformerEncoderLayer
    num_layers: int
    norm: Layer | None = None
    is_causal: bool | None = field(default=None, kw_only=True)
    training: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._checked("encoder_layer", TransformerEncoderLayer, self.num_layers, self.norm)

    def __call__(
        self, src: Array, mask: Array | None = None, src_key_padding_mask: Array | None = None, **params: Array
    ) -> Answer:
        """y and its backward pass."""
        layer = replace(self.encoder_layer, is_causal=_is_causal(self.is_causal, mask), training=self.training)
        masks = {
            "mask": ("src_mask", mask),
            "src_key_padding_mask": ("src_key_padding_mask", src_key_padding_mask),
        }
        return self._run(layer, self.num_layers, self.norm, {"src": src}, masks, params)

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters; as in torch, all layers begin with the same."""
        return self._fresh(self.encoder_layer, self.num_layers, self.norm, rng, dtype)

    def noise(self, rng: np.random.Generator, src: Shape, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """Masks of dropout for a src of this shape, True where something is kept. A mask has no use for dtype."""
        return _numbered([self.encoder_layer.noise(rng, src) for _ in range(self.num_layers)])


@dataclass(frozen=True)
class TransformerDecoder(_Stack):
    """y = norm(layer_n(… layer_1(tgt, memory), memory)): `num_layers` layers as `decoder_layer` is.

    Each has parameters of its own, and all are given memory and the masks. The rest is as for `TransformerEncoder`,
    with the masks of `TransformerDecoderLayer` under the same names.

    Gradient: the chain rule; those of memory and of the masks are sums over the layers.

    Raises ValueError or TypeError for what a layer refuses, and for parameters that belong to none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
    """

    decoder_layer: TransformerDecoderLayer
    num_layers: int
    norm: Layer | None = None
    tgt_is_causal: bool | None = field(default=None, kw_only=True)
    memory_is_causal: bool = field(default=False, kw_only=True)
    training: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._checked("decoder_layer", TransformerDecoderLayer, self.num_layers, self.norm)

    def __call__(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        **params: Array,
    ) -> Answer:
        """y and its backward pass."""
        layer = replace(
            self.decoder_layer,
            tgt_is_causal=_is_causal(self.tgt_is_causal, tgt_mask),
            memory_is_causal=self.memory_is_causal,
            training=self.training,
        )
        masks = {
            "tgt_mask": ("tgt_mask", tgt_mask),
            "memory_mask": ("memory_mask", memory_mask),
            "tgt_key_padding_mask": ("tgt_key_padding_mask", tgt_key_padding_mask),
            "memory_key_padding_mask": ("memory_key_padding_mask", memory_key_padding_mask),
        }
        return self._run(layer, self.num_layers, self.norm, {"tgt": tgt, "memory": memory}, masks, params)

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters; as in torch, all layers begin with the same."""
        return self._fresh(self.decoder_layer, self.num_layers, self.norm, rng, dtype)

    def noise(self, rng: np.random.Generator, tgt: Shape, memory: Shape) -> dict[str, Array]:
        """Masks of dropout for a tgt and a memory of these shapes, True where something is kept."""
        return _numbered([self.decoder_layer.noise(rng, tgt, memory) for _ in range(self.num_layers)])


@dataclass(frozen=True)
class Transformer:
    """y = decoder(tgt, encoder(src)): a `TransformerEncoder` and a `TransformerDecoder`, each with a norm at its end.

    Shapes: src (S, N, d_model), tgt (T, N, d_model), y as tgt; with `batch_first` N comes first, without a batch it is
    missing. src_mask, tgt_mask, memory_mask and the key padding masks go to the attentions of that name. Parameters and
    masks of dropout go by `encoder.layers.0.linear1.weight`, `decoder.norm.bias` and so on. `custom_encoder` and
    `custom_decoder`, layers or the options of a `TransformerEncoder` and a `TransformerDecoder`, take the places of
    those that the other options describe; `training` and what is said to be causal take the place of their own.

    Gradient: the chain rule through decoder and encoder, memory's cotangent being the decoder's gradient of it.

    Raises ValueError or TypeError for what a part refuses, and for parameters that belong to none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Transformer.html; Vaswani et al., Attention Is All
    You Need, 2017.
    """

    d_model: int = 512
    nhead: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    dim_feedforward: int = 2048
    dropout: float = 0.1
    activation: str | Layer = "relu"
    custom_encoder: TransformerEncoder | None = None
    custom_decoder: TransformerDecoder | None = None
    layer_norm_eps: float = 1e-5
    batch_first: bool = False
    norm_first: bool = False
    bias: bool = True
    src_is_causal: bool | None = field(default=None, kw_only=True)
    tgt_is_causal: bool | None = field(default=None, kw_only=True)
    memory_is_causal: bool = field(default=False, kw_only=True)
    training: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        for word, cls in (("custom_encoder", TransformerEncoder), ("custom_decoder", TransformerDecoder)):
            with part("Transformer", f"{word}: "):
                custom = _built(getattr(self, word), cls)
            if custom is not None and not isinstance(custom, cls):
                raise TypeError(f"Transformer: {word} must be a {cls.__name__} or its options, got {custom!r}")
            object.__setattr__(self, word, custom)
        with part("Transformer", ""):
            self._made()

    def _made(self) -> dict[str, Layer]:
        """Encoder and decoder."""
        options = (
            self.d_model,
            self.nhead,
            self.dim_feedforward,
            self.dropout,
            self.activation,
            self.layer_norm_eps,
            self.batch_first,
            self.norm_first,
            self.bias,
        )
        norm = {"normalized_shape": self.d_model, "eps": self.layer_norm_eps, "bias": self.bias}
        encoder = self.custom_encoder
        if encoder is None:
            encoder = TransformerEncoder(
                TransformerEncoderLayer(*options), self.num_encoder_layers, _built(norm, LayerNorm)
            )
        decoder = self.custom_decoder
        if decoder is None:
            decoder = TransformerDecoder(
                TransformerDecoderLayer(*options), self.num_decoder_layers, _built(norm, LayerNorm)
            )
        return {
            "encoder": replace(encoder, is_causal=self.src_is_causal, training=self.training),
            "decoder": replace(
                decoder,
                tgt_is_causal=self.tgt_is_causal,
                memory_is_causal=self.memory_is_causal,
                training=self.training,
            ),
        }

    def __call__(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        **params: Array,
    ) -> Answer:
        """y and its backward pass."""
        name = "Transformer"
        src, tgt = _check.real(name, src=src, tgt=tgt)
        decoder_masks = {
            "tgt_mask": tgt_mask,
            "memory_mask": memory_mask,
            "tgt_key_padding_mask": tgt_key_padding_mask,
            "memory_key_padding_mask": memory_key_padding_mask,
        }
        encoder_masks = {"src_mask": src_mask, "src_key_padding_mask": src_key_padding_mask}
        check_masks(name, src, {**encoder_masks, **decoder_masks})
        for word, x in (("src", src), ("tgt", tgt)):
            if x.ndim not in (2, 3) or x.shape[-1] != self.d_model:
                raise ValueError(f"{name}: {word} must have 3 dimensions or 2, the last d_model, got shape {x.shape}")
        parts = Parts(name, self._made(), params)
        memory, encoder_backward = parts("encoder", src, mask=src_mask, src_key_padding_mask=src_key_padding_mask)
        y, decoder_backward = parts("decoder", tgt, memory, **decoder_masks)

        def backward(dy: Array) -> Gradients:
            grads: Gradients = {}
            own = decoder_backward(_check.cotangent(name, dy, y.shape), grads)
            own |= encoder_backward(own.pop("memory"), grads)
            return {{"mask": "src_mask"}.get(word, word): d for word, d in own.items()} | grads

        return y, backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters as torch draws them: all matrices uniform in ±√(6 / (rows + columns)), each its own."""
        drawn = fresh(self._made(), rng, dtype)
        return {name: xavier(rng, a.shape).astype(dtype) if a.ndim == 2 else a for name, a in drawn.items()}

    def noise(self, rng: np.random.Generator, src: Shape, tgt: Shape) -> dict[str, Array]:
        """Masks of dropout for a src and a tgt of these shapes, True where something is kept."""
        made: dict[str, Any] = self._made()
        sides = {"encoder": made["encoder"].noise(rng, src), "decoder": made["decoder"].noise(rng, tgt, src)}
        return {f"{side}.{name}": mask for side, masks in sides.items() for name, mask in masks.items()}
