"""Recurrence: one step of each kind of cell, and many steps with all their matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _check
from ._check import Array, Gradients
from ._elementwise import logistic, logistic_slope

# One step takes what the input and the hidden state contribute to the gates, and the states before. It answers the
# states after and its backward pass: from their cotangents those of the two contributions, and of the states as far as
# they enter beside the contributions.
States = Sequence[Array]
Move = Callable[[Array], Array]
StepBackward = Callable[..., tuple[Array, Array, tuple[Any, ...]]]
Step = Callable[..., tuple[tuple[Array, ...], StepBackward]]


def tanh_step(gx: Array, gh: Array, _h: Array) -> tuple[tuple[Array, ...], StepBackward]:
    """h' = tanh(gx + gh)."""
    y = np.tanh(gx + gh)

    def backward(dh: Array) -> tuple[Array, Array, tuple[Any, ...]]:
        d = dh * (1 - y * y)
        return d, d, (0,)

    return (y,), backward


def relu_step(gx: Array, gh: Array, _h: Array) -> tuple[tuple[Array, ...], StepBackward]:
    """h' = max(gx + gh, 0)."""
    y = np.maximum(gx + gh, 0)

    def backward(dh: Array) -> tuple[Array, Array, tuple[Any, ...]]:
        d = np.where(y <= 0, 0, dh)
        return d, d, (0,)

    return (y,), backward


def lstm_step(gx: Array, gh: Array, _h: Array, c: Array) -> tuple[tuple[Array, ...], StepBackward]:
    """c' = f·c + i·g and h' = o·tanh c', with i, f, o = σ and g = tanh of the gates i, f, g, o."""
    gates = np.split(gx + gh, 4, axis=1)
    i, f, o = (logistic(gates[n]) for n in (0, 1, 3))
    g = np.tanh(gates[2])
    after = f * c + i * g
    t = np.tanh(after)

    def backward(dh: Array, dc: Array) -> tuple[Array, Array, tuple[Any, ...]]:
        di, df, do = (logistic_slope(gates[n]) for n in (0, 1, 3))
        dc = dc + dh * o * (1 - t * t)
        d = np.concatenate([dc * g * di, dc * c * df, dc * i * (1 - g * g), dh * t * do], axis=1)
        return d, d, (0, dc * f)

    return (o * t, after), backward


def gru_step(gx: Array, gh: Array, h: Array) -> tuple[tuple[Array, ...], StepBackward]:
    """h' = (1 - z)·n + z·h, with r, z = σ(gx + gh) and n = tanh(gx + r·gh) of the gates r, z, n."""
    rx, zx, nx = np.split(gx, 3, axis=1)
    rh, zh, nh = np.split(gh, 3, axis=1)
    r, z = logistic(rx + rh), logistic(zx + zh)
    n = np.tanh(nx + r * nh)

    def backward(dh: Array) -> tuple[Array, Array, tuple[Any, ...]]:
        dz = dh * (h - n) * logistic_slope(zx + zh)
        # Not dh·(1 - z): where dh is infinite it is NaN, as in torch.
        dn = (dh - dh * z) * (1 - n * n)
        dr = dn * nh * logistic_slope(rx + rh)
        return np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1), (dh * z,)

    return ((h - n) * z + n,), backward


def layout(rank: int, batch_first: bool) -> tuple[Move, Move]:
    """What brings arrays of a layer whose x has this rank to (T, N, *), or states to (layers, N, *); and what back."""
    if rank == 2:
        return lambda a: a[:, None], lambda a: a[:, 0]
    if batch_first:
        return lambda a: a.swapaxes(0, 1), lambda a: a.swapaxes(0, 1)
    return lambda a: a, lambda a: a


def places_of(lengths: Array, steps: int) -> tuple[Array, tuple[Array, Array], Sequence[int]]:
    """Sequences ordered from the longest to the shortest, and the elements that exist.

    Answers the order; where the elements stand, (steps, sequences), those of the first step first; and how many each
    step has.
    """
    order = np.argsort(-lengths, kind="stable")
    step, rank = np.nonzero(np.arange(steps)[:, None] < lengths[order])
    return order, (step, order[rank]), np.bincount(step, minlength=steps).tolist()


