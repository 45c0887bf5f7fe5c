"""conv2d_transpose breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import conv2d_transpose as Layer

x = np.array([[[[2.0]]]], dtype='float64')
weight = np.array([[[[1.0, 0.0, -2.0], [-1.0, -3.0, -3.0], [-3.0, -2.0, 2.0]]]], dtype='float64')
bias = np.array([1.0], dtype='float64')
dy = np.array([[[[3.0]]]], dtype='float64')
case = [x, weight, bias, dy]


def ask(layer, x, weight, bias, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 3, 1)))
    weight = np.ascontiguousarray(np.transpose(weight, (2, 3, 1, 0)))
    layer.forward_pass(x)  # builds the parameters
    layer.weights = weight
    layer.bias = bias.reshape((1, 1, 1, 1))
    y = layer.forward_pass(x)
    y = np.transpose(y, (0, 3, 1, 2))
    g = layer.backward_pass(np.ascontiguousarray(np.transpose(dy, (0, 2, 3, 1))))
    return (y if isinstance(y, tuple) else (y,)), {"x": np.transpose(g, (0, 3, 1, 2))}


layer = Layer(out_channels=1, kernel_size=3, stride=1, padding=1)
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
weight = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.ConvTranspose2d(groups=1, in_channels=1, out_channels=1, kernel_size=3, stride=1, dilation=1, padding=1, output_padding=0, bias=True), {"weight": weight, "bias": bias}, (x,))
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[[[7.994776810938618e-14]]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
