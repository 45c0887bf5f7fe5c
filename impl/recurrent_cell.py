"""Recurrent cells: one step of a recurrent layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._parameters import parameters
from ._recurrence import (
    Step,
    check_both,
    check_state,
    fresh_weights,
    gru_step,
    lstm_step,
    relu_step,
    tanh_step,
    unroll,
    weight_shapes,
)


@dataclass(frozen=True)
class _Cell(ABC):
    """What all of them share; a class says which step it is, and has a call with its states by name."""

    input_size: int
    hidden_size: int
    bias: bool = True

    _gates: ClassVar[int]

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check.integer(name, "input_size", self.input_size, least=0)
        _check.integer(name, "hidden_size", self.hidden_size, least=0)

    @property
    @abstractmethod
    def _step(self) -> Step:
        """What it does at each step."""

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return weight_shapes(self._gates, self.input_size, self.hidden_size, bias=self.bias)

    def _forward(
        self, x: Array, states: dict[str, Array | None], outputs: tuple[str, ...], *weights: Array | None
    ) -> tuple[list[Array], Callable[..., Gradients]]:
        """The states after the step; a backward pass that takes cotangents of the outputs, whose names these are."""
        name = type(self).__name__
        (x,) = _check.real(name, x=x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(f"{name}: x must have shape (N, {self.input_size}) or ({self.input_size},), got {x.shape}")
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        given = {n: a for n, a in zip(names, weights, strict=True) if a is not None}
        own = parameters(name, given, self._shapes, x=x)
        shape = (*x.shape[:-1], self.hidden_size)
        before = [check_state(name, x, n, a, shape) for n, a in states.items()]

        batch, inner = np.atleast_2d(x), [np.atleast_2d(state) for state in before]
        _, after, back = unroll(self._step, batch, [len(batch)], inner, own)

        def backward(*cotangents: Array) -> Gradients:
            dafter = [
                np.atleast_2d(_check.cotangent(name, dy, shape, output))
                for output, dy in zip(outputs, cotangents, strict=True)
            ]
            dx, dbefore, grads = back(np.zeros_like(dafter[0]), dafter)
            dstates = {n: _check.like(d, x) for (n, a), d in zip(states.items(), dbefore, strict=True) if a is not None}
            return {"x": _check.like(dx, x), **dstates, **grads}

        return [_check.like(state, x) for state in after], backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, uniform in ±1/√hidden_size as torch draws them."""
        return fresh_weights(rng, self._shapes, self.hidden_size, dtype)


@dataclass(frozen=True)
class _PlainCell(_Cell):
    """A cell whose only state is the hidden one."""

    def __call__(
        self,
        x: Array,
        hx: Array | None = None,
        weight_ih: Array | None = None,
        weight_hh: Array | None = None,
        bias_ih: Array | None = None,
        bias_hh: Array | None = None,
    ) -> tuple[Array, Backward]:
        """The hidden state after the step, and the backward pass."""
        (y,), backward = self._forward(x, {"hx": hx}, ("dy",), weight_ih, weight_hh, bias_ih, bias_hh)
        return y, backward


@dataclass(frozen=True)
class RNNCell(_PlainCell):
    """h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh), or the positive part instead of tanh.

    Shapes: x (N, input_size) or (input_size,), hx and y = h' (N, hidden_size) or (hidden_size,), weight_ih
    (hidden_size, input_size), weight_hh (hidden_size, hidden_size), bias_ih and bias_hh (hidden_size,), both given
    where `bias`. Arrays share one floating dtype. Without hx, h is 0.

    Gradient, with d = dy·(1 - y²), or dy where y > 0 and else 0: dx = d·W_ih, dhx = d·W_hh, dW_ih = dᵀ·x, dW_hh = dᵀ·h,
    and each bias has Σ d over the batch. NaN passes the cotangent of the positive part, as in torch.

    Raises ValueError for options and shapes that torch refuses, TypeError for arrays that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html; Elman, Finding Structure in Time,
    1990.
    """

    nonlinearity: str = "tanh"

    _gates = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check.choice("RNNCell", "nonlinearity", self.nonlinearity, ("tanh", "relu"))

    @property
    def _step(self) -> Step:
        return tanh_step if self.nonlinearity == "tanh" else relu_step


