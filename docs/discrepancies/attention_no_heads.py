"""torch's scaled dot-product attention ends the process where grouped queries find values and no head of keys.

With enable_gqa the number of heads is divided by that of the keys, which is 0. gradjury.impl raises ValueError.

Exit status 1 while torch does this, 0 once it does not.
"""

import subprocess
import sys

CALL = """
import torch
query, key, value = (torch.ones(heads, 2, 4) for heads in (2, {heads}, 1))
torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
"""

status = [
    subprocess.run([sys.executable, "-c", CALL.format(heads=heads)], capture_output=True, check=False).returncode
    for heads in (1, 0)
]
print(f"one head of keys: exit status {status[0]}; none: {status[1]}")
sys.exit(1 if status[0] == 0 and status[1] < 0 else 0)
