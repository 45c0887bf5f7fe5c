"""Styles that keep nothing: the closure, forward and backward, a function and its derivative, or both at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...oracle.vjp import Array, Backward, Outputs
from ..literals import script_name
from ..twins import call_arguments
from .base import Adapted, StyleError, accepted, in_order, own_names, two

if TYPE_CHECKING:
    from ..adapt import Layer

# How a script calls two functions.
FUNCTIONS = ("layer[0]", "layer[1]")


class Closure(Adapted):
    """y, backward = layer(x, weight); backward(dy)."""

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Callable[..., Any]) -> None:
        super().__init__(layer, config)
        self._made = made

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """One call of the closure type, names and gradients translated."""
        own, keywords = own_names(self._made, tuple(inputs))
        if keywords:
            answer = self._made(**inputs)
        else:
            answer = self._made(*inputs.values())
        y, backward = two(answer, self.layer.name, "y, backward")
        if not callable(backward):
            raise StyleError(
                f"{self.layer.name} must answer `y, backward`, and backward is no function "
                f"but {type(backward).__name__}. "
                'Where it is the gradient itself, say style="value_and_grad"'
            )
        names = tuple(inputs)
        return y, lambda *dy: self._named(backward(*dy), names, own)

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """y, backward = layer(...)."""
        own, keywords = own_names(self._made, tuple(names))
        if not keywords:
            arguments = ", ".join(map(script_name, names))
        elif all(n.isidentifier() for n in names):
            arguments = ", ".join(f"{n}={n}" for n in names)
        else:
            arguments = "**{" + ", ".join(f'"{n}": {script_name(n)}' for n in names) + "}"
        return [f"y, backward = layer({arguments})"], f"backward({', '.join(cotangents)})", self._places(names, own)


class Pair(Adapted):
    """y, cache = forward(x, weight); backward(dy, cache). `spelled`: how a script calls the two."""

    def __init__(
        self,
        layer: Layer,
        config: Mapping[str, Any],
        functions: tuple[Callable[..., Any], Callable[..., Any]],
        spelled: tuple[str, str] = FUNCTIONS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(layer, config)
        self._forward, self._backward = functions
        self._spelled = spelled
        self._options = options or {}

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """A forward whose cache the backward closes over."""
        answer = self._forward(*inputs.values(), **self._options)
        if not isinstance(answer, tuple):
            raise StyleError(
                f"the forward of {self.layer.name} must answer `y, cache`; it answers {type(answer).__name__}. "
                'For a function and its derivative say style="derivative"'
            )
        y, cache = two(answer, self.layer.name, "y, cache")
        names = tuple(inputs)
        own, _ = own_names(self._forward, names)
        return y, lambda *dy: self._named(self._backward(*dy, cache), names, own)

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """y, cache = forward(...); backward(dy, cache)."""
        own, _ = own_names(self._forward, tuple(names))
        forward, backward = self._spelled
        lines = [f"y, cache = {forward}({_arguments(names, self._options)})"]
        return lines, f"{backward}({', '.join(cotangents)}, cache)", self._places(names, own)


class Derivative(Adapted):
    """y = f(x); dx = dy · f'(x).

    For an activation, and for a loss, whose derivative is the gradient of its one number and which may take the target
    first, f(y_true, y_pred); a tuple of derivatives is one for each input in torch's order.
    """

    def __init__(
        self,
        layer: Layer,
        config: Mapping[str, Any],
        functions: tuple[Callable[..., Any], Callable[..., Any]],
        spelled: tuple[str, str] = FUNCTIONS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(layer, config)
        self._function, self._derivative = functions
        self._spelled = spelled
        self._options = options or {}
        takes = accepted(self._derivative)
        self._same = {n: v for n, v in self._options.items() if takes is None or n in takes}

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """The function, and its derivative times the cotangent."""
        names = tuple(inputs)
        y = np.asarray(self._function(*(inputs[n] for n in in_order(self._function, names)), **self._options))

        def backward(dy: Array) -> Mapping[str, Any]:
            slopes = self._derivative(*(inputs[n] for n in in_order(self._derivative, names)), **self._same)
            return _times(dy, self._named(slopes, names, names))

        return y, backward

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """y = f(...); derivative(...), each part times dy."""
        function, derivative = self._spelled
        places = _spelled_times(cotangents, self._places(names, names))
        line = f"y = np.asarray({function}({_arguments(in_order(self._function, names), self._options)}))"
        return [line], f"{derivative}({_arguments(in_order(self._derivative, names), self._same)})", places


class ValueAndGrad(Adapted):
    """y, slope = layer(x); dx = dy · slope.

    For losses that answer their number and its gradient at once; several gradients in a tuple or dict.
    """

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Callable[..., Any]) -> None:
        super().__init__(layer, config)
        self._made = made

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """One call; the gradient is kept and multiplied by the cotangent."""
        names = tuple(inputs)
        answer = self._made(*(inputs[n] for n in in_order(self._made, names)))
        y, slopes = two(answer, self.layer.name, "y, gradient")
        if callable(slopes):
            raise StyleError(f'{self.layer.name} answers a function beside y: that is style="closure"')
        named = self._named(slopes, names, names)
        return np.asarray(y), lambda dy: _times(dy, named)

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """y, slope = layer(...), each part times dy."""
        places = _spelled_times(cotangents, self._places(names, names))
        given = ", ".join(map(script_name, in_order(self._made, names)))
        return [f"y, slope = layer({given})", "y = np.asarray(y)"], "slope", places


def _times(dy: Array, slopes: Mapping[str, Any]) -> dict[str, Any]:
    """The gradients that slopes make of a cotangent; None stays what has none."""
    return {n: None if slope is None else dy * slope for n, slope in slopes.items()}


def _spelled_times(cotangents: Sequence[str], places: Mapping[str, str]) -> dict[str, str]:
    """The same in the words of a script."""
    return {n: f"{cotangents[0]} * {place}" for n, place in places.items()}


def _arguments(names: Sequence[str], options: Mapping[str, Any]) -> str:
    return ", ".join([*map(script_name, names), *([call_arguments(options)] if options else [])])
