"""What all styles share: the adapted layer, and how callables say what they take."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...oracle.vjp import Array, Backward, Outputs

if TYPE_CHECKING:
    from ..adapt import Layer


# What a loss calls its target.
TARGETS = ("y_true", "true", "target", "targets", "label", "labels", "actual", "expected", "y", "t")


class StyleError(TypeError):
    """A layer that cannot be called as any of the styles; the message says what would be needed."""


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
    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """One call in the words of a script: the lines of the forward, the backward's call, each gradient in `g`."""

    def unanswered(self, name: str) -> str | None:  # noqa: ARG002
        """Why the gradient of this input was not answered, where it is the call that is wrong and not the layer."""
        return None

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


def own_names(function: Callable[..., Any], names: Sequence[str]) -> tuple[Sequence[str], bool]:
    """The layer's own names for its inputs, and whether they may be passed by keyword."""
    parameters = _parameters(function) or []
    keywords = any(p.kind is p.VAR_KEYWORD for p in parameters)
    own = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if all(n in own or keywords for n in names):
        return names, not any(p.kind is p.POSITIONAL_ONLY for p in parameters)
    if len(own) < len(names):
        return names, False
    return own[: len(names)], False


def in_order(function: Callable[..., Any], names: Sequence[str]) -> Sequence[str]:
    """The inputs in the order in which a function takes them, which is torch's, but for losses f(y_true, y_pred)."""
    own = positional(function)
    swapped = list(names) == ["x", "target"] and len(own) == 2 and own[0] in TARGETS and own[1] not in TARGETS
    return names[::-1] if swapped else names


def positional(function: Callable[..., Any]) -> list[str]:
    """The names of the positional parameters without default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in _parameters(function) or [] if p.kind in kinds and p.default is p.empty]


def accepted(function: Callable[..., Any]) -> set[str] | None:
    """The keywords a callable takes; None where it takes any, or does not say."""
    parameters = _parameters(function)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def two(answer: Any, name: str, expected: str) -> tuple[Any, Any]:
    """The two parts of an answer; StyleError where it has not two."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise StyleError(f"{name} must answer `{expected}`, a tuple of two; it answers {type(answer).__name__}")
    return answer


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
