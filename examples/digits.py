"""A CNN with batch norm and dropout learns handwritten digits with our layers; torch takes every step beside it.

Two comparisons, of which only the first is judged:
- lockstep: at every step torch starts from OUR parameters, statistics and optimizer state, and the output of each
  layer, the loss, every gradient and everything after the step must agree within the computed error budget;
- drift: torch also trains on its own, from the same start on the same batches, and nothing brings it back to ours.
  Rounding errors add up over the steps, so how far apart the two end is worth knowing but blames nobody.

A picture of both curves is written to the folder given on the command line, by default the current one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from curves import draw
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from gradjury import Lockstep, lockstep
from gradjury.impl import (
    SGD,
    BatchNorm2d,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from gradjury.oracle.vjp import Array

HELD_OUT = 360


@dataclass(frozen=True)
class Result:
    """The share of held-out digits told right, and the training in lockstep."""

    accuracy: float
    training: Lockstep

    @property
    def holds(self) -> bool:
        """The claim: at least 98.5 % right, and not one step out of the budget."""
        return self.accuracy >= 0.985 and self.training.holds


def network(channels: int) -> Sequential:
    """Two convolutions with batch norm, which takes any bias off again; pooled; two layers with dropout between."""
    return Sequential(
        *(Conv2d(1, channels, 3, padding=1, bias=False), BatchNorm2d(channels), ReLU()),
        *(Conv2d(channels, 2 * channels, 3, padding=1, bias=False), BatchNorm2d(2 * channels), ReLU()),
        *(MaxPool2d(2), Flatten(), Linear(32 * channels, 64), ReLU(), Dropout(0.3), Linear(64, 10)),
    )


def main(*, channels: int = 16, epochs: int = 12, batch: int = 32, seed: int = 0, to: Path = Path()) -> Result:
    """Train ours, judge every step, let torch drift."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8) / 16
    rng = np.random.default_rng(seed)
    held_out, train = np.split(rng.permutation(len(labels)), [HELD_OUT])
    net = network(channels)
    params = net.initial_parameters(rng)
    steps = epochs * -(-len(train) // batch)

    def batches() -> Iterator[dict[str, Array]]:
        for _ in range(epochs):
            for part in np.split(rng.permutation(train), range(batch, len(train), batch)):
                x = images[part]
                yield {"x": x, "target": labels[part], **net.noise(rng, x, **params)}

    optimizer = SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2)
    training = lockstep(net, CrossEntropyLoss(), optimizer, params, batches(), schedule=lambda step: 1 - step / steps)
    learned = {name: training.state[name] for name in params}
    y, _ = net.train(False)(images[held_out], **learned)
    result = Result(float(np.mean(y.argmax(axis=1) == labels[held_out])), training)
    draw(training, "Handwritten digits", to / "digits.png")
    print(f"{result.accuracy:.1%} of {HELD_OUT} held-out digits right.")
    print(f"{training}.")
    return result


if __name__ == "__main__":
    sys.exit(0 if main(to=Path(*sys.argv[1:])).holds else 1)
