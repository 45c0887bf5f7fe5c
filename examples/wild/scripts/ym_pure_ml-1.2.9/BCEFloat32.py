"""bce breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import bce as Layer
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from pureml.machinery import Tensor as Tensor

x = np.array([1.0], dtype='float32')
target = np.array([1.0], dtype='float32')
dy = np.array(3.0, dtype='float32')
case = [x, target, dy]


def ask(layer, x, target, dy):
    t_x = Tensor(x, requires_grad=True)
    t_target = Tensor(target, requires_grad=True)
    t = layer(t_x, t_target)
    y = t.data
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer()
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
target = torch.tensor(target, dtype=torch.float64, requires_grad=True)
def binary_cross_entropy(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, reduction: str = "mean"
) -> torch.Tensor:
    """torch's own, which refuses a 1 that was moved to measure what rounding does: it is moved back."""
    x, target = x.clone().clamp_(0, 1), target.clone().clamp_(0, 1)
    return torch.nn.functional.binary_cross_entropy(x, target, weight, reduction=reduction)
y = binary_cross_entropy(x, target, reduction='mean')
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array(3.173386494216591e-05, dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
