"""torch.nn.LSTM does not look at the shapes of the initial states of a packed sequence.

A hidden state for two layers and a cell state for one, given to one layer, end the process; without packing they are
refused. gradjury.impl refuses both. So does the contracts' formula.

Exit status 1 while torch does this, 0 once it does not.
"""

import subprocess
import sys

CALL = """
import torch
packed = torch.nn.utils.rnn.pack_padded_sequence(torch.ones(4, 3, 3), torch.tensor([3, 2, 1]))
torch.nn.LSTM(3, 2)(packed, (torch.zeros(2, 3, 2), torch.zeros(1, 3, 2)))
"""

status = subprocess.run([sys.executable, "-c", CALL], check=False, capture_output=True).returncode
print(f"the process ended with status {status}")
sys.exit(1 if status < 0 else 0)
