"""max_pooling1d breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import max_pooling1d as Layer

x = np.array([[[-0.2802535553958334]]], dtype='float64')
dy = np.array([[[0.51640104767057]]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 1)))
    y = layer.forward_pass(x)
    y = np.transpose(y, (0, 2, 1))
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer(kernel_size=3, stride=1, padding=1)
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.MaxPool1d(return_indices=False, kernel_size=3, dilation=1, stride=1, padding=1, ceil_mode=False), {}, (x,))
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array([[[1.9914428201799346e-15]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
