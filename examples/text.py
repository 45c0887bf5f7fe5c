"""A character LSTM and a two-layer Transformer learn English with our layers; torch takes every step beside them.

The text is Python's own manual of the language, which comes with every Python. Each network guesses the next character,
and must do better on text it never saw than anyone who knows only how frequent each character is there: fall below the
unigram entropy. As in digits.py, every step is judged against torch's from equal state.

A picture of each training is written to the folder given on the command line, by default the current one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from curves import draw

from gradjury import Lockstep, lockstep
from gradjury.impl import (
    LSTM,
    Adam,
    Add,
    CrossEntropyLoss,
    Embedding,
    Flatten,
    Linear,
    Sequential,
    TransformerEncoderLayer,
)
from gradjury.oracle.vjp import Array

LENGTH = 32
WIDTH = 32


@dataclass(frozen=True)
class Result:
    """The loss per character of unseen text, the entropy of its characters (in nats), and the training in lockstep."""

    loss: float
    entropy: float
    training: Lockstep

    @property
    def holds(self) -> bool:
        """The claim: more than the frequencies is known, and not one step is out of the budget."""
        return self.loss < self.entropy and self.training.holds


def characters() -> tuple[Array, int]:
    """The text as indices, and how many different characters it has."""
    text = "\n".join(topics[name] for name in sorted(topics)).lower()
    letters, indices = np.unique([c for c in text if c.isascii()], return_inverse=True)
    return indices, len(letters)


def entropy(indices: Array) -> float:
    """-Σ p·ln p over the frequencies p of the characters, in nats."""
    counts = np.bincount(indices)
    p = counts[counts > 0] / len(indices)
    return float(-(p * np.log(p)).sum())


def lstm(letters: int) -> Sequential:
    """A character LSTM; its answer at every place is cut into rows for the loss."""
    return Sequential(
        Embedding(letters, WIDTH), LSTM(WIDTH, 2 * WIDTH, batch_first=True), Flatten(0, 1), Linear(2 * WIDTH, letters)
    )


def transformer(letters: int) -> Sequential:
    """Characters and learned positions, two layers of attention to what came before."""
    layer = TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.1, batch_first=True)
    return Sequential(Embedding(letters, WIDTH), Add(), layer, layer, Flatten(0, 1), Linear(WIDTH, letters))


# What is given to layers beside x: positions are learned, the masks hide what is still to come.
LEARNED = {"1.other": np.zeros((LENGTH, WIDTH))}
MASK = np.triu(np.ones((LENGTH, LENGTH), bool), 1)
NETWORKS = {
    "lstm": (lstm, {}, {}),
    "transformer": (transformer, LEARNED, {"2.src_mask": MASK, "3.src_mask": MASK}),
}


def windows(text: Array, starts: Array) -> tuple[Array, Array]:
    """Pieces of the text, and what follows each of their characters."""
    places = starts[:, None] + np.arange(LENGTH)
    return text[places], text[places + 1].ravel()


def train(name: str, *, steps: int, batch: int, seed: int, to: Path) -> Result:
    """Train one of the networks, judge every step, let torch drift."""
    text, letters = characters()
    seen, unseen = np.split(text, [len(text) * 9 // 10])
    rng = np.random.default_rng(seed)
    build, learned, given = NETWORKS[name]
    net = build(letters)
    params = net.initial_parameters(rng) | learned

    def batches() -> Iterator[Mapping[str, Array]]:
        for _ in range(steps):
            x, target = windows(seen, rng.integers(len(seen) - LENGTH, size=batch))
            yield {"x": x, "target": target, **given, **net.noise(rng, x, **params)}

    training = lockstep(net, CrossEntropyLoss(), Adam(lr=0.01), params, batches(), schedule=lambda n: 1 - n / steps)
    x, target = windows(unseen, np.arange(0, len(unseen) - LENGTH, LENGTH))
    y, _ = net.train(False)(x, **given, **{name: training.state[name] for name in params})
    loss, _ = CrossEntropyLoss()(y, target)
    result = Result(float(loss), entropy(unseen), training)
    draw(training, f"Characters: {name}", to / f"{name}.png", (result.entropy, "unigram entropy"))
    print(f"{name}: {result.loss:.3f} nats a character of unseen text, whose unigram entropy is {result.entropy:.3f}.")
    print(f"{training}.")
    return result


def main(*, steps: int = 500, batch: int = 16, seed: int = 0, to: Path = Path()) -> list[Result]:
    """Train both."""
    return [train(name, steps=steps, batch=batch, seed=seed, to=to) for name in NETWORKS]


if __name__ == "__main__":
    sys.exit(0 if all(result.holds for result in main(to=Path(*sys.argv[1:]))) else 1)
