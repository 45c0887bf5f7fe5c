"""batch_norm1d breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: backward.
the backward raised TypeError: unsupported operand type(s) for *: 'NoneType' and 'float'

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_torchy_nn import batch_norm1d as Layer

x = np.array([[2.0], [1.0]], dtype='float64')
weight = np.array([0.0], dtype='float64')
bias = np.array([-2.0], dtype='float64')
running_mean = np.array([-1.0], dtype='float64')
running_var = np.array([3.5], dtype='float64')
num_batches_tracked = np.array(0, dtype='int64')
dy = np.array([[-3.0], [-2.0]], dtype='float64')
case = [x, weight, bias, running_mean, running_var, num_batches_tracked, dy]


def ask(layer, x, weight, bias, running_mean, running_var, num_batches_tracked, dy):
    layer.gamma.data = weight
    layer.beta.data = bias
    layer.running_mean = running_mean
    layer.running_var = running_var
    layer.momentum = num_batches_tracked
    y = layer.forward(x)
    g = layer.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g["x"], "weight": np.reshape(layer.gamma.grad, weight.shape), "bias": np.reshape(layer.beta.grad, bias.shape)}


layer = Layer(training=False, num_features=1)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
