"""torch.nn.CTCLoss takes labels that are no classes, and where a label is the blank its gradient lacks a term.

The former read memory that is not the tensor's. gradjury.impl refuses them, and counts both of the last states. The
contracts draw labels that are classes and not the blank.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

scores = torch.zeros(2, 1, 3, dtype=torch.float64, requires_grad=True)
lengths = (torch.tensor([2]), torch.tensor([1]))
loss = torch.nn.CTCLoss(reduction="sum")
try:
    taken = loss(scores.log_softmax(-1), torch.tensor([[5]]), *lengths).item()
    print(f"label 5 of 3 classes: a loss of {taken}")
    wrong = True
except (RuntimeError, IndexError) as error:
    print(f"label 5 of 3 classes: {error}")
    wrong = False

# The blank in both frames is the only way to say the label 0: the gradient of its score is 1/3 - 1 in each.
(gradient,) = torch.autograd.grad(loss(scores.log_softmax(-1), torch.tensor([[0]]), *lengths), scores)
print(f"label = blank: gradient {gradient[:, 0, 0].tolist()}, expected {[1 / 3 - 1] * 2}")
sys.exit(wrong or not torch.allclose(gradient[:, 0, 0], torch.tensor(1 / 3 - 1, dtype=torch.float64)))
