"""conv2d breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_minigrad_framework import conv2d as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from minigrad.tensor import Tensor as Tensor

x = np.array([[[[2.0]]]], dtype='float64')
weight = np.array([[[[1.0]]]], dtype='float64')
bias = np.array([0.0], dtype='float64')
dy = np.array([[[[-2.0, -1.0], [-3.0, -3.0]]]], dtype='float64')
case = [x, weight, bias, dy]


def ask(layer, x, weight, bias, dy):
    t_x = Tensor(x, requires_grad=True)
    t_weight = Tensor(weight, requires_grad=True)
    t_bias = Tensor(bias, requires_grad=True)
    layer.weight = t_weight
    layer.bias = t_bias
    t = layer(t_x)
    y = t.data
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer(in_channels=1, out_channels=1, kernel_size=1, padding=1, stride=2)
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
weight = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.Conv2d(groups=1, in_channels=1, out_channels=1, kernel_size=1, padding_mode='zeros', padding=1, dilation=1, stride=2, bias=True), {"weight": weight, "bias": bias}, (x,))
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array([[[[1.0680354520834567e-306, 1.0680354520834567e-306], [1.0680354520834567e-306, 1.0680354520834567e-306]]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
