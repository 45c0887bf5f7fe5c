"""Classes with what they inherit from others of the same package, as far as their source tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .sources import Module


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function or constructor; `default` is None where it has none."""

    name: str
    default: ast.expr | None = None


@dataclass(frozen=True)
class Signature:
    """The parameters that go by name or place, and whether any further keyword is taken."""

    parameters: tuple[Parameter, ...] = ()
    open: bool = False

    @property
    def required(self) -> list[str]:
        """The names of those without a default."""
        return [p.name for p in self.parameters if p.default is None]

    @property
    def names(self) -> list[str]:
        """All names."""
        return [p.name for p in self.parameters]


@dataclass(frozen=True)
class Class:
    """A class; `line` is itself and its ancestors within the package, `bases` the names of all they inherit from."""

    module: str
    node: ast.ClassDef
    line: tuple[ast.ClassDef, ...]
    bases: frozenset[str]

    def method(self, name: str) -> ast.FunctionDef | None:
        """The method of that name, the class's own or the nearest inherited one."""
        return next(self.definitions(name), None)

    def definitions(self, name: str) -> Iterator[ast.FunctionDef]:
        """All methods of that name, the nearest first."""
        return (f for node in self.line for f in node.body if isinstance(f, ast.FunctionDef) and f.name == name)

    def implements(self, name: str) -> bool:
        """Whether somebody wrote this method: it is no stub, nor a `__call__` that hands on to one."""
        found = self.method(name)
        if found is None or is_stub(found):
            return False
        handed = [self.method(called) for called in self_calls(found)] if name == "__call__" else []
        return not any(method is not None and is_stub(method) for method in handed)

    def signature(self, name: str) -> Signature:
        """The parameters of a method, without self; of a constructor that a dataclass makes, its fields."""
        found = self.method(name)
        if found is not None:
            static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in found.decorator_list)
            return signature(found, skip=0 if static else 1)
        return Signature(tuple(self._fields())) if name == "__init__" else Signature()

    def _fields(self) -> Iterator[Parameter]:
        for node in reversed(self.line):
            if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
                fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
                for item in fields:
                    kept = "ClassVar" in ast.unparse(item.annotation)  # by the class, not by its objects
                    if isinstance(item.target, ast.Name) and not kept:
                        yield Parameter(item.target.id, item.value)

    def reached(self, name: str) -> list[ast.FunctionDef]:
        """A method and all that it calls or reads on self: helpers, properties, the method of a base."""
        waiting, found = list(self.definitions(name))[:1], []
        while waiting:
            method = waiting.pop()
            if method in found:
                continue
            found.append(method)
            for node in ast.walk(method):
                if isinstance(node, ast.Attribute) and is_self(node.value):
                    waiting += list(self.definitions(node.attr))[:1]
                elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "super()":
                    waiting += list(self.definitions(node.attr))
        return found


def classes(modules: Sequence[Module]) -> list[Class]:
    """The classes at the top of the modules, each with its ancestors."""
    found = {(m.name, c.name): c for m in modules for c in m.tree.body if isinstance(c, ast.ClassDef)}
    imports = {m.name: _imported(m.tree) for m in modules}
    by_name: dict[str, list[tuple[str, str]]] = {}
    for key in found:
        by_name.setdefault(key[1], []).append(key)

    def look_up(module: str, name: str) -> tuple[str, str] | None:
        if (module, name) in found:
            return module, name
        source, name = imports[module].get(name, ("", name))
        candidates = by_name.get(name, [])
        same = [key for key in candidates if key[0].rpartition(".")[2] == source.rpartition(".")[2]]
        return next(iter(same or candidates), None)

    def line(key: tuple[str, str], seen: tuple[tuple[str, str], ...] = ()) -> Iterator[ast.ClassDef]:
        yield found[key]
        for base in map(_last_name, found[key].bases):
            ancestor = look_up(key[0], base)
            if ancestor is not None and ancestor not in (*seen, key):
                yield from line(ancestor, (*seen, key))

    made = []
    for (module, name), node in found.items():
        ancestors = tuple(dict.fromkeys(line((module, name))))
        bases = frozenset(_last_name(base) for ancestor in ancestors for base in ancestor.bases)
        made.append(Class(module, node, ancestors, bases))
    return made


def signature(function: ast.FunctionDef, skip: int = 0) -> Signature:
    """The parameters of a function, without the first `skip`."""
    a = function.args
    places = [*a.posonlyargs, *a.args]
    defaults = [*[None] * (len(places) - len(a.defaults)), *a.defaults, *a.kw_defaults]
    named = [*zip([*places, *a.kwonlyargs], defaults, strict=True)][skip:]
    return Signature(tuple(Parameter(arg.arg, default) for arg, default in named), a.kwarg is not None)


def is_stub(function: ast.FunctionDef) -> bool:
    """Abstract, or nothing but `pass`, `...` or `raise NotImplementedError` behind the docstring."""
    if any(ast.unparse(decorator).endswith("abstractmethod") for decorator in function.decorator_list):
        return True
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Raise) and "NotImplemented" in ast.unparse(statement))
        for statement in function.body
    )


def self_calls(function: ast.FunctionDef) -> list[str]:
    """The methods that are called on self."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [call.attr for call in calls if isinstance(call, ast.Attribute) and is_self(call.value)]


def is_self(node: ast.expr) -> bool:
    """Whether an expression is plain `self`."""
    return isinstance(node, ast.Name) and node.id == "self"


def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """(module, name there) of each imported name."""
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: (node.module or "", alias.name) for node in froms for alias in node.names}


def _last_name(base: ast.expr) -> str:
    if isinstance(base, ast.Subscript):  # a generic base
        base = base.value
    return ast.unparse(base).rpartition(".")[2]
