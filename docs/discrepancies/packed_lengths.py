"""pack_padded_sequence takes fewer lengths than there are sequences, and drops the sequences without one.

Of the states of five sequences a recurrent layer takes those of the first three, where three are packed; lengths may
be fractions, and are cut off. gradjury.impl refuses all of these. So does the contracts' formula.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x = torch.ones(4, 3, 2)
few = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2]), enforce_sorted=False)
fractions = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4.0, 2.5, 1.5]), enforce_sorted=False)
y, _ = torch.nn.RNN(2, 2)(fractions, torch.zeros(1, 5, 2))
print(f"of {x.shape[1]} sequences {few.batch_sizes[0]} are left; {len(y.data)} elements of 8")
sys.exit(1 if few.batch_sizes[0] == 2 and len(y.data) == 7 else 0)
