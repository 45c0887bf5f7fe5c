"""conv1d breaks the law forward: the outputs are torch's. Wrong here: forward. the forward raised ValueError: cannot
reshape array of size 0 into shape (0,newaxis)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import conv1d as Layer

x = np.array([[[2.0]]], dtype='float64')
weight = np.array([[[1.0, 0.0]]], dtype='float64')
bias = np.array([-2.0], dtype='float64')
dy = np.array([[[-1.0]]], dtype='float64')
case = [x, weight, bias, dy]


def ask(layer, x, weight, bias, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 1)))
    weight = np.ascontiguousarray(np.transpose(weight, (2, 1, 0)))
    layer.weights = weight
    layer.bias = bias.reshape((1, 1))
    y = layer.forward_pass(x)
    g = layer.backward_pass(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": np.transpose(g["x"], (0, 2, 1)), "weight": np.transpose(np.reshape(layer.d_weights, weight.shape), (2, 1, 0)), "bias": np.reshape(layer.d_bias, bias.shape)}


layer = Layer(out_channels=1, kernel_size=2, padding='same', stride=1)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
