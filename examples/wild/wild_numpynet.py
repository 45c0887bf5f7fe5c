"""numpynet 0.1.0: layers of one sample, without a batch, that update their weights inside backpropagate.

Its compiled functions are run as they are written: numba would compile them anew for each layout of memory.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from unittest import mock

import numpy as np
from hypothesis import strategies as st

import gradjury

from . import own_contracts
from .common import filled, of_rank

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
from numpynet import activations, layers, losses


def connected(made):
    """A layer that connects itself to a network and to the shape of what it is given, and keeps its weights."""
    made.nn = SimpleNamespace(learning_rate=1.0, training=True)
    inner = made.propagate

    def propagate(x):
        given = list(made.weights)
        made.connect(made.nn, SimpleNamespace(output_shape=np.array(x.shape)), None)
        made.weights = [mine if own is None else own for mine, own in zip(made.weights, given, strict=True)]
        return inner(x)

    made.propagate = propagate
    return made


def dense(out_features):
    """Without a bias."""
    return connected(layers.DenseLayer(out_features))


def bias():
    """A gate of x and the bias, which starts from zero so that its update is the gradient."""

    def layer(x, other):
        made = connected(layers.BiasLayer())
        made.weights = [other.copy()]
        y = made.propagate(x)

        def backward(dy):
            made.weights = [np.zeros_like(other)]
            return made.backpropagate(dy), -made.bias

        return y, backward

    return layer


def conv2d(out_channels, kernel_size, stride=1, bias=True):
    """Odd kernels that fit without a rest."""
    return connected(layers.Conv2DLayer(out_channels, kernel_size, stride, bias))


def max_pool2d(kernel_size):
    """Windows side by side."""
    return connected(layers.Pool2DLayer(kernel_size))


def zero_pad2d(padding):
    """Padding in torch's order: left, right, top, bottom."""
    left, right, top, bottom = padding
    return connected(layers.Padding2DLayer(((top, bottom), (left, right))))


def replication_pad2d(padding):
    """The same with mode="duplicate"."""
    left, right, top, bottom = padding
    return connected(layers.Padding2DLayer(((top, bottom), (left, right)), "duplicate"))


def crop2d(padding):
    """What torch calls padding by negative widths."""
    left, right, top, bottom = padding
    return connected(layers.Crop2DLayer(((-top, -bottom), (-left, -right))))


def flatten():
    """All axes: there is no batch."""
    return connected(layers.FlattenLayer())


def softmax():
    """Of a vector."""
    return connected(layers.SoftmaxLayer())


def dropout(p=0.5, training=True):
    """Kept is what np.random.binomial draws."""

    def layer(x, mask=None):
        made = connected(layers.DropoutLayer(p))
        made.nn.training = training
        drawn = None if mask is None else (mask | (p == 0)).astype(int)
        with mock.patch.object(np.random, "binomial", return_value=drawn):
            return made.propagate(x), made.backpropagate

    return layer


def activation_sigmoid():
    """In a layer."""
    return layers.ActivationLayer("sigmoid")


def activation_relu():
    """In a layer."""
    return layers.ActivationLayer("relu")


def activation_leaky_relu(negative_slope=0.01):
    """In a layer."""
    return layers.ActivationLayer(activations.LeakyReLuActivation(negative_slope))


def activation_tanh():
    """In a layer."""
    return layers.ActivationLayer("tanh")


def activation_no():
    """In a layer."""
    return layers.ActivationLayer("no")


def sigmoid():
    """By itself."""
    return activations.SigmoidActivation()


def relu():
    """By itself."""
    return activations.ReLuActivation()


def leaky_relu(negative_slope=0.01):
    """By itself."""
    return activations.LeakyReLuActivation(negative_slope)


def tanh():
    """By itself."""
    return activations.TanhActivation()


def mse_loss():
    """The mean of squares."""
    made = losses.MseLoss()
    return lambda x, target: (np.asarray(made.call(x, target)), lambda dy: {"x": dy * made.deriv(x, target)})


def one_hot_loss(made, x, target):
    """A loss of one sample, which is a batch of one here, whose target is a one-hot vector."""
    hot = np.eye(x.shape[1])[target[0]]
    return np.asarray(made.call(x[0], hot)), lambda dy: {"x": dy * made.deriv(x[0], hot)[None]}


def softmax_cce_loss():
    """Of scores."""
    return lambda x, target: one_hot_loss(losses.SoftmaxCceLoss(), x, target)


