"""torch's PoissonNLLLoss(full=True) has no gradient for a target of zero or less.

Stirling's term counts only where target > 1: elsewhere it is overwritten by 0. Its gradient is computed there all the
same, from the logarithm of the target, and 0 times an infinity or NaN is NaN. The derivative for the target is -x
there. gradjury.impl keeps the term out of where it does not count.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

target = torch.zeros(1, dtype=torch.float64, requires_grad=True)
loss = torch.nn.functional.poisson_nll_loss(torch.tensor([0.5], dtype=torch.float64), target, full=True)
(dtarget,) = torch.autograd.grad(loss, target)
print(f"gradient for target 0 with x = 0.5: {dtarget.item()}, it should be -0.5")
sys.exit(1 if dtarget.isnan().any() else 0)
