"""Bugs in layers that pick, place and move elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


class Embedding:
    """y = weight[x]; dweight adds each dy to the row it came from."""

    def __call__(self, x: Array, weight: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""

        def backward(dy: Array) -> dict[str, Array]:
            dweight = np.zeros_like(weight)
            self._put(dweight, x, dy)
            return {"weight": dweight}

        return weight[x], backward

    def _put(self, dweight: Array, x: Array, dy: Array) -> None:
        np.add.at(dweight, x, dy)


class EmbeddingOverwrites(Embedding):
    """+= on fancy indices: of a repeated row the last counts."""

    def _put(self, dweight: Array, x: Array, dy: Array) -> None:
        dweight[x] += dy


@dataclass(frozen=True)
class Gather:
    """y[i] = x[index[i]] along `dim`; dx adds each dy to the element it came from."""

    dim: int

    def __call__(self, x: Array, index: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        places: list[Array] = list(np.indices(index.shape, sparse=True))
        places[self.dim] = index

        def backward(dy: Array) -> dict[str, Array]:
            dx = np.zeros_like(x)
            self._put(dx, tuple(places), dy)
            return {"x": dx}

        return x[tuple(places)], backward

    def _put(self, dx: Array, places: tuple[Array, ...], dy: Array) -> None:
        np.add.at(dx, places, dy)


class GatherOverwrites(Gather):
    """Scatters back with =."""

    def _put(self, dx: Array, places: tuple[Array, ...], dy: Array) -> None:
        dx[places] = dy


@dataclass(frozen=True)
class IndexFill:
    """x with the slices in `index` along `dim` replaced by a number; dvalue = Σ dy there, dx is zero there."""

    dim: int

    def __call__(self, x: Array, index: Array, value: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        filled = np.zeros(x.shape, bool)
        np.moveaxis(filled, self.dim, 0)[index] = True

        def backward(dy: Array) -> dict[str, Array]:
            dvalue = dy.take(self._counted(index), axis=self.dim).sum()
            return {"x": np.where(filled, 0, dy), "value": np.asarray(dvalue)}

        return np.where(filled, value, x), backward

    def _counted(self, index: Array) -> Array:
        return np.unique(index)


class IndexFillRepeats(IndexFill):
    """A slice that is named twice counts twice."""

    def _counted(self, index: Array) -> Array:
        return index


@dataclass(frozen=True)
class PackSegments:
    """The rows of x, cut into segments of these lengths, each padded with zeros or cut to `max_length`."""

    lengths: tuple[int, ...]
    max_length: int

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        y = np.zeros((len(self.lengths), self.max_length, *x.shape[1:]), x.dtype)
        starts = np.cumsum((0, *self.lengths))
        kept = [min(length, self.max_length) for length in self.lengths]
        for segment, start, count in zip(y, starts, kept, strict=False):
            segment[:count] = x[start : start + count]

        def backward(dy: Array) -> dict[str, Array]:
            dx = self._buffer(x)
            for dsegment, start, count in zip(dy, starts, kept, strict=False):
                dx[start : start + count] = dsegment[:count]
            return {"x": dx}

        return y, backward

    def _buffer(self, x: Array) -> Array:
        return np.zeros_like(x)


class PackSegmentsUninitialised(PackSegments):
    """The gradient is allocated and not cleared: rows that were cut off hold what memory held."""

    def _buffer(self, x: Array) -> Array:
        return np.empty_like(x)


@dataclass(frozen=True)
class Slice:
    """y = x[start:stop:step]; dx has dy there and zeros elsewhere."""

    start: int | None = None
    stop: int | None = None
    step: int = 1

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""

        def backward(dy: Array) -> dict[str, Array]:
            dx = np.zeros_like(x)
            dx[self._region(len(x))] = dy
            return {"x": dx}

        return x[self.start : self.stop : self.step].copy(), backward

    def _region(self, n: int) -> slice:  # noqa: ARG002
        return slice(self.start, self.stop, self.step)


class SliceOfOne(Slice):
    """A step that selects a single row is forgotten, and the row's gradient goes to all rows up to `stop`."""

    def _region(self, n: int) -> slice:
        selected = range(n)[self.start : self.stop : self.step]
        return slice(self.start, self.stop) if len(selected) == 1 else super()._region(n)


@dataclass(frozen=True)
class Pad:
    """x with its last axes widened, the widths in torch's order (last axis first); dx is the inner part of dy."""

    widths: tuple[int, ...]
    value: float = 0.0

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        pairs = [(0, 0)] * (x.ndim - len(self.widths) // 2)
        pairs += list(zip(self.widths[::2], self.widths[1::2], strict=True))[::-1]
        inner = tuple(slice(before, before + n) for (before, _), n in zip(pairs, x.shape, strict=True))
        return np.pad(x, pairs, constant_values=self.value), lambda dy: {"x": self._inner(x, dy[inner])}

    def _inner(self, x: Array, dx: Array) -> Array:  # noqa: ARG002
        return dx.copy()


class PadAnswersInput(Pad):
    """The backward answers x."""

    def _inner(self, x: Array, dx: Array) -> Array:  # noqa: ARG002
        return x.copy()


BUGS = [
    Bug(
        "embedding: repeated rows",
        "PyTensor (MLX)",
        "https://github.com/pymc-devs/pytensor/pull/2242",
        "Rows that are looked up several times kept one of their gradients instead of the sum.",
        Embedding,
        EmbeddingOverwrites,
        contracts.Embedding,
    ),
    Bug(
        "gather: repeated indices",
        "PyTorch",
        "https://github.com/pytorch/pytorch/issues/1631",
        "The backward scattered with assignment, so an element gathered twice got one gradient.",
        Gather,
        GatherOverwrites,
        contracts.Gather,
    ),
    Bug(
        "index_fill: repeated indices",
        "PyTorch",
        "https://github.com/pytorch/pytorch/issues/57006",
        "The gradient of the value counted a slice as often as its index was given, though it is filled once.",
        IndexFill,
        IndexFillRepeats,
        contracts.IndexFill,
    ),
    Bug(
        "pack_segments: uninitialised gradient",
        "FBGEMM",
        "https://github.com/pytorch/FBGEMM/pull/5754",
        "The gradient buffer was not cleared; rows beyond max_length are never written and held garbage.",
        PackSegments,
        PackSegmentsUninitialised,
        contracts.PackSegments,
    ),
    Bug(
        "slice: a single row",
        "MLX",
        "https://github.com/ml-explore/mlx/issues/4444",
        "A strided slice that selects one row spread that row's gradient over the whole span.",
        Slice,
        SliceOfOne,
        contracts.Slice,
    ),
    Bug(
        "pad: the input for a gradient",
        "Torch7",
        "https://github.com/torch/nn/pull/344",
        "The backward answered the input instead of the gradient.",
        Pad,
        PadAnswersInput,
        contracts.Pad,
    ),
]
