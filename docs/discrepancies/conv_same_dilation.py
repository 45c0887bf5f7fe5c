"""torch's padding="same" pads the first axis alone where the dilation is a tuple of one number.

For zeros, dilation=(2,) is dilation=(2, 2), with padding "same" too. In the other padding modes torch works out the
padding in the constructor, pairing the dilation with the kernel, and stops at the shorter: a plane of 5 by 5 comes out
5 by 1. gradjury.impl takes the one number for all axes.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.zeros(1, 1, 5, 5)
shapes = {}
for mode in ("zeros", "reflect"):
    layer = torch.nn.Conv2d(1, 1, 3, padding="same", dilation=(2,), padding_mode=mode)
    shapes[mode] = tuple(layer(x).shape)
    print(f"{mode}: {shapes[mode]}")
sys.exit(1 if shapes["reflect"] != shapes["zeros"] else 0)
