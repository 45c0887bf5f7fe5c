"""Embeddings: rows of a table, looked up by number; alone, or as the sum, mean or maximum of a bag of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients

MODES = ("sum", "mean", "max")
Outputs = Array | tuple[Array, Array]


def _check_options(layer: Embedding | EmbeddingBag) -> None:
    name = type(layer).__name__
    rows = _check.integer(name, "num_embeddings", layer.num_embeddings, least=0)
    _check.integer(name, "embedding_dim", layer.embedding_dim, least=0)
    if layer.padding_idx is not None:
        row = _check.integer(name, "padding_idx", layer.padding_idx)
        if not -rows <= row < rows:
            raise ValueError(f"{name}: padding_idx must be in [{-rows}, {rows - 1}], got {row}")
    if layer.max_norm is not None:
        _check.number(name, "max_norm", layer.max_norm)
    _check.number(name, "norm_type", layer.norm_type)


def _check_arrays(layer: Embedding | EmbeddingBag, x: Array, weight: Array) -> tuple[Array, Array]:
    """x as int64, copied, as the backward needs it as it was; and the table."""
    name, rows = type(layer).__name__, layer.num_embeddings
    (weight,) = _check.real(name, weight=weight)
    _check.shape(name, "weight", weight, (rows, layer.embedding_dim))
    x = _check_integers(name, "x", x)
    if ((x < 0) | (x >= rows)).any():
        raise IndexError(f"{name}: x must hold numbers of {rows} rows, got {x.min()} to {x.max()}")
    return x, weight


def _check_integers(layer: str, name: str, value: Array) -> Array:
    value = np.asarray(value)
    if value.dtype not in (np.int64, np.int32):
        raise TypeError(f"{layer}: {name} must hold int64 or int32, got dtype {value.dtype}")
    return value.astype(np.int64)


def _renormalised(layer: Embedding | EmbeddingBag, weight: Array, rows: Array, most: float) -> Array:
    """A copy of the table in which the rows looked up are shortened to the norm `most`, where theirs is larger."""
    used, p = np.unique(rows), float(layer.norm_type)
    weight = weight.copy()
    if not used.size:
        return weight
    if not weight.shape[1] and not 0 <= p < math.inf:
        raise ValueError(f"{type(layer).__name__}: norm_type must be finite and not negative for empty rows, got {p}")
    if p and weight.shape[1] == 1:
        p = math.inf  # of one element every norm is its size, and this one does not round
    with np.errstate(all="ignore"):  # rows of zeros, of infinities
        norm = np.linalg.norm(weight[used], p, axis=1).astype(np.float64)
        scale = np.where(norm > most, most / (norm + 1e-7), 1)
        weight[used] *= scale.astype(weight.dtype)[:, None]
    return weight


def _sum_by(place: Array, rows: Array, count: int) -> Array:
    """Rows added up by their place in a table of `count` rows."""
    order = np.argsort(place, kind="stable")
    places, first = np.unique(place[order], return_index=True)
    table = np.zeros((count, rows.shape[1]), rows.dtype)
    table[places] = np.add.reduceat(rows[order], first, axis=0)
    return table


def _table_gradient(layer: Embedding | EmbeddingBag, rows: Array, drows: Array) -> Array:
    """The gradients of what was looked up, added up row by row."""
    if layer.scale_grad_by_freq:
        drows = drows / np.bincount(rows)[rows, None].astype(drows.dtype)
    return _sum_by(rows, drows, layer.num_embeddings)


def _without_padding(layer: Embedding | EmbeddingBag, rows: Array) -> Array:
    """Where something else than the padding is looked up."""
    if layer.padding_idx is None:
        return np.arange(rows.size)
    return np.flatnonzero(rows != layer.padding_idx % layer.num_embeddings)


class _Table:
    """What layers with a table of rows share."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    max_norm: float | None

    @property
    def updated(self) -> tuple[str, ...]:
        """The names of what is changed and comes out behind y."""
        return () if self.max_norm is None else ("weight",)

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """A table from the standard normal distribution, zero in the row of `padding_idx`."""
        weight: Array = rng.standard_normal((self.num_embeddings, self.embedding_dim)).astype(dtype)
        if self.padding_idx is not None:
            weight[self.padding_idx] = 0
        return {"weight": weight}


