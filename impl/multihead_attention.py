"""Attention by several heads side by side, with the projections before and after."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._parameters import parameters, xavier
from ._parts import part
from .arithmetic import unbroadcast
from .attention import additive, attend, causal
from .dropout import Dropout
from .linear import Linear

Shape = tuple[int, ...]


@dataclass(frozen=True)
class MultiheadAttention:
    """y = out_proj(heads side by side), head h = dropout(softmax(q_h·k_hᵀ/√D + mask))·v_h with D = embed_dim/num_heads.

    q, k and v are projections of query, key and value: q = query·W_qᵀ + b_q and so on, cut into heads of D features.

    Shapes: query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), y like query; with `batch_first` N comes
    first, and without a batch it is missing. W_q, W_k, W_v stand on one another in `in_proj_weight`
    (3·embed_dim, embed_dim) where kdim and vdim are embed_dim (as None is), else they are `q_proj_weight`,
    `k_proj_weight` (embed_dim, kdim) and `v_proj_weight`. With `bias` there are `in_proj_bias` (3·embed_dim,) and
    `out_proj.bias`; `out_proj.weight` (embed_dim, embed_dim). `add_bias_kv` puts `bias_k` and `bias_v`
    (1, 1, embed_dim) behind the keys and values, `add_zero_attn` zeros behind these: S' keys in all, and the added ones
    are never hidden.

    `key_padding_mask` (N, S), without a batch (S,), and `attn_mask` (L, S) or (N·num_heads, L, S): True where a key is
    hidden, or floating-point numbers that are added to the scores. `is_causal` says that attn_mask, which it needs, is
    the causal one: as in torch it is then not looked at but for its shape, if there is neither a key_padding_mask nor
    weights to answer, and query i sees keys 0 to i. `dropout_mask` (N, num_heads, L, S'), without a batch (num_heads,
    L, S'), is True where a weight is kept; it is not looked at in eval, for dropout 0 and 1, and may be left out there.

    Answers (y, weights) with `need_weights`: behind dropout, as the mean over heads (N, L, S') or, without
    `average_attn_weights`, for each head; N missing without a batch. Else y alone. A query that sees no key is NaN with
    `need_weights`, else its heads answer 0; both are torch's.

    Gradient: that of `ScaledDotProductAttention` between those of the projections (`Linear`); a mask of numbers has one
    too, the sum of those of the scores it was added to. The backward takes a cotangent for y, and one for the weights.

    Raises ValueError for shapes that do not fit, parameters that are missing or too many, and configurations that torch
    refuses; TypeError for arrays of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html; Vaswani et al., Attention
    Is All You Need, 2017.
    """

    embed_dim: int
    num_heads: int
    dropout: float = 0.0
    bias: bool = True
    add_bias_kv: bool = False
    add_zero_attn: bool = False
    kdim: int | None = None
    vdim: int | None = None
    batch_first: bool = False
    need_weights: bool = field(default=True, kw_only=True)
    average_attn_weights: bool = field(default=True, kw_only=True)
    is_causal: bool = field(default=False, kw_only=True)
    training: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        name = "MultiheadAttention"
        _check.integer(name, "num_heads", self.num_heads, least=1)
        if _check.integer(name, "embed_dim", self.embed_dim, least=1) % self.num_heads:
            raise ValueError(f"{name}: embed_dim must be divisible by num_heads, got {self.embed_dim}")
        for word, size in (("kdim", self.kdim), ("vdim", self.vdim)):
            if size is not None:
                _check.integer(name, word, size, least=0)
        with part(name, "dropout: "):
            Dropout(self.dropout)

    @property
    def _inputs(self) -> Shape:
        """The features of query, key and value."""
        return tuple(self.embed_dim if size is None else size for size in (None, self.kdim, self.vdim))

    @property
    def _shapes(self) -> dict[str, Shape]:
        """The shape of each parameter."""
        e, ins = self.embed_dim, self._inputs
        shapes: dict[str, Shape] = {"in_proj_weight": (3 * e, e)}
        if ins != (e, e, e):
            shapes = {f"{word}_proj_weight": (e, size) for word, size in zip("qkv", ins, strict=True)}
        if self.bias:
            shapes["in_proj_bias"] = (3 * e,)
        if self.add_bias_kv:
            shapes |= {"bias_k": (1, 1, e), "bias_v": (1, 1, e)}
        shapes["out_proj.weight"] = (e, e)
        if self.bias:
            shapes["out_proj.bias"] = (e,)
        return shapes

    def __call__(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        attn_mask: Array | None = None,
        dropout_mask: Array | None = None,
        **params: Array,
    ) -> tuple[Array | tuple[Array, Array], Callable[..., Gradients]]:
        """y, or (y, weights), and the backward pass."""
        name, heads = "MultiheadAttention", self.num_heads
        query, key, value = _check.real(name, query=query, key=key, value=value)
        self._check_inputs(query, key, value)
        params = parameters(name, params, self._shapes, query=query)
        (q, k, v), project_backward = self._project((query, key, value), params)
        places = k.shape[-2] - self._added
        mask, mask_backward = self._mask(query, key_padding_mask, attn_mask, (*q.shape[:-1], places))

        def dropout(weights: Array) -> tuple[Array, Backward]:
            with part(name, "dropout_"):
                return Dropout(self.dropout, training=self.training)(weights, dropout_mask)

        scale = math.sqrt(heads / self.embed_dim)
        attended, weights, attend_backward = attend(q, k, v, mask, scale, dropout, safe=not self.need_weights)
        out = Linear(self.embed_dim, self.embed_dim, self.bias)
        y, out_backward = out(self._join(attended), params["out_proj.weight"], params.get("out_proj.bias"))
        if self.need_weights and self.average_attn_weights:
            weights = weights.mean(axis=-3)

        def backward(dy: Array, *rest: Array) -> Gradients:
            """The gradients, from a cotangent of each output."""
            if len(rest) != self.need_weights:
                raise ValueError(f"{name}: dy must be followed by the cotangent of the weights if there are any")
            dweights = None
            for d in rest:
                dweights = _check.cotangent(name, d, weights.shape)
                if self.average_attn_weights:
                    dweights = np.expand_dims(dweights, -3) / dweights.dtype.type(heads)
            own = out_backward(_check.cotangent(name, dy, y.shape))
            *dheads, dscores = attend_backward(self._cut(own.pop("x")), dweights)
            grads = {f"out_proj.{word}": d for word, d in own.items()}
            return {**project_backward(dheads), **mask_backward(dscores[..., :places]), **grads}

        return ((y, weights) if self.need_weights else y), backward

    def noise(self, rng: np.random.Generator, query: Shape, key: Shape) -> dict[str, Array]:
        """A mask for a query and a key of these shapes: True, with probability 1 - dropout, where a weight is kept."""
        heads = self._cut(np.empty(query)).shape[:-1]
        places = self._cut(np.empty((*key[:-1], self.embed_dim))).shape[-2] + self._added
        return {"dropout_mask": Dropout(self.dropout).noise(rng, (*heads, places))["mask"]}

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters as torch draws them.

        W_q, W_k, W_v, of which in_proj_weight is one, uniform in ±√(6 / (rows + columns)), out_proj.weight in
        ±1/√embed_dim; bias_k and bias_v normal, with variance 1/embed_dim; the other biases are 0.
        """
        e, params = self.embed_dim, dict[str, Array]()
        for name, shape in self._shapes.items():
            if name == "out_proj.weight":
                value = rng.uniform(-1, 1, shape) / math.sqrt(e)
            elif len(shape) == 2:
                value = xavier(rng, shape)
            else:
                value = rng.standard_normal(shape) / math.sqrt(e) if len(shape) == 3 else np.zeros(shape)
            params[name] = value.astype(dtype)
        return params

    @property
    def _added(self) -> int:
        """How many keys stand behind the given ones."""
        return self.add_bias_kv + self.add_zero_attn

    def _cut(self, rows: Array) -> Array:
        """(L, N, embed_dim) as (N, num_heads, L, D)."""
        heads = rows.reshape(*rows.shape[:-1], self.num_heads, self.embed_dim // self.num_heads)
        return heads.transpose(self._order(rows.ndim))

    def _join(self, heads: Array) -> Array:
        """The inverse of `_cut`."""
        rows = heads.transpose(np.argsort(self._order(heads.ndim - 1)))
        return rows.reshape(*rows.shape[:-2], self.embed_dim)

    def _order(self, rank: int) -> Shape:
        if rank == 2:
            return (1, 0, 2)
        return (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)

    def _check_inputs(self, query: Array, key: Array, value: Array) -> None:
        name = "MultiheadAttention"
        if query.ndim not in (2, 3):
            raise ValueError(f"{name}: query must have 3 dimensions, or 2 without a batch, got shape {query.shape}")
        for word, array, size in zip(("query", "key", "value"), (query, key, value), self._inputs, strict=True):
            if array.ndim != query.ndim or array.shape[-1] != size:
                raise ValueError(
                    f"{name}: {word} must have {query.ndim} dimensions, the last of {size}, got shape {array.shape}"
                )
        if value.shape[:-1] != key.shape[:-1]:
            raise ValueError(f"{name}: value must be as long as key {key.shape}, got shape {value.shape}")
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and key.shape[batch] != query.shape[batch]:
            raise ValueError(f"{name}: key must have the batch of query {query.shape}, got shape {key.shape}")

    def _project(
        self, inputs: tuple[Array, ...], params: dict[str, Array]
    ) -> tuple[list[Array], Callable[[list[Array]], Gradients]]:
        """The heads of queries, keys and values; the backward answers the gradients of inputs and parameters."""
        words, packed = "qkv", "in_proj_weight" in params
        weights = np.split(params["in_proj_weight"], 3) if packed else [params[f"{word}_proj_weight"] for word in words]
        biases = np.split(params["in_proj_bias"], 3) if self.bias else 3 * [None]
        heads, backs = [], []
        for word, size, x, weight, bias in zip(words, self._inputs, inputs, weights, biases, strict=True):
            y, back = Linear(size, self.embed_dim, self.bias)(x, weight, bias)
            backs.append(back)
            heads.append(self._extended(self._cut(y), word, params))

        def backward(dheads: list[Array]) -> Gradients:
            grads: Gradients = {}
            own = []
            for word, d, back in zip(words, dheads, backs, strict=True):
                places = d.shape[-2] if word == "q" else d.shape[-2] - self._added
                own.append(back(self._join(d[..., :places, :])))
                if f"bias_{word}" in params:
                    added = d[..., places, :]
                    grads[f"bias_{word}"] = unbroadcast(added, added.shape[-2:]).reshape(1, 1, self.embed_dim)
            for word, part_ in zip(("query", "key", "value"), own, strict=True):
                grads[word] = part_["x"]
            if packed:
                grads["in_proj_weight"] = np.concatenate([part_["weight"] for part_ in own])
            else:
                grads |= {f"{word}_proj_weight": part_["weight"] for word, part_ in zip(words, own, strict=True)}
            if self.bias:
                grads["in_proj_bias"] = np.concatenate([part_["bias"] for part_ in own])
            return grads

        return heads, backward

    def _extended(self, heads: Array, word: str, params: dict[str, Array]) -> Array:
        """Keys or values with what is added behind them."""
        added = []
        *lead, _, features = heads.shape
        if f"bias_{word}" in params:
            bias = params[f"bias_{word}"].reshape(self.num_heads, 1, features)
            added.append(np.broadcast_to(bias, (*lead, 1, features)))
        if self.add_zero_attn and word != "q":
            added.append(np.zeros((*lead, 1, features), heads.dtype))
        return np.concatenate([heads, *added], axis=-2) if added else heads

    def _mask(
        self, query: Array, key_padding_mask: Array | None, attn_mask: Array | None, scores: Shape
    ) -> tuple[Array | None, Callable[[Array], Gradients]]:
        """What is added to the scores; the backward answers the gradients of masks of numbers."""
        name = "MultiheadAttention"
        *lead, queries, keys = scores
        blocks = math.prod(lead)
        given: dict[str, tuple[Array, Array]] = {}
        if attn_mask is not None:
            mask = additive(name, "attn_mask", attn_mask, query, hidden=True)
            if mask.shape not in ((queries, keys), (blocks, queries, keys)):
                expected = f"{(queries, keys)} or {(blocks, queries, keys)}"
                raise ValueError(f"{name}: attn_mask must have shape {expected}, got {mask.shape}")
            given["attn_mask"] = mask, mask if mask.ndim == 2 else mask.reshape(scores)
        elif self.is_causal:
            raise ValueError(f"{name}: attn_mask is missing; is_causal=True only says of it that it is causal")
        if key_padding_mask is not None:
            mask = additive(name, "key_padding_mask", key_padding_mask, query, hidden=True)
            _check.shape(name, "key_padding_mask", mask, (*lead[:-1], keys))
            given["key_padding_mask"] = mask, mask[..., None, None, :]
        told = self.is_causal and key_padding_mask is None and not self.need_weights
        views = [causal(queries, keys, query.dtype)] if told else [view for _, view in given.values()]
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask}
        numbers = [word for word, mask in masks.items() if np.asarray(mask).dtype != np.bool_]
        total = None
        with np.errstate(invalid="ignore"):  # ∞ - ∞ is NaN, as in torch
            for view in views:
                total = view if total is None else total + view
        if total is not None:
            total = np.pad(total, [(0, 0)] * (total.ndim - 1) + [(0, self._added)])

        def backward(dscores: Array) -> Gradients:
            return {
                word: np.zeros_like(mask) if told else unbroadcast(dscores, view.shape).reshape(mask.shape)
                for word, (mask, view) in given.items()
                if word in numbers
            }

        return total, backward
