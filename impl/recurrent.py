"""Recurrent layers: cells that run over sequences, in both directions, one layer above another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from . import _check
from ._check import Array, Gradients
from ._parameters import parameters
from ._recurrence import (
    Step,
    check_both,
    check_state,
    fresh_weights,
    gru_step,
    layout,
    lstm_step,
    places_of,
    relu_step,
    tanh_step,
    unroll,
    weight_shapes,
)
from .dropout import Dropout

Shape = tuple[int, ...]
Answer = tuple[tuple[Array, ...], Callable[..., Gradients]]


class _Recurrent(ABC):
    """What all of them share; a class says which options it has, which step it is, and what its states are called."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    training: bool

    _gates: ClassVar[int]

    def __post_init__(self) -> None:
        name = type(self).__name__
        for option in ("input_size", "hidden_size", "num_layers"):
            _check.integer(name, option, getattr(self, option), least=1)
        for option in ("bias", "batch_first", "bidirectional"):
            if not isinstance(getattr(self, option), bool):
                raise TypeError(f"{name}: {option} must be True or False, got {getattr(self, option)!r}")
        _check.number(name, "dropout", self.dropout)
        if isinstance(self.dropout, bool) or not 0 <= self.dropout <= 1:
            raise ValueError(f"{name}: dropout must be a probability, from 0 to 1, got {self.dropout}")

    @property
    @abstractmethod
    def _step(self) -> Step:
        """What it does at each step."""

    @property
    def _projected(self) -> int:
        """The length that the hidden state is projected to, 0 where it is not."""
        return 0

    @property
    def _width(self) -> int:
        """The length of the hidden state."""
        return self._projected or self.hidden_size

    @property
    def _suffixes(self) -> list[list[str]]:
        """How the names of the weights end, by layer and direction."""
        ways = ("", "_reverse") if self.bidirectional else ("",)
        return [[f"_l{layer}{way}" for way in ways] for layer in range(self.num_layers)]

    @property
    def _shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {}
        for layer, suffixes in enumerate(self._suffixes):
            inputs = len(suffixes) * self._width if layer else self.input_size
            cell = weight_shapes(self._gates, inputs, self.hidden_size, self._projected, bias=self.bias)
            shapes |= {name + suffix: shape for suffix in suffixes for name, shape in cell.items()}
        return shapes

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√hidden_size as torch draws them."""
        return fresh_weights(rng, self._shapes, self.hidden_size, dtype)

    def noise(self, rng: np.random.Generator, shape: Shape, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """A mask for an x of this shape: True, with probability 1 - dropout. A mask has no use for dtype."""
        return {"mask": np.asarray(rng.random(self._mask_shape(shape)) >= self.dropout)}

    def _mask_shape(self, shape: Shape) -> Shape:
        return (self.num_layers - 1, *shape[:-1], len(self._suffixes[0]) * self._width)

    def _checked_mask(self, x: Array, mask: Any) -> Array | None:
        """The mask, where it is looked at."""
        name = type(self).__name__
        if mask is not None and (mask := np.asarray(mask)).dtype != np.bool_:
            raise TypeError(
                f"{name}: mask must hold truth values, True where something is kept, got dtype {mask.dtype}"
            )
        if not (self.training and 0 < self.dropout < 1 and self.num_layers > 1 and x.size):
            return None
        if mask is None:
            raise ValueError(
                f"{name}: mask is missing, which dropout takes in training; draw one with layer.noise(rng, x.shape), "
                "or set training=False"
            )
        kept = np.asarray(mask)
        _check.shape(name, "mask", kept, self._mask_shape(x.shape))
        return kept

    def _checked_lengths(self, x: Array, lengths: Any, batch: int, steps: int) -> Array:
        """The length of each sequence."""
        name = type(self).__name__
        if lengths is None:
            return np.full(batch, steps)
        lengths = np.asarray(lengths)
        if not np.issubdtype(lengths.dtype, np.integer):
            raise TypeError(f"{name}: lengths must hold integers, got dtype {lengths.dtype}")
        if x.ndim == 2 or not batch:
            raise ValueError(f"{name}: lengths must be those of the sequences of a batch, got x of shape {x.shape}")
        _check.shape(name, "lengths", lengths, (batch,))
        if lengths.min() < 1 or lengths.max() > steps:
            raise ValueError(f"{name}: lengths must be from 1 to {steps}, the steps of x, got {lengths.tolist()}")
        return np.asarray(lengths, np.int64)

    def _forward(
        self, x: Array, states: Mapping[str, tuple[Any, int]], lengths: Any, mask: Any, given: Mapping[str, Array]
    ) -> Answer:
        """The output and the states at the end, and the backward pass; each state comes with its length."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: x must be sequences of {self.input_size} numbers, (T, N, {self.input_size}) or "
                f"(N, T, {self.input_size}) with batch_first or (T, {self.input_size}), got shape {x.shape}"
            )
        inward, outward = layout(x.ndim, self.batch_first)
        states_inward, states_outward = layout(x.ndim, batch_first=False)
        sequences = inward(x)
        steps, batch, _ = sequences.shape
        if not steps:
            raise ValueError(f"{name}: x must have at least one step, got shape {x.shape}")
        lengths = self._checked_lengths(x, lengths, batch, steps)
        mask = self._checked_mask(x, mask)
        weights = parameters(name, given, self._shapes, x=x)
        count = sum(map(len, self._suffixes))
        before = []
        for state, (a, width) in states.items():
            shape = (count, width) if x.ndim == 2 else (count, batch, width)
            before.append(states_inward(check_state(name, x, state, a, shape)))

        longest = int(lengths.max()) if batch else steps
        order, places, sizes = places_of(lengths, longest)
        kept = [None] * (self.num_layers - 1) if mask is None else [inward(part)[places] for part in mask]
        starts = [[state[number, order] for state in before] for number in range(count)]
        rows, ends, back = self._stack(sequences[places], sizes, starts, kept, weights)

        def in_order(parts: list[list[Array]], number: int) -> Array:
            """One state of all layers and directions, in the layout and order of x."""
            state = np.empty((count, batch, parts[0][number].shape[1]), x.dtype)
            state[:, order] = [part[number] for part in parts]
            return states_outward(state)

        y = np.zeros((longest, batch, rows.shape[1]), x.dtype)
        y[places] = rows
        answer = (outward(y), *(in_order(ends, number) for number in range(len(before))))
        names = ("dy", *(f"d{state[0]}_n" for state in states))

        def backward(*cotangents: Array) -> Gradients:
            dy, *dafter = (
                _check.cotangent(name, d, a.shape, n) for n, a, d in zip(names, answer, cotangents, strict=True)
            )
            dafter = [states_inward(d) for d in dafter]
            dends = [[d[number, order] for d in dafter] for number in range(count)]
            drows, dstarts, grads = back(inward(dy)[places], dends)
            dx = np.zeros(sequences.shape, x.dtype)
            dx[places] = drows
            dstates = {n: in_order(dstarts, k) for k, (n, (a, _)) in enumerate(states.items()) if a is not None}
            return {"x": outward(dx), **dstates, **grads}

        return answer, backward

    def _stack(
        self,
        rows: Array,
        sizes: Sequence[int],
        starts: list[list[Array]],
        kept: Sequence[Array | None],
        weights: Mapping[str, Array],
    ) -> tuple[
        Array, list[list[Array]], Callable[[Array, list[list[Array]]], tuple[Array, list[list[Array]], Gradients]]
    ]:
        """All layers, over rows as `unroll` takes them and the states of all layers and directions.

        `kept` is what dropout keeps before each layer but the first.
        """
        ends: list[list[Array]] = []
        backs: list[Any] = []
        drops: list[Any] = []
        for layer, suffixes in enumerate(self._suffixes):
            if layer:
                rows, drop = Dropout(self.dropout, training=self.training)(rows, kept[layer - 1])
                drops.append(drop)
            outputs = []
            for way, suffix in enumerate(suffixes):
                own = {n.removesuffix(suffix): a for n, a in weights.items() if n.endswith(suffix)}
                output, end, back = unroll(self._step, rows, sizes, starts[len(backs)], own, reverse=way == 1)
                outputs.append(output)
                ends.append(end)
                backs.append(back)
            rows = np.concatenate(outputs, axis=1)

        def backward(drows: Array, dends: list[list[Array]]) -> tuple[Array, list[list[Array]], Gradients]:
            dstarts: list[list[Array]] = []
            grads: Gradients = {}
            left = list(zip(backs, dends, strict=True))
            for layer, suffixes in reversed(list(enumerate(self._suffixes))):
                below = []
                parts = np.split(drows, len(suffixes), axis=1)
                for suffix, part in reversed(list(zip(suffixes, parts, strict=True))):
                    back, dend = left.pop()
                    share, dstart, own = back(part, dend)
                    below.append(share)
                    dstarts.insert(0, dstart)
                    grads |= {n + suffix: d for n, d in own.items()}
                drows = sum(below)
                if layer:
                    drows = drops[layer - 1](drows)["x"]
            return drows, dstarts, grads

        return rows, ends, backward


