"""The modules of a package, found without importing it and parsed without running it."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ..targets import TargetError

# What a project keeps beside its layers, and files that are there to be run.
_OTHER_FOLDERS = {"__pycache__", "build", "dist", "node_modules", "test", "tests"}
_OTHER_FILES = {"__main__.py", "conftest.py", "setup.py"}


@dataclass(frozen=True)
class Module:
    """A parsed module, by the name it is imported by."""

    name: str
    tree: ast.Module


@dataclass(frozen=True)
class Package:
    """What was read.

    `root` is the folder that has to be on the path for it to be imported, None where it can be as things are; `local`
    says whether it lies under the current folder; `unreadable` holds why, by file.
    """

    root: Path | None
    local: bool
    modules: tuple[Module, ...]
    unreadable: Mapping[str, str]


def read_package(text: str) -> Package:
    """Parse a package or module given by its name, or by the path of a folder or file.

    Raises TargetError where there is none, or nothing in it that Python can read.
    """
    named = _by_name(text)
    place = named or _by_path(text)
    if place is None:
        raise TargetError(f"there is no package {text!r}; give a name that can be imported here, or a path")
    path, prefix = place
    modules, unreadable = [], {}
    for file, name in _files(path, prefix):
        try:
            modules.append(Module(name, _parse(file, name)))
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
            where = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
            unreadable[str(file)] = where
    if not modules:
        reasons = [f"{file}: {reason}" for file, reason in unreadable.items()]
        raise TargetError(f"nothing in {path} can be read; {'; '.join(reasons) or 'it holds no Python files'}")
    root = None if named else _root(path, prefix)
    return Package(root, path.is_relative_to(Path.cwd()), tuple(modules), unreadable)


def _by_name(text: str) -> tuple[Path, tuple[str, ...]] | None:
    """The file or folder of an importable name, and the name's parts. To ask for a top-level name imports nothing."""
    parts = tuple(text.split("."))
    if not all(part.isidentifier() for part in parts):
        return None
    spec = PathFinder.find_spec(parts[0], [str(Path.cwd()), *sys.path]) or _registered(parts[0])
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    path = Path(folders[0]) if folders else Path(spec.origin or "")
    for part in parts[1:]:
        path = path / part if (path / part).is_dir() else path / f"{part}.py"
    return (path, parts) if path.is_dir() or (path.suffix == ".py" and path.is_file()) else None


def _registered(name: str) -> ModuleSpec | None:
    """What editable installs and the like know of a name."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _by_path(text: str) -> tuple[Path, tuple[str, ...]] | None:
    """A folder or file, and the name that the folders around it give it: those that hold an `__init__.py`."""
    path = Path(text).resolve()
    if not path.is_dir() and not (path.suffix == ".py" and path.is_file()):
        return None
    parts: list[str] = []
    outer = path if path.is_dir() else path.parent
    while (outer / "__init__.py").is_file():
        parts.insert(0, outer.name)
        outer = outer.parent
    if path.is_file() and path.name != "__init__.py":
        parts.append(path.stem)
    return path, tuple(parts)


def _root(path: Path, prefix: tuple[str, ...]) -> Path | None:
    """The folder above the name; None where Python looks there already, as `python -m` looks in the current folder."""
    above = len(prefix) + (path.name == "__init__.py")
    root = path.parents[above - 1] if above else path
    return None if root in (Path.cwd(), *map(Path, sys.path)) else root


def _files(path: Path, prefix: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """The files of a package with the names of their modules, or the one file of a module."""
    if path.is_file():
        yield path, ".".join(prefix)
        return
    for place, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if _holds_layers(Path(place, name)))
        parts = (*prefix, *Path(place).relative_to(path).parts)
        for name in sorted(files):
            if name.endswith(".py") and name not in _OTHER_FILES and not name.startswith("test_"):
                stem = name.removesuffix(".py")
                yield Path(place, name), ".".join(parts if stem == "__init__" else (*parts, stem))


def _holds_layers(folder: Path) -> bool:
    """Not a virtual environment, nor what a project keeps beside its layers."""
    other = folder.name in _OTHER_FOLDERS or folder.name.startswith(".")
    return not other and not (folder / "pyvenv.cfg").exists()


def _parse(file: Path, name: str) -> ast.Module:
    if not all(part.isidentifier() for part in name.split(".") if part):
        raise ValueError(f"{name} is no name that can be imported")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in docstrings and the like are not ours to report
        return ast.parse(file.read_bytes(), str(file))
