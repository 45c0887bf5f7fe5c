"""scaled_dot_product_attention with a negative scale and is_causal answers NaN, by the kernel that torch takes.

Exit status 1 while torch does so.
"""

import sys

import torch

attention = torch.nn.functional.scaled_dot_product_attention
torch.manual_seed(0)
query, key, value = (torch.randn(1, 1, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
wrong = False
for name in ("FLASH_ATTENTION", "MATH"):
    with torch.nn.attention.sdpa_kernel(getattr(torch.nn.attention.SDPBackend, name)):
        y = attention(query, key, value, is_causal=True, scale=-0.5)
        (gradient,) = torch.autograd.grad(y.sum(), value)
    print(f"{name}: output {y.flatten().tolist()}, gradient of value {gradient.flatten().tolist()}")
    wrong |= bool(gradient.isnan().any())
sys.exit(wrong)
