"""Functions whose derivatives are known, as layers, for the tests of the oracle."""

import numpy as np
import torch

from gradjury.oracle.autograd import torch_vjp
from gradjury.oracle.vjp import Case

DTYPES = [np.float32, np.float64]


def case(dtype=np.float64, *, dy=None, **inputs):
    """A case of these inputs, all differentiable; the cotangent is ones in the shape of the first unless given."""
    arrays = {name: np.asarray(a, dtype) for name, a in inputs.items()}
    dy = np.ones_like(next(iter(arrays.values()))) if dy is None else np.asarray(dy, dtype)
    return Case({}, arrays, (dy,), tuple(arrays))


def elementwise(function, derivative):
    """A layer in NumPy: y = function(x), dx = dy·derivative(x)."""

    def layer(x):
        return np.asarray(function(x)), lambda dy: {"x": np.asarray(dy * derivative(x))}

    return layer


def in_torch(function):
    return torch_vjp(function, ("x",))


def dtanh(x):
    return 1 - np.tanh(x) ** 2


EXP = elementwise(np.exp, np.exp)
TANH = elementwise(np.tanh, dtanh)
RELU = elementwise(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype))
ABS = elementwise(np.abs, np.sign)
ROUND = elementwise(np.round, np.zeros_like)

TORCH_TANH = in_torch(lambda x: torch.tanh(x))
TORCH_RELU = in_torch(lambda x: torch.relu(x))


def product(x, other):
    return x @ other, lambda dy: {"x": dy @ other.T, "other": x.T @ dy}
