"""torch's SoftMarginLoss overflows where exp(-target x) does.

log(1 + exp(1000)) is 1000, and the gradient for x is -target there. torch computes it as it is written: the loss is
infinite, the gradient infinity over infinity. gradjury.impl takes the exponential of -|x| only.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.tensor([-1000.0], dtype=torch.float64, requires_grad=True)
loss = torch.nn.functional.soft_margin_loss(x, torch.ones(1, dtype=torch.float64))
(dx,) = torch.autograd.grad(loss, x)
print(f"loss {loss.item()} and gradient {dx.item()} for x = -1000, target 1; they should be 1000 and -1")
sys.exit(1 if loss.isinf() or dx.isnan().any() else 0)
