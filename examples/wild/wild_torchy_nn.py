"""torchy-nn 0.3.5.3: objects with forward and backward, parameters in values with .data and .grad."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from torchy import nn

import gradjury

from . import own_contracts
from .common import drawing, filled, of_rank


def linear(in_features, out_features, bias=True):
    """y = x·W + b, W is (in, out)."""
    return nn.Linear(in_features, out_features, bias)


def conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
    """One number for both axes; neither dilation nor groups."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias)


def relu():
    """The larger of x and 0."""
    return nn.ReLU()


def tanh():
    """The hyperbolic tangent."""
    return nn.Tanh()


def batch_norm1d(num_features, eps=1e-5, training=True):
    """Its statistics are rows after the first call."""
    layer = nn.BatchNorm1d(num_features, eps)
    layer._train = training
    return layer


def batch_norm2d(num_features, eps=1e-5, training=True):
    """The same for planes."""
    layer = nn.BatchNorm2d(num_features, eps)
    layer._train = training
    return layer


def max_pool2d(kernel_size, stride=None, padding=0):
    """One number for both axes."""
    return nn.MaxPool2d(kernel_size, stride, padding)


def dropout(p=0.5, training=True):
    """Its p is the probability of keeping; kept is where np.random.rand is below it."""

    def layer(x, mask=None):
        made = nn.Dropout(1 - p)
        made._train = training
        with drawing(mask, p, kept=0.0, dropped=0.999):
            return made.forward(x), made.backward

    return layer


def embedding(num_embeddings, embedding_dim):
    """Rows of a table; the backward answers nothing and adds to the gradient."""
    return nn.Embedding(num_embeddings, embedding_dim)


def cross_entropy_loss():
    """The loss and its gradient come together."""

    def layer(x, target):
        loss, gradient = nn.CrossEntropyLoss()(x, target)
        return np.asarray(loss), lambda dy: {"x": dy * gradient}

    return layer


def recurrent(made, x, weights):
    """One call of a recurrent layer, without the last state, and a backward that starts from no gradients."""
    values = made.weight_xh, made.weight_hh, made.bias = tuple(nn.Value(a.T) for a in weights)
    y, _ = made.forward(x)

    def backward(dy):
        for value in values:
            value.grad = np.zeros_like(value.data)
        return made.backward(dy), *(value.grad.T for value in values)

    return y, backward


def rnn():
    """Batch first."""
    return lambda x, weight_ih, weight_hh, bias: recurrent(nn.RNN(1, len(bias)), x, (weight_ih, weight_hh, bias))


def lstm():
    """Its gates are i, f, o, g where torch's are i, f, g, o."""

    def layer(x, weight_ih, weight_hh, bias):
        places = np.arange(len(bias)).reshape(4, -1)[[0, 1, 3, 2]].ravel()
        weights = (a[places] for a in (weight_ih, weight_hh, bias))
        y, backward = recurrent(nn.LSTM(1, len(bias) // 4), x, weights)

        def ordered(dy):
            dx, *gradients = backward(dy)
            return dx, *(g[places] for g in gradients)

        return y, ordered

    return layer


SQUARE = {"stride": st.integers(1, 3), "kernel_size": st.integers(1, 4)}
AFFINE = {"affine": True, "bias": True, "momentum": 0.1}
TRAINING = AFFINE | {"training": True, "track_running_stats": False}
EVALUATION = AFFINE | {"training": False, "track_running_stats": True}
NORM = {"weight": ("gamma.data", "gamma.grad"), "bias": ("beta.data", "beta.grad")}
STATISTICS = NORM | {"num_batches_tracked": "momentum"}
CONV = SQUARE | {"dilation": 1, "groups": 1, "padding": st.integers(0, 2), "padding_mode": "zeros"}
CHANCE = {"p": st.sampled_from((0.5, 0.1, 0.75, 0.0))}
POOL = SQUARE | {"dilation": 1, "ceil_mode": False, "return_indices": False}


Linear = gradjury.adapt(linear, to="Linear", weight="(in, out)", where=of_rank(2))
Conv2d = gradjury.adapt(conv2d, to="Conv2d", fixed=CONV, where=of_rank(4), dtype="float64")
ReLU = gradjury.adapt(relu, to="ReLU", where=filled)
Tanh = gradjury.adapt(tanh, to="Tanh", where=filled)
BatchNorm1d = gradjury.adapt(
    batch_norm1d, to="BatchNorm1d", fixed=TRAINING, parameters=NORM, where=of_rank(2), dtype="float64"
)
BatchNorm2d = gradjury.adapt(
    batch_norm2d, to="BatchNorm2d", fixed=TRAINING, parameters=NORM, where=of_rank(4), dtype="float64"
)
BatchNorm1dEval = gradjury.adapt(
    batch_norm1d, to="BatchNorm1d", fixed=EVALUATION, parameters=STATISTICS, where=of_rank(2), dtype="float64"
)
MaxPool2d = gradjury.adapt(max_pool2d, to="MaxPool2d", fixed=POOL | {"padding": 0}, where=of_rank(4), dtype="float64")
MaxPool2dPadded = gradjury.adapt(
    max_pool2d, to="MaxPool2d", fixed=POOL | {"padding": 1}, where=of_rank(4), dtype="float64"
)
Dropout = gradjury.adapt(dropout, to="Dropout", fixed=CHANCE | {"training": True}, where=filled, dtype="float64")
DropoutEval = gradjury.adapt(dropout, to="Dropout", fixed=CHANCE | {"training": False}, where=filled)
Embedding = gradjury.adapt(
    embedding,
    to="Embedding",
    fixed={"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False},
    where=filled,
)
CrossEntropyLoss = gradjury.adapt(
    cross_entropy_loss, to=own_contracts.ClassLoss, fixed={"reduction": "mean"}, dtype="float64"
)
RNN = gradjury.adapt(rnn, to=own_contracts.RNN, dtype="float64")
LSTM = gradjury.adapt(lstm, to=own_contracts.LSTM, dtype="float64")
