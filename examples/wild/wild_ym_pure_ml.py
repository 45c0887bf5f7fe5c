"""ym-pure-ml 1.2.9, module pureml: a tape of functions with hand-written gradients, .backward(grad) and .grad."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import strategies as st
from pureml import activations, layers, losses
from pureml.machinery import Tensor

import gradjury

from . import own_contracts
from .common import filled, of_rank, same_shapes


def affine(in_features, out_features, bias=True):
    """W is (in, out); of one or two axes."""
    return layers.Affine(in_features, out_features, bias=bias)


def conv1d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, bias=True):
    """Its kernels are rows of W."""
    return layers.Conv1D(in_channels, out_channels, kernel_size, stride, padding, dilation, bias)


def conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, bias=True):
    """The same for planes."""
    return layers.Conv2D(in_channels, out_channels, kernel_size, stride, padding, dilation, bias)


def max_pool1d(kernel_size, stride=None, padding=0, dilation=1):
    """Pads by zeros unless it is told otherwise; so it is told."""
    return layers.MaxPool1D(kernel_size, stride or kernel_size, padding, dilation, -np.inf)


def max_pool2d(kernel_size, stride=None, padding=0, dilation=1):
    """The same for planes."""
    return layers.MaxPool2D(kernel_size, stride or kernel_size, padding, dilation, -np.inf)


def mean_pool1d(kernel_size, stride=None, padding=0):
    """Zeros that are padded count."""
    return layers.MeanPool1D(kernel_size, stride or kernel_size, padding)


def mean_pool2d(kernel_size, stride=None, padding=0):
    """The same for planes."""
    return layers.MeanPool2D(kernel_size, stride or kernel_size, padding)


def batch_norm1d(num_features, eps=1e-5):
    """In training, of two axes."""
    return layers.BatchNorm1d(num_features, eps=eps)


def batch_norm2d(num_features, eps=1e-5):
    """In training, of four axes."""
    return layers.BatchNorm2d(num_features, eps=eps)


def batch_norm1d_eval(num_features, eps=1e-5):
    """With statistics that are given."""

    def layer(x, weight, bias, running_mean, running_var, _):
        inputs = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
        state = {"running_mean": Tensor(running_mean), "running_variance": Tensor(running_var)}
        made = layers.BatchNorm1d(num_features, eps=eps, gamma=inputs[1], beta=inputs[2], training=False, **state)
        return taped(made, inputs[0], made.gamma, made.beta)

    return layer


def taped(made, *inputs):
    """What a module answers to the first, and a backward that runs it again on what has no gradients yet."""

    def backward(dy):
        for tensor in inputs:
            tensor.grad = None
        made(inputs[0]).backward(dy)
        return tuple(tensor.grad for tensor in inputs)

    return made(inputs[0]).data, backward


def layer_norm1d(normalized_shape, eps=1e-5, bias=True):
    """Of the last axis, always with a weight."""
    return layers.LayerNorm1d(int(np.prod(normalized_shape)), eps=eps, bias=bias)


def embedding(num_embeddings, embedding_dim, padding_idx=None):
    """Rows of a table."""
    made = layers.Embedding(num_embeddings, embedding_dim, pad_idx=padding_idx)
    made.look_up = lambda x: made(Tensor(x))
    return made


def dropout(p=0.5, training=True):
    """Kept is what a generator's random puts below 1 - p."""

    def layer(x, mask=None):
        made = layers.Dropout(p, training=training)
        made._rng = mock.Mock()
        made._rng.random.return_value = np.where(mask, 0.0, 1.0)
        return taped(made, Tensor(x, requires_grad=True))

    return layer


def dropout2d(p=0.5, training=True):
    """Whole channels."""

    def layer(x, mask=None):
        made = layers.Dropout2d(p, training=training)
        made._rng = mock.Mock()
        made._rng.random.side_effect = np.where(mask, 0.0, 1.0).reshape
        return taped(made, Tensor(x, requires_grad=True))

    return layer


def sigmoid():
    """A function of tensors."""
    return activations.sigmoid


def relu():
    """A function of tensors."""
    return activations.relu


def leaky_relu(negative_slope=0.01):
    """A function of tensors."""
    return lambda x: activations.leaky_relu(x, negative_slope)


def tanh():
    """A function of tensors."""
    return activations.tanh


def softmax(dim=-1):
    """A function of tensors."""
    return lambda x: activations.softmax(x, dim)


def log_softmax(dim=-1):
    """A function of tensors."""
    return lambda x: activations.log_softmax(x, dim)


def mse():
    """The target comes first."""
    return lambda x, target: losses.MSE(target, x)


def bce():
    """Of probabilities."""
    return lambda x, target: losses.BCE(target, x)


def bce_with_logits():
    """Of scores."""
    return lambda x, target: losses.BCE(target, x, from_logits=True)


def cce():
    """Of probabilities, and one-hot rows."""
    return lambda x, target: losses.CCE(Tensor(np.eye(x.shape[1])[target]), x)


def cce_with_logits(label_smoothing=0.0):
    """Of scores, and probabilities as targets, whose gradient it has too."""
    return lambda x, target: losses.CCE(target, x, from_logits=True, label_smoothing=label_smoothing)


