"""MultiheadAttention, told that its mask is causal, hides the keys that it adds itself.

Exit status 1 while torch does so.
"""

import sys

import torch

torch.manual_seed(0)
layer = torch.nn.MultiheadAttention(2, 1, add_bias_kv=True)
x = torch.randn(3, 1, 2)
mask = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
told, _ = layer(x, x, x, attn_mask=mask, need_weights=False, is_causal=True)
masked, _ = layer(x, x, x, attn_mask=mask, need_weights=False)
print(f"told that the mask is causal {told.flatten().tolist()}\nwith the mask {masked.flatten().tolist()}")
sys.exit(not torch.allclose(told, masked))
