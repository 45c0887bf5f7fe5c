"""dropout breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here: backward. the
backward raised TypeError: unsupported operand type(s) for *: 'float' and 'NoneType'

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_neuralnetlib import dropout as Layer

x = np.array([2.0], dtype='float64')
dy = np.array([2.0], dtype='float64')
case = [x, dy]


def ask(layer, x, dy):
    y, backward = layer(x=x)
    g = backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"x": g["x"]}


layer = Layer(p=0.5, training=False)
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
