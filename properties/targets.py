"""Layers named on the command line: `package.module:Layer`, imported where they are tried."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from . import contracts
from .check import Check, checks

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
    contract: str
    strict: bool | None  # None: for our own layers
    examples: int
    seed: int
    scripts: str
    keyword: str = ""
    fixed: tuple[tuple[str, Any], ...] = ()
    coverage: bool = False

    def checks(self) -> list[Check]:
        """Import the layer and answer its checks that match the keyword; TargetError where that is impossible."""
        try:
            found = checks(
                self.load(),
                to=self.contract,
                strict=f"{self.module}.".startswith(f"{OWN}.") if self.strict is None else self.strict,
                examples=self.examples,
                seed=self.seed,
                fixed=dict(self.fixed),
                scripts=self.scripts,
            )
            return [check for check in found if self.keyword.lower() in check.id.lower()]
        except (TypeError, ValueError) as error:
            raise TargetError(str(error)) from error

    def load(self) -> Any:
        """Import the layer; TargetError where that is impossible."""
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
        try:
            found: Any = importlib.import_module(self.module)
        except Exception as error:
            raise TargetError(f"cannot import {self.module}: {type(error).__name__}: {error}") from error
        for name in self.attribute.split("."):
            if not hasattr(found, name):
                raise TargetError(f"{self.module} has no {self.attribute}")
            found = getattr(found, name)
        return found


def own_layers() -> list[tuple[str, str | None]]:
    """(name, contract) of gradjury's own layers: every contract that gradjury.impl has a layer for."""
    module = importlib.import_module(OWN)
    return [(f"{OWN}:{name}", name) for name in contracts.ALL if hasattr(module, name)]


def parse_target(text: str, to: str | None) -> tuple[str, str, str]:
    """(module, attribute, contract) of `module:Layer`; without `to`, the contract has the layer's own name."""
    module, colon, attribute = text.partition(":")
    if not colon or not module or not attribute:
        raise TargetError(f"{text!r} names no layer; write package.module:Layer")
    name = to or attribute.rpartition(".")[2]
    try:
        return module, attribute, contracts.get(name).name
    except ValueError as error:
        hint = "" if to else f" Say which contract {attribute} answers to with --to."
        raise TargetError(f"{error}{hint}") from error


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
