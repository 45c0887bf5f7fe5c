"""numpy-ml 0.1.2: objects with dicts of parameters and gradients that the first call makes, channels last.

The package asks `collections` for Hashable, which Python 3.10 moved for good; it is put back before the import.
"""

from __future__ import annotations

import collections
import collections.abc
import warnings

import numpy as np
from hypothesis import strategies as st

import gradjury

from . import own_contracts
from .common import drawing, filled, of_rank, same_shapes

collections.Hashable = collections.abc.Hashable
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the OpenAI gym
    from numpy_ml.neural_nets import activations, layers, losses, wrappers


def pair(size):
    """A number for each of two axes."""
    return (size, size) if isinstance(size, int) else size


def sigmoid():
    """A function and its derivative, as all activations."""
    return activations.Sigmoid()


def relu():
    """The larger of x and 0."""
    return activations.ReLU()


def leaky_relu(negative_slope=0.01):
    """x or a share of it."""
    return activations.LeakyReLU(negative_slope)


def tanh():
    """The hyperbolic tangent."""
    return activations.Tanh()


def identity():
    """x."""
    return activations.Identity()


def elu(alpha=1.0):
    """x or alpha·(eˣ - 1)."""
    return activations.ELU(alpha)


def selu():
    """The same, scaled."""
    return activations.SELU()


def softplus():
    """log(1 + eˣ)."""
    return activations.SoftPlus()


def fully_connected(out_features):
    """Always with a bias."""
    return layers.FullyConnected(out_features)


def softmax(dim=-1):
    """Along an axis of a matrix."""
    return layers.Softmax(dim)


def flatten():
    """All axes but the first."""
    return layers.Flatten()


def embedding(num_embeddings, embedding_dim):
    """Rows of a table."""
    return layers.Embedding(embedding_dim, num_embeddings)


def add():
    """A gate of a list of arrays of one shape."""

    def layer(x, other):
        made = layers.Add()
        return made.forward([x, other]), made.backward

    return layer


def multiply():
    """The same."""

    def layer(x, other):
        made = layers.Multiply()
        return made.forward([x, other]), made.backward

    return layer


def batch_norm1d(eps=1e-5):
    """In training."""
    return layers.BatchNorm1D(epsilon=eps)


def batch_norm2d(eps=1e-5):
    """In training."""
    return layers.BatchNorm2D(epsilon=eps)


def layer_norm1d(eps=1e-5):
    """Of the last of two axes."""
    return layers.LayerNorm1D(eps)


def layer_norm2d(eps=1e-5):
    """Of all axes but the first."""
    return layers.LayerNorm2D(eps)


def conv1d(out_channels, kernel_size, stride=1, padding=0, dilation=1):
    """Its dilation counts the cells between."""
    return layers.Conv1D(out_channels, kernel_size, padding, stride, dilation - 1)


def conv2d(out_channels, kernel_size, stride=1, padding=0, dilation=1):
    """The same for planes; one stride for both axes."""
    return layers.Conv2D(out_channels, pair(kernel_size), padding, stride, dilation - 1)


def deconv2d(out_channels, kernel_size, stride=1, padding=0):
    """A transposed convolution."""
    return layers.Deconv2D(out_channels, pair(kernel_size), padding, stride)


def max_pool2d(kernel_size, stride=1, padding=0):
    """Pads by zeros."""
    return layers.Pool2D(pair(kernel_size), stride, padding, "max")


def average_pool2d(kernel_size, stride=1, padding=0):
    """Zeros that are padded count."""
    return layers.Pool2D(pair(kernel_size), stride, padding, "average")


def dropout(p=0.5):
    """A wrapper, in training, here of a layer that changes nothing; kept is what np.random.rand puts at p or above."""

    def layer(x, mask=None):
        made = wrappers.Dropout(layers.Flatten(), p)
        with drawing(mask, p, kept=1.0, dropped=0.0):
            return made.forward(x), made.backward

    return layer


def dot_product_attention():
    """One head."""

    def layer(query, key, value):
        made = layers.DotProductAttention()
        return made.forward(query, key, value), made.backward

    return layer


def cell_of(kind, parameters, input_size, hidden_size):
    """A new cell with these parameters: one that was flushed has no backward."""
    cell = kind(hidden_size)
    cell.n_in = input_size
    cell._init_params()
    cell.parameters |= parameters
    return cell


def unrolled(make, x):
    """The outputs of a cell, step by step, and a backward through another one: dx, and the cell's gradients."""

    def run(cell):
        states = [cell.forward(step) for step in x.swapaxes(0, 1)]
        return np.stack([state[0] if isinstance(state, tuple) else state for state in states], 1)

    def backward(dy):
        run(cell := make())
        steps = [cell.backward(dy[:, t]) for t in reversed(range(x.shape[1]))]
        return np.stack(steps[::-1], 1), cell.gradients

    return run(make()), backward


