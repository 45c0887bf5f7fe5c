"""torch's interpolation to the same size by a factor other than 1 copies in one direction and resamples in the other.

Four by four cells, scale factor 1.1: the output has four by four cells again, at positions 1/1.1 apart. With "bicubic"
the forward interpolates there and the backward copies; with "bilinear" and antialias the forward copies and the
backward distributes. So <dy, y> and <dx, x> differ, which for a linear map are the same number. In gradjury.impl they
are the same.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

wrong = False
for mode, antialias in (("bicubic", False), ("bilinear", True)):
    x = torch.arange(16.0, dtype=torch.float64).reshape(1, 1, 4, 4).requires_grad_()
    y = torch.nn.functional.interpolate(x, scale_factor=1.1, mode=mode, antialias=antialias)
    dy = torch.arange(16.0, dtype=torch.float64).reshape(1, 1, 4, 4).flip(2) ** 2
    (dx,) = torch.autograd.grad(y, x, dy)
    forward, backward = (dy * y).sum().item(), (dx * x).sum().item()
    print(f"{mode}, antialias={antialias}: <dy, y> = {forward:.6f}, <dx, x> = {backward:.6f}")
    wrong |= abs(forward - backward) > 1e-6 * abs(forward)
sys.exit(1 if wrong else 0)
