"""Bringing a stranger's layer to the one type: called with arrays by the contract's names, it answers outputs and a
backward.

Three styles are told apart by what the layer is, once it is built with a configuration:
- the closure: `y, backward = layer(x, weight)`, `backward(dy)` a dict, a tuple in input order, or one array;
- the pair: `forward(x, weight) -> (y, cache)` and `backward(dy, cache)`, two functions or two methods;
- the object: `y = layer.forward(x)`, `dx = layer.backward(dy)`, parameters and gradients kept as attributes.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..oracle.vjp import Array, Backward, Outputs
from .contract import Contract
from .literals import script_name
from .twins import call_arguments

Parameters = Mapping[str, tuple[str, str]]

# Under which names layers keep their parameters, in the order in which they are looked for.
ATTRIBUTES = {
    "weight": ("weight", "W", "w", "weights", "kernel", "kernels", "filters"),
    "bias": ("bias", "b", "biases"),
}


# ... and the gradients of those, with the parameter's name filled in.
GRADIENTS = ("d{}", "d_{}", "grad_{}", "{}_grad", "{}_gradient")


class StyleError(TypeError):
    """A layer that cannot be called as any of the styles; the message says what would be needed."""


@dataclass(frozen=True)
class Layer:
    """A stranger's layer as it came: what builds it, which options it takes, where it keeps its parameters.

    `source` is a class or function called with the configuration by torch's names, or a pair of functions.
    """

    source: Any
    contract: Contract
    fixed: Mapping[str, Any]
    parameters: Parameters

    @property
    def name(self) -> str:
        """What to call it in reports."""
        if isinstance(self.source, tuple):
            return str(getattr(self.source[0], "__name__", "pair"))
        return str(getattr(self.source, "__qualname__", type(self.source).__name__))

    def check_options(self) -> None:
        """StyleError where the contract draws options that the layer does not take and that are not fixed.

        Options without a default (sizes) may be missing: the arrays tell them.
        """
        accepted = _accepted(self._taker)
        if accepted is None:
            return
        defaults = self.contract.reference.defaults
        lacking = {
            name: default
            for name, default in defaults.items()
            if name not in accepted and name not in self.fixed and default is not inspect.Parameter.empty
        }
        if lacking:
            raise StyleError(
                f"{self.name} does not take {', '.join(lacking)}, which {self.contract.name} has. "
                f"If it always behaves as with torch's defaults, say so: fixed={lacking!r}; else let it take them."
            )

    @property
    def _taker(self) -> Callable[..., Any]:
        """What takes the options: the layer itself, or the forward of a pair of functions."""
        return self.source[0] if isinstance(self.source, tuple) else self.source  # type: ignore[no-any-return]

    def arguments(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a configuration that the layer takes."""
        accepted = _accepted(self._taker)
        return {n: v for n, v in config.items() if accepted is None or n in accepted}

    def build(self, config: Mapping[str, Any]) -> Adapted:
        """The layer in one configuration."""
        arguments = self.arguments(config)
        if isinstance(self.source, tuple):
            forward, backward = self.source
            return Pair(self, config, forward, backward, _FUNCTIONS, arguments)
        made = self.source(**arguments)
        if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
            return Pair(self, config, *made, _FUNCTIONS)
        forward, backward = getattr(made, "forward", None), getattr(made, "backward", None)
        if callable(forward) and callable(backward):
            if len(_positional(backward)) >= 2:
                return Pair(self, config, forward, backward, _METHODS)
            return Object(self, config, made)
        if callable(made):
            return Closure(self, config, made)
        raise StyleError(
            f"{self.name}({call_arguments(arguments)}) is a {type(made).__name__}, which is none of the styles: "
            "a callable that answers (y, backward), functions (forward, backward), or an object with both as methods"
        )


# How a script calls the two halves of a pair.
_FUNCTIONS = ("layer[0]", "layer[1]")
_METHODS = ("layer.forward", "layer.backward")


