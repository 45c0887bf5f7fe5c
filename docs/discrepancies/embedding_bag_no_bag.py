"""torch's EmbeddingBag crashes the process where x holds numbers but the offsets name no bag.

No offsets at all, or with include_last_offset a single one. gradjury.impl raises ValueError.

Exit status 1 while torch does this, 0 once it does not.
"""

import subprocess
import sys

CALL = """
import torch
weight, x = torch.ones(3, 2, dtype=torch.float64), torch.tensor([0, 1, 2])
torch.nn.functional.embedding_bag(x, weight, torch.tensor({offsets}), include_last_offset={last})
"""

crashed = 0
for offsets, last in (("[], dtype=torch.int64", False), ("[0]", True)):
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(offsets=offsets, last=last)], capture_output=True, check=False
    )
    print(f"offsets {offsets}, include_last_offset={last}: exit status {done.returncode}")
    crashed += done.returncode < 0
sys.exit(1 if crashed else 0)