def cce_loss():
    """Of probabilities."""
    return lambda x, target: one_hot_loss(losses.CceLoss(), x, target)


def fitting(config, shapes):
    """One picture, and odd kernels that leave no rest at the border."""
    kernel, stride = np.broadcast_to(config["kernel_size"], 2), np.broadcast_to(config["stride"], 2)
    rest = (np.array(shapes["x"][-2:]) - kernel) % stride
    return of_rank(3)(config, shapes) and (kernel % 2 == 1).all() and not rest.any()


def divided(config, shapes):
    """One picture that windows divide."""
    return of_rank(3)(config, shapes) and not (np.array(shapes["x"][-2:]) % config["kernel_size"]).any()


def alike(config, shapes):
    """Two arrays of one shape, as a bias is."""
    return filled(config, shapes) and len(set(shapes.values())) == 1


def one_row(config, shapes):  # noqa: ARG001
    """A batch of one."""
    return len(shapes["x"]) == 2 and shapes["x"][0] == 1


def adapt(factory, to, where=filled, **declared):
    """A network fits in float64."""
    return gradjury.adapt(factory, to=to, where=where, dtype="float64", **declared)


def layer_of(factory, to, where=filled, **declared):
    """The names of the methods of all layers."""
    return adapt(factory, to, where, methods=("propagate", "backpropagate"), **declared)


HWC = {"layout": "HWC"}
CHANCE = {"p": st.sampled_from((0.5, 0.1, 0.75, 0.0))}
RATE = {"style": "updating", "learning_rate": "nn.learning_rate"}
WIDTHS = st.integers(0, 3)
SIDES = st.tuples(WIDTHS, WIDTHS, WIDTHS, WIDTHS)
CROPPED = st.tuples(*(st.integers(-2, 0) for _ in range(4)))
ODD = {"kernel_size": st.sampled_from((1, 3, (1, 3), (3, 1))), "stride": st.sampled_from((1, 2, (1, 2)))}
CONV = ODD | {"padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}
WINDOWS = {"padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False, "stride": None}
STORED = {"weight": "weights.0", "bias": "weights.1"}

Dense = layer_of(dense, "Linear", of_rank(1), fixed={"bias": False}, parameters={"weight": "weights.0"}, **RATE)
Bias = adapt(bias, "Add", alike)
Conv2D = layer_of(
    conv2d, "Conv2d", fitting, fixed=CONV | {"bias": True}, parameters=STORED, weight=(0, 2, 3, 1), **HWC, **RATE
)
Pool2D = layer_of(max_pool2d, "MaxPool2d", divided, fixed=WINDOWS, **HWC)
Padding2D = layer_of(zero_pad2d, "ZeroPad2d", of_rank(3), fixed={"padding": SIDES}, **HWC)
Padding2DDuplicate = layer_of(replication_pad2d, "ReplicationPad2d", of_rank(3), fixed={"padding": SIDES}, **HWC)
Crop2D = layer_of(crop2d, "ZeroPad2d", of_rank(3), fixed={"padding": CROPPED}, **HWC)
Flatten = layer_of(flatten, "Flatten", fixed={"start_dim": 0, "end_dim": -1})
Softmax = layer_of(softmax, "Softmax", of_rank(1), fixed={"dim": -1})
Dropout = adapt(dropout, "Dropout", fixed=CHANCE | {"training": True})
DropoutEval = adapt(dropout, "Dropout", fixed=CHANCE | {"training": False})
ActivationSigmoid = layer_of(activation_sigmoid, "Sigmoid")
ActivationReLU = layer_of(activation_relu, "ReLU")
ActivationLeakyReLU = layer_of(activation_leaky_relu, "LeakyReLU")
ActivationTanh = layer_of(activation_tanh, "Tanh")
ActivationNo = layer_of(activation_no, "Identity")
Sigmoid = adapt(sigmoid, "Sigmoid")
ReLU = adapt(relu, "ReLU")
LeakyReLU = adapt(leaky_relu, "LeakyReLU")
Tanh = adapt(tanh, "Tanh")
MseLoss = adapt(mse_loss, "MSELoss", alike, fixed={"reduction": "mean"}, no_grad=("target",))
SoftmaxCceLoss = adapt(softmax_cce_loss, own_contracts.ClassLoss, one_row, fixed={"reduction": "sum"})
CceLoss = adapt(cce_loss, own_contracts.ProbabilityLoss, one_row)