class Adapted(ABC):
    """A layer of some style, called by the contract's names. `reentrant`: whether two calls may be interleaved."""

    reentrant = True

    def __init__(self, layer: Layer, config: Mapping[str, Any]) -> None:
        self.layer = layer
        self.config = config

    # The last thing the layer's backward answered: scripts pick gradients out of an answer of that form.
    answered: Any = None

    @abstractmethod
    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """Outputs and backward pass: a `Vjp`."""

    @abstractmethod
    def spell(self, names: Sequence[str], cotangents: str) -> tuple[list[str], str, dict[str, str]]:
        """One call in the words of a script: the lines of the forward, the backward's call, each gradient in `g`."""

    def _named(self, answer: Any, names: Sequence[str], own: Sequence[str]) -> dict[str, Any]:
        self.answered = answer
        return gradients_by_name(answer, names, own)

    def _places(self, names: Sequence[str], own: Sequence[str]) -> dict[str, str]:
        """Where in the answer `g` of the backward each gradient stands."""
        if isinstance(self.answered, tuple | list):
            return {name: f"g[{i}]" for i, name in enumerate(names[: len(self.answered)])}
        if self.answered is not None and not isinstance(self.answered, Mapping):
            return {names[0]: "g"}
        keys = dict(zip(names, own, strict=True))
        given = self.answered or keys.values()
        return {
            name: f'g["{key if key in given else name}"]' for name, key in keys.items() if key in given or name in given
        }


class Closure(Adapted):
    """y, backward = layer(x, weight); backward(dy)."""

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Callable[..., Any]) -> None:
        super().__init__(layer, config)
        self._made = made

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """One call of the closure type, names and gradients translated."""
        own, keywords = _own_names(self._made, tuple(inputs))
        if keywords:
            answer = self._made(**inputs)
        else:
            answer = self._made(*inputs.values())
        y, backward = _two(answer, self.layer.name, "y, backward")
        names = tuple(inputs)
        return y, lambda *dy: self._named(backward(*dy), names, own)

    def spell(self, names: Sequence[str], cotangents: str) -> tuple[list[str], str, dict[str, str]]:
        """y, backward = layer(...)."""
        own, keywords = _own_names(self._made, tuple(names))
        arguments = ", ".join(names)
        if any(not n.isidentifier() for n in names):
            arguments = ", ".join([names[0], "**{" + ", ".join(f'"{n}": {script_name(n)}' for n in names[1:]) + "}"])
        elif keywords:
            arguments = ", ".join(f"{n}={n}" for n in names)
        return [f"y, backward = layer({arguments})"], f"backward({cotangents})", self._places(names, own)


