"""Scaled dot-product attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._parts import part
from .arithmetic import unbroadcast
from .dropout import Dropout
from .softmax import softmax, softmax_backward


def check_mask(layer: str, name: str, mask: Array, like: Array) -> Array:
    """The mask as an array, refused unless it holds truth values, or numbers of the dtype of what it is for."""
    array: Array = np.asarray(mask)
    if array.dtype == np.bool_:
        return array
    if not np.issubdtype(array.dtype, np.inexact):
        raise TypeError(f"{layer}: {name} must hold truth values or floating-point numbers, got dtype {array.dtype}")
    _check.real(layer, query=like, **{name: array})
    return array


def additive(layer: str, name: str, mask: Array, like: Array, *, hidden: bool) -> Array:
    """A mask as numbers to add to scores: -∞ where a truth value is `hidden`, else 0; numbers as they are."""
    mask = check_mask(layer, name, mask, like)
    if mask.dtype != np.bool_:
        return mask
    return np.asarray(np.where(mask == hidden, -np.inf, 0), like.dtype)


def causal(queries: int, keys: int, dtype: np.dtype[Any]) -> Array:
    """The mask to add that hides from each query the keys behind it, the first query beside the first key."""
    return np.triu(np.full((queries, keys), -np.inf, dtype), 1)


def scores_softmax(scores: Array, *, safe: bool) -> Array:
    """The softmax along the last axis; where `safe`, a row in which everything is hidden is 0, else NaN."""
    weights = softmax(scores, -1)
    if safe:
        weights[(scores == -np.inf).all(axis=-1)] = 0
    return weights


def attend(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    scale: float,
    dropout: Callable[[Array], tuple[Array, Backward]],
    *,
    safe: bool,
) -> tuple[Array, Array, Callable[..., tuple[Array, Array, Array, Array]]]:
    """weights·value with weights = dropout(softmax(query·keyᵀ·scale + mask)), the weights, and the backward.

    Batch axes broadcast. The backward takes the cotangents of both outputs and answers the gradients of query, key,
    value, and of the scores, which are the mask's.
    """
    with np.errstate(invalid="ignore"):  # ∞ - ∞ and 0·∞ are NaN here, as in torch
        scaled = query * query.dtype.type(scale)
        scores = scaled @ key.swapaxes(-1, -2)
        if mask is not None:
            scores = scores + mask
        weights = scores_softmax(scores, safe=safe)
        kept, dropout_backward = dropout(weights)
        y = kept @ value

    def backward(dy: Array, dkept: Array | None = None) -> tuple[Array, Array, Array, Array]:
        with np.errstate(invalid="ignore"):
            dvalue = kept.swapaxes(-1, -2) @ dy
            dweights = unbroadcast(dy @ value.swapaxes(-1, -2), kept.shape)
            if dkept is not None:
                dweights = dweights + dkept
            dscores = softmax_backward(dropout_backward(dweights)["x"], weights, -1)
            dquery = (dscores @ key) * query.dtype.type(scale)
            dkey = dscores.swapaxes(-1, -2) @ scaled
        return (
            unbroadcast(dquery, query.shape),
            unbroadcast(dkey, key.shape),
            unbroadcast(dvalue, value.shape),
            dscores,
        )

    return y, kept, backward


@dataclass(frozen=True)
class ScaledDotProductAttention:
    """y = dropout(softmax(query·keyᵀ·scale + mask))·value, the softmax over the keys.

    Shapes: query (*, L, E), key (*, S, E), value (*, S, Ev), y (*, L, Ev); the batch axes * broadcast. `attn_mask`
    broadcasts to the scores (*, L, S), * those of query and key: truth values, True where a query sees a key, or
    floating-point numbers that are added to the scores. `is_causal` takes the place of a mask: query i sees keys 0 to
    i. `scale` None is 1/√E. With `enable_gqa` the axis before the last two holds heads, and each head of key and value
    serves a block of query's heads. `dropout_mask`, True where a weight is kept, has the shape of the scores; it is not
    looked at for dropout_p 0 and 1, and may be left out there. As in torch dropout has no eval mode.

    Gradient, with P the softmax, M the mask of dropout over 1 - p and dS the gradient of the scores:
    dvalue = (P·M)ᵀ·dy, dS = P·(G - Σ G·P) with G = (dy·valueᵀ)·M, dquery = dS·key·scale, dkey = dSᵀ·query·scale,
    dattn_mask = dS, each summed over the axes along which it was repeated. A mask of truth values has none. A query
    that sees no key gives 0, and so do its gradients.

    Raises ValueError for shapes that do not fit, a mask beside `is_causal`, and dropout_p outside [0, 1]; TypeError for
    arrays of other kinds.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html;
    Vaswani et al., Attention Is All You Need, 2017; grouped queries: Ainslie et al., GQA, 2023.
    """

    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False

    def __post_init__(self) -> None:
        name = "ScaledDotProductAttention"
        with part(name, "dropout_"):
            Dropout(self.dropout_p)
        if self.scale is not None:
            _check.number(name, "scale", self.scale)

    def __call__(
        self,
        query: Array,
        key: Array,
        value: Array,
        attn_mask: Array | None = None,
        dropout_mask: Array | None = None,
    ) -> tuple[Array, Backward]:
        """y and its backward pass."""
        name = "ScaledDotProductAttention"
        query, key, value = _check.real(name, query=query, key=key, value=value)
        least = 3 if self.enable_gqa else 2
        for word, array in (("query", query), ("key", key), ("value", value)):
            if array.ndim < least:
                raise ValueError(f"{name}: {word} must have at least {least} dimensions, got shape {array.shape}")
        (queries, features), keys = query.shape[-2:], key.shape[-2]
        if key.shape[-1] != features:
            raise ValueError(f"{name}: key must have query's {features} features, got shape {key.shape}")
        if value.shape[-2] != keys:
            raise ValueError(f"{name}: value must have key's {keys} places, got shape {value.shape}")
        if self.enable_gqa and not key.shape[-3] and value.shape[-3]:
            raise ValueError(f"{name}: value must have no head, as key has none, got shape {value.shape}")
        wide_key, wide_value = self._served(query, "key", key), self._served(query, "value", value)
        try:
            batch = np.broadcast_shapes(query.shape[:-2], wide_key.shape[:-2])
            np.broadcast_shapes(batch, wide_value.shape[:-2])
        except ValueError:
            shapes = f"query {query.shape}, key {key.shape} and value {value.shape}"
            raise ValueError(f"{name}: the batch axes of {shapes} do not broadcast") from None
        shape = (*batch, queries, keys)
        mask = self._mask(query, attn_mask, shape)

        def dropout(weights: Array) -> tuple[Array, Backward]:
            with part(name, "dropout_"):
                return Dropout(self.dropout_p)(weights, dropout_mask)

        scale = 1 / math.sqrt(max(features, 1)) if self.scale is None else self.scale
        y, _, attend_backward = attend(query, wide_key, wide_value, mask, scale, dropout, safe=True)

        def backward(dy: Array) -> Gradients:
            dquery, dkey, dvalue, dscores = attend_backward(_check.cotangent(name, dy, y.shape))
            if 0 in y.shape[:-2]:  # what is not there has no gradient, whatever is infinite
                dquery, dkey, dvalue, dscores = map(np.zeros_like, (dquery, dkey, dvalue, dscores))
            grads = {"query": dquery, "key": _gathered(dkey, key.shape), "value": _gathered(dvalue, value.shape)}
            if attn_mask is not None and np.asarray(attn_mask).dtype != np.bool_:
                grads["attn_mask"] = unbroadcast(dscores, np.shape(attn_mask))
            return grads

        return y, backward

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Array]:
        """A mask for scores of this shape: True, with probability 1 - dropout_p, where a weight is kept."""
        return {"dropout_mask": Dropout(self.dropout_p).noise(rng, shape)["mask"]}

    def _served(self, query: Array, word: str, array: Array) -> Array:
        """Key or value with as many heads as query has."""
        if not self.enable_gqa:
            return array
        heads, own = query.shape[-3], max(array.shape[-3], 1)
        if heads % own:
            raise ValueError(
                f"ScaledDotProductAttention: {word} must have a number of heads that divides query's {heads}, "
                f"got shape {array.shape}"
            )
        return np.repeat(array, heads // own, axis=-3)

    def _mask(self, query: Array, attn_mask: Array | None, shape: tuple[int, ...]) -> Array | None:
        """What is added to scores of this shape."""
        name = "ScaledDotProductAttention"
        if self.is_causal:
            if attn_mask is not None:
                raise ValueError(f"{name}: attn_mask must not be given with is_causal=True")
            return causal(shape[-2], shape[-1], query.dtype)
        if attn_mask is None:
            return None
        mask = additive(name, "attn_mask", attn_mask, query, hidden=False)
        try:
            fits = np.broadcast_shapes(mask.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name}: attn_mask must broadcast to the scores' shape {shape}, got {mask.shape}")
        return mask


def _gathered(d: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of serving several heads: a sum over each block of them."""
    if d.shape == shape:
        return d
    *batch, heads, length, features = shape
    return np.asarray(d.reshape(*batch, heads, d.shape[-3] // heads, length, features).sum(axis=-3))