@dataclass(frozen=True)
class Embedding(_Table):
    """y[...] = weight[x[...]].

    Shapes: x any, int64 or int32; weight (num_embeddings, embedding_dim); y that of x and one axis more. With
    `max_norm` every row looked up whose p-norm (p = `norm_type`) is larger is multiplied by max_norm/(norm + 1e-7)
    before; the table that results is a further output, (y, weight).

    Gradient: row r of dweight is the sum of dy where x = r, divided by their number with `scale_grad_by_freq`, and zero
    for r = `padding_idx`. As in torch these two are no derivative, and with `max_norm` it is the gradient of the rows
    as they are after.

    Raises IndexError for x outside the table, ValueError or TypeError for the rest that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
    """

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None = None
    max_norm: float | None = None
    norm_type: float = 2.0
    scale_grad_by_freq: bool = False

    def __post_init__(self) -> None:
        _check_options(self)

    def __call__(self, x: Array, weight: Array) -> tuple[Outputs, Backward]:
        """y, or (y, weight), and the backward pass."""
        x, weight = _check_arrays(self, x, weight)
        rows = x.ravel()
        if self.max_norm is not None:
            weight = _renormalised(self, weight, rows, self.max_norm)
        y = weight[rows].reshape(*x.shape, self.embedding_dim)

        def backward(dy: Array) -> Gradients:
            drows = _check.cotangent("Embedding", dy, y.shape).reshape(rows.size, self.embedding_dim)
            real = _without_padding(self, rows)
            return {"weight": _table_gradient(self, rows[real], drows[real])}

        return ((y, weight) if self.updated else y), backward


