"""torch's SoftMarginLoss and MarginRankingLoss negate an unsigned label: 1 becomes 255.

The loss of MarginRankingLoss and the gradients of both are those of that label. gradjury.impl makes a label a
floating-point number first.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

label = torch.ones(1, dtype=torch.uint8)
x = torch.ones(1, dtype=torch.float64, requires_grad=True)
(dx,) = torch.autograd.grad(torch.nn.functional.soft_margin_loss(x, label), x)
ranking = torch.nn.functional.margin_ranking_loss(x + 2, x, label)
print(f"soft margin: gradient {dx.item()} for x = 1, it should be -0.2689")
print(f"ranking: loss {ranking.item()} for 3 above 1, it should be 0")
sys.exit(1 if dx.item() < -0.3 or ranking.item() != 0 else 0)
