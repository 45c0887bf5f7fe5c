"""dropout breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpy_ml import dropout as Layer

x = np.array([[0.10296768001436127]], dtype='float64')
mask = np.array([[False]], dtype='bool')
dy = np.array([[-0.8174783249223175]], dtype='float64')
case = [x, mask, dy]


def ask(layer, x, mask, dy):
    y, backward = layer(x=x, mask=mask)
    g = backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g}


layer = Layer(p=0.5)
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
mask = torch.tensor(mask)
def dropout(x: torch.Tensor, mask: torch.Tensor | None = None, p: float = 0.5, training: bool = True) -> torch.Tensor:
    """x·mask/(1 - p)."""
    if not training or p == 0 or not x.numel():
        return x.clone()
    if p == 1 or mask is None:
        return x * 0
    return x * (mask.to(x.dtype) / (1 - p))
y = dropout(x, mask, p=0.5, training=True)
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[3.5601181736115222e-307]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
