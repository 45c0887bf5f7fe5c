"""neuralnetlib 4.4.0 and 5.0.0: objects with forward_pass and backward_pass whose parameters the first call makes."""

from __future__ import annotations

from importlib.metadata import version
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from neuralnetlib import activations, layers, losses

import gradjury

from . import own_contracts
from .common import filled, of_rank, same_shapes

SINCE_5 = int(version("neuralnetlib").partition(".")[0]) >= 5


def pair(size):
    """A number for each of two axes."""
    return (size, size) if isinstance(size, int) else size


def dense(out_features):
    """W is (in, out); of two or three axes."""
    return layers.Dense(out_features)


def sigmoid():
    """Of x between -50 and 50."""
    return layers.Activation(activations.Sigmoid())


def relu():
    """The larger of 0 and x."""
    return layers.Activation(activations.ReLU())


def tanh():
    """The hyperbolic tangent."""
    return layers.Activation(activations.Tanh())


def linear():
    """x itself."""
    return layers.Activation(activations.Linear())


def leaky_relu(negative_slope=0.01):
    """x or a share of it."""
    return layers.Activation(activations.LeakyReLU(negative_slope))


def elu():
    """x or eˣ - 1."""
    return layers.Activation(activations.ELU())


def selu():
    """The same, scaled."""
    return layers.Activation(activations.SELU())


def gelu():
    """By tanh."""
    return layers.Activation(activations.GELU())


def softmax():
    """Of the last axis."""
    return layers.Activation(activations.Softmax())


def dropout(p=0.5, training=True):
    """What is kept is drawn by a generator's binomial."""

    def layer(x, mask=None):
        made = layers.Dropout(p)
        generator = mock.Mock()
        generator.binomial.return_value = None if mask is None else (mask | (p == 0)).astype(float)
        with mock.patch.object(np.random, "default_rng", return_value=generator):
            return made.forward_pass(x, training), made.backward_pass

    return layer


def conv1d(out_channels, kernel_size, stride=1, padding="valid"):
    """Always with a bias."""
    return layers.Conv1D(out_channels, kernel_size, stride, padding)


def conv2d(out_channels, kernel_size, stride=1, padding="valid"):
    """Always with a bias."""
    return layers.Conv2D(out_channels, kernel_size, stride, padding)


def conv2d_transpose(out_channels, kernel_size, stride=1, padding=0):
    """Padding by one is "same" for a kernel of three at stride one."""
    return layers.Conv2DTranspose(out_channels, kernel_size, stride, "same" if padding else "valid")


def max_pooling1d(kernel_size, stride=None, padding=0):
    """Padding by half an odd kernel at stride one is "same"."""
    return layers.MaxPooling1D(kernel_size, stride, "same" if padding else "valid")


def max_pooling2d(kernel_size, stride=None, padding=0):
    """The same for planes; strides are a tuple."""
    return layers.MaxPooling2D(kernel_size, stride and pair(stride), "same" if padding else "valid")


def average_pooling1d(kernel_size, stride=None, padding=0):
    """Since 5.0.0 what is padded does not count."""
    return layers.AveragePooling1D(kernel_size, stride, "same" if padding else "valid")


def average_pooling2d(kernel_size, stride=None, padding=0):
    """The same for planes."""
    return layers.AveragePooling2D(kernel_size, stride and pair(stride), "same" if padding else "valid")


def global_average_pooling1d():
    """Answers no axis of length one."""
    made = layers.GlobalAveragePooling1D()

    def layer(x):
        y = made.forward_pass(x.transpose(0, 2, 1))
        return y[:, :, None], lambda dy: made.backward_pass(dy[:, :, 0]).transpose(0, 2, 1)

    return layer


def global_average_pooling2d():
    """The same for planes."""
    made = layers.GlobalAveragePooling2D()

    def layer(x):
        y = made.forward_pass(x.transpose(0, 2, 3, 1))
        return y[:, :, None, None], lambda dy: made.backward_pass(dy[:, :, 0, 0]).transpose(0, 3, 1, 2)

    return layer


