"""torch's PixelUnshuffle answers an empty input in its own shape, and its shuffles of nothing have no gradient.

(0, 4, 2, 2) unshuffled by 2 is (0, 16, 1, 1), torch answers (0, 4, 2, 2). The backward of PixelShuffle does the same
and comes out in y's shape, which autograd refuses; the backward of ChannelShuffle divides by no channels. gradjury.impl
answers both in the shapes that any other input has.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

wrong = []
for layer, shape, expected in (
    (torch.nn.PixelUnshuffle(2), (0, 4, 2, 2), (0, 16, 1, 1)),
    (torch.nn.PixelShuffle(2), (0, 4, 2, 2), (0, 1, 4, 4)),
    (torch.nn.ChannelShuffle(2), (3, 0, 2), (3, 0, 2)),
):
    x = torch.zeros(shape, requires_grad=True)
    y = layer(x)
    if tuple(y.shape) != expected:
        wrong.append(f"{layer} of {shape} is {tuple(y.shape)}, not {expected}")
    try:
        torch.autograd.grad(y, x, torch.zeros_like(y))
    except RuntimeError as error:
        wrong.append(f"{layer} of {shape} has no gradient: {error}")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
