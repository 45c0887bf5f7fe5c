"""lstm breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: backward. the
backward raised NameError: name 'x' is not defined

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import lstm as Layer

x = np.array([[[2.0]]], dtype='float64')
weight_ih = np.array([[1.0], [0.0], [-2.0], [-1.0]], dtype='float64')
weight_hh = np.array([[-3.0], [-3.0], [-3.0], [-2.0]], dtype='float64')
bias = np.array([2.0, 1.0, 3.0, 0.0], dtype='float64')
dy = np.array([[[2.0]]], dtype='float64')
case = [x, weight_ih, weight_hh, bias, dy]


def ask(layer, x, weight_ih, weight_hh, bias, dy):
    y, backward = layer(x=x, weight_ih=weight_ih, weight_hh=weight_hh, bias=bias)
    g = backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g["x"], "weight_ih": g["weight_ih"], "weight_hh": g["weight_hh"], "bias": g["bias"]}


layer = Layer()
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
