"""mse breaks the law finite_differences: every gradient is the finite difference of the layer's own forward. Wrong
here: backward. the backward raised ValueError: cannot reshape array of size 2 into shape (1,1)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import mse as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from pureml.machinery import Tensor as Tensor

x = np.array([[2.0]], dtype='float64')
target = np.array([[[1.0, 0.0]]], dtype='float64')
dy = np.array(-2.0, dtype='float64')
case = [x, target, dy]


def ask(layer, x, target, dy):
    t_x = Tensor(x, requires_grad=True)
    t_target = Tensor(target, requires_grad=True)
    t = layer(t_x, t_target)
    y = t.data
    g = t.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": t_x.grad, "target": t_target.grad}


layer = Layer()
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
