"""Contracts of our own, for layers that torch has in another form.

Recurrent layers take a batch of sequences, have one bias, start from zero and answer their outputs alone: torch's also
answer the last states, with gradients from there, which none of the packages does. Attention is a sequence's to itself.
Losses of classes take a batch of rows and the number of a class each; nothing is ignored or weighted.
"""

from __future__ import annotations

from dataclasses import replace

import torch

import gradjury
from gradjury import inputs
from gradjury.properties.values import Chance


def rnn(x, weight_ih, weight_hh, bias):
    """h = tanh(x·Wᵀ + h·Uᵀ + b), step by step."""
    h, outputs = x.new_zeros(len(x), len(weight_hh)), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ weight_ih.T + h @ weight_hh.T + bias)
        outputs.append(h)
    return torch.stack(outputs, 1)


def lstm(x, weight_ih, weight_hh, bias):
    """The gates i, f, g, o stand in this order, as in torch."""
    h = c = x.new_zeros(len(x), weight_hh.shape[1])
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def gru(x, weight_ih, weight_hh, bias):
    """The gates r, z, n; unlike torch's the state is reset before the product with its weights, and z takes the new."""
    h, outputs = x.new_zeros(len(x), weight_hh.shape[1]), []
    (ur, uz, un), (br, bz, bn) = weight_hh.chunk(3), bias.chunk(3)
    for t in range(x.shape[1]):
        wr, wz, wn = (x[:, t] @ weight_ih.T).chunk(3, 1)
        r, z = torch.sigmoid(wr + h @ ur.T + br), torch.sigmoid(wz + h @ uz.T + bz)
        h = (1 - z) * h + z * torch.tanh(wn + (r * h) @ un.T + bn)
        outputs.append(h)
    return torch.stack(outputs, 1)


def self_attention(x, q_weight, k_weight, v_weight, out_weight, q_bias, k_bias, v_bias, out_bias, num_heads, embed_dim):  # noqa: ARG001
    """softmax(q·kᵀ/√d)·v for each head, between projections of x and back."""
    projections = ((q_weight, q_bias), (k_weight, k_bias), (v_weight, v_bias))
    q, k, v = ((x @ w.T + b).unflatten(-1, (num_heads, -1)).transpose(1, 2) for w, b in projections)
    heads = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1) @ v
    return heads.transpose(1, 2).flatten(2) @ out_weight.T + out_bias


def dot_attention(x, use_scale, return_sequences):
    """softmax(x·xᵀ/√d)·x, or the mean of its rows."""
    scores = x @ x.transpose(1, 2)
    y = torch.softmax(scores / x.shape[-1] ** 0.5 if use_scale else scores, -1) @ x
    return y if return_sequences else y.mean(1)


def probability_loss(x, target):
    """-log of the probability of each row's class, on average."""
    return -torch.log(x[torch.arange(len(x)), target]).mean()


def binary_loss(x, target):
    """Binary cross entropy of probabilities."""
    return -(target * torch.log(x) + (1 - target) * torch.log(1 - x)).mean()


def class_loss(x, target, reduction="mean"):
    """torch's cross entropy of scores and the numbers of classes."""
    return torch.nn.functional.cross_entropy(x, target, reduction=reduction)


def log_probability_loss(x, target, reduction="mean"):
    """The same from logarithms of probabilities."""
    return torch.nn.functional.nll_loss(x, target, reduction=reduction)


def clear(shape: str, *, grad: bool = True) -> inputs.Input:
    """Probabilities clear of 0 and 1, where losses have guards of their own."""
    return replace(inputs.real(shape), kind=lambda sizes, _: Chance(sizes, 0.02, 0.98, grad))


def recurrent(gates: int) -> dict[str, str]:
    """The weights of all gates above one another."""
    return {"x": "N T I", "weight_ih": f"{gates}*H I", "weight_hh": f"{gates}*H H", "bias": f"{gates}*H"}


LABELLED = {"x": "N C", "target": inputs.index("N", below="C")}
REDUCTIONS = {"reduction": ("mean", "sum")}
PROJECTIONS = {f"{name}_weight": "E E" for name in ("q", "k", "v", "out")}
# What is added to all keys adds the same to all scores of a query, which a softmax does not see.
BIASES = {f"{name}_bias": inputs.real("E", grad=name != "k") for name in ("q", "k", "v", "out")}

RNN = gradjury.contract("SequenceRNN", rnn, recurrent(1))
LSTM = gradjury.contract("SequenceLSTM", lstm, recurrent(4))
GRU = gradjury.contract("SequenceGRU", gru, recurrent(3))
SelfAttention = gradjury.contract(
    "SelfAttention",
    self_attention,
    {"x": "N T E", **PROJECTIONS, **BIASES},
    options={"num_heads": (1, 2, 3), "embed_dim": (1, 2, 3, 4)},
    where=lambda E, num_heads, embed_dim: embed_dim == E and E % num_heads == 0,
)
DotAttention = gradjury.contract(
    "DotAttention",
    dot_attention,
    {"x": "N T D"},
    options={"use_scale": (True, False), "return_sequences": (True, False)},
)
ProbabilityLoss = gradjury.contract(
    "ProbabilityLoss",
    probability_loss,
    LABELLED | {"x": clear("N C")},
    where=lambda C: C > 1,
)
BinaryLoss = gradjury.contract("BinaryLoss", binary_loss, {"x": clear("N D"), "target": clear("N D", grad=False)})
ClassLoss = gradjury.contract("ClassLoss", class_loss, LABELLED, options=REDUCTIONS)
LogProbabilityLoss = gradjury.contract("LogProbabilityLoss", log_probability_loss, LABELLED, options=REDUCTIONS)
