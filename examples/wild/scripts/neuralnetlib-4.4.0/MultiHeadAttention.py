"""multi_head_attention breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
gradient of x.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import multi_head_attention as Layer

x = np.array([[[2.0]]], dtype='float64')
q_weight = np.array([[1.0]], dtype='float64')
k_weight = np.array([[0.0]], dtype='float64')
v_weight = np.array([[-2.0]], dtype='float64')
out_weight = np.array([[-1.0]], dtype='float64')
q_bias = np.array([-3.0], dtype='float64')
k_bias = np.array([-3.0], dtype='float64')
v_bias = np.array([-3.0], dtype='float64')
out_bias = np.array([-2.0], dtype='float64')
dy = np.array([[[2.0]]], dtype='float64')
case = [x, q_weight, k_weight, v_weight, out_weight, q_bias, k_bias, v_bias, out_bias, dy]


def ask(layer, x, q_weight, k_weight, v_weight, out_weight, q_bias, k_bias, v_bias, out_bias, dy):
    q_weight = np.ascontiguousarray(np.transpose(q_weight, (1, 0)))
    k_weight = np.ascontiguousarray(np.transpose(k_weight, (1, 0)))
    v_weight = np.ascontiguousarray(np.transpose(v_weight, (1, 0)))
    out_weight = np.ascontiguousarray(np.transpose(out_weight, (1, 0)))
    layer.forward_pass(x)  # builds the parameters
    layer.query_dense.weights = q_weight
    layer.key_dense.weights = k_weight
    layer.value_dense.weights = v_weight
    layer.output_dense.weights = out_weight
    layer.query_dense.bias = q_bias.reshape((1, 1))
    layer.key_dense.bias = k_bias.reshape((1, 1))
    layer.value_dense.bias = v_bias.reshape((1, 1))
    layer.output_dense.bias = out_bias.reshape((1, 1))
    y = layer.forward_pass(x)
    g = layer.backward_pass(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g}


layer = Layer(num_heads=1, embed_dim=1)
got = np.asarray(ask(layer, *case)[1]["x"])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
q_weight = torch.tensor(q_weight, dtype=torch.float64, requires_grad=True)
k_weight = torch.tensor(k_weight, dtype=torch.float64, requires_grad=True)
v_weight = torch.tensor(v_weight, dtype=torch.float64, requires_grad=True)
out_weight = torch.tensor(out_weight, dtype=torch.float64, requires_grad=True)
q_bias = torch.tensor(q_bias, dtype=torch.float64, requires_grad=True)
k_bias = torch.tensor(k_bias, dtype=torch.float64)
v_bias = torch.tensor(v_bias, dtype=torch.float64, requires_grad=True)
out_bias = torch.tensor(out_bias, dtype=torch.float64, requires_grad=True)
def self_attention(x, q_weight, k_weight, v_weight, out_weight, q_bias, k_bias, v_bias, out_bias, num_heads, embed_dim):  # noqa: ARG001
    """softmax(q·kᵀ/√d)·v for each head, between projections of x and back."""
    projections = ((q_weight, q_bias), (k_weight, k_bias), (v_weight, v_bias))
    q, k, v = ((x @ w.T + b).unflatten(-1, (num_heads, -1)).transpose(1, 2) for w, b in projections)
    heads = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1) @ v
    return heads.transpose(1, 2).flatten(2) @ out_weight.T + out_bias
y = self_attention(x, q_weight, k_weight, v_weight, out_weight, q_bias, k_bias, v_bias, out_bias, num_heads=1, embed_dim=1)
expected = torch.autograd.grad(y[0] if isinstance(y, tuple) else y, x, [torch.tensor(dy, dtype=torch.float64)], materialize_grads=True)[0].numpy()
allowed = np.array([[[1.245125009459126e-13]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
