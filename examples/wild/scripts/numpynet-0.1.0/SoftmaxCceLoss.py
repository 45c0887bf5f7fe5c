"""softmax_cce_loss breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpynet import softmax_cce_loss as Layer

x = np.array([[-587734.3042054828, 1082971.4899244313]], dtype='float64')
target = np.array([0], dtype='int64')
dy = np.array(5674.845532708625, dtype='float64')
case = [x, target, dy]


def ask(layer, x, target, dy):
    y, backward = layer(x=x, target=target)
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer()
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
target = torch.tensor(target)
def class_loss(x, target, reduction="mean"):
    """torch's cross entropy of scores and the numbers of classes."""
    return torch.nn.functional.cross_entropy(x, target, reduction=reduction)
y = class_loss(x, target, reduction='sum')
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array(1.6703667305687697e-08, dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
