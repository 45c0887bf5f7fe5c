"""torch's recurrent cells do not look whether the state has as many axes as the input.

For x without a batch axis and a state with one, of hidden size 1, RNNCell answers an array with an axis more, GRUCell
and LSTMCell end the process. gradjury.impl refuses. The contracts' formula refuses too.

Exit status 1 while torch does this, 0 once it does not.
"""

import subprocess
import sys

CALL = """
import torch
cell = torch.nn.GRUCell(3, 1)
cell(torch.ones(3), torch.ones(1, 1))
"""

status = subprocess.run([sys.executable, "-c", CALL], check=False, capture_output=True).returncode
print(f"the process ended with status {status}")
sys.exit(1 if status < 0 else 0)
