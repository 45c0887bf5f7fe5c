"""The layers of encoders and decoders: blocks of attention and of projections, each beside its input, with a norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from . import _check
from ._check import Array, Gradients
from ._parts import Back, Block, Layer, Parts, add, fresh, part
from .activation import GELU
from .attention import check_mask
from .dropout import Dropout
from .linear import Linear
from .multihead_attention import MultiheadAttention
from .normalization import LayerNorm
from .rectifier import ReLU

Shape = tuple[int, ...]
Answer = tuple[Array, Callable[[Array], Gradients]]
ACTIVATIONS: dict[str, Layer] = {"relu": ReLU(), "gelu": GELU()}


def check_masks(layer: str, like: Array, masks: Mapping[str, Array | None]) -> None:
    """TypeError for masks that hold neither truth values nor numbers of the dtype of what they are for."""
    for word, mask in masks.items():
        if mask is not None:
            check_mask(layer, word, mask, like)


def _attention(
    parts: Parts, name: str, dropout: str, words: tuple[str, str], masks: Mapping[str, Array | None], memory: Any = None
) -> Block:
    """Attention to the block's own input, or to a memory, and dropout; `words` are what the layer calls the masks."""
    names = dict(zip(("attn_mask", "key_padding_mask"), words, strict=True))

    def block(x: Array) -> tuple[Array, Back]:
        other = x if memory is None else memory
        given = {word: masks[ours] for word, ours in names.items()}
        y, attention_backward = parts(name, x, other, other, **given)
        y, dropout_backward = parts.chain((dropout,), y)

        def backward(dy: Array, grads: Gradients) -> Array:
            own = attention_backward(dropout_backward(dy, grads), grads)
            dx, dother = own.pop("query"), own.pop("key") + own.pop("value")
            add(grads, {names[word]: d for word, d in own.items()})
            if memory is None:
                return np.asarray(dx + dother)
            add(grads, {"memory": dother})
            return dx

        return y, backward

    return block


def _residual(parts: Parts, norm: str, first: bool, block: Block, x: Array) -> tuple[Array, Back]:
    """x + block(norm(x)) where the norm comes first, else norm(x + block(x))."""
    if first:
        inner, norm_backward = parts.chain((norm,), x)
        step, block_backward = block(inner)
        return x + step, lambda dy, grads: dy + norm_backward(block_backward(dy, grads), grads)
    step, block_backward = block(x)
    y, norm_backward = parts.chain((norm,), x + step)

    def backward(dy: Array, grads: Gradients) -> Array:
        dsum = norm_backward(dy, grads)
        return np.asarray(dsum + block_backward(dsum, grads))

    return y, backward


