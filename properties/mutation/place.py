"""A place in a syntax tree that a fault may be planted in, and how an operator says what goes there instead."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """What is known of the function around a place.

    `cached`: names of the enclosing forward that its backward may confuse, in order of appearance; `attributes`: those
    it keeps on self; `cotangents`: the backward's parameters. All are empty in a forward. `own` answers the arguments
    of a call that goes to a function of the layer's package, those that are only checked left out, or None.
    """

    path: str
    own: Callable[[ast.Call], list[ast.expr] | None]
    backward: bool = False
    cached: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    cotangents: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """A node, the node and field that hold it, the statement it is part of, and the scope."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    statement: ast.stmt
    scope: Scope

    def put(self, node: ast.AST) -> None:
        """Set another node in this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


# From a place, the nodes that could stand there instead. Nodes may be shared with the original, which is not modified.
Change = Callable[[Place], Iterator[ast.AST]]


@dataclass(frozen=True)
class Operator:
    """A kind of fault: its name, what people do when they make it, and where it can be made."""

    name: str
    fault: str
    change: Change


def changed(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def replaced(items: list[ast.expr], index: int, item: ast.expr) -> list[ast.expr]:
    """A list with one item replaced."""
    return [*items[:index], item, *items[index + 1 :]]


def swapped(items: list[ast.expr], index: int) -> list[ast.expr]:
    """A list with an item and the next one exchanged."""
    return [*items[:index], items[index + 1], items[index], *items[index + 2 :]]


def called(node: ast.AST) -> str:
    """The last name of what a call calls (`sum` of x.sum(...) and np.sum(...)); "" for anything but a call."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def with_keyword(call: ast.Call, name: str, value: ast.expr | None) -> ast.AST:
    """The call with a keyword set to another value, or without it."""
    if value is None:
        return changed(call, keywords=[k for k in call.keywords if k.arg != name])
    added = ast.keyword(arg=name, value=value)
    if keyword(call, name) is None:
        return changed(call, keywords=[*call.keywords, added])
    return changed(call, keywords=[added if k.arg == name else k for k in call.keywords])


def from_library(call: ast.Call) -> bool:
    """Whether a call is spelled as one of NumPy's functions, np.sum(x), rather than as a method, x.sum()."""
    function = call.func
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in LIBRARY


# The names that array libraries and math are imported under.
LIBRARY = ("np", "numpy", "math", "scipy", "special", "xp")
