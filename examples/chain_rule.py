"""The chain rule on the smallest circuit, f = (x + y)·z, backward through two gates and against torch autograd.

At x = -2, y = 5, z = -4: f = -12, df/dx = -4, df/dy = -4, df/dz = 3.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from gradjury.impl import Add, Multiply
from gradjury.oracle.autograd import torch_vjp
from gradjury.oracle.vjp import Array, Backward


def circuit(x: Array, y: Array, z: Array) -> tuple[Array, Backward]:
    """f = (x + y)·z; with q = x + y: df/dz = q, and df/dx = df/dq · dq/dx = z, df/dy = df/dq · dq/dy = z."""
    q, through_add = Add()(x, y)
    f, through_multiply = Multiply()(q, z)

    def backward(df: Array) -> dict[str, Array]:
        outer = through_multiply(df)
        inner = through_add(outer["x"])
        return {"x": inner["x"], "y": inner["other"], "z": outer["other"]}

    return f, backward


@dataclass(frozen=True)
class Result:
    """f and its gradients by name, ours and torch's."""

    ours: dict[str, float]
    torch: dict[str, float]

    @property
    def holds(self) -> bool:
        """The claim: exactly equal."""
        return self.ours == self.torch


def main(*, x: float = -2.0, y: float = 5.0, z: float = -4.0) -> Result:
    """Forward and backward, by our gates and by torch."""
    inputs = {"x": np.array(x), "y": np.array(y), "z": np.array(z)}
    found = []
    for function in (circuit, torch_vjp(lambda x, y, z: (x + y) * z, differentiable=("x", "y", "z"))):
        f, backward = function(**inputs)
        grads = backward(np.array(1.0))
        found.append({name: np.asarray(value).item() for name, value in {"f": f, **grads}.items()})
    result = Result(*found)

    print(f"f = (x + y)·z at x = {x:g}, y = {y:g}, z = {z:g}")
    for name, value in result.ours.items():
        print(f"{name if name == 'f' else f'df/d{name}':>6} = {value:g}   torch: {result.torch[name]:g}")
    print("Exactly equal." if result.holds else "NOT equal.")
    return result


if __name__ == "__main__":
    sys.exit(0 if main().holds else 1)
