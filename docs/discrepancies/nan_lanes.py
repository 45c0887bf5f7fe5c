"""torch's gradients where x is NaN depend on where the element stands in memory.

torch defines each of these gradients by comparisons of x, which NaN fails, so that the cotangent passes. Its loop over
single elements does that; its vector loop answers 0 or NaN. A tensor of one element is computed by the first, most of a
tensor of 64 by the second. gradjury.impl lets the cotangent pass everywhere.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch


def gradient(module: torch.nn.Module, size: int) -> float:
    """The gradient for the first element, NaN, of a tensor of that many, with a cotangent of 2."""
    x = torch.full((size,), float("nan"), dtype=torch.float64, requires_grad=True)
    y = module(x)
    return torch.autograd.grad(y, x, torch.full_like(y, 2.0))[0][0].item()


modules = [
    *(torch.nn.ReLU6(), torch.nn.Hardtanh(), torch.nn.Softshrink(), torch.nn.Hardshrink()),
    *(torch.nn.ELU(), torch.nn.CELU(), torch.nn.SELU(), torch.nn.Hardswish()),
]
differ = False
for module in modules:
    alone, among = gradient(module, 1), gradient(module, 64)
    print(f"{module}: {alone:.4g} alone, {among:.4g} among 64")
    differ |= alone != among
sys.exit(1 if differ else 0)
