"""torch's nearest interpolation sends the gradient to another cell than the value came from.

Two cells, scale factor 1.1: the output has two cells again. The forward computes ⌊0/1.1⌋ and ⌊1/1.1⌋ and takes cell 0
twice; the backward copies where the size stays, and gives each cell one gradient. Without a scale factor the forward
computes in the input's precision, and as a rounded centre, what the backward computes in float32: for 2 cells and 41
("nearest-exact"), it takes another cell. gradjury.impl takes the forward's cells, and the gradient goes to them.

Exit status 1 while torch does this, 0 once it does not.
"""

import sys

import torch


def cells(n: int, **options: object) -> tuple[list[int], list[int]]:
    """How often the forward takes each cell, and how often the backward adds to it."""
    x = torch.arange(n, dtype=torch.float64).reshape(1, 1, n).requires_grad_()
    y = torch.nn.functional.interpolate(x, **options)  # type: ignore[arg-type]
    (dx,) = torch.autograd.grad(y.sum(), x)
    return torch.bincount(y.detach().flatten().long(), minlength=n).tolist(), dx.flatten().long().tolist()


found = {
    "scale factor 1.1": cells(2, scale_factor=1.1, mode="nearest"),
    "size 41, nearest-exact": cells(2, size=41, mode="nearest-exact"),
}
for what, (forward, backward) in found.items():
    print(f"2 cells, {what}: the values come from {forward}, the gradients go to {backward}")
sys.exit(1 if any(forward != backward for forward, backward in found.values()) else 0)