@dataclass(frozen=True)
class EmbeddingBag(_Table):
    """y[b] = the sum, mean or largest, element by element, of weight[x[i]] over the bag of numbers b; 0 if it is empty.

    Shapes: x (B, n) for B bags of n, or (M,) for all bags one after another, with `offsets` (B,) where each begins,
    from 0 on and not decreasing; with `include_last_offset` there is one offset more, where the last bag ends. x and
    offsets are int64 or int32. weight (num_embeddings, embedding_dim), y (B, embedding_dim). In mode "sum",
    `per_sample_weights` of the shape of x multiply the rows. Numbers equal to `padding_idx` are in no bag. With
    `max_norm` the rows are shortened as by `Embedding`, and the outputs are (y, weight).

    Gradient: each row of a bag gets dy[b] times its weight (sum), dy[b] over the number of rows (mean), or the elements
    where it is the largest, of equal ones the first (max); rows add up, divided by their number with
    `scale_grad_by_freq`, which is no derivative. per_sample_weights get Σ dy[b]·weight[x[i]]. As in torch a NaN is the
    largest where it comes first in its bag and is passed over elsewhere, and with `max_norm` it is the gradient of the
    rows as they are after.

    Raises IndexError for x outside the table, ValueError or TypeError for the rest that torch refuses, for offsets that
    decrease, and for none where x holds numbers. What stands behind the last bag is left out, where torch counts it in
    some cases and not in others.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
    """

    num_embeddings: int
    embedding_dim: int
    max_norm: float | None = None
    norm_type: float = 2.0
    scale_grad_by_freq: bool = False
    mode: str = "mean"
    include_last_offset: bool = False
    padding_idx: int | None = None

    def __post_init__(self) -> None:
        _check_options(self)
        _check.choice("EmbeddingBag", "mode", self.mode, MODES)
        if self.mode == "max" and self.scale_grad_by_freq:
            raise ValueError('EmbeddingBag: scale_grad_by_freq must be False with mode="max", got True')

    def __call__(
        self, x: Array, weight: Array, offsets: Array | None = None, per_sample_weights: Array | None = None
    ) -> tuple[Outputs, Backward]:
        """y, or (y, weight), and the backward pass."""
        x, weight = _check_arrays(self, x, weight)
        bounds = self._bounds(x, offsets)
        factors = self._factors(x, weight, per_sample_weights)
        rows = x.ravel()[: bounds[-1]]
        if self.max_norm is not None:
            weight = _renormalised(self, weight, rows, self.max_norm)
        bags = len(bounds) - 1
        # From here on without padding: what was looked up where, and for which bag.
        real = _without_padding(self, rows)
        rows, bag = rows[real], np.repeat(np.arange(bags), np.diff(bounds))[real]
        found, factor = weight[rows], None if factors is None else factors.ravel()[real, None]
        count = np.maximum(np.bincount(bag, minlength=bags), 1).astype(weight.dtype)[:, None]
        winner: Array | None = None
        if self.mode == "max":
            y, winner = _largest(bag, found, bags)
        else:
            y = _sum_by(bag, found if factor is None else found * factor, bags)
            y = y / count if self.mode == "mean" else y

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent("EmbeddingBag", dy, y.shape)
            if winner is not None:
                drows = np.zeros(found.shape, dy.dtype)
                np.put_along_axis(drows, winner, dy[np.unique(bag)], axis=0)
                return {"weight": _table_gradient(self, rows, drows)}
            drows = (dy / count if self.mode == "mean" else dy)[bag]
            if factors is None or factor is None:
                return {"weight": _table_gradient(self, rows, drows)}
            dfactors = np.zeros(factors.size, dy.dtype)
            dfactors[real] = (drows * found).sum(axis=1)
            return {
                "weight": _table_gradient(self, rows, drows * factor),
                "per_sample_weights": dfactors.reshape(factors.shape),
            }

        return ((y, weight) if self.updated else y), backward

    def _bounds(self, x: Array, offsets: Array | None) -> Array:
        """Where each bag begins, and where the last one ends."""
        name = "EmbeddingBag"
        if x.ndim not in (1, 2):
            raise ValueError(f"{name}: x must have 1 or 2 dimensions, got shape {x.shape}")
        if x.ndim == 2:
            if offsets is not None:
                raise ValueError(f"{name}: offsets must be None for bags of one length, x of shape {x.shape}")
            if not x.shape[1]:
                raise ValueError(f"{name}: x must hold bags of at least 1, got shape {x.shape}")
            return np.arange(0, x.size + 1, x.shape[1])
        if offsets is None:
            raise ValueError(f"{name}: offsets must say where bags begin for x of shape {x.shape}, got None")
        bounds = _check_integers(name, "offsets", offsets)
        if bounds.ndim != 1:
            raise ValueError(f"{name}: offsets must have 1 dimension, got shape {bounds.shape}")
        if not self.include_last_offset:
            bounds = np.append(bounds, x.size)
        if bounds[:1] != 0 or (np.diff(bounds) < 0).any() or bounds[-1] > x.size or (x.size and len(bounds) == 1):
            raise ValueError(
                f"{name}: offsets must begin with 0, not decrease and be at most {x.size}, got {np.asarray(offsets)}"
            )
        return bounds

    def _factors(self, x: Array, weight: Array, per_sample_weights: Array | None) -> Array | None:
        """What rows are multiplied by, copied."""
        if per_sample_weights is None:
            return None
        name = "EmbeddingBag"
        _, factors = _check.real(name, weight=weight, per_sample_weights=per_sample_weights)
        if self.mode != "sum":
            raise ValueError(f'{name}: per_sample_weights must be None but for mode="sum", got mode={self.mode!r}')
        _check.shape(name, "per_sample_weights", factors, x.shape)
        return factors.copy()


def _largest(bag: Array, found: Array, bags: int) -> tuple[Array, Array]:
    """The largest of each bag, element by element, and for each bag with rows which row it is.

    As in torch a NaN is never larger than what came before, and what comes after it never larger than it.
    """
    filled, first, group = np.unique(bag, return_index=True, return_inverse=True)
    head = np.zeros((len(found), 1), np.bool_)
    head[first] = True
    value = np.where(np.isnan(found) & ~head, -np.inf, found)
    top = np.maximum.reduceat(value, first, axis=0)[group]
    place = np.where((value == top) | np.isnan(top), np.arange(len(found))[:, None], len(found))
    winner = np.minimum.reduceat(place, first, axis=0)
    y = np.zeros((bags, found.shape[1]), found.dtype)
    y[filled] = np.take_along_axis(found, winner, axis=0)
    return y, winner
