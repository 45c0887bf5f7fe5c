"""torch's circular padding reads memory that it never wrote where a negative size leaves fewer cells than are repeated.

Three cells, the last one cut off and three put before: the two cells that are left would have to go around more than
once. torch compares the 3 with the length before the cut and goes on. With a single row it notices that it copies
within one piece of memory and refuses; with two it reads what was never written, and loses the gradient of those
cells. gradjury.impl refuses such sizes.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

# New memory is NaN in this mode, so that reading it shows.
torch.use_deterministic_algorithms(True)
x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
try:
    y = torch.nn.functional.pad(x, (3, -1), "circular")
except (RuntimeError, ValueError) as error:
    print(f"refused: {error}")
    sys.exit(0)
(dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
print(f"{x.tolist()} becomes {y.tolist()}; of {y.numel()} cotangents of 1, the gradients sum to {dx.sum().item():g}")
sys.exit(1 if y.isnan().any() or dx.sum() != y.numel() else 0)
