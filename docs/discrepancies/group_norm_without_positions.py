"""torch's GroupNorm answers NaN for the gradient of its weight where x has samples but no positions.

The output is empty and depends on nothing, so every gradient is a sum of nothing: zero. torch multiplies such zeros by
the mean and the inverse deviation of an empty group, which are NaN. For an empty batch, and for the bias, it answers
zero. gradjury.impl answers zero.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

layer = torch.nn.GroupNorm(1, 2)
layer(torch.zeros(3, 2, 0)).sum().backward()
print(f"weight: {layer.weight.grad.tolist()}, bias: {layer.bias.grad.tolist()}")
sys.exit(1 if layer.weight.grad.isnan().any() else 0)
