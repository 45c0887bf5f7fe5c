"""torch's grid_sample crashes the process in the backward pass where a position is NaN.

Bilinear with padding mode "border" or "reflection", in four dimensions: the forward answers a number, the backward
reads and writes at an address made from NaN. gradjury.impl answers NaN.

Exit status 1 while torch does this, 0 once it does not.
"""

import subprocess
import sys

CALL = """
import torch
x = torch.ones(1, 1, 2, 2, requires_grad=True)
grid = torch.full((1, 1, 1, 2), float("nan"), requires_grad=True)
y = torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
torch.autograd.grad(y.sum(), (x, grid))
"""

status = subprocess.run([sys.executable, "-c", CALL], check=False, capture_output=True).returncode
print(f"the process ended with status {status}")
sys.exit(1 if status else 0)
