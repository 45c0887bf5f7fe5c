"""torch's Hardsigmoid multiplies a float64 gradient by 1/6 rounded to float32.

The gradient between -3 and 3 is dy/6. torch answers 0.1666666716… for dy = 1: wrong from the eighth digit on, in a
number that has sixteen. gradjury.impl divides by 6.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
(dx,) = torch.autograd.grad(torch.nn.functional.hardsigmoid(x).sum(), x)
print(f"gradient at 0: {dx.item()!r}, 1/6 is {1 / 6!r}")
sys.exit(1 if abs(dx.item() - 1 / 6) > 1e-12 else 0)
