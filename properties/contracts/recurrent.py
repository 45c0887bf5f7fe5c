"""Contracts of the recurrent layers: torch's, with the lengths of the sequences and the noise of dropout as inputs.

Tests hold the formula against torch.nn, with the noise that torch drew.
"""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Formula
from ..values import Given, Mask, Real, Spec
from .recurrent_cell import OPTIONS, cell_weights


def recurrent(layer, x, hx=None, h_0=None, c_0=None, lengths=None, mask=None, training=True, **given):  # type: ignore[no-untyped-def]
    """torch's own layer, on packed sequences where there are lengths; where dropout draws, one layer at a time.

    Lengths and states that torch takes for packed sequences without looking are refused; see docs/discrepancies.md.
    """
    weights = {name: a for name, a in given.items() if name.startswith(("weight_", "bias_"))}
    options = {name: value for name, value in given.items() if name not in weights}
    whole = getattr(torch.nn, layer)(**options, device="meta").train(training)
    first, ways, width = whole.batch_first, 1 + whole.bidirectional, whole.proj_size or whole.hidden_size
    states = [a for a in (hx, h_0, c_0) if a is not None]
    # torch reads a weight of another shape as if it had the right one.
    shapes = {name: a.shape for name, a in weights.items()}
    if shapes != {name: a.shape for name, a in whole.state_dict().items()} or (layer == "LSTM" and len(states) == 1):
        raise ValueError(f"parameters {', '.join(weights)} and {len(states)} states")
    if lengths is not None:
        if lengths.dim() != 1 or lengths.is_floating_point() or lengths.dtype == torch.bool or x.dim() != 3:
            raise ValueError(f"lengths {lengths} for x of shape {tuple(x.shape)}")
        if len(lengths) != x.shape[1 - first] or (lengths > x.shape[first]).any():
            raise ValueError(f"lengths {lengths} for x of shape {tuple(x.shape)}")
        for state, size in zip(states, (width, whole.hidden_size), strict=False):
            if state.shape != (ways * whole.num_layers, len(lengths), size):
                raise ValueError(f"a state of shape {tuple(state.shape)}")

    def run(
        module: torch.nn.Module, x: torch.Tensor, states: list[torch.Tensor], weights: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        state = None if not states else tuple(states) if layer == "LSTM" else states[0]
        if lengths is None:
            y, after = torch.func.functional_call(module, weights, (x, state), strict=True)
        else:
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, first, enforce_sorted=False)
            y, after = torch.func.functional_call(module, weights, (packed, state), strict=True)
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, first)
        return y, *(after if layer == "LSTM" else (after,))

    if mask is not None and mask.dtype != torch.bool:
        raise ValueError("a mask holds truth values")
    if not (training and 0 < whole.dropout < 1 and whole.num_layers > 1 and x.numel()):
        return run(whole, x, states, weights)
    if mask is None or mask.shape != (whole.num_layers - 1, *x.shape[:-1], ways * width):
        raise ValueError("a mask for the output of each layer but the last")
    if any(len(state) != ways * whole.num_layers for state in states):
        raise ValueError("a state for each layer and direction")
    y, after = x, []
    time = 1 if first and x.dim() == 3 else 0
    for number in range(whole.num_layers):
        if number:
            kept = mask[number - 1].narrow(time, 0, y.shape[time])
            y = y * (kept.to(y.dtype) / (1 - whole.dropout))
        one = options | {"input_size": y.shape[-1], "num_layers": 1, "dropout": 0.0}
        parts = {name: name.partition("_l") for name in weights}
        own = {
            f"{stem}_l0{tail[len(str(number)) :]}": weights[name]
            for name, (stem, _, tail) in parts.items()
            if tail.partition("_")[0] == str(number)
        }
        part = [state[ways * number : ways * (number + 1)] for state in states]
        y, *end = run(getattr(torch.nn, layer)(**one, device="meta"), y, part, own)
        after.append(end)
    return y, *(torch.cat(state) for state in zip(*after, strict=True))


def _domain(gates: int) -> Domain:
    def domain(d: Draft) -> dict[str, Spec]:
        if gates == 1:
            d.option("nonlinearity", st.sampled_from(("tanh", "relu")))
        bias = d.option("bias", st.sampled_from((True, True, True, False)))
        first = d.option("batch_first", st.sampled_from((False, True)))
        ways = 1 + d.option("bidirectional", st.sampled_from((False, True)))
        # Each parameter often enough to be seen; two directions of two layers show what those of three would.
        layers = d.option("num_layers", st.sampled_from((2, 1, 2) if ways == 2 else (3, 1, 3, 2)))
        dropout = d.option("dropout", st.sampled_from((0.5, 0.0, 0.1, 0.0, 0.75, 0.5, 1.0, 1)))
        training = d.option("training", st.sampled_from((True, True, True, False)))
        inputs = d.option("input_size", st.sampled_from((2, 3, 1)))
        hidden = d.option("hidden_size", st.sampled_from((3, 2, 3, 2, 1)))
        projected = d.option("proj_size", st.sampled_from((*range(1, hidden), 0))) if gates == 4 else 0
        width = projected or hidden

        batch, steps = d.batch(), d(st.sampled_from((2, 3, 1, 4, 2)))
        shape = (*batch, steps) if first else (steps, *batch)
        specs: dict[str, Spec] = {"x": Real((*shape, inputs))}
        if d(st.sampled_from((True, True, False))):
            sizes = {"h_0": width, "c_0": hidden} if gates == 4 else {"hx": hidden}
            specs |= {name: Real((layers * ways, *batch, size)) for name, size in sizes.items()}
        if batch not in ((), (0,)) and d(st.booleans()):
            specs["lengths"] = Given(tuple(d(st.integers(1, steps)) for _ in range(*batch)))
        # Where nothing is drawn a mask plays no part, and there may be one or none.
        drawn = training and 0 < dropout < 1 and layers > 1 and 0 not in batch
        if drawn or d(st.booleans()):
            specs["mask"] = Mask((layers - 1, *shape, ways * width), 1 - dropout if drawn else 0.5)
        for layer in range(layers):
            for way in ("", "_reverse")[:ways]:
                cell = cell_weights(gates, ways * width if layer else inputs, hidden, projected, bias=bias)
                specs |= {f"{name}_l{layer}{way}": spec for name, spec in cell.items()}
        return specs

    return domain


def _contract(name: str, gates: int, states: tuple[str, ...] = ("hx",), **options: Any) -> Contract:
    layers = {"num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False, "training": True}
    reference = Formula(recurrent, ("x", *states, "lengths", "mask"), {**OPTIONS, **layers, **options}, {"layer": name})
    return Contract(name, reference, _domain(gates))


RNN = _contract("RNN", 1, nonlinearity="tanh")
LSTM = _contract("LSTM", 4, ("h_0", "c_0"), proj_size=0)
GRU = _contract("GRU", 3)
