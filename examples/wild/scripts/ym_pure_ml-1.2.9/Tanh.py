"""tanh breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import tanh as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from pureml.machinery import Tensor as Tensor

x = np.array([3.5762786865234375e-07], dtype='float64')
dy = np.array([8.940696716308594e-08], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    t_x = Tensor(x, requires_grad=True)
    t = layer(t_x)
    y = t.data
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer()
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.Tanh(), {}, (x,))
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array([2.541254392511582e-21], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
