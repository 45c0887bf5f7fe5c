"""A transformer leaves out a float mask with the values of a causal one, which then has no gradient.

Exit status 1 while torch does so.
"""

import sys
import warnings

import torch

warnings.simplefilter("ignore")
torch.manual_seed(0)
layer = torch.nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0, norm_first=True, dtype=torch.float64)
encoder = torch.nn.TransformerEncoder(layer, 1)
x = torch.randn(3, 1, 2, dtype=torch.float64)
mask = torch.nn.Transformer.generate_square_subsequent_mask(3, dtype=torch.float64).requires_grad_()
weights = torch.randn(3, 1, 2, dtype=torch.float64)


def loss(told):
    """A number that the mask matters to."""
    return (encoder(x, mask, is_causal=told) * weights).sum()


(found,) = torch.autograd.grad(loss(None), mask, materialize_grads=True)
(expected,) = torch.autograd.grad(loss(False), mask)
print(f"gradient {found.flatten().tolist()}\nexpected {expected.flatten().tolist()}")
sys.exit(not torch.allclose(found, expected))