class Pair(Adapted):
    """y, cache = forward(x, weight); backward(dy, cache)."""

    def __init__(
        self,
        layer: Layer,
        config: Mapping[str, Any],
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        spelled: tuple[str, str],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(layer, config)
        self._forward, self._backward = forward, backward
        self._spelled = spelled
        self._options = options or {}

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """A forward whose cache the backward closes over."""
        y, cache = _two(self._forward(*inputs.values(), **self._options), self.layer.name, "y, cache")
        names = tuple(inputs)
        own, _ = _own_names(self._forward, names)
        return y, lambda *dy: self._named(self._backward(*dy, cache), names, own)

    def spell(self, names: Sequence[str], cotangents: str) -> tuple[list[str], str, dict[str, str]]:
        """y, cache = forward(...); backward(dy, cache)."""
        own, _ = _own_names(self._forward, tuple(names))
        forward, backward = self._spelled
        arguments = ", ".join([*names, *([call_arguments(self._options)] if self._options else [])])
        return [f"y, cache = {forward}({arguments})"], f"{backward}({cotangents}, cache)", self._places(names, own)


class Object(Adapted):
    """layer.W = weight; y = layer.forward(x); dx = layer.backward(dy); layer.dW.

    Each backward runs the forward again first: such an object holds the cache of its last forward only, and may use
    it up.
    """

    reentrant = False

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Any) -> None:
        super().__init__(layer, config)
        self._made = made

    def _split(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Which inputs the forward takes as arguments, and which are attributes."""
        count = len(_positional(self._made.forward))
        arguments = [n for n in names if n in self.layer.contract.reference.inputs]
        if count >= len(names):
            return list(names), []
        return arguments, [n for n in names if n not in arguments]

    def _attribute(self, name: str) -> str:
        if name in self.layer.parameters:
            return self.layer.parameters[name][0]
        candidates = ATTRIBUTES.get(name, (name,))
        for candidate in candidates:
            if hasattr(self._made, candidate):
                return candidate
        raise StyleError(
            f"{self.layer.name} keeps no {name} under any of {', '.join(candidates)}; name the attributes "
            f'of parameter and gradient: parameters={{"{name}": ("W", "dW")}}. It has {", ".join(self._made.__dict__)}'
        )

    def _find_gradient(self, name: str) -> str | None:
        """The attribute that holds a parameter's gradient, once there is one."""
        if name in self.layer.parameters:
            return self.layer.parameters[name][1]
        own = self._attribute(name)
        spellings = (pattern.format(n) for n in (own, own.lower(), name) for pattern in GRADIENTS)
        return next((spelling for spelling in spellings if hasattr(self._made, spelling)), None)

    def _gradient(self, name: str) -> str:
        found = self._find_gradient(name)
        if found is None:
            own = self._attribute(name)
            raise StyleError(
                f"{self.layer.name} keeps no gradient of {own} under a name like d{own} or grad_{own}; name both: "
                f'parameters={{"{name}": ("{own}", "its gradient")}}. It has {", ".join(self._made.__dict__)}'
            )
        return found

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """Set the parameters, run forward; the backward does so again and reads the gradients off the object."""
        names, attributes = self._split(tuple(inputs))

        def forward() -> Outputs:
            for name in attributes:
                setattr(self._made, self._attribute(name), inputs[name])
            return self._made.forward(*(inputs[n] for n in names))  # type: ignore[no-any-return]

        def backward(*dy: Array) -> Mapping[str, Array]:
            forward()
            for name in attributes:  # objects that add to their gradients start from nothing
                gradient = self._find_gradient(name)
                if gradient and isinstance(getattr(self._made, gradient, None), np.ndarray):
                    setattr(self._made, gradient, np.zeros_like(inputs[name]))
            found = self._named(self._made.backward(*dy), names, names)
            kept = {n: getattr(self._made, self._gradient(n)) for n in attributes}
            # Copies: that an object's own gradients change with its next backward is what such objects are for.
            return found | {n: None if g is None else np.array(g) for n, g in kept.items()}

        return forward(), backward

    def spell(self, names: Sequence[str], cotangents: str) -> tuple[list[str], str, dict[str, str]]:
        """Parameters in, forward, backward, gradients out."""
        arguments, attributes = self._split(tuple(names))
        lines = [f"layer.{self._attribute(n)} = {n}" for n in attributes]
        lines.append(f"y = layer.forward({', '.join(arguments)})")
        kept = {n: f"layer.{self._gradient(n)}" for n in attributes}
        return lines, f"layer.backward({cotangents})", self._places(arguments, arguments) | kept


def gradients_by_name(answer: Any, names: Sequence[str], own: Sequence[str]) -> dict[str, Any]:
    """What a backward answered, by the contract's names: a dict by either's names, a tuple in order, or one array."""
    if isinstance(answer, Mapping):
        translated = dict(zip(own, names, strict=True))
        translated |= {name: name for name in names if name not in translated}
        unknown = [key for key in answer if key not in translated]
        if unknown:
            raise StyleError(
                f"the backward answers gradients of {', '.join(map(str, unknown))}; the inputs are {', '.join(own)}"
            )
        return {translated[key]: value for key, value in answer.items()}
    parts = list(answer) if isinstance(answer, tuple | list) else [answer]
    if len(parts) > len(names):
        raise StyleError(f"the backward answers {len(parts)} gradients for {len(names)} inputs ({', '.join(names)})")
    return dict(zip(names, parts, strict=False))


def _own_names(function: Callable[..., Any], names: Sequence[str]) -> tuple[Sequence[str], bool]:
    """The layer's own names for its inputs, and whether they may be passed by keyword."""
    parameters = _parameters(function) or []
    keywords = any(p.kind is p.VAR_KEYWORD for p in parameters)
    own = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if all(n in own or keywords for n in names):
        return names, not any(p.kind is p.POSITIONAL_ONLY for p in parameters)
    if len(own) < len(names):
        return names, False
    return own[: len(names)], False


def _positional(function: Callable[..., Any]) -> list[str]:
    """The names of the positional parameters without default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in _parameters(function) or [] if p.kind in kinds and p.default is p.empty]


def _accepted(function: Callable[..., Any]) -> set[str] | None:
    """The keywords a callable takes; None where it takes any, or does not say."""
    parameters = _parameters(function)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters of a callable, None where it does not say; read once for all objects of a class."""
    if inspect.ismethod(function) or not (inspect.isroutine(function) or inspect.isclass(function)):
        plain: Any = getattr(function, "__func__", None) or type(function).__call__
        found = _read_parameters(plain)
        return found and found[1:]
    plain = function
    return _read_parameters(plain)


@lru_cache(maxsize=1024)
def _read_parameters(function: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _two(answer: Any, name: str, expected: str) -> tuple[Any, Any]:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise StyleError(f"{name} must answer `{expected}`, a tuple of two; it answers {type(answer).__name__}")
    return answer
