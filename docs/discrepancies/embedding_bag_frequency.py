"""torch's EmbeddingBag with scale_grad_by_freq divides the gradient of a row by how often another row was looked up.

Rows 0, 0, 0 and 1 in a single bag: the gradient of row 1, which was looked up once, comes out as a third. torch's own
Embedding divides it by 1, as does gradjury.impl. Known as pytorch/pytorch#190063 and repaired there after 2.13.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

weight = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
x = torch.tensor([[0, 0, 0, 1]])
bag = torch.nn.functional.embedding_bag(x, weight, mode="sum", scale_grad_by_freq=True)
(got,) = torch.autograd.grad(bag.sum(), weight)
single = torch.nn.functional.embedding(x, weight, scale_grad_by_freq=True).sum(dim=1)
(expected,) = torch.autograd.grad(single.sum(), weight)

print(f"gradient of the rows by EmbeddingBag {got.flatten().tolist()}, by Embedding {expected.flatten().tolist()}")
sys.exit(0 if torch.allclose(got, expected) else 1)
