"""Layers one after another."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ._check import Array, Backward, Gradients
from ._parts import fresh

Layer = Callable[..., tuple[Any, Backward]]


class Sequential:
    """y = layer_n(… layer_1(layer_0(x))).

    Parameters, buffers and noise go in and gradients come out under torch's state_dict names, "0.weight" for the first
    layer's weight. Of a layer with several outputs the next one gets the first. Buffers that change (running
    statistics) come out behind y, in the order of `updated`.

    Gradient: the chain rule, from the last layer to the first: what a layer answers for its first argument is the next
    one's cotangent. The gradient of x, unless it holds indices, stands under "x".

    Raises ValueError for parameters whose names begin with no layer's number; the backward KeyError where a layer
    behind another one answers no gradient of its input.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    @property
    def updated(self) -> tuple[str, ...]:
        """The names of the buffers that come out behind y."""
        return tuple(
            f"{number}.{name}" for number, layer in enumerate(self.layers) for name in getattr(layer, "updated", ())
        )

    def train(self, training: bool = True) -> Sequential:
        """The same layers, those that have the option `training` with this value."""
        return Sequential(*(_trained(layer, training) for layer in self.layers))

    def shares(self, params: Mapping[str, Array]) -> list[dict[str, Array]]:
        """What of the named arrays is each layer's, under its own names."""
        shares: list[dict[str, Array]] = [{} for _ in self.layers]
        for name, value in params.items():
            number, _, rest = name.partition(".")
            if not number.isdecimal() or int(number) >= len(shares):
                raise ValueError(f"Sequential: no layer takes {name!r}; there are {len(shares)}, counted from 0")
            shares[int(number)][rest] = value
        return shares

    def __call__(self, x: Array, **params: Array) -> tuple[Any, Backward]:
        """y, or (y, the buffers after this call), and the backward pass."""
        backwards, buffers = [], []
        y = x
        for layer, share in zip(self.layers, self.shares(params), strict=True):
            answered, back = layer(y, **share)
            outputs = answered if isinstance(answered, tuple) else (answered,)
            y, *others = outputs
            kept = len(getattr(layer, "updated", ()))
            buffers += others[len(others) - kept :]
            backwards.append((back, others[: len(others) - kept]))

        def backward(dy: Array) -> Gradients:
            grads: Gradients = {}
            passed: Any = dy
            for number, (back, others) in reversed(list(enumerate(backwards))):
                own = dict(back(passed, *(np.zeros_like(other) for other in others if other.dtype.kind == "f")))
                first = _first_argument(self.layers[number])
                passed = own.pop(first, None)
                if passed is None and number:
                    found = ", ".join(own) or "nothing"
                    raise KeyError(f"Sequential: layer {number} answers no gradient of its input {first}, but {found}")
                grads |= {f"{number}.{name}": value for name, value in own.items()}
            return grads if passed is None else {"x": passed, **grads}

        return ((y, *buffers) if buffers else y), backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters and buffers of all layers that have any, drawn as torch draws them."""
        return fresh({str(number): layer for number, layer in enumerate(self.layers)}, rng, dtype)

    def noise(self, rng: np.random.Generator, x: Array, **params: Array) -> dict[str, Array]:
        """What the random layers need for this x, such as dropout masks; the layers run to see what each is given."""
        drawn: dict[str, Array] = {}
        y = x
        for number, (layer, share) in enumerate(zip(self.layers, self.shares(params), strict=True)):
            own: dict[str, Array] = layer.noise(rng, y.shape, y.dtype.type) if hasattr(layer, "noise") else {}
            drawn |= {f"{number}.{name}": value for name, value in own.items()}
            answered, _ = layer(y, **{**share, **own})
            y = answered[0] if isinstance(answered, tuple) else answered
        return drawn


def _first_argument(layer: Layer) -> str:
    """What a layer calls its input: x, or torch's name of it where that is another than `input`."""
    return next(iter(inspect.signature(layer).parameters))


def _trained(layer: Any, training: bool) -> Any:
    if isinstance(layer, Sequential):
        return layer.train(training)
    if is_dataclass(layer) and any(option.name == "training" for option in fields(layer)):
        return replace(layer, training=training)  # type: ignore[type-var]
    return layer
