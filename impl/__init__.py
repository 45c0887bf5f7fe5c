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
from .batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from .conv import Conv2d
from .linear import Linear
from .loss import CrossEntropyLoss, MSELoss
from .normalization import GroupNorm, LayerNorm, Normalize, RMSNorm
from .pooling import AvgPool2d, MaxPool2d
from .response_norm import CrossMapLRN2d, LocalResponseNorm
from .sequential import Sequential
from .sgd import SGD
from .shape import Flatten
from .softmax import LogSoftmax, Softmax

__all__ = [
    "SGD",
    "Add",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv2d",
    "CrossEntropyLoss",
    "CrossMapLRN2d",
    "Flatten",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Multiply",
    "Normalize",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
