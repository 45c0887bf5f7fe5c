"""torch's MaxPool2d answers an index outside the plane for a window that holds no cell, and sends the gradient there.

Kernel 2 with dilation 2 and padding 1 on a plane of a single cell looks at rows -1 and 1: both are padding. The maximum
of nothing is -inf, which has no gradient; torch answers index 2 in a plane of one cell, and the gradient of plane 0
lands in plane 2. gradjury.impl answers index -1 and no gradient.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

# 64 planes, and a cotangent for the first alone: what torch writes stays inside the array.
x = torch.zeros(1, 64, 1, 1, dtype=torch.float64, requires_grad=True)
y, indices = torch.nn.MaxPool2d(2, stride=1, padding=1, dilation=2, return_indices=True)(x)
dy = torch.zeros_like(y)
dy[0, 0] = 1.0
(dx,) = torch.autograd.grad(y, x, dy)

print(f"output {y[0, 0].item()}, index {indices[0, 0].item()} in a plane of 1 cell")
print(f"gradient of planes 0 to 3: {dx.flatten()[:4].tolist()}")
sys.exit(1 if dx.any() else 0)