def add():
    """A gate."""
    return lambda x, other: x + other


def multiply():
    """A gate."""
    return lambda x, other: x * other


def last_axis(config, shapes):
    """One axis is normalised."""
    return filled(config, shapes) and np.size(config["normalized_shape"]) == 1


def along_axis(config, shapes):
    """The axis is named."""
    return filled(config, shapes) and config["dim"] is not None


def unweighted(config, shapes):
    """Prediction and target of one shape."""
    return same_shapes(config, shapes) and not {"weight", "pos_weight"} & set(shapes)


def smooth(config, shapes):
    """Rows of scores, and a distribution each."""
    return of_rank(2)(config, shapes) and shapes["x"] == shapes["target"] and "weight" not in shapes


def adapt(factory, to, where=filled, **declared):
    """Tensors of pureml."""
    return gradjury.adapt(factory, to=to, where=where, tensor=Tensor, **declared)


def layer_of(factory, to, where=filled, **declared):
    """A layer whose parameters it makes in float64."""
    return adapt(factory, to, where, dtype="float64", **declared)


WB = {"weight": "W", "bias": "b"}
AFFINE = {"affine": True, "bias": True, "momentum": 0.1}
TRAINING = AFFINE | {"training": True, "track_running_stats": False}
EVALUATION = AFFINE | {"training": False, "track_running_stats": True}
INNER = {"weight": "_bn1d.gamma", "bias": "_bn1d.beta"}
TABLE = {"padding_idx": st.sampled_from((None, 0)), "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
STEPS = {"stride": st.integers(1, 3), "dilation": st.integers(1, 3)}
CONV = STEPS | {"groups": 1, "padding_mode": "zeros", "padding": st.integers(0, 3)}
LINE = {"kernel_size": st.integers(2, 4), "stride": st.integers(1, 3), "padding": st.integers(0, 1)}
MAX = {"ceil_mode": False, "return_indices": False}
AVERAGE = {"ceil_mode": False, "count_include_pad": True}
NORM = {"elementwise_affine": True}
MEAN = {"reduction": "mean"}
SOFT = MEAN | {"ignore_index": -100}

Affine = layer_of(affine, "Linear", of_rank(1, 2), parameters=WB, weight="(in, out)")
Conv1D = layer_of(conv1d, "Conv1d", of_rank(3), fixed=CONV | {"kernel_size": st.integers(1, 4)}, parameters=WB)
Conv2D = layer_of(conv2d, "Conv2d", of_rank(4), fixed=CONV, parameters=WB)
MaxPool1D = adapt(max_pool1d, "MaxPool1d", of_rank(3), fixed=MAX | STEPS | LINE)
MaxPool2D = adapt(max_pool2d, "MaxPool2d", of_rank(4), fixed=MAX)
MeanPool1D = adapt(mean_pool1d, "AvgPool1d", of_rank(3), fixed=AVERAGE | LINE)
MeanPool2D = adapt(mean_pool2d, "AvgPool2d", of_rank(4), fixed=AVERAGE | {"divisor_override": None})
BatchNorm1d = layer_of(batch_norm1d, "BatchNorm1d", of_rank(2), fixed=TRAINING)
BatchNorm2d = layer_of(batch_norm2d, "BatchNorm2d", of_rank(4), fixed=TRAINING, parameters=INNER)
BatchNorm1dEval = gradjury.adapt(
    batch_norm1d_eval, to="BatchNorm1d", fixed=EVALUATION, where=of_rank(2), dtype="float64"
)
LayerNorm1d = layer_of(layer_norm1d, "LayerNorm", last_axis, fixed=NORM)
Embedding = layer_of(embedding, "Embedding", fixed=TABLE, parameters={"weight": "W"}, methods=("look_up", "backward"))
Dropout = gradjury.adapt(dropout, to="Dropout", where=of_rank(1, 2))
Dropout2d = gradjury.adapt(dropout2d, to="Dropout2d", where=of_rank(4))
Sigmoid = adapt(sigmoid, "Sigmoid")
ReLU = adapt(relu, "ReLU")
LeakyReLU = adapt(leaky_relu, "LeakyReLU", fixed={"negative_slope": st.sampled_from((0.01, 0.25, 2.0))})
Tanh = adapt(tanh, "Tanh")
Softmax = adapt(softmax, "Softmax", along_axis)
LogSoftmax = adapt(log_softmax, "LogSoftmax", along_axis)
MSE = adapt(mse, "MSELoss", fixed=MEAN)
BCE = layer_of(bce, "BCELoss", unweighted, fixed=MEAN)
BCEFloat32 = adapt(bce, "BCELoss", unweighted, fixed=MEAN, dtype="float32")
BCEWithLogits = adapt(bce_with_logits, "BCEWithLogitsLoss", unweighted, fixed=MEAN)
CCE = layer_of(cce, own_contracts.ProbabilityLoss)
CCEWithLogits = adapt(cce_with_logits, "CrossEntropyLoss", smooth, fixed=SOFT)
Add = adapt(add, "Add")
Multiply = adapt(multiply, "Multiply")
