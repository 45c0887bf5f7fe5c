"""max_pool2d breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: backward. the
backward raised ValueError: zero-size array to reduction operation maximum which has no identity

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpy_ml import max_pool2d as Layer

x = np.array([[[[2.0]]]], dtype='float64')
dy = np.array([[[[1.0, 0.0], [-2.0, -1.0]]]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    x = np.ascontiguousarray(np.transpose(x, (0, 2, 3, 1)))
    layer.flush_gradients()
    y = layer.forward(x)
    y = np.transpose(y, (0, 3, 1, 2))
    g = layer.backward(np.ascontiguousarray(np.transpose(dy, (0, 2, 3, 1))))
    return (y if isinstance(y, tuple) else (y,)), {"x": np.transpose(g["x"], (0, 3, 1, 2))}


layer = Layer(kernel_size=2, stride=1, padding=1)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