def unroll(
    step: Step, x: Array, sizes: Sequence[int], states: States, weights: Mapping[str, Array], *, reverse: bool = False
) -> tuple[Array, list[Array], Callable[[Array, States], tuple[Array, list[Array], Gradients]]]:
    """Steps one after another: the hidden state after each, the states at the end, and the backward pass.

    x holds the rows of all steps, of which step t has sizes[t], one for each of the first sequences; the states (N, …)
    of the other sequences stay as they are. `reverse` goes from the last step to the first. The weights are those of
    torch's cells, and weight_hr where the hidden state is projected.

    The backward pass takes cotangents of the rows and of the states at the end, and answers those of x, of the states
    at the beginning and of the weights, by name.
    """
    ends = np.cumsum(sizes)
    steps = [(slice(end - n, end), n) for end, n in zip(ends, sizes, strict=True)][:: -1 if reverse else 1]
    weight_ih, weight_hh, weight_hr = weights["weight_ih"], weights["weight_hh"], weights.get("weight_hr")
    backwards = []
    with np.errstate(all="ignore"):
        gates = x @ weight_ih.T + weights.get("bias_ih", 0)
        now = [state.copy() for state in states]
        before = [np.empty((len(x), state.shape[1]), x.dtype) for state in states]
        y = np.empty_like(before[0])
        unprojected = y if weight_hr is None else np.empty((len(x), weight_hr.shape[1]), x.dtype)
        for rows, n in steps:
            for kept, state in zip(before, now, strict=True):
                kept[rows] = state[:n]
            recurrent = before[0][rows] @ weight_hh.T + weights.get("bias_hh", 0)
            (unprojected[rows], *rest), back = step(gates[rows], recurrent, *(kept[rows] for kept in before))
            if weight_hr is not None:
                y[rows] = unprojected[rows] @ weight_hr.T
            for state, after in zip(now, (y[rows], *rest), strict=True):
                state[:n] = after
            backwards.append(back)

    def backward(dy: Array, dstates: States) -> tuple[Array, list[Array], Gradients]:
        with np.errstate(all="ignore"):
            dnow = [dstate.copy() for dstate in dstates]
            dh = np.empty_like(y)
            dgates, drecurrent = np.empty_like(gates), np.empty_like(gates)
            for (rows, n), back in zip(reversed(steps), reversed(backwards), strict=True):
                dh[rows] = dy[rows] + dnow[0][:n]
                dmade = dh[rows] if weight_hr is None else dh[rows] @ weight_hr
                dgates[rows], drecurrent[rows], beside = back(dmade, *(d[:n] for d in dnow[1:]))
                for d, share, own in zip(dnow, (drecurrent[rows] @ weight_hh, 0), beside, strict=False):
                    d[:n] = share + own
            grads = {"weight_ih": dgates.T @ x, "weight_hh": drecurrent.T @ before[0]}
            if "bias_ih" in weights:
                grads |= {"bias_ih": dgates.sum(axis=0), "bias_hh": drecurrent.sum(axis=0)}
            if weight_hr is not None:
                grads["weight_hr"] = dh.T @ unprojected
            return dgates @ weight_ih, dnow, grads

    return y, now, backward


def weight_shapes(
    gates: int, inputs: int, hidden: int, projected: int = 0, *, bias: bool
) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a cell, by name."""
    rows = gates * hidden
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, projected or hidden)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if projected:
        shapes["weight_hr"] = (projected, hidden)
    return shapes


def check_state(layer: str, x: Array, name: str, given: Any, expected: tuple[int, ...]) -> Array:
    """A state of this shape in x's dtype; zeros where none is given."""
    if given is None:
        return np.zeros(expected, x.dtype)
    _, state = _check.real(layer, x=x, **{name: given})
    _check.shape(layer, name, state, expected)
    return state


def check_both(layer: str, h_0: Any, c_0: Any) -> None:
    """ValueError where one of the states is given without the other."""
    if (h_0 is None) != (c_0 is None):
        raise ValueError(
            f"{layer}: h_0 and c_0 must be given both or neither, {'c_0' if c_0 is None else 'h_0'} is missing"
        )


def fresh_weights(
    rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]], hidden: int, dtype: type
) -> dict[str, Array]:
    """Weights uniform in ±1/√hidden, as torch draws them."""
    bound = 1 / math.sqrt(hidden) if hidden else 0.0
    return {name: rng.uniform(-bound, bound, shape).astype(dtype) for name, shape in shapes.items()}
