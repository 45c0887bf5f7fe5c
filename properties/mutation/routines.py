"""Which code a layer runs: its own call, forward and backward, and what these use of the same top-level package.

References are followed through the imported modules: names and attributes of modules, methods and properties of self,
methods of base classes, constants of modules. Functions made inside a function come along with it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .running import functions_run, plain

# What a trial calls of a layer that is a class.
ENTRIES = ("__call__", "forward", "backward")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass
class Source:
    """A module's file, its text, and its syntax tree."""

    module: str
    file: str
    text: str
    tree: ast.Module


@dataclass(frozen=True, eq=False)
class Routine:
    """A piece of a module that a layer runs: a function, the fields of a class, or a constant of the module.

    `function` and `owner` are the imported function and the class that self is an object of, where there is one.
    """

    source: Source
    path: str
    node: Node
    function: Any = None
    owner: type | None = None


@dataclass
class Routines:
    """All routines of a layer, in the order in which they are found."""

    packages: frozenset[str]
    only: list[Any] | None = None  # functions; None: all that are referred to
    found: list[Routine] = field(default_factory=list)
    _sources: dict[str, Source] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, layer: Any) -> Routines:
        """The routines of a class, a function, or a pair of functions; ValueError where there is no source."""
        entries = layer if isinstance(layer, tuple) else (layer,)
        first = getattr(entries[0], "func", entries[0])
        routines = cls(frozenset([_top(first)]))
        for entry in entries:
            routines._add(entry, None)
        if not routines.found:
            raise ValueError(f"there is no source of {layer!r} to plant faults in")
        return routines

    @classmethod
    def run_by(cls, run: Callable[[], object], declared_in: str) -> Routines:
        """The routines of what a run calls of strangers (see `functions_run`); ValueError where there is no source."""
        entries = functions_run(run, declared_in)
        routines = cls(frozenset(_top(function) for function, _ in entries), [function for function, _ in entries])
        for function, owner in entries:
            if owner is not None:
                routines._add(owner, owner)
            routines._add(function, owner)
        if not routines.found:
            raise ValueError("there is no source of what the layer runs to plant faults in")
        return routines

    def resolve(self, node: ast.expr, routine: Routine) -> Any:
        """What a name or a dotted name in a routine stands for at run time; None where that cannot be told."""
        if isinstance(node, ast.Name):
            if node.id == "self" and routine.owner is not None:
                return routine.owner
            return vars(sys.modules[routine.source.module]).get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.resolve(node.value, routine)
            if isinstance(base, types.ModuleType):
                return getattr(base, node.attr, None)
            if isinstance(base, type):
                return inspect.getattr_static(base, node.attr, None)
            if ast.unparse(node.value) == "super()" and routine.owner is not None:
                name = routine.path.rpartition(".")[0].rpartition(".")[2]
                line = [c.__name__ for c in routine.owner.__mro__]
                after = routine.owner.__mro__[line.index(name) + 1 :] if name in line else ()
                return next((vars(c)[node.attr] for c in after if node.attr in vars(c)), None)
        return None

    def function_of(self, call: ast.Call, routine: Routine) -> Routine | None:
        """The routine that a call goes to."""
        target = plain(self.resolve(call.func, routine))
        return next((r for r in self.found if r.function is not None and r.function is target), None)

    def _add(self, thing: Any, owner: type | None) -> None:
        if isinstance(thing, functools.partial):
            thing = thing.func
        if isinstance(thing, type) and (self.only is None or owner is thing):
            self._add_class(thing)
        function = plain(thing)
        if isinstance(function, types.FunctionType) and id(function) not in self._seen and self._is_own(function):
            self._seen.add(id(function))
            source = self._source(function.__module__)
            node = source and _find(source.tree, function)
            if source and node:
                self._enter(Routine(source, function.__qualname__.replace(".<locals>", ""), node, function, owner))

    def _add_class(self, cls: type) -> None:
        if id(cls) in self._seen or not self._is_own(cls) or issubclass(cls, BaseException):
            return
        self._seen.add(id(cls))
        source = self._source(cls.__module__)
        node = source and _find(source.tree, cls)
        if source and isinstance(node, ast.ClassDef):
            self.found.append(Routine(source, cls.__qualname__, node, None, cls))
        for name in ENTRIES:
            self._add(inspect.getattr_static(cls, name, None), cls)

    def _enter(self, routine: Routine) -> None:
        self.found.append(routine)
        for node in _running(routine.node):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                thing = self.resolve(node, routine)
                keeps_owner = isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "super()")
                self._add(thing, routine.owner if keeps_owner else None)
                if isinstance(node, ast.Name):
                    self._add_constant(node.id, routine.source)

    def _add_constant(self, name: str, source: Source) -> None:
        """The assignment of a name at the top of the module."""
        for node in source.tree.body:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or id(node) in self._seen:
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                self._seen.add(id(node))
                self._enter(Routine(source, name, node))

    def _is_own(self, thing: Any) -> bool:
        if self.only is not None and isinstance(thing, types.FunctionType):
            return any(thing is function for function in self.only)
        return _top(thing) in self.packages

    def _source(self, name: str) -> Source | None:
        if name not in self._sources:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file is None or not file.endswith(".py"):
                return None
            text = Path(file).read_text(encoding="utf-8")
            self._sources[name] = Source(name, file, text, ast.parse(text))
        return self._sources[name]


def _top(thing: Any) -> str:
    """The package that a class or function is of."""
    return str(thing.__module__).partition(".")[0]


def _find(tree: ast.Module, thing: Any) -> Node | None:
    """The definition of a function or class, by its qualified name; a lambda by its line."""
    if thing.__name__ == "<lambda>":
        line = thing.__code__.co_firstlineno
        return next((n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == line), None)
    node: ast.AST = tree
    for name in thing.__qualname__.replace("<locals>.", "").split("."):
        definitions = (n for n in ast.walk(node) if isinstance(n, Definition) and n.name == name)
        found = next(definitions, None)
        if found is None:
            return None
        node = found
    return node if isinstance(node, Definition) else None


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without annotations, which are not run."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in ("annotation", "returns"):
                yield child
                yield from _running(child)
