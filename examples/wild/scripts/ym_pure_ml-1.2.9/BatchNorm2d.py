"""batch_norm2d breaks the law finite_differences: every gradient is the finite difference of the layer's own forward.
Wrong here: gradient of weight. along a direction v, <dx, v> is 35.5235803, but the finite difference of its own
forward is 4.92726614 (± 1.8e-10)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import batch_norm2d as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from pureml.machinery import Tensor as Tensor

x = np.array([[[[2.0, 1.0]], [[0.0, -2.0]]]], dtype='float64')
weight = np.array([-1.0, -3.0], dtype='float64')
bias = np.array([-3.0, -3.0], dtype='float64')
dy = np.array([[[[-2.0, 2.0]], [[1.0, 3.0]]]], dtype='float64')
case = [x, weight, bias, dy]
inputs, cotangents = case[:3], case[3:]


def ask(layer, x, weight, bias, dy):
    x, weight, bias, dy, = (a.copy() for a in (x, weight, bias, dy,))
    t_x = Tensor(x, requires_grad=True)
    t_weight = Tensor(weight, requires_grad=True)
    t_bias = Tensor(bias, requires_grad=True)
    layer._bn1d.gamma = t_weight
    layer._bn1d.beta = t_bias
    t = layer(t_x)
    y = t.data
    g = t.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": t_x.grad, "weight": t_weight.grad, "bias": t_bias.grad}


layer = Layer(num_features=2)
v_weight = np.array([2.5784521112519228, -7.620472257856826], dtype='float64')
def loss(h):
    moved = [x, weight + h * v_weight, bias]
    return sum((dy * y).sum() for dy, y in zip(cotangents, ask(layer, *moved, *cotangents)[0]))
h = 2.0**-12
gradients = ask(layer, *case)[1]
got = (gradients["weight"] * v_weight).sum()
expected = (loss(h) - loss(-h)) / (2 * h)
print(f"got {got}, expected {expected}")
wrong = not abs(got - expected) <= 15.298157084175577
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
