"""Bugs in recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradjury.oracle.vjp import Array

from . import contracts
from .bug import Bug


class RNN:
    """h_t = tanh(W·x_t + b + U·h_(t-1) + c) in several layers, all as wide as x; y is the last layer's h, then every
    layer's last h.
    """

    def __call__(
        self, x: Array, h: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array
    ) -> tuple[tuple[Array, Array], Any]:
        """Outputs and the backward pass through time."""
        inputs, states = [x], []
        for w, u, b, c, start in zip(weight_ih, weight_hh, bias_ih, bias_hh, h, strict=True):
            state = [start]
            for x_t in inputs[-1]:
                state.append(self._step(x_t @ w.T + b, state[-1] @ u.T, b, c))
            states.append(state)
            inputs.append(np.stack(state[1:]))
        last = np.stack([state[-1] for state in states])

        def backward(dy: Array, dlast: Array) -> dict[str, Array]:
            dh, dw, du = np.zeros_like(h), np.zeros_like(weight_ih), np.zeros_like(weight_hh)
            dbias = np.zeros_like(bias_ih)
            above = dy
            for layer in reversed(range(len(h))):
                below = np.zeros_like(inputs[layer])
                carry = dlast[layer]
                for t in reversed(range(len(x))):
                    d = (above[t] + carry) * (1 - states[layer][t + 1] ** 2)
                    below[t], carry = d @ weight_ih[layer], d @ weight_hh[layer]
                    dw[layer] += d.T @ inputs[layer][t]
                    du[layer] += d.T @ states[layer][t]
                    dbias[layer] += d.sum(axis=0)
                dh[layer], above = carry, below
            one, other = self._bias_gradients(dbias)
            return {"x": above, "h": dh, "weight_ih": dw, "weight_hh": du, "bias_ih": one, "bias_hh": other}

        return (inputs[-1].copy(), last), backward

    def _step(self, from_x: Array, from_h: Array, b: Array, c: Array) -> Array:  # noqa: ARG002
        """The next state; `from_x` has its bias already."""
        return np.asarray(np.tanh(from_x + from_h + c))

    def _bias_gradients(self, dbias: Array) -> tuple[Array, Array]:
        """Both biases are added to the same sum, so their gradients are the same."""
        return dbias, dbias.copy()


class RNNBiasTwice(RNN):
    """The bias of the input is in the projection of x, and is added again in every step."""

    def _step(self, from_x: Array, from_h: Array, b: Array, c: Array) -> Array:
        return np.asarray(np.tanh(from_x + from_h + b + c))

    def _bias_gradients(self, dbias: Array) -> tuple[Array, Array]:
        return 2 * dbias, dbias


class RNNBiasOffset(RNN):
    """In one buffer of all bias gradients, layers are set one bias apart, not two: the last stay zero."""

    def _bias_gradients(self, dbias: Array) -> tuple[Array, Array]:
        layers, width = dbias.shape
        buffer = np.zeros(layers * 2 * width, dbias.dtype)
        for layer in reversed(range(layers)):
            buffer[layer * width : (layer + 2) * width] = np.tile(dbias[layer], 2)
        pairs = buffer.reshape(layers, 2, width)
        return pairs[:, 0].copy(), pairs[:, 1].copy()


class LSTMCell:
    """c' = σ(f)·c + σ(i)·tanh g, h' = σ(o)·tanh c'; i, f, g, o are the quarters of W·x + b + U·h + d."""

    def __call__(
        self, x: Array, h: Array, c: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array
    ) -> tuple[tuple[Array, Array], Any]:
        """Outputs h', c' and their backward pass."""
        sums = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
        i, f, g, o = np.split(sums, 4, axis=1)
        i, f, o = map(_sigmoid, (i, f, o))
        g = np.tanh(g)
        after = f * c + i * g
        shown = np.tanh(after)

        def backward(dh: Array, dc: Array) -> dict[str, Array]:
            d = dc + dh * o * (1 - shown * shown)
            parts = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g * g), dh * shown * o * (1 - o)]
            dsums = np.concatenate(parts, axis=1)
            dbias = np.concatenate([part.sum(axis=0) for part in self._bias_parts(parts)])
            return {
                "x": dsums @ weight_ih,
                "h": dsums @ weight_hh,
                "c": d * f,
                "weight_ih": dsums.T @ x,
                "weight_hh": dsums.T @ h,
                "bias_ih": dbias,
                "bias_hh": dbias.copy(),
            }

        return (o * shown, after), backward

    def _bias_parts(self, parts: list[Array]) -> list[Array]:
        return parts


class LSTMForgetGateBias(LSTMCell):
    """The bias gradients of the input and the output gate are those of the forget gate."""

    def _bias_parts(self, parts: list[Array]) -> list[Array]:
        _, forget, candidate, _ = parts
        return [forget, forget, candidate, forget]


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


BUGS = [
    Bug(
        "rnn: bias counted twice",
        "DeepLearningTutorials",
        "https://github.com/lisa-lab/DeepLearningTutorials/issues/81",
        "The bias was in the projection of the inputs and was added once more in every step.",
        RNN,
        RNNBiasTwice,
        contracts.RNN,
    ),
    Bug(
        "rnn: bias gradients of upper layers",
        "Apache MXNet",
        "https://github.com/apache/mxnet/pull/17872",
        "The offset of a layer in the buffer of bias gradients forgot that each layer has two; upper ones stayed zero.",
        RNN,
        RNNBiasOffset,
        contracts.RNN,
    ),
    Bug(
        "lstm: biases of the wrong gate",
        "learn_dl",
        "https://github.com/hanbt/learn_dl/issues/53",
        "The bias gradients of the input and output gates were those of the forget gate, copied and not changed.",
        LSTMCell,
        LSTMForgetGateBias,
        contracts.LSTMCell,
    ),
]
