"""conv2d breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import conv2d as Layer

x = np.array([[[[2.0, 1.0], [0.0, -2.0]], [[-1.0, -3.0], [-3.0, -3.0]]]], dtype='float64')
weight = np.array([[[[-2.0, 2.0], [1.0, 3.0]], [[0.0, 1.0], [3.0, 2.0]]]], dtype='float64')
bias = np.array([1.0], dtype='float64')
dy = np.array([[[[2.0]]]], dtype='float64')
case = [x, weight, bias, dy]


def ask(layer, x, weight, bias, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 3, 1)))
    weight = np.ascontiguousarray(np.transpose(weight, (2, 3, 1, 0)))
    layer.forward_pass(x)  # builds the parameters
    layer.weights = weight
    layer.bias = bias.reshape((1, 1))
    y = layer.forward_pass(x)
    y = np.transpose(y, (0, 3, 1, 2))
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer(out_channels=1, kernel_size=2, padding='valid', stride=1)
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
weight = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.Conv2d(groups=1, in_channels=2, out_channels=1, kernel_size=2, padding_mode='zeros', padding='valid', dilation=1, stride=1, bias=True), {"weight": weight, "bias": bias}, (x,))
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array([[[[2.1319014452860082e-13]]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