class _Plain(_Recurrent):
    """A layer whose only state is the hidden one."""

    def __call__(
        self,
        x: Array,
        hx: Array | None = None,
        lengths: Array | None = None,
        mask: Array | None = None,
        **params: Array,
    ) -> Answer:
        """(output, h_n) and the backward pass."""
        return self._forward(x, {"hx": (hx, self.hidden_size)}, lengths, mask, params)


@dataclass(frozen=True)
class RNN(_Plain):
    """Elman's network: h_t = tanh(W_ih·x_t + b_ih + W_hh·h_(t-1) + b_hh), or the positive part instead of tanh.

    y, backward = layer(x, hx, lengths, mask, weight_ih_l0=…, weight_hh_l0=…, …): the answer is (output, h_n), and
    backward takes a cotangent of each. All but x and the parameters may be left out.

    Shapes, with D = 2 where `bidirectional`, else 1, and H = hidden_size: x (T, N, input_size), with `batch_first` (N,
    T, input_size), or (T, input_size) without a batch; output the same with D·H numbers; hx, the states at the
    beginning, and h_n, those at the end, (num_layers·D, N, H) or (num_layers·D, H), zeros where there is no hx.
    Parameters, for each layer k, with the suffix "_reverse" for the second direction: weight_ih_lk (H, input_size), or
    (H, D·H) above the first layer, weight_hh_lk (H, H), and with `bias` bias_ih_lk and bias_hh_lk (H,). Arrays share
    one floating dtype.

    Each layer runs over the output of the one below; a second direction from the end to the beginning stands behind the
    first in the output. In training the output of each layer but the last is dropped with probability `dropout` as by
    `Dropout`, where `mask` (num_layers - 1, …), each part in the shape of a layer's output, is True where it is kept.

    `lengths`, integers (N,), are those of sequences of different lengths in a batch, as by pack_padded_sequence before
    and pad_packed_sequence behind torch's layer: what stands behind the end of a sequence counts for nothing and has
    gradient 0, the output is 0 there and as long as the longest sequence, and h_n is the state at each sequence's end.

    Gradient: that of the cell at each step, from the last to the first; the cotangent of a state is that of the step's
    output and what the step after it hands back. Those of the weights are sums over all steps.

    Raises ValueError for options and shapes that torch refuses, among them sequences without steps; TypeError for
    arrays of another kind.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html; Elman, Finding Structure in Time, 1990.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    nonlinearity: str = "tanh"
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    training: bool = field(default=True, kw_only=True)

    _gates = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check.choice("RNN", "nonlinearity", self.nonlinearity, ("tanh", "relu"))

    @property
    def _step(self) -> Step:
        return tanh_step if self.nonlinearity == "tanh" else relu_step


@dataclass(frozen=True)
class GRU(_Plain):
    """Gated recurrent units: `GRUCell` at each step of a sequence.

    h_t = (1 - z)·n + z·h_(t-1), with r, z = σ(W·x_t + b + U·h_(t-1) + u) and n = tanh(W·x_t + b + r·(U·h_(t-1) + u)).

    Call, shapes, layers, directions, dropout, lengths, gradient and errors are as for `RNN`, with three times as many
    rows in weights and biases: the gates r, z, n. The gradients of the two biases differ in n.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html; Cho et al., Learning Phrase
    Representations using RNN Encoder-Decoder for Statistical Machine Translation, 2014.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    training: bool = field(default=True, kw_only=True)

    _gates = 3

    @property
    def _step(self) -> Step:
        return gru_step


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Long short-term memory: `LSTMCell` at each step of a sequence.

    c_t = f·c_(t-1) + i·g and h_t = o·tanh c_t, with i, f, o = σ and g = tanh of W_ih·x_t + b_ih + W_hh·h_(t-1) + b_hh.
    With `proj_size` P above 0 the hidden state is h_t = W_hr·(o·tanh c_t) instead.

    y, backward = layer(x, h_0, c_0, lengths, mask, weight_ih_l0=…, …): the answer is (output, h_n, c_n), and backward
    takes a cotangent of each. The states h_0 and c_0 are given both or neither.

    Shapes, layers, directions, dropout, lengths, gradient and errors are as for `RNN`, with four times as many rows in
    weights and biases: the gates i, f, g, o. c_0 and c_n have hidden_size numbers. With `proj_size` the output, h_0,
    h_n and what weight_hh takes have P numbers (for each direction) instead of hidden_size, and each layer and
    direction has a weight_hr_lk (P, hidden_size); P must be below hidden_size.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html; Hochreiter, Schmidhuber, Long Short-Term
    Memory, 1997; the projection: Sak et al., Long Short-Term Memory Based Recurrent Neural Network Architectures for
    Large Vocabulary Speech Recognition, 2014.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    proj_size: int = 0
    training: bool = field(default=True, kw_only=True)

    _gates = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if _check.integer("LSTM", "proj_size", self.proj_size, least=0) >= self.hidden_size:
            raise ValueError(f"LSTM: proj_size must be below hidden_size={self.hidden_size}, got {self.proj_size}")

    @property
    def _step(self) -> Step:
        return lstm_step

    @property
    def _projected(self) -> int:
        return self.proj_size

    def __call__(
        self,
        x: Array,
        h_0: Array | None = None,
        c_0: Array | None = None,
        lengths: Array | None = None,
        mask: Array | None = None,
        **params: Array,
    ) -> Answer:
        """(output, h_n, c_n) and the backward pass."""
        check_both("LSTM", h_0, c_0)
        states = {"h_0": (h_0, self._width), "c_0": (c_0, self.hidden_size)}
        return self._forward(x, states, lengths, mask, params)