def rnn_cell():
    """Two biases where one is enough."""

    def layer(x, weight_ih, weight_hh, bias):
        own = {"Wax": weight_ih.T, "Waa": weight_hh.T, "bx": bias[:, None]}
        y, backward = unrolled(lambda: cell_of(layers.RNNCell, own, x.shape[2], len(weight_hh)), x)

        def named(dy):
            dx, g = backward(dy)
            return dx, g["Wax"].T, g["Waa"].T, g["bx"][:, 0]

        return y, named

    return layer


def lstm_cell():
    """The gates u, f, c, o are what torch calls i, f, g, o; the state stands before x."""

    def layer(x, weight_ih, weight_hh, bias):
        weights = zip("ufco", np.split(np.hstack([weight_hh, weight_ih]), 4), np.split(bias, 4), strict=True)
        own = {name: a for gate, w, b in weights for name, a in ((f"W{gate}", w.T), (f"b{gate}", b[None]))}
        y, backward = unrolled(lambda: cell_of(layers.LSTMCell, own, x.shape[2], weight_hh.shape[1]), x)

        def named(dy):
            dx, g = backward(dy)
            w, b = (np.hstack([g[f"{kind}{gate}"] for gate in "ufco"]).T for kind in "Wb")
            return dx, w[:, -x.shape[2] :], w[:, : -x.shape[2]], b[:, 0]

        return y, named

    return layer


def rnn_cell_again(hidden_size):
    """One step of a cell that was flushed, as every update does."""
    return layers.RNNCell(hidden_size)


def squared_error():
    """Half the sum of squares, with the identity behind it."""

    def layer(x, target):
        loss = 2 * losses.SquaredError.loss(target, x)
        return np.asarray(loss), lambda dy: {
            "x": 2 * dy * losses.SquaredError.grad(target, x, x, activations.Identity())
        }

    return layer


def cross_entropy():
    """The sum for one-hot targets, of a softmax that its gradient goes through."""

    def layer(x, target):
        hot, p = np.eye(x.shape[1])[target], layers.Softmax().forward(x)
        return np.asarray(losses.CrossEntropy.loss(hot, p)), lambda dy: {"x": dy * losses.CrossEntropy.grad(hot, p)}

    return layer


def last_axis(config, shapes):
    """One axis is normalised, the last of two."""
    return of_rank(2)(config, shapes) and np.size(config["normalized_shape"]) == 1


def picture(config, shapes):
    """All axes but the first of four are normalised."""
    return of_rank(4)(config, shapes) and np.size(config["normalized_shape"]) == 3


def one_batch(rank):
    """Matrices of one batch, all of this rank, none masked."""

    def where(config, shapes):  # noqa: ARG001
        q, k, v = (shapes[name] for name in ("query", "key", "value"))
        return len(shapes) == 3 and len(q) == rank and q[:-2] == k[:-2] == v[:-2] and all(q + k + v)

    return where


def unsized(config, shapes):
    """Kernels larger than the padding, and no size asked for."""
    kernel = np.broadcast_to(config["kernel_size"], 2)
    return of_rank(4)(config, shapes) and "output_size" not in shapes and (kernel > config["padding"]).all()


def alike(config, shapes):
    """Two batches of one shape."""
    return of_rank(2, 3, 4)(config, shapes) and shapes["x"] == shapes["other"]


def started(config, shapes):
    """A batch, and the state that cells start from."""
    return of_rank(2)(config, shapes) and "hx" not in shapes and all(map(all, shapes.values()))


def adapt(factory, to, where=filled, **declared):
    """All of numpy-ml computes in float64."""
    return gradjury.adapt(factory, to=to, where=where, dtype="float64", **declared)


def layer_of(factory, to, where=filled, **declared):
    """Layers add to their gradients until they are flushed."""
    return adapt(factory, to, where, reset="flush_gradients", **declared)


