"""scaled_dot_product_attention without keys answers in the batch of the query alone, and takes over infinities.

Exit status 1 while torch does so.
"""

import sys

import torch

attention = torch.nn.functional.scaled_dot_product_attention
query, key, value = torch.zeros(2, 3), torch.zeros(4, 0, 3), torch.zeros(4, 0, 5)
shape = tuple(attention(query, key, value).shape)
y = attention(torch.full((2, 3), torch.inf), key[0], value[0])
print(f"shape {shape}, expected (4, 2, 5); an infinite query gives {y.flatten()[0]}, expected 0")
sys.exit(shape != (4, 2, 5) or bool(y.isnan().any()))