@dataclass(frozen=True)
class GRUCell(_PlainCell):
    """h' = (1 - z)·n + z·h, with r, z = σ(W·x + b + U·h + u) and n = tanh(W·x + b + r·(U·h + u)).

    W and b are the gate's rows of weight_ih and bias_ih, U and u those of weight_hh and bias_hh, in the order r, z, n.
    As in torch the reset gate r comes after the matrix product, not before it as in the paper.

    Shapes: x (N, input_size) or (input_size,), hx and y = h' (N, hidden_size) or (hidden_size,), weight_ih
    (3·hidden_size, input_size), weight_hh (3·hidden_size, hidden_size), bias_ih and bias_hh (3·hidden_size,), both
    given where `bias`. Arrays share one floating dtype. Without hx, h is 0.

    Gradient: with d the cotangents of the three sums inside σ and tanh, dn = dy·(1 - z)·(1 - n²), dz = dy·(h - n)·σ′,
    dr = dn·(U_n·h + u_n)·σ′, and e the same but dn·r for dn: dx = d·W, dhx = e·U + dy·z, dW_ih = dᵀ·x, dW_hh = eᵀ·h,
    db_ih = Σ d and db_hh = Σ e over the batch.

    Raises ValueError for options and shapes that torch refuses, TypeError for arrays that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html; Cho et al., Learning Phrase
    Representations using RNN Encoder-Decoder for Statistical Machine Translation, 2014.
    """

    _gates = 3

    @property
    def _step(self) -> Step:
        return gru_step


@dataclass(frozen=True)
class LSTMCell(_Cell):
    """c' = f·c + i·g and h' = o·tanh c', with i, f, o = σ and g = tanh of W_ih·x + b_ih + W_hh·h + b_hh.

    The rows of the weights and biases are those of the gates i, f, g, o, in this order.

    Shapes: x (N, input_size) or (input_size,), the states h_0, c_0 and the outputs (h', c') (N, hidden_size) or
    (hidden_size,), weight_ih (4·hidden_size, input_size), weight_hh (4·hidden_size, hidden_size), bias_ih and bias_hh
    (4·hidden_size,), both given where `bias`. Arrays share one floating dtype. The states are given both or neither;
    without them they are 0.

    Gradient, from cotangents dh and dc: with e = dc + dh·o·(1 - tanh² c') and d the cotangents of the four sums, di =
    e·g·σ′, df = e·c·σ′, dg = e·i·(1 - g²), do = dh·tanh c'·σ′: dx = d·W_ih, dh_0 = d·W_hh, dc_0 = e·f, dW_ih = dᵀ·x,
    dW_hh = dᵀ·h, and each bias has Σ d over the batch.

    Raises ValueError for options and shapes that torch refuses, TypeError for arrays that are not floating point.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html; Hochreiter, Schmidhuber, Long
    Short-Term Memory, 1997; the forget gate: Gers et al., Learning to Forget, 2000.
    """

    _gates = 4

    @property
    def _step(self) -> Step:
        return lstm_step

    def __call__(
        self,
        x: Array,
        h_0: Array | None = None,
        c_0: Array | None = None,
        weight_ih: Array | None = None,
        weight_hh: Array | None = None,
        bias_ih: Array | None = None,
        bias_hh: Array | None = None,
    ) -> tuple[tuple[Array, ...], Callable[..., Any]]:
        """The hidden state and the cell state after the step, and the backward pass."""
        check_both("LSTMCell", h_0, c_0)
        states = {"h_0": h_0, "c_0": c_0}
        after, backward = self._forward(x, states, ("dh_1", "dc_1"), weight_ih, weight_hh, bias_ih, bias_hh)
        return tuple(after), backward
