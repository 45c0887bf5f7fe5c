"""torch's Softplus overflows below its threshold: infinite output, NaN gradient.

log(1 + exp(beta x))/beta is x to sixteen digits from beta x = 37 on, and torch takes x itself above the threshold. A
threshold of 1000 lets exp(818) = inf be formed. gradjury.impl takes the maximum out of the logarithm.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.full((1,), 1637.44, dtype=torch.float64, requires_grad=True)
y = torch.nn.functional.softplus(x, beta=0.5, threshold=1000)
(dx,) = torch.autograd.grad(y.sum(), x)
print(f"output {y.item()}, gradient {dx.item()}; they should be 1637.44 and 1")
sys.exit(0 if y.isfinite().all() and dx.isfinite().all() else 1)
