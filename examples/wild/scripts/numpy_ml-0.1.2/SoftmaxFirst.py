"""softmax breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpy_ml import softmax as Layer

x = np.array([[2.0, 1.0]], dtype='float64')
dy = np.array([[0.0, -2.0]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    layer.flush_gradients()
    y = layer.forward(x)
    g = layer.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g}


layer = Layer(dim=0)
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.Softmax(dim=0), {}, (x,))
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[3.555316399340875e-15, 3.555316399340875e-15]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