def flatten():
    """All axes but the first."""
    return layers.Flatten()


def reshape(unflattened_size):
    """All axes but the first."""
    return layers.Reshape(unflattened_size)


def embedding(num_embeddings, embedding_dim):
    """The rows 0 to 3 are for padding, unknown words, start and end."""
    return layers.Embedding(num_embeddings, embedding_dim)


def batch_normalization(eps=1e-5):
    """In training."""
    return layers.BatchNormalization(epsilon=eps)


def layer_normalization(eps=1e-5):
    """Of the last axis."""
    return layers.LayerNormalization(eps)


def up_sampling2d(scale_factor):
    """Each cell several times."""
    return layers.UpSampling2D(scale_factor)


def up_sampling2d_bilinear(scale_factor):
    """Corners on corners."""
    return layers.UpSampling2D(scale_factor, "bilinear")


def recurrent(made, gates, x, weights):
    """A layer whose cell has W, U and b for each gate; gradient clipping is turned off where it is made."""
    made.forward_pass(x)  # builds the cell
    for kind, a in zip("WUb", weights, strict=True):
        for gate, part in zip(gates, np.split(np.atleast_2d(a.T), len(gates), 1), strict=True):
            setattr(made.cell, kind + gate, part)

    def backward(dy):
        dx = made.backward_pass(dy)
        parts = ([getattr(made.cell, f"d{kind}{gate}") for gate in gates] for kind in "WUb")
        return dx, *(np.concatenate(p, 1).T.reshape(a.shape) for p, a in zip(parts, weights, strict=True))

    return made.forward_pass(x), backward


def lstm():
    """All outputs; c is what torch calls g."""

    def layer(x, weight_ih, weight_hh, bias):
        made = layers.LSTM(weight_hh.shape[1], return_sequences=True, clip_value=np.inf)
        return recurrent(made, "ifco", x, (weight_ih, weight_hh, bias))

    return layer


def gru():
    """All outputs; h is what torch calls n."""

    def layer(x, weight_ih, weight_hh, bias):
        made = layers.GRU(weight_hh.shape[1], return_sequences=True, clip_value=np.inf)
        return recurrent(made, "rzh", x, (weight_ih, weight_hh, bias))

    return layer


def attention(use_scale, return_sequences):
    """Of a sequence to itself, without parameters."""
    return layers.Attention(use_scale, return_sequences=return_sequences)


