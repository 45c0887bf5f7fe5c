"""Layers named on the command line, `package.module:Layer` or `package.module`, imported where they are tried."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import click

from . import contracts
from .adapt import Declarations, Layer
from .check import Check, checks
from .session import EXAMPLES, SCRIPTS

# The default target. The harness knows our layers by name only, as it knows a stranger's.
OWN = "gradjury.impl"


class TargetError(click.ClickException):
    """A layer that cannot be loaded, or an option that makes no sense; the message says why."""

    exit_code = 2


@dataclass(frozen=True)
class Target:
    """What is to be tried, in words that another process understands."""

    module: str
    attribute: str
    contract: str | None  # None: what was declared, or the layer's own name
    strict: bool | None = None  # None: for our own layers
    examples: int = EXAMPLES
    seed: int = 0
    scripts: str = str(SCRIPTS)
    keyword: str = ""
    fixed: tuple[tuple[str, Any], ...] = ()
    coverage: bool = False

    @classmethod
    def find(cls, layers: Sequence[str], to: str | None, **options: Any) -> list[Self]:
        """What is named: `module:Layer`, or `module` for all that were adapted there; nothing, for our own layers.

        Raises TargetError where a text names no layer.
        """
        if to and not layers:
            raise click.UsageError("--to says which contract a layer answers to: name the layer, package.module:Layer")
        if not layers:
            return [cls(OWN, name, name, **options) for name in own_layers()]
        return [cls(*place, to, **options) for text in layers for place in _places(text)]

    def checks(self) -> list[Check]:
        """Import the layer and answer its checks that match the keyword; TargetError where that is impossible."""
        layer = self.load()
        declared: Declarations = {"fixed": dict(self.fixed)} if self.fixed else {}
        try:
            found = checks(
                layer,
                to=self._contract_of(layer),
                strict=f"{self.module}.".startswith(f"{OWN}.") if self.strict is None else self.strict,
                examples=self.examples,
                seed=self.seed,
                scripts=self.scripts,
                **declared,
            )
            return [check for check in found if self.keyword.lower() in check.id.lower()]
        except (TypeError, ValueError) as error:
            raise TargetError(str(error)) from error

    def _contract_of(self, layer: Any) -> str | None:
        """The contract's name; None where the layer was adapted, which says it."""
        if isinstance(layer, Layer):
            return self.contract
        try:
            return contracts.get(self.contract or self.attribute.rpartition(".")[2]).name
        except ValueError as error:
            hint = "" if self.contract else f" Say which contract {self.attribute} answers to with --to."
            raise TargetError(f"{error}{hint}") from error

    def at_home(self) -> Target:
        """The same class or function in the module that defines it, where it is known there by its name."""
        layer = self.load()
        module, name = getattr(layer, "__module__", None), getattr(layer, "__qualname__", None)
        if module not in sys.modules or not isinstance(name, str):
            return self
        home = replace(self, module=module, attribute=name)
        try:
            return home if home.load() is layer else self
        except TargetError:
            return self

    def load(self) -> Any:
        """Import the layer; TargetError where that is impossible."""
        found = _import(self.module)
        for name in self.attribute.split("."):
            if not hasattr(found, name):
                raise TargetError(f"{self.module} has no {self.attribute}")
            found = getattr(found, name)
        return found


def _import(name: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise TargetError(f"cannot import {name}: {type(error).__name__}: {error}") from error


def own_layers() -> list[str]:
    """The names of gradjury's own layers: every contract that gradjury.impl has a layer for."""
    module = importlib.import_module(OWN)
    return [name for name in contracts.ALL if hasattr(module, name)]


def _places(text: str) -> list[tuple[str, str]]:
    """The modules and attributes that a text names."""
    module, colon, attribute = text.partition(":")
    if not module or (colon and not attribute):
        raise TargetError(f"{text!r} names no layer; write package.module:Layer")
    if attribute:
        return [(module, attribute)]
    adapted = [(module, name) for name, value in vars(_import(module)).items() if isinstance(value, Layer)]
    if not adapted:
        raise TargetError(
            f"{text} has no adapted layers (name = gradjury.adapt(…)); to name a layer itself write {text}:Layer"
        )
    return adapted


def parse_fixed(items: Iterable[str]) -> tuple[tuple[str, Any], ...]:
    """Options given as name=value; values are Python literals, or words."""
    fixed: dict[str, Any] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise TargetError(f"{item!r} fixes nothing; write option=value, such as stride=1")
        try:
            fixed[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            fixed[name] = value
    return tuple(fixed.items())
