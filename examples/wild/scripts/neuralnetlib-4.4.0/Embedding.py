"""embedding breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: gradient of
weight.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import embedding as Layer

x = np.array([[3]], dtype='int64')
weight = np.array([[1.0, 0.0, -2.0], [-1.0, -3.0, -3.0], [-3.0, -2.0, 2.0], [1.0, 3.0, 0.0]], dtype='float64')
dy = np.array([[[1.0, 3.0, 2.0]]], dtype='float64')
case = [x, weight, dy]


def ask(layer, x, weight, dy):
    layer.forward_pass(x)  # builds the parameters
    layer.weights = weight
    y = layer.forward_pass(x)
    g = layer.backward_pass(dy)
    return (y if isinstance(y, tuple) else (y,)), {"weight": np.reshape(layer.d_weights, weight.shape)}


layer = Layer(num_embeddings=4, embedding_dim=3)
got = np.asarray(ask(layer, *case)[1]["weight"])
x = torch.tensor(x)
weight = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.Embedding(num_embeddings=4, embedding_dim=3, padding_idx=0, norm_type=2.0, max_norm=None, scale_grad_by_freq=False), {"weight": weight}, (x,))
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, weight, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[5.329070518200751e-15, 5.329070518200751e-15, 5.329070518200751e-15],
 [5.329070518200751e-15, 5.329070518200751e-15, 5.329070518200751e-15],
 [5.329070518200751e-15, 5.329070518200751e-15, 5.329070518200751e-15],
 [1.0657707355532509e-14, 2.1317583115409988e-14, 1.5988078916340243e-14]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
