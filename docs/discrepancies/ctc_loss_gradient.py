"""The gradient of torch.nn.CTCLoss is not the derivative of the loss, but that of the scores behind a log softmax.

gradjury.impl.CTCLoss answers torch's gradient, gradjury.impl.ExactCTCLoss the derivative. The contract of the former
names the convention; that of the latter has a log softmax before torch's loss and adds what it took away.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

generator = torch.Generator().manual_seed(0)
x = torch.randn(4, 1, 3, dtype=torch.float64, generator=generator).log_softmax(-1).requires_grad_()
rest = (torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))
(gradient,) = torch.autograd.grad(torch.nn.CTCLoss()(x, *rest), x)
step = torch.zeros_like(x)
step[0, 0, 1] = 1e-6
with torch.no_grad():
    difference = (torch.nn.CTCLoss()(x + step, *rest) - torch.nn.CTCLoss()(x - step, *rest)) / 2e-6
wrong = gradient[0, 0, 1] - difference
print(f"gradient {gradient[0, 0, 1]:.6f}, finite difference {difference:.6f}")
print(f"too large by {wrong:.6f}; exp(log_probs) over the number of labels is {x[0, 0, 1].exp() / 2:.6f}")
sys.exit(bool(wrong.abs() > 1e-6))
