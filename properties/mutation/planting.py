"""Importing a layer with a fault in one of its modules; nothing is written to any file."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from .mutants import Mutant


class _Loader(SourceFileLoader):
    """Loads a module's mutated code in place of what its file says."""

    def __init__(self, name: str, path: str, code: types.CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> types.CodeType:  # noqa: ARG002
        """The mutated code."""
        return self._code


class _Finder:
    """Finds the mutated module before anything else finds the original."""

    def __init__(self, mutant: Mutant, original: ModuleSpec) -> None:
        self._mutant, self._original = mutant, original

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        """The mutated module's spec, None for others."""
        if name != self._mutant.module:
            return None
        loader = _Loader(name, self._mutant.file, marshal.loads(self._mutant.code))
        places = self._original.submodule_search_locations
        return importlib.util.spec_from_file_location(
            name, self._mutant.file, loader=loader, submodule_search_locations=None if places is None else [*places]
        )


@contextmanager
def planted(mutant: Mutant, declared_in: str = "", wanted: str = "") -> Iterator[None]:
    """While active, importing gives the mutated module, and every module that imports it anew: those of its package,
    and of the package of the module that adapts the layer.

    `wanted` is the module that will be imported, which spares those that it does not need.
    """
    original = sys.modules[mutant.module].__spec__
    assert original is not None
    finder = _Finder(mutant, original)
    asked = needed(wanted) if wanted else sys.modules
    names = [n for n in importers(mutant.module, declared_in) if n in asked]
    kept = {name: sys.modules.pop(name) for name in names}
    attributes = {name: _take_attribute(name) for name in kept}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.modules.update(kept)
        for name, held in attributes.items():
            parent, _, leaf = name.rpartition(".")
            if held is not None:
                setattr(sys.modules[parent], leaf, held)


def _take_attribute(name: str) -> Any:
    """Packages keep their submodules as attributes, where `from . import` would find the original."""
    parent, _, leaf = name.rpartition(".")
    module = sys.modules.get(parent)
    return None if module is None else vars(module).pop(leaf, None)


def importers(*names: str) -> list[str]:
    """The first module and those loaded modules of all these modules' packages that import it, directly or not."""
    packages = {name.partition(".")[0] for name in names}
    loaded = [n for n in sys.modules if n.partition(".")[0] in packages]
    imports = {n: _imports_of(n) for n in loaded}
    found = {names[0]}
    while more := {n for n, used in imports.items() if n not in found and used & found}:
        found |= more
    return [n for n in loaded if n in found]


def needed(name: str) -> set[str]:
    """A module and the loaded modules that it imports, directly or not."""
    found: set[str] = set()
    more = {name}
    while more:
        found |= more
        more = {other for n in more for other in _imports_of(n) if other in sys.modules} - found
    return found


def _imports_of(name: str) -> frozenset[str]:
    """What a loaded module imports; empty where it has no file."""
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    return _imports(module.__package__ or name, file) if file else frozenset()


@lru_cache(maxsize=4096)
def _imports(package_name: str, file: str) -> frozenset[str]:
    """What a module imports, relative names spelled out; empty where there is no source."""
    if not file.endswith(".py"):
        return frozenset()
    package = package_name.split(".")
    found: set[str] = set()
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            modules = {name for alias in node.names if (name := f"{source}.{alias.name}") in sys.modules}
            # A package of which only submodules are named is not asked for anything of its own.
            found |= modules if len(modules) == len(node.names) else modules | {source}
    return frozenset(found)
