"""torch's GLU has no gradient for its gate where the sigmoid rounds to 1, however large the other half is.

The gradient of a sigmoid(b) for b is a sigmoid(b) sigmoid(-b). torch forms 1 - sigmoid(b), which is 0 in float64 from
b = 37 on: the gradient is 0 where it should be a exp(-b), and NaN for an infinite cotangent. gradjury.impl computes
sigmoid(-b) from exp(-b).

Exit status 1 while torch does this, 0 once it does not.
"""

import math
import sys

import torch

x = torch.tensor([1e20, 40.0], dtype=torch.float64, requires_grad=True)
(dx,) = torch.autograd.grad(torch.nn.functional.glu(x).sum(), x)
print(f"gradient for b = 40 with a = 1e20: {dx[1].item()}, it should be {1e20 * math.exp(-40)}")
sys.exit(1 if dx[1] == 0 else 0)
