"""conv2d breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: backward. the
backward raised ValueError: cannot reshape array of size 1 into shape (2,1)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import conv2d as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from pureml.machinery import Tensor as Tensor

x = np.array([[[[2.0]]]], dtype='float64')
weight = np.array([[[[1.0]]], [[[0.0]]]], dtype='float64')
bias = np.array([-2.0, -1.0], dtype='float64')
dy = np.array([[[[2.0]], [[3.0]]]], dtype='float64')
case = [x, weight, bias, dy]


def ask(layer, x, weight, bias, dy):
    t_x = Tensor(x, requires_grad=True)
    t_weight = Tensor(weight.reshape((2, 1)), requires_grad=True)
    t_bias = Tensor(bias, requires_grad=True)
    layer.W = t_weight
    layer.b = t_bias
    t = layer(t_x)
    y = t.data
    g = t.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": t_x.grad, "weight": t_weight.grad.reshape(weight.shape), "bias": t_bias.grad}


layer = Layer(in_channels=1, out_channels=2, kernel_size=1, padding=0, dilation=1, stride=1)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
