"""torch's antialiased interpolation to an image one cell wide answers the first row everywhere.

Two rows of one cell, 1 and 2, interpolated to four rows of one cell: every row of the output is 1. To four rows of two
cells, the rows are 1, 1.25, 1.75 and 2. The backward is that of the right answer. gradjury.impl answers that too.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.tensor([[[[1.0], [2.0]]]], dtype=torch.float64)
narrow, wide = (
    torch.nn.functional.interpolate(x, size=(4, width), mode="bilinear", antialias=True)[0, 0, :, 0].tolist()
    for width in (1, 2)
)
print(f"rows of an output of width 1: {narrow}, of width 2: {wide}")
sys.exit(1 if narrow != wide else 0)
