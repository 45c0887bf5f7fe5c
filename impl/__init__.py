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

from .activation import GELU, GLU, LogSigmoid, Mish, Sigmoid, SiLU, Softplus, Softsign, Tanh, Tanhshrink
from .arithmetic import Add, Multiply
from .conv import Conv2d
from .linear import Linear
from .loss import CrossEntropyLoss, MSELoss
from .pooling import AvgPool2d, MaxPool2d
from .rectifier import (
    CELU,
    ELU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    RReLU,
    Softshrink,
    Threshold,
)
from .sequential import Sequential
from .sgd import SGD
from .shape import Flatten
from .softmax import LogSoftmax, Softmax, Softmax2d, Softmin

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "SGD",
    "Add",
    "AvgPool2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Flatten",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Mish",
    "Multiply",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]
