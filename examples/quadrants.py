"""A small network learns to tell the quadrants apart: the sign of x₀·x₁ for points in [-1, 1]², one point at a time."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from gradjury.impl import SGD, LeakyReLU, Linear, MSELoss, Sequential
from gradjury.oracle.vjp import Array


def draw(rng: np.random.Generator, number: int) -> tuple[Array, Array]:
    """Points, uniform in the square, and their targets: +1 where x₀·x₁ > 0, else -1."""
    x = rng.uniform(-1, 1, (number, 2))
    return x, np.where(x[:, :1] * x[:, 1:] > 0, 1.0, -1.0)


@dataclass(frozen=True)
class Result:
    """The share of held-out points told right, before training and after."""

    before: float
    after: float

    @property
    def holds(self) -> bool:
        """The claim: from chance to over 95 %."""
        return abs(self.before - 0.5) < 0.1 and self.after > 0.95


def main(*, points: int = 100_000, held_out: int = 10_000, hidden: int = 16, lr: float = 0.05, seed: int = 0) -> Result:
    """Train on `points` single points, one step of gradient descent each."""
    rng = np.random.default_rng(seed)
    network, loss = Sequential(Linear(2, hidden), LeakyReLU(), Linear(hidden, 1)), MSELoss()
    params = network.initial_parameters(rng)
    test_x, test_target = draw(rng, held_out)

    def accuracy() -> float:
        y, _ = network(test_x, **params)
        return float(np.mean(np.sign(y) == test_target))

    before = accuracy()
    for step, (x, target) in enumerate(zip(*draw(rng, points), strict=True)):
        y, network_backward = network(x, **params)
        _, loss_backward = loss(y, target)
        grads = network_backward(loss_backward(np.array(1.0))["x"])
        # The rate falls to 0: at a constant rate the last few single points leave their noise in the parameters.
        params, _ = SGD(lr=lr * (1 - step / points))(params, grads)
    result = Result(before, accuracy())

    print(network)
    print(f"{result.before:.1%} of {held_out:,} held-out points right before training,")
    print(f"{result.after:.1%} after {points:,} single points.")
    return result


if __name__ == "__main__":
    sys.exit(0 if main().holds else 1)
