"""The sum and the mean of two margin losses over a batch without samples are memory that was never written.

gradjury.impl answers 0 and NaN, as the other losses do. The contracts of MultiMarginLoss and MultiLabelMarginLoss draw
empty batches only where nothing is reduced.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch

x, right = torch.zeros(0, 3), {"sum": 0.0, "mean": float("nan")}
wrong = []
for loss, target in ((torch.nn.MultiMarginLoss, (0,)), (torch.nn.MultiLabelMarginLoss, (0, 3))):
    for reduction, expected in right.items():
        found = []
        for filler in (3.0, 5.0, 7.0):
            # Memory of a scalar's size that is given back holds what was in it.
            for waste in [torch.full((), filler) for _ in range(64)]:
                del waste
            found.append(loss(reduction=reduction)(x, torch.zeros(target, dtype=torch.int64)).item())
        print(f"{loss.__name__}, {reduction}: {found}, expected {expected}")
        wrong += [y for y in found if y != expected and not (y != y and expected != expected)]
sys.exit(bool(wrong))