def multi_head_attention(embed_dim, num_heads):
    """Of a sequence to itself."""
    return layers.MultiHeadAttention(num_heads, embed_dim // num_heads)


def compared(loss, x, target):
    """One call of a loss, whose derivative takes what it does."""
    return np.asarray(loss(target, x)), lambda dy: {"x": dy * loss.derivative(target, x)}


def mean_squared_error():
    """A mean over all elements."""
    return lambda x, target: compared(losses.MeanSquaredError(), x, target)


def mean_absolute_error():
    """A mean over all elements."""
    return lambda x, target: compared(losses.MeanAbsoluteError(), x, target)


def huber(delta=1.0):
    """A mean over all elements."""
    return lambda x, target: compared(losses.Huber(delta), x, target)


def binary_crossentropy():
    """Of probabilities, which it keeps 1e-15 away from 0 and 1."""
    return lambda x, target: compared(losses.BinaryCrossentropy(), x, target)


def categorical_crossentropy():
    """Of probabilities, and one-hot rows."""
    return lambda x, target: compared(losses.CategoricalCrossentropy(), x, np.eye(x.shape[1])[target])


def sparse_categorical_crossentropy():
    """Of probabilities, and the numbers of classes."""
    return lambda x, target: compared(losses.SparseCategoricalCrossentropy(), x, target)


CHANCE = {"p": st.sampled_from((0.5, 0.1, 0.75, 0.0))}
PLAIN = {"dilation": 1, "groups": 1, "padding_mode": "zeros", "bias": True}
STRIDE = {"stride": st.integers(1, 3)}
TRANSPOSED = {"dilation": 1, "groups": 1, "bias": True, "output_padding": 0, "stride": st.integers(1, 3)}
NLC = {"layout": "NLC", "weight": "(kernel, in, out)"}
NHWC = {"layout": "NHWC", "weight": "(kernel, in, out)"}
VALID = {"padding": 0, "ceil_mode": False}
SAME = {"kernel_size": 3, "stride": 1, "padding": 1, "ceil_mode": False}
MAX = {"dilation": 1, "return_indices": False}
AVERAGE = {"count_include_pad": not SINCE_5}
OVERRIDE = {"divisor_override": None}
ONE = {"kernel_size": st.integers(1, 4), "stride": st.integers(1, 3)}
TABLE = {"padding_idx": 0, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
NORM = {"affine": True, "bias": True, "momentum": 0.1, "training": True, "track_running_stats": False}
MEAN = {"reduction": "mean"}
HEADS = {
    f"{short}_{kind}": (f"{name}_dense.{kind}{end}", f"{name}_dense.d_{kind}{end}")
    for short, name in (("q", "query"), ("k", "key"), ("v", "value"), ("out", "output"))
    for kind, end in (("weight", "s"), ("bias", ""))
}


def last_axis(config, shapes):
    """One axis is normalised, the last of two or three."""
    return of_rank(2, 3)(config, shapes) and np.size(config["normalized_shape"]) == 1


def unsized(config, shapes):
    """No size is asked for."""
    return of_rank(4)(config, shapes) and "output_size" not in shapes


def adapt(factory, to, where=filled, **declared):
    """All of neuralnetlib computes in float64."""
    return gradjury.adapt(factory, to=to, where=where, dtype="float64", **declared)


Dense = adapt(dense, "Linear", of_rank(2, 3), fixed={"bias": True}, weight="(in, out)")
Sigmoid = adapt(sigmoid, "Sigmoid")
ReLU = adapt(relu, "ReLU")
Tanh = adapt(tanh, "Tanh")
Linear = adapt(linear, "Identity")
LeakyReLU = adapt(leaky_relu, "LeakyReLU")
ELU = adapt(elu, "ELU", fixed={"alpha": 1.0})
SELU = adapt(selu, "SELU")
GELU = adapt(gelu, "GELU", fixed={"approximate": "tanh"})
if SINCE_5:  # before, its derivative says that it is not implemented
    Softmax = adapt(softmax, "Softmax", of_rank(2, 3, 4), fixed={"dim": -1})
Dropout = adapt(dropout, "Dropout", fixed=CHANCE | {"training": True})
DropoutEval = adapt(dropout, "Dropout", fixed=CHANCE | {"training": False})
Conv1D = adapt(conv1d, "Conv1d", of_rank(3), fixed=PLAIN | ONE | {"padding": "valid"}, **NLC)
Conv1DSame = adapt(conv1d, "Conv1d", of_rank(3), fixed=PLAIN | ONE | {"stride": 1, "padding": "same"}, **NLC)
Conv2D = adapt(conv2d, "Conv2d", of_rank(4), fixed=PLAIN | STRIDE | {"padding": "valid"}, **NHWC)
Conv2DSame = adapt(conv2d, "Conv2d", of_rank(4), fixed=PLAIN | {"stride": 1, "padding": "same"}, **NHWC)
Conv2DTranspose = adapt(
    conv2d_transpose,
    "ConvTranspose2d",
    unsized,
    fixed=TRANSPOSED | {"padding": 0},
    layout="NHWC",
    weight="(kernel, out, in)",
)
Conv2DTransposeSame = adapt(
    conv2d_transpose,
    "ConvTranspose2d",
    unsized,
    fixed=TRANSPOSED | {"kernel_size": 3, "stride": 1, "padding": 1},
    layout="NHWC",
    weight="(kernel, out, in)",
)
MaxPooling1D = adapt(max_pooling1d, "MaxPool1d", of_rank(3), fixed=MAX | VALID | ONE, layout="NLC")
MaxPooling1DSame = adapt(max_pooling1d, "MaxPool1d", of_rank(3), fixed=MAX | SAME, layout="NLC")
MaxPooling2D = adapt(max_pooling2d, "MaxPool2d", of_rank(4), fixed=MAX | VALID, layout="NHWC")
MaxPooling2DSame = adapt(max_pooling2d, "MaxPool2d", of_rank(4), fixed=MAX | SAME, layout="NHWC")
AveragePooling1D = adapt(average_pooling1d, "AvgPool1d", of_rank(3), fixed=AVERAGE | VALID | ONE, layout="NLC")
AveragePooling1DSame = adapt(average_pooling1d, "AvgPool1d", of_rank(3), fixed=AVERAGE | SAME, layout="NLC")
AveragePooling2D = adapt(average_pooling2d, "AvgPool2d", of_rank(4), fixed=AVERAGE | VALID | OVERRIDE, layout="NHWC")
AveragePooling2DSame = adapt(average_pooling2d, "AvgPool2d", of_rank(4), fixed=AVERAGE | SAME | OVERRIDE, layout="NHWC")
GlobalAveragePooling1D = adapt(global_average_pooling1d, "AdaptiveAvgPool1d", of_rank(3), fixed={"output_size": 1})
GlobalAveragePooling2D = adapt(global_average_pooling2d, "AdaptiveAvgPool2d", of_rank(4), fixed={"output_size": 1})
Flatten = adapt(flatten, "Flatten", of_rank(2, 3, 4), fixed={"start_dim": 1, "end_dim": -1})
Reshape = adapt(reshape, "Unflatten", of_rank(2), fixed={"dim": 1})
Embedding = adapt(embedding, "Embedding", of_rank(2), fixed=TABLE | {"num_embeddings": st.integers(4, 8)})
BatchNormalization = adapt(batch_normalization, "BatchNorm1d", of_rank(2), fixed=NORM)
BatchNormalization2D = adapt(batch_normalization, "BatchNorm2d", of_rank(4), fixed=NORM, layout="NHWC")
LayerNormalization = adapt(
    layer_normalization, "LayerNorm", last_axis, fixed={"elementwise_affine": True, "bias": True}
)
UpSampling2D = adapt(
    up_sampling2d,
    "UpsamplingNearest2d",
    of_rank(4),
    fixed={"size": None, "scale_factor": st.integers(1, 3)},
    layout="NHWC",
)
UpSampling2DBilinear = adapt(
    up_sampling2d_bilinear,
    "UpsamplingBilinear2d",
    of_rank(4),
    fixed={"size": None, "scale_factor": st.integers(1, 3)},
    layout="NHWC",
)
LSTM = adapt(lstm, own_contracts.LSTM)
GRU = adapt(gru, own_contracts.GRU)
Attention = adapt(attention, own_contracts.DotAttention)
MultiHeadAttention = adapt(multi_head_attention, own_contracts.SelfAttention, parameters=HEADS, weight="(in, out)")
MeanSquaredError = adapt(mean_squared_error, "MSELoss", same_shapes, fixed=MEAN, no_grad=("target",))
MeanAbsoluteError = adapt(mean_absolute_error, "L1Loss", same_shapes, fixed=MEAN, no_grad=("target",))
Huber = adapt(huber, "HuberLoss", same_shapes, fixed=MEAN, no_grad=("target",))
BinaryCrossentropy = adapt(binary_crossentropy, own_contracts.BinaryLoss)
CategoricalCrossentropy = adapt(categorical_crossentropy, own_contracts.ProbabilityLoss)
SparseCategoricalCrossentropy = adapt(sparse_categorical_crossentropy, own_contracts.ProbabilityLoss)
