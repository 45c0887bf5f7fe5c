"""Layers one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._check import Array, Backward, Gradients

Layer = Callable[..., tuple[Any, Backward]]


class Sequential:
    """y = layer_n(… layer_1(layer_0(x))).

    Parameters go in and gradients come out under torch's state_dict names, "0.weight" for the first layer's weight.
    Gradient: the chain rule, from the last layer to the first; the gradient of x stands under "x".

    Raises ValueError for parameters whose names begin with no layer's number.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    def __call__(self, x: Array, **params: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        shares: list[dict[str, Array]] = [{} for _ in self.layers]
        for name, value in params.items():
            number, _, rest = name.partition(".")
            if not number.isdecimal() or int(number) >= len(shares):
                raise ValueError(f"Sequential: no layer takes {name!r}; there are {len(shares)}, counted from 0")
            shares[int(number)][rest] = value
        backwards = []
        y = x
        for layer, share in zip(self.layers, shares, strict=True):
            y, back = layer(y, **share)
            backwards.append(back)

        def backward(dy: Array) -> Gradients:
            grads: Gradients = {}
            for number, back in reversed(list(enumerate(backwards))):
                own = back(dy)
                dy = own.pop("x")
                grads |= {f"{number}.{name}": value for name, value in own.items()}
            return {"x": dy, **grads}

        return y, backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters of all layers that have any, drawn as torch draws them."""
        return {
            f"{number}.{name}": value
            for number, layer in enumerate(self.layers)
            if hasattr(layer, "initial_parameters")
            for name, value in layer.initial_parameters(rng, dtype).items()
        }
