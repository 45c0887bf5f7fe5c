"""rnn_cell_again breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: backward.
the backward raised ValueError: operands could not be broadcast together with shapes (1,3) (0,)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpy_ml import rnn_cell_again as Layer

x = np.array([[2.0, 1.0, 0.0]], dtype='float64')
weight_ih = np.array([[-2.0, -1.0, -3.0], [-3.0, -3.0, -2.0], [2.0, 1.0, 3.0]], dtype='float64')
weight_hh = np.array([[0.0, 1.0, 3.0], [2.0, 1.0, 0.0], [0.0, 3.0, -2.0]], dtype='float64')
bias_ih = np.array([2.0, 1.0, -3.0], dtype='float64')
bias_hh = np.array([-1.0, 3.0, 0.0], dtype='float64')
dy = np.array([[-3.0, 2.0, 2.0]], dtype='float64')
case = [x, weight_ih, weight_hh, bias_ih, bias_hh, dy]


def ask(layer, x, weight_ih, weight_hh, bias_ih, bias_hh, dy):
    weight_ih = np.ascontiguousarray(np.transpose(weight_ih, (1, 0)))
    weight_hh = np.ascontiguousarray(np.transpose(weight_hh, (1, 0)))
    layer.flush_gradients()
    layer.forward(x)  # builds the parameters
    layer.flush_gradients()
    layer.parameters["Wax"] = weight_ih
    layer.parameters["Waa"] = weight_hh
    layer.parameters["bx"] = bias_ih.reshape((3, 1))
    layer.parameters["ba"] = bias_hh.reshape((3, 1))
    y = layer.forward(x)
    g = layer.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g["x"], "weight_ih": np.transpose(np.reshape(layer.gradients["Wax"], weight_ih.shape), (1, 0)), "weight_hh": np.transpose(np.reshape(layer.gradients["Waa"], weight_hh.shape), (1, 0)), "bias_ih": np.reshape(layer.gradients["bx"], bias_ih.shape), "bias_hh": np.reshape(layer.gradients["ba"], bias_hh.shape)}


layer = Layer(hidden_size=3)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
