"""torch's ReflectionPad3d answers memory that it never wrote as the gradient where one axis comes out empty.

Nothing is copied there, so the gradient is zero; torch's one is whatever stood in the memory. gradjury.impl answers
zeros.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

# Memory that was used and given back, for the gradient to be found in.
used = [torch.full((48,), 7.0) for _ in range(64)]
del used
wrong = 0
for _ in range(64):
    x = torch.zeros(2, 3, 2, 4, requires_grad=True)
    y = torch.nn.functional.pad(x, (-1, -1, -1, -1, -1, -1), "reflect")
    (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    wrong += bool((dx != 0).any())
    left = torch.full_like(dx, 7.0)
    del left, dx
print(f"an output of shape {tuple(y.shape)} has a gradient that is not zero in {wrong} of 64 tries")
sys.exit(1 if wrong else 0)
