"""attention breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import attention as Layer

x = np.array([[[2.0], [1.0]]], dtype='float64')
dy = np.array([[[0.0], [-2.0]]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    y = layer.forward_pass(x)
    g = layer.backward_pass(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g}


layer = Layer(use_scale=True, return_sequences=True)
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
def dot_attention(x, use_scale, return_sequences):
    """softmax(x·xᵀ/√d)·x, or the mean of its rows."""
    scores = x @ x.transpose(1, 2)
    y = torch.softmax(scores / x.shape[-1] ** 0.5 if use_scale else scores, -1) @ x
    return y if return_sequences else y.mean(1)
y = dot_attention(x, use_scale=True, return_sequences=True)
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[[2.5688839295449768e-14], [2.2756909096489557e-14]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
