"""max_pool2d breaks the law forward: the outputs are torch's. Wrong here: forward. the forward raised ValueError:
zero-size array to reduction operation maximum which has no identity

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_torchy_nn import max_pool2d as Layer

x = np.array([[[[2.0]]]], dtype='float64')
dy = np.array([[[[1.0, 0.0], [-2.0, -1.0]]]], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    y = layer.forward(x)
    g = layer.backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g["x"]}


layer = Layer(kernel_size=2, stride=1, padding=1)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
