"""up_sampling2d_bilinear breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import up_sampling2d_bilinear as Layer

x = np.array([[[[2.0, 1.0]]]], dtype='float64')
dy = np.array([[[[0.0, -2.0]]]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 3, 1)))
    y = layer.forward_pass(x)
    y = np.transpose(y, (0, 3, 1, 2))
    g = layer.backward_pass(np.ascontiguousarray(np.transpose(dy, (0, 2, 3, 1))))
    return (y if isinstance(y, tuple) else (y,)), {"x": np.transpose(g, (0, 3, 1, 2))}


layer = Layer(scale_factor=1)
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.UpsamplingBilinear2d(size=None, scale_factor=1), {}, (x,))
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[[[3.552713678800501e-15, 1.4211722076939992e-14]]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
