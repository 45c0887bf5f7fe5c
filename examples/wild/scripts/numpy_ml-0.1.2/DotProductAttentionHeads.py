"""dot_product_attention breaks the law gradients: every gradient is autograd's, for a drawn cotangent. Wrong here:
backward. the backward raised ValueError: matmul: Input operand 1 has a mismatch in its core dimension 0, with
gufunc signature (n?,k),(k,m?)->(n?,m?) (size 4 is different from 2)

Exit status 1 while the bug is there, 0 once it is gone. Written by gradjury.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from examples.wild.wild_numpy_ml import dot_product_attention as Layer

query = np.array([[[[2.0, 1.0], [0.0, -2.0]]]], dtype='float64')
key = np.array([[[[-1.0, -3.0], [-3.0, -3.0]]]], dtype='float64')
value = np.array([[[[-2.0, 2.0], [1.0, 3.0]]]], dtype='float64')
dy = np.array([[[[0.0, 1.0], [3.0, 2.0]]]], dtype='float64')
case = [query, key, value, dy]


def ask(layer, query, key, value, dy):
    y, backward = layer(query=query, key=key, value=value)
    g = backward(dy)
    return (y if isinstance(y, tuple) else (y,)), {"query": g["query"], "key": g["key"], "value": g["value"]}


layer = Layer()
ask(layer, *case)  # raises
wrong = False
print("wrong" if wrong else "right")
sys.exit(1 if wrong else 0)
