"""A torch reference written as one expression, which is also its source in reproduction scripts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from gradjury.properties.twins import call_arguments


class Expression:
    """A `Twin` from the source of a lambda: its positional parameters are the inputs, the keyword-only ones options."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._function: Callable[..., Any] = eval(source, {"torch": torch})
        self._parameters = inspect.signature(self._function).parameters.values()

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The keyword-only parameters."""
        return {p.name: p.default for p in self._parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The positional parameters."""
        return tuple(p.name for p in self._parameters if p.kind is not p.KEYWORD_ONLY)

    def bind(self, config: Mapping[str, Any]) -> Callable[..., Any]:
        """The function with its options set."""
        return lambda **tensors: self._function(**tensors, **config)

    @property
    def source(self) -> str:
        """Nothing: the call has it in it."""
        return ""

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A call of the lambda."""
        arguments = [f"{name}={name}" for name in names] + ([call_arguments(config)] if config else [])
        return f"({self._source})({', '.join(arguments)})"
