"""softplus breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpy_ml import softplus as Layer

x = np.array([32768.0], dtype='float64')
dy = np.array([-3.0], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    y = np.asarray(layer.fn(x))
    g = layer.grad(x)
    return (y if isinstance(y, tuple) else (y,)), {"x": dy * g}


layer = Layer()
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
def softplus(x: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
    """torch's formula by logaddexp: its own overflows where e^(beta·x) does, if the threshold lets it."""
    z = beta * x
    return torch.where(z > threshold, x, torch.logaddexp(z, torch.zeros_like(z)) / beta)
y = softplus(x, beta=1.0, threshold=1000.0)
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([2.664925603646206e-14], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