NORM = {name: (f"parameters.{own}", f"gradients.{own}") for name, own in (("weight", "scaler"), ("bias", "intercept"))}
TRAINING = {"affine": True, "bias": True, "momentum": 0.1, "training": True, "track_running_stats": False}
AFFINE = {"elementwise_affine": True, "bias": True}
TABLE = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
CONV = {"padding_mode": "zeros", "groups": 1, "bias": True, "stride": st.integers(1, 3), "dilation": st.integers(1, 3)}
CONV1D = CONV | {"kernel_size": st.integers(1, 4), "padding": st.one_of(st.integers(0, 3), st.just("same"))}
CONV2D = CONV | {"padding": st.integers(0, 3)}
DECONV = {"groups": 1, "bias": True, "stride": st.integers(1, 3), "dilation": 1, "output_padding": 0}
POOL = {"stride": st.integers(1, 3), "ceil_mode": False}
MAX = POOL | {"dilation": 1, "return_indices": False}
AVERAGE = POOL | {"count_include_pad": True, "divisor_override": None}
NHWC = {"layout": "NHWC"}
KERNEL = {"weight": "(kernel, in, out)"}
HEAD = {"dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False}
CELL = {
    "weight_ih": ("parameters.Wax", "gradients.Wax"),
    "weight_hh": ("parameters.Waa", "gradients.Waa"),
    "bias_ih": ("parameters.bx", "gradients.bx"),
    "bias_hh": ("parameters.ba", "gradients.ba"),
}

Sigmoid = adapt(sigmoid, "Sigmoid")
ReLU = adapt(relu, "ReLU")
LeakyReLU = adapt(leaky_relu, "LeakyReLU")
Tanh = adapt(tanh, "Tanh")
Identity = adapt(identity, "Identity")
ELU = adapt(elu, "ELU")
SELU = adapt(selu, "SELU")
SoftPlus = adapt(softplus, "Softplus", fixed={"beta": 1.0, "threshold": 1000.0})
FullyConnected = layer_of(fully_connected, "Linear", of_rank(2), fixed={"bias": True}, weight="(in, out)")
Softmax = layer_of(softmax, "Softmax", of_rank(2), fixed={"dim": st.sampled_from((-1, 1))})
SoftmaxFirst = layer_of(softmax, "Softmax", of_rank(2), fixed={"dim": 0})
Flatten = layer_of(flatten, "Flatten", of_rank(2, 3, 4), fixed={"start_dim": 1, "end_dim": -1})
Embedding = layer_of(embedding, "Embedding", of_rank(2), fixed=TABLE)
Add = adapt(add, "Add", alike)
Multiply = adapt(multiply, "Multiply", alike)
BatchNorm1D = layer_of(batch_norm1d, "BatchNorm1d", of_rank(2), fixed=TRAINING, parameters=NORM)
BatchNorm2D = layer_of(batch_norm2d, "BatchNorm2d", of_rank(4), fixed=TRAINING, parameters=NORM, **NHWC)
LayerNorm1D = layer_of(layer_norm1d, "LayerNorm", last_axis, fixed=AFFINE, parameters=NORM)
LayerNorm2D = layer_of(
    layer_norm2d,
    "LayerNorm",
    picture,
    fixed=AFFINE,
    parameters=NORM,
    weight={"weight": (1, 2, 0), "bias": (1, 2, 0)},
    **NHWC,
)
Conv1D = layer_of(conv1d, "Conv1d", of_rank(3), fixed=CONV1D, layout="NLC", **KERNEL)
Conv2D = layer_of(conv2d, "Conv2d", of_rank(4), fixed=CONV2D, **NHWC, **KERNEL)
Deconv2D = layer_of(deconv2d, "ConvTranspose2d", unsized, fixed=DECONV | {"padding": 0}, **NHWC, **KERNEL)
Deconv2DPadded = layer_of(deconv2d, "ConvTranspose2d", unsized, fixed=DECONV | {"padding": 1}, **NHWC, **KERNEL)
MaxPool2D = layer_of(max_pool2d, "MaxPool2d", of_rank(4), fixed=MAX | {"padding": 0}, **NHWC)
MaxPool2DPadded = layer_of(max_pool2d, "MaxPool2d", of_rank(4), fixed=MAX | {"padding": 1}, **NHWC)
AveragePool2D = layer_of(average_pool2d, "AvgPool2d", of_rank(4), fixed=AVERAGE | {"padding": 0}, **NHWC)
AveragePool2DPadded = layer_of(average_pool2d, "AvgPool2d", of_rank(4), fixed=AVERAGE | {"padding": 1}, **NHWC)
Dropout = adapt(dropout, "Dropout", of_rank(2), fixed={"p": st.sampled_from((0.5, 0.1, 0.75, 0.0)), "training": True})
DotProductAttention = adapt(dot_product_attention, "ScaledDotProductAttention", one_batch(3), fixed=HEAD)
DotProductAttentionHeads = adapt(dot_product_attention, "ScaledDotProductAttention", one_batch(4), fixed=HEAD)
RNNCell = adapt(rnn_cell, own_contracts.RNN)
LSTMCell = adapt(lstm_cell, own_contracts.LSTM)
RNNCellAgain = layer_of(
    rnn_cell_again,
    "RNNCell",
    started,
    fixed={"nonlinearity": "tanh", "bias": True},
    parameters=CELL,
    weight="(in, out)",
)
SquaredError = adapt(squared_error, "MSELoss", same_shapes, fixed={"reduction": "sum"}, no_grad=("target",))
CrossEntropy = adapt(cross_entropy, own_contracts.ClassLoss, fixed={"reduction": "sum"})
