"""torch's CELU divides by alpha rounded to float32 in its float64 gradient.

The gradient for x <= 0 is exp(x/alpha), so it is 1 at 0 for every alpha. torch answers 0.99999996… for alpha = 0.3.
gradjury.impl stays in float64.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
(dx,) = torch.autograd.grad(torch.nn.functional.celu(x, alpha=0.3).sum(), x)
print(f"gradient at 0 with alpha 0.3: {dx.item()!r}, it should be 1")
sys.exit(1 if abs(dx.item() - 1) > 1e-12 else 0)
