"""multiply breaks the law finite_differences: every gradient is the finite difference of the layer's own forward.
Wrong here: gradient of x. along a direction v, <dx, v> is 28.7702765, but the finite difference of its own forward
is 6.5611726 (± 9.9e-11)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import multiply as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from pureml.machinery import Tensor as Tensor

x = np.array([2.0, 1.0], dtype='float64')
other = np.array([[0.0, -2.0], [-1.0, -3.0]], dtype='float64')
dy = np.array([[-3.0, -3.0], [-2.0, 2.0]], dtype='float64')
case = [x, other, dy]
inputs, cotangents = case[:2], case[2:]


def ask(layer, x, other, dy):
    x, other, dy, = (a.copy() for a in (x, other, dy,))
    t_x = Tensor(x, requires_grad=True)
    t_other = Tensor(other, requires_grad=True)
    t = layer(t_x, t_other)
    y = t.data
    g = t.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": t_x.grad, "other": t_other.grad}


layer = Layer()
v_x = np.array([3.280586301408737, -2.2716896654362753], dtype='float64')
def loss(h):
    moved = [x + h * v_x, other]
    return sum((dy * y).sum() for dy, y in zip(cotangents, ask(layer, *moved, *cotangents)[0]))
h = 2.0**-12
gradients = ask(layer, *case)[1]
got = (gradients["x"] * v_x).sum()
expected = (loss(h) - loss(-h)) / (2 * h)
print(f"got {got}, expected {expected}")
wrong = not abs(got - expected) <= 11.104551933690042
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
