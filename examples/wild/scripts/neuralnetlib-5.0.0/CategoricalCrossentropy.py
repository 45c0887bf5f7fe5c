"""categorical_crossentropy breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import categorical_crossentropy as Layer

x = np.array([[0.625, 0.5625], [0.5, 0.375]], dtype='float64')
target = np.array([0, 0], dtype='int64')
dy = np.array(-3.0, dtype='float64')
case = [x, target, dy]


def ask(layer, x, target, dy):
    y, backward = layer(x=x, target=target)
    g = backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g["x"]}


layer = Layer()
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
target = torch.tensor(target)
def probability_loss(x, target):
    """-log of the probability of each row's class, on average."""
    return -torch.log(x[torch.arange(len(x)), target]).mean()
y = probability_loss(x, target)
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[3.376223293883277e-14, 8.17124146388813e-15], [4.0159980807570546e-14, 8.17124146388813e-15]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
