"""Layers of torch.nn in NumPy alone, forward and backward; names, arguments and defaults are torch's.

A layer is a frozen configuration. Called with arrays it answers `y, backward`; `backward(dy)` answers the
gradients by name:

>>> import numpy as np
>>> from gradjury.impl import Linear
>>> y, backward = Linear(2, 1)(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([5.0]))
>>> y
array([16.])
>>> backward(np.array([2.0]))["weight"]
array([[2., 4.]])
"""

from .activation import LeakyReLU, ReLU, Sigmoid, Tanh
from .arithmetic import Add, Multiply
from .conv import Conv2d
from .distance import CosineSimilarity, PairwiseDistance, Pdist
from .linear import Identity, Linear
from .loss import CrossEntropyLoss, MSELoss
from .padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    Pad,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from .pooling import AvgPool2d, MaxPool2d
from .sequential import Sequential
from .sgd import SGD
from .shape import ChannelShuffle, Flatten, PixelShuffle, PixelUnshuffle, Unflatten
from .softmax import LogSoftmax, Softmax

__all__ = [
    "SGD",
    "Add",
    "AvgPool2d",
    "ChannelShuffle",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv2d",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Multiply",
    "Pad",
    "PairwiseDistance",
    "Pdist",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReLU",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Unflatten",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
