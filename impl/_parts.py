"""Layers made of layers: each part gets its share of the parameters, and its gradients come back under their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._check import Array, Gradients

Layer = Callable[..., tuple[Any, Callable[..., Gradients]]]
# The backward of a block: from the cotangent of its output that of its input; all other gradients are added to a dict.
Back = Callable[[Array, Gradients], Array]
Block = Callable[[Array], tuple[Array, Back]]


@contextmanager
def part(layer: str, prefix: str) -> Iterator[None]:
    """Errors of a part become errors of the whole layer: what the part calls "weight" is "linear1.weight" there."""
    try:
        yield
    except (TypeError, ValueError, IndexError) as error:
        head, _, rest = str(error).partition(": ")
        raise type(error)(f"{layer}: {prefix}{rest if head.isidentifier() else error}") from error


def add(grads: Gradients, new: Mapping[str, Array]) -> None:
    """Gradients beside those that there are, or on top of them."""
    for name, value in new.items():
        grads[name] = grads[name] + value if name in grads else value


class Parts:
    """The parts of a layer by name, called with their share of its parameters: "linear1.weight" is linear1's weight."""

    def __init__(self, layer: str, parts: Mapping[str, Layer], params: Mapping[str, Array]) -> None:
        self._layer, self._parts = layer, parts
        self._shares: dict[str, dict[str, Array]] = {name: {} for name in parts}
        for name, value in params.items():
            owner = next((owner for owner in parts if name.startswith(f"{owner}.")), None)
            if owner is None:
                raise ValueError(f"{layer}: no part takes {name!r}; the parts are {', '.join(parts)}")
            self._shares[owner][name.removeprefix(f"{owner}.")] = value

    def __call__(self, name: str, *inputs: Array, **optional: Array | None) -> tuple[Array, Callable[..., Gradients]]:
        """The output of a part, and its backward: `backward(dy, grads)` answers the gradients of what went in.

        Those of its own parameters are added to `grads`.
        """
        share = self._shares[name]
        with part(self._layer, f"{name}."):
            y, back = self._parts[name](*inputs, **optional, **share)

        def backward(dy: Array, grads: Gradients) -> Gradients:
            own = back(dy)
            add(grads, {f"{name}.{word}": own.pop(word) for word in share if word in own})
            return own

        return y, backward

    def chain(self, names: tuple[str, ...], x: Array) -> tuple[Array, Back]:
        """Parts one after another."""
        backs = []
        for name in names:
            x, back = self(name, x)
            backs.append(back)

        def backward(dy: Array, grads: Gradients) -> Array:
            for back in reversed(backs):
                dy = back(dy, grads)["x"]
            return dy

        return x, backward


def fresh(parts: Mapping[str, Any], rng: np.random.Generator, dtype: type) -> dict[str, Array]:
    """Fresh parameters of all parts that have any."""
    return {
        f"{name}.{word}": value
        for name, layer in parts.items()
        if hasattr(layer, "initial_parameters")
        for word, value in layer.initial_parameters(rng, dtype).items()
    }
