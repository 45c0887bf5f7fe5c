"""torch's CrossMapLRN2d computes neither its formula nor the derivative of what it computes.

The formula is y[c] = x[c]/(k + alpha/size · Σ x[c']²)^beta over the `size` channels around c. torch keeps a running sum
over the channels but never takes channel 0 from it (the test is c > (size - 1)/2 + 1, where it should be ≥). Its
backward is written for the formula, and so is not the derivative of that forward: a central difference in float64, good
to nine digits, says otherwise. With size=1 it has no backward at all. gradjury.impl is the formula, and its derivative.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

SIZE, ALPHA, BETA, K = 3, 1.0, 0.75, 1.0

torch.manual_seed(0)
layer = torch.nn.CrossMapLRN2d(SIZE, ALPHA, BETA, K)
x = torch.randn(1, 6, 1, 1, dtype=torch.float64, requires_grad=True)
windows = torch.nn.functional.pad(x * x, (0, 0, 0, 0, SIZE // 2, (SIZE - 1) // 2)).unfold(1, SIZE, 1)
formula = x / (K + ALPHA / SIZE * windows.sum(-1)) ** BETA
y = layer(x)
print("output:          ", [f"{v:.4f}" for v in y.flatten().tolist()])
print("formula:         ", [f"{v:.4f}" for v in formula.flatten().tolist()])
forward_differs = not torch.allclose(y, formula)

(dx,) = torch.autograd.grad(y.sum(), x)
with torch.no_grad():
    steps = 2.0**-14 * torch.eye(6, dtype=torch.float64).reshape(6, 1, 6, 1, 1)
    slope = torch.stack([(layer(x + h).sum() - layer(x - h).sum()) / 2.0**-13 for h in steps])
print("gradient:        ", [f"{v:.4f}" for v in dx.flatten().tolist()])
print("its own slope:   ", [f"{v:.4f}" for v in slope.tolist()])
backward_differs = not torch.allclose(dx.flatten(), slope, rtol=1e-6)

try:
    torch.nn.CrossMapLRN2d(1)(x).sum().backward()
    raises = False
except RuntimeError as error:
    raises = True
    print(f"size=1:           {error}")
sys.exit(1 if forward_differs or backward_differs or raises else 0)