@dataclass(frozen=True)
class _TransformerLayer:
    """What the layers of encoder and decoder share: their options, and the order of their blocks."""

    d_model: int
    nhead: int
    dim_feedforward: int = 2048
    dropout: float = 0.1
    activation: str | Layer = "relu"
    layer_norm_eps: float = 1e-5
    batch_first: bool = False
    norm_first: bool = False
    bias: bool = True
    training: bool = field(default=True, kw_only=True)

    # The attentions by name, and the option that says whether each is causal.
    _attentions: ClassVar[dict[str, str]]

    def __post_init__(self) -> None:
        name = type(self).__name__
        if isinstance(self.activation, str):
            _check.choice(name, "activation", self.activation, tuple(ACTIVATIONS))
        elif not callable(self.activation):
            raise TypeError(f"{name}: activation must be 'relu', 'gelu' or a layer, got {self.activation!r}")
        with part(name, ""):
            self._made()

    def _made(self) -> dict[str, Layer]:
        """The parts by torch's names."""
        attention = MultiheadAttention(
            self.d_model,
            self.nhead,
            self.dropout,
            self.bias,
            batch_first=self.batch_first,
            need_weights=False,
            training=self.training,
        )
        parts: dict[str, Layer] = {
            name: replace(attention, is_causal=getattr(self, option)) for name, option in self._attentions.items()
        }
        parts |= {
            "linear1": Linear(self.d_model, self.dim_feedforward, self.bias),
            "activation": ACTIVATIONS[self.activation] if isinstance(self.activation, str) else self.activation,
            "linear2": Linear(self.dim_feedforward, self.d_model, self.bias),
            "dropout": Dropout(self.dropout, self.training),
        }
        for number in range(1, len(self._attentions) + 2):
            parts[f"norm{number}"] = LayerNorm(self.d_model, self.layer_norm_eps, bias=self.bias)
            parts[f"dropout{number}"] = Dropout(self.dropout, self.training)
        return parts

    def _noise(self, rng: np.random.Generator, own: Shape, keys: Mapping[str, Shape]) -> dict[str, Array]:
        """Masks of dropout for an input of this shape, and for keys of these shapes of each attention."""
        made: dict[str, Any] = self._made()
        masks = {f"{name}.dropout_mask": made[name].noise(rng, own, key)["dropout_mask"] for name, key in keys.items()}
        for name in (name for name in made if name.startswith("dropout")):
            shape = (*own[:-1], self.dim_feedforward) if name == "dropout" else own
            masks[f"{name}.mask"] = made[name].noise(rng, shape)["mask"]
        return masks

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters of all parts, drawn as torch draws them."""
        return fresh(self._made(), rng, dtype)

    def _run(self, parts: Parts, x: Array, *attentions: Block) -> tuple[Array, Back]:
        """The attentions and then the projections, one block behind the other."""
        last = len(attentions) + 1
        names = ("linear1", "activation", "dropout", "linear2", f"dropout{last}")
        blocks: list[Block] = [*attentions, partial(parts.chain, names)]
        backs = []
        for number, block in enumerate(blocks, 1):
            x, back = _residual(parts, f"norm{number}", self.norm_first, block, x)
            backs.append(back)

        def backward(dy: Array, grads: Gradients) -> Array:
            for back in reversed(backs):
                dy = back(dy, grads)
            return dy

        return x, backward


@dataclass(frozen=True)
class TransformerEncoderLayer(_TransformerLayer):
    """x₁ = norm1(x + dropout1(self_attn(x, x, x))),
    y = norm2(x₁ + dropout2(linear2(dropout(activation(linear1(x₁)))))).

    With `norm_first` a norm stands before its block: x₁ = x + dropout1(self_attn(norm1(x), …)), and so on.

    Shapes: src (S, N, d_model), with `batch_first` (N, S, d_model), without a batch (S, d_model), y the same. src_mask
    (S, S) or (N·nhead, S, S) and src_key_padding_mask (N, S) or (S,) as for `MultiheadAttention`, and so is
    `is_causal`. Parameters have torch's names, those of the part behind the part's: `self_attn.in_proj_weight`,
    `linear1.weight` (dim_feedforward, d_model), `norm1.weight`, …; biases with `bias`. In training with dropout above
    0 and below 1 there are masks beside them, True where something is kept: `self_attn.dropout_mask`, `dropout1.mask`
    and `dropout2.mask` in the shape of src, `dropout.mask` in that of linear1's output.

    `activation` is "relu", "gelu", or a layer, whose parameters are `activation.weight` and so on.

    Gradient: the chain rule through the parts, `MultiheadAttention`, `Linear`, `LayerNorm`, `Dropout` and activation.

    Raises ValueError or TypeError for what a part refuses, and for parameters that belong to none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html; Vaswani et al.,
    Attention Is All You Need, 2017; the norm first: Xiong et al., On Layer Normalization in the Transformer, 2020.
    """

    is_causal: bool = field(default=False, kw_only=True)

    _attentions = {"self_attn": "is_causal"}  # noqa: RUF012

    def __call__(
        self, src: Array, src_mask: Array | None = None, src_key_padding_mask: Array | None = None, **params: Array
    ) -> Answer:
        """y and its backward pass."""
        name = "TransformerEncoderLayer"
        (src,) = _check.real(name, src=src)
        masks = {"src_mask": src_mask, "src_key_padding_mask": src_key_padding_mask}
        check_masks(name, src, masks)
        parts = Parts(name, self._made(), params)
        words = ("src_mask", "src_key_padding_mask")
        y, back = self._run(parts, src, _attention(parts, "self_attn", "dropout1", words, masks))

        def backward(dy: Array) -> Gradients:
            grads: Gradients = {}
            dsrc = back(_check.cotangent(name, dy, y.shape), grads)
            return {"src": dsrc, **grads}

        return y, backward

    def noise(self, rng: np.random.Generator, src: Shape, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """Masks of dropout for a src of this shape, True where something is kept. A mask has no use for dtype."""
        return self._noise(rng, src, {"self_attn": src})


@dataclass(frozen=True)
class TransformerDecoderLayer(_TransformerLayer):
    """x₁ = norm1(x + dropout1(self_attn(x, x, x))), x₂ = norm2(x₁ + dropout2(multihead_attn(x₁, memory, memory))),
    y = norm3(x₂ + dropout3(linear2(dropout(activation(linear1(x₂)))))).

    Shapes: tgt (T, N, d_model), memory (S, N, d_model), y as tgt; with `batch_first` N comes first, without a batch it
    is missing. tgt_mask, tgt_key_padding_mask and `tgt_is_causal` belong to self_attn, memory_mask (T, S),
    memory_key_padding_mask and `memory_is_causal` to multihead_attn. The rest, `norm_first` too, is as for
    `TransformerEncoderLayer`, with masks of dropout for one more attention and one more dropout.

    Gradient: the chain rule through the parts; memory's is the sum of those of keys and values.

    Raises ValueError or TypeError for what a part refuses, and for parameters that belong to none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html; Vaswani et al.,
    Attention Is All You Need, 2017.
    """

    tgt_is_causal: bool = field(default=False, kw_only=True)
    memory_is_causal: bool = field(default=False, kw_only=True)

    _attentions = {"self_attn": "tgt_is_causal", "multihead_attn": "memory_is_causal"}  # noqa: RUF012

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
        name = "TransformerDecoderLayer"
        tgt, memory = _check.real(name, tgt=tgt, memory=memory)
        masks = {
            "tgt_mask": tgt_mask,
            "memory_mask": memory_mask,
            "tgt_key_padding_mask": tgt_key_padding_mask,
            "memory_key_padding_mask": memory_key_padding_mask,
        }
        check_masks(name, tgt, masks)
        parts = Parts(name, self._made(), params)
        words = ("tgt_mask", "tgt_key_padding_mask"), ("memory_mask", "memory_key_padding_mask")
        y, back = self._run(
            parts,
            tgt,
            _attention(parts, "self_attn", "dropout1", words[0], masks),
            _attention(parts, "multihead_attn", "dropout2", words[1], masks, memory),
        )

        def backward(dy: Array) -> Gradients:
            grads: Gradients = {}
            dtgt = back(_check.cotangent(name, dy, y.shape), grads)
            return {"tgt": dtgt, **grads}

        return y, backward

    def noise(self, rng: np.random.Generator, tgt: Shape, memory: Shape) -> dict[str, Array]:
        """Masks of dropout for a tgt and a memory of these shapes, True where something is kept."""
        return self._noise(rng, tgt, {"self_attn": tgt, "multihead_attn": memory})
