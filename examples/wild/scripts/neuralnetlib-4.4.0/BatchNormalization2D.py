"""batch_normalization breaks the law forward: the outputs are torch's. Wrong here: output.

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import batch_normalization as Layer

x = np.array([[[[0.10296768001436127, -0.9805271710302613]]]], dtype='float64')
weight = np.array([-0.8174783249223175], dtype='float64')
bias = np.array([-1.027881871299033], dtype='float64')
dy = np.array([[[[-0.574458905742871, 1.9711298228060992]]]], dtype='float64')
case = [x, weight, bias, dy]


def ask(layer, x, weight, bias, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 3, 1)))
    layer.forward_pass(x)  # builds the parameters
    layer.gamma = weight.reshape((1, 1, 1))
    layer.beta = bias.reshape((1, 1, 1))
    y = layer.forward_pass(x)
    y = np.transpose(y, (0, 3, 1, 2))
    return (y if isinstance(y, tuple) else (y,)), {}


layer = Layer()
got = np.asarray(ask(layer, *case)[0][0])
x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
weight = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
y = torch.func.functional_call(torch.nn.BatchNorm2d(track_running_stats=False, momentum=0.1, affine=True, bias=True, num_features=1), {"weight": weight, "bias": bias}, (x,))
expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
allowed = np.array([[[[1.6799600734162124e-14, 1.7703006587170756e-14]]]], dtype='float64')
print(f"got\n{got}\nexpected\n{expected}")
wrong = got.shape != expected.shape or not all(
    abs(g - e) <= a or g == e or (g != g and e != e) for g, e, a in zip(got.flat, expected.flat, allowed.flat)
)
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
