"""minigrad-framework 1.4.1: a tape; tensors with .backward() and .grad, and one hand-written backward an operation."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from minigrad import Tensor, nn, ops

import gradjury

from . import own_contracts
from .common import drawing, filled, of_rank, same_shapes


def linear(in_features, out_features, bias=True):
    """y = x·W + b, W is (in, out)."""
    return nn.Linear(in_features, out_features, bias)


def conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0):
    """Always with a bias; one stride and padding for both axes."""
    return nn.Conv2D(in_channels, out_channels, kernel_size, stride, padding)


def batch_norm1d(num_features, eps=1e-5):
    """In training."""
    return nn.BatchNorm1D(num_features, eps)


def batch_norm2d(num_features, eps=1e-5):
    """The same for planes."""
    return nn.BatchNorm2D(num_features, eps)


def batch_norm1d_eval(num_features, eps=1e-5):
    """With statistics that are given."""

    def layer(x, weight, bias, running_mean, running_var, _):
        made = nn.BatchNorm1D(num_features, eps).eval()
        made.running_mean, made.running_var = running_mean, running_var
        made.gamma, made.beta = Tensor(weight, requires_grad=True), Tensor(bias, requires_grad=True)
        return taped(made, x, made.gamma, made.beta)

    return layer


def taped(made, x, *parameters):
    """What a module answers, and a backward that runs it again on fresh tensors."""

    def backward(dy):
        inputs = (Tensor(x, requires_grad=True), *parameters)
        for tensor in inputs:
            tensor.grad = np.zeros_like(tensor.data)
        (made(inputs[0]) * Tensor(dy)).sum().backward()
        return tuple(tensor.grad for tensor in inputs)

    return made(Tensor(x)).data, backward


def layer_norm(normalized_shape, eps=1e-5):
    """Always with weight and bias."""
    return nn.LayerNorm(normalized_shape, eps)


def embedding(num_embeddings, embedding_dim):
    """Rows of a table."""
    return nn.Embedding(num_embeddings, embedding_dim)


def flatten():
    """All axes but the first."""
    return nn.Flatten()


def relu():
    """The larger of x and 0."""
    return nn.ReLU()


def sigmoid():
    """1/(1 + e⁻ˣ)."""
    return nn.Sigmoid()


def tanh():
    """The hyperbolic tangent."""
    return nn.Tanh()


def gelu():
    """By tanh."""
    return nn.GELU()


def leaky_relu(negative_slope=0.01):
    """x or a share of it."""
    return nn.LeakyReLU(negative_slope)


def elu(alpha=1.0):
    """x or alpha·(eˣ - 1)."""
    return nn.ELU(alpha)


def softmax(dim=-1):
    """Along one axis."""
    return nn.Softmax(dim)


def log_softmax(dim=-1):
    """A function of minigrad.ops."""
    return lambda x: ops.log_softmax(x, dim)


def clip(min_val=-1.0, max_val=1.0):
    """A function of minigrad.ops; what torch calls Hardtanh."""
    return lambda x: ops.clip(x, min_val, max_val)


def pad(padding, value=0.0):
    """A function of minigrad.ops; its widths begin with the first axis."""
    left, right, top, bottom = padding
    return lambda x: ops.pad(x, [(0, 0)] * (x.ndim - 2) + [(top, bottom), (left, right)], value)


def add():
    """A gate."""
    return ops.add


def multiply():
    """A gate."""
    return ops.mul


def dropout(p=0.5, training=True):
    """Kept is what np.random.rand puts at p or above."""

    def layer(x, mask=None):
        return taped(drawing(mask, p, kept=1.0, dropped=0.0)(nn.Dropout(p).train(training).forward), x)

    return layer


def dropout2d(p=0.5, training=True):
    """Whole channels."""

    def layer(x, mask=None):
        return taped(drawing(mask, p, kept=1.0, dropped=0.0)(nn.Dropout2D(p).train(training).forward), x)

    return layer


def mse_loss(reduction="mean"):
    """The square of the difference."""
    return nn.MSELoss(reduction)


def cross_entropy_loss(reduction="mean"):
    """Rows of scores, and the number of a class each."""
    return nn.CrossEntropyLoss(reduction)


def nll_loss(reduction="mean"):
    """The same from logarithms of probabilities."""
    return nn.NLLLoss(reduction)


def bce_loss(reduction="mean"):
    """Probabilities, which it keeps 1e-7 away from 0 and 1."""
    return nn.BCELoss(reduction)


def bce_with_logits_loss(reduction="mean"):
    """The same from scores."""
    return nn.BCEWithLogitsLoss(reduction)


def attention(embed_dim, num_heads):
    """Of a sequence to itself."""
    return nn.MultiHeadAttention(embed_dim, num_heads, dropout=0.0)


REDUCED = {"reduction": st.sampled_from(("mean", "sum"))}
CONV = {"stride": st.integers(1, 3), "padding": st.integers(0, 3), "dilation": 1, "groups": 1, "bias": True}
NORM = {"affine": True, "bias": True, "momentum": 0.1}
TRAINING = NORM | {"training": True, "track_running_stats": False}
EVALUATION = NORM | {"training": False, "track_running_stats": True}
TABLE = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
CHANCE = {"p": st.sampled_from((0.5, 0.1, 0.75, 0.0))}
HEADS = {f"{name}_{kind}": f"{name}_proj.{kind}" for name in ("q", "k", "v", "out") for kind in ("weight", "bias")}
VALUES = st.sampled_from((0.0, 1.5, -2.0))
SIDES = st.tuples(*(st.integers(0, 3) for _ in range(4)))


def along_axis(config, shapes):
    """The axis is named."""
    return filled(config, shapes) and config["dim"] is not None


def unweighted(config, shapes):
    """Prediction and target of one shape."""
    return same_shapes(config, shapes) and not {"weight", "pos_weight"} & set(shapes)


Linear = gradjury.adapt(linear, to="Linear", tensor=Tensor, weight="(in, out)", where=filled)
Conv2d = gradjury.adapt(
    conv2d, to="Conv2d", fixed=CONV | {"padding_mode": "zeros"}, tensor=Tensor, where=of_rank(4), dtype="float64"
)
BatchNorm1d = gradjury.adapt(batch_norm1d, to="BatchNorm1d", fixed=TRAINING, tensor=Tensor, where=filled)
BatchNorm2d = gradjury.adapt(batch_norm2d, to="BatchNorm2d", fixed=TRAINING, tensor=Tensor, where=filled)
BatchNorm1dEval = gradjury.adapt(batch_norm1d_eval, to="BatchNorm1d", fixed=EVALUATION, where=filled)
LayerNorm = gradjury.adapt(
    layer_norm, to="LayerNorm", fixed={"elementwise_affine": True, "bias": True}, tensor=Tensor, where=filled
)
Embedding = gradjury.adapt(embedding, to="Embedding", fixed=TABLE, tensor=Tensor, where=filled)
Flatten = gradjury.adapt(
    flatten, to="Flatten", fixed={"start_dim": 1, "end_dim": -1}, tensor=Tensor, where=of_rank(2, 3, 4)
)
ReLU = gradjury.adapt(relu, to="ReLU", tensor=Tensor, where=filled)
Sigmoid = gradjury.adapt(sigmoid, to="Sigmoid", tensor=Tensor, where=filled)
Tanh = gradjury.adapt(tanh, to="Tanh", tensor=Tensor, where=filled)
GELU = gradjury.adapt(gelu, to="GELU", fixed={"approximate": "tanh"}, tensor=Tensor, where=filled)
LeakyReLU = gradjury.adapt(leaky_relu, to="LeakyReLU", tensor=Tensor, where=filled)
ELU = gradjury.adapt(elu, to="ELU", tensor=Tensor, where=filled)
Softmax = gradjury.adapt(softmax, to="Softmax", tensor=Tensor, where=along_axis)
LogSoftmax = gradjury.adapt(log_softmax, to="LogSoftmax", tensor=Tensor, where=along_axis)
Clip = gradjury.adapt(clip, to="Hardtanh", tensor=Tensor, where=filled)
Pad = gradjury.adapt(pad, to="ConstantPad2d", fixed={"padding": SIDES, "value": VALUES}, tensor=Tensor, where=filled)
Add = gradjury.adapt(add, to="Add", tensor=Tensor)
Multiply = gradjury.adapt(multiply, to="Multiply", tensor=Tensor)
Dropout = gradjury.adapt(dropout, to="Dropout", fixed=CHANCE, where=filled)
Dropout2d = gradjury.adapt(dropout2d, to="Dropout2d", fixed=CHANCE, where=of_rank(4))
MSELoss = gradjury.adapt(mse_loss, to="MSELoss", fixed=REDUCED, tensor=Tensor, where=same_shapes)
CrossEntropyLoss = gradjury.adapt(cross_entropy_loss, to=own_contracts.ClassLoss, tensor=Tensor)
NLLLoss = gradjury.adapt(nll_loss, to=own_contracts.LogProbabilityLoss, tensor=Tensor)
BCELoss = gradjury.adapt(bce_loss, to="BCELoss", fixed=REDUCED, tensor=Tensor, where=unweighted, no_grad=("target",))
BCEWithLogitsLoss = gradjury.adapt(
    bce_with_logits_loss, to="BCEWithLogitsLoss", fixed=REDUCED, tensor=Tensor, where=unweighted, no_grad=("target",)
)
MultiHeadAttention = gradjury.adapt(
    attention, to=own_contracts.SelfAttention, tensor=Tensor, parameters=HEADS, weight="(in, out)"
)
