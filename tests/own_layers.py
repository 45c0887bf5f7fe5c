"""Layers that torch.nn has not, each with its contract, right and with one gradient wrong."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it

from gradjury.properties import inputs
from gradjury.properties.own import contract

SLOPE = 0.5


def maxout(x, weight, bias):
    return (torch.einsum("...i,pki->p...k", x, weight) + bias.reshape(len(bias), *(x.dim() - 1) * [1], -1)).amax(0)


class Maxout:
    """Of several linear maps, the largest in each place."""

    def __call__(self, x, weight, bias):
        rows = x.reshape(-1, x.shape[-1])
        z = np.einsum("ni,pki->pnk", rows, weight) + bias[:, None]
        y = z.max(0).reshape(*x.shape[:-1], weight.shape[1])
        largest = (z == z.max(0)).astype(x.dtype)

        def backward(dy):
            dz = self.shared(largest) * dy.reshape(z.shape[1:])
            dx = np.einsum("pnk,pki->ni", dz, weight).reshape(x.shape)
            return {"x": dx, "weight": np.einsum("pnk,ni->pki", dz, rows), "bias": dz.sum(1)}

        return y, backward

    def shared(self, largest):
        return largest / largest.sum(0)


class KeptMaxout:
    """The same as an object, which keeps its parameters and their gradients."""

    def __init__(self):
        self.weight = self.bias = self.grad_weight = self.grad_bias = None

    def forward(self, x):
        y, self.way_back = Maxout()(x, self.weight, self.bias)
        return y

    def backward(self, dy):
        gradients = self.way_back(dy)
        self.grad_weight, self.grad_bias = gradients["weight"], gradients["bias"]
        return gradients["x"]


class MaxoutTies(Maxout):
    def shared(self, largest):
        return largest  # each of several that are equal gets all


def cropped_conv(x, weight, bias=None, *, stride=1):
    return F.conv2d(x, weight, bias, stride)


class CroppedConv:
    """A convolution without padding; everything by einsum over windows."""

    def __init__(self, stride=1):
        self.stride = stride

    def __call__(self, x, weight, bias=None):
        s, (kh, kw) = self.stride, weight.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::s, ::s]
        y = np.einsum("nchwuv,kcuv->nkhw", windows, weight)
        y = y if bias is None else y + bias[:, None, None]

        def backward(dy):
            dx = np.zeros_like(x)
            for u, v in np.ndindex(kh, kw):
                cells = dx[:, :, u : u + s * dy.shape[2] : s, v : v + s * dy.shape[3] : s]
                cells += np.einsum("nkhw,kc->nchw", dy, weight[:, :, u, v])
            grads = {"x": dx, "weight": self.filtered(np.einsum("nchwuv,nkhw->kcuv", windows, dy))}
            return grads if bias is None else {**grads, "bias": dy.sum((0, 2, 3))}

        return y, backward

    def filtered(self, dweight):
        return dweight


class CroppedConvOblong(CroppedConv):
    """Wrong only where there are as many channels in as out, or not."""

    def filtered(self, dweight):
        return dweight if dweight.shape[0] == dweight.shape[1] else 2 * dweight


class CroppedConvSteps(CroppedConv):
    def filtered(self, dweight):
        return dweight if self.stride < 3 else 2 * dweight


def tempered(x, target, temperature, weight):
    chances = F.softmax(SLOPE * x / temperature, -1) * weight.sum(-1, keepdim=True)
    return torch.sin(pi * chances).gather(1, target[:, None])[:, 0]


class Tempered:
    """Inputs of several kinds: reals, indices, a positive number, probabilities."""

    def __call__(self, x, target, temperature, weight):
        z = x.dtype.type(SLOPE) * x / temperature
        e = np.exp(z - z.max(-1, keepdims=True))
        p, total = e / e.sum(-1, keepdims=True), weight.sum(-1, keepdims=True)
        rows, pi_ = np.arange(len(x)), x.dtype.type(pi)
        y = np.sin(pi_ * (p * total)[rows, target])

        def backward(dy):
            d = np.zeros_like(x)
            d[rows, target] = dy * np.cos(pi_ * (p * total)[rows, target]) * pi_
            dp = d * total
            dz = p * (dp - (dp * p).sum(-1, keepdims=True))
            return {
                "x": dz * x.dtype.type(SLOPE) / temperature,
                "temperature": self.heat(dz, z, temperature),
                "weight": np.broadcast_to((d * p).sum(-1, keepdims=True), weight.shape).copy(),
            }

        return y, backward

    def heat(self, dz, z, temperature):
        return np.asarray(-(dz * z).sum() / temperature)


class TemperedSign(Tempered):
    def heat(self, dz, z, temperature):
        return np.asarray((dz * z).sum() / temperature)


def masked_sum(x, mask):
    return (x * mask[..., None]).sum(-2)


class MaskedSum:
    def __call__(self, x, mask):
        return (x * mask[..., None]).sum(-2), lambda dy: {"x": self.spread(dy, mask)}

    def spread(self, dy, mask):
        return dy[..., None, :] * mask[..., None]


class MaskedSumAll(MaskedSum):
    def spread(self, dy, mask):
        return dy[..., None, :] * np.ones_like(mask[..., None])


def score(query, key, scale=1.0):
    """Softmax of what is left above a floor."""
    return F.softmax(scale * F.relu(query @ key.T / sqrt(2) - SLOPE), dim=-1)


MAXOUT = contract("Maxout", maxout, {"x": "... I", "weight": "P K I", "bias": "P K"})
CONV = contract(
    "CroppedConv",
    cropped_conv,
    {"x": "N C H W", "weight": "K C kh kw", "bias?": "K"},
    options={"stride": (1, 2, 3)},
    where=lambda H, W, kh, kw: kh <= H and kw <= W,
)
TEMPERED = contract(
    "Tempered",
    tempered,
    {
        "x": "N C",
        "target": inputs.index("N", below="C"),
        "temperature": inputs.positive(""),
        "weight": inputs.probabilities("N 3", axis="N", grad=True),
    },
)
MASKED = contract("MaskedSum", masked_sum, {"x": "... T C", "mask": inputs.boolean("... T")})
SCORE = contract("Score", score, {"query": "N D", "key": "M D"}, options={"scale": (1.0, 2.0)})
