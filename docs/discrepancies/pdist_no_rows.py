"""The backward of torch.nn.functional.pdist for an input without rows ends the process.

It divides an integer by 0 or reads outside its memory.

gradjury.impl answers the empty gradient. The contract of Pdist draws one row at least.

Exit status 1 while torch does this, 0 once it does not.
"""

import subprocess
import sys

CALL = """
import torch
x = torch.zeros(0, 4, requires_grad=True)
y = torch.nn.functional.pdist(x)
torch.autograd.grad(y, x, torch.zeros_like(y))
"""

status = subprocess.run([sys.executable, "-c", CALL], check=False).returncode
print(f"the process ended with status {status}")
sys.exit(1 if status < 0 else 0)
