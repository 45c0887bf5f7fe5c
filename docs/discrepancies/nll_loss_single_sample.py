"""torch.nn.NLLLoss takes a target of shape (1,) for x of one axis forward, but its backward raises.

gradjury.impl answers the gradient that it answers for a target of shape (). The contract of NLLLoss draws such targets
for a single class, where torch's backward works.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
y = torch.nn.NLLLoss()(x, torch.tensor([1]))
print(f"forward: {y.item()}, which is right")
try:
    y.backward()
except RuntimeError as error:
    print(f"backward: {error}")
    sys.exit(1)
print(f"backward: {x.grad.tolist()}")
