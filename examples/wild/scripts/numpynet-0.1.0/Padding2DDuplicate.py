"""replication_pad2d breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpynet import replication_pad2d as Layer

x = np.array([[[0.10296768001436127]]], dtype='float64')
dy = np.array([[[-0.9805271710302613], [-0.8174783249223175]]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    x = np.ascontiguousarray(np.transpose(x, (1, 2, 0)))
    y = layer.propagate(x)
    y = np.transpose(y, (2, 0, 1))
    g = layer.backpropagate(np.ascontiguousarray(np.transpose(dy, (1, 2, 0))))
    return (y if isinstance(y, tuple) else (y,)), {"x": np.transpose(g, (2, 0, 1))}


layer = Layer(padding=(0, 0, 0, 1))
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.ReplicationPad2d(padding=(0, 0, 0, 1)), {}, (x,))
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[[1.2776377200643989e-14]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
