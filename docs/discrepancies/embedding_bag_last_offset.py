"""torch's EmbeddingBag does not end the last bag at the last offset of include_last_offset, or only in float32.

Numbers 0, 1 and 2 with offsets 0 and 1: one bag, which holds number 0 alone. In float64 torch sums and averages over
all three. In float32 the sum is right, but the mean is the sum of one divided by three, with a gradient for all three.
gradjury.impl ends the bag where the offset says.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x, offsets = torch.tensor([0, 1, 2]), torch.tensor([0, 1])
wrong = False
for dtype in (torch.float64, torch.float32):
    weight = torch.tensor([[3.0], [6.0], [12.0]], dtype=dtype, requires_grad=True)
    for mode in ("sum", "mean"):
        y = torch.nn.functional.embedding_bag(x, weight, offsets, mode=mode, include_last_offset=True)
        (grad,) = torch.autograd.grad(y, weight)
        print(f"{dtype}, {mode}: {y.item()} for 3.0, gradient {grad.flatten().tolist()} for [1.0, 0.0, 0.0]")
        wrong |= y.item() != 3 or grad.flatten().tolist() != [1, 0, 0]
sys.exit(1 if wrong else 0)
