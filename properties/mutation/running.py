"""What of a stranger's code a run calls: an adapted layer's own source, whatever its style."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Code of these, and of the standard library, is nobody's layer.
LIBRARIES = frozenset(("numpy", "scipy", "torch", "hypothesis"))
# The harness; what calls layers is the last.
HARNESS = ("gradjury.oracle", "gradjury.properties")
CALLERS = "gradjury.properties.styles"

Entry = tuple[types.FunctionType, type | None]


def functions_run(run: Callable[[], object], declared_in: str) -> list[Entry]:
    """The functions of strangers that a run calls, in order, each with the class that its self is an object of.

    Left out are libraries, what `declared_in` does to bring a layer of another module to its contract, and functions
    with "init" in their name, with all that these call: a trial puts its own parameters in the place of theirs.
    """
    modules = {file: m for m in list(sys.modules.values()) if (file := getattr(m, "__file__", None))}
    found: dict[int, tuple[str, Entry]] = {}
    for code, owner in _codes_run(run):
        module = modules.get(code.co_filename)
        # What is made inside a function comes along with it.
        function = module and plain(_by_name(module, code.co_qualname.partition(".<locals>")[0]))
        if module and isinstance(function, types.FunctionType):
            found.setdefault(id(function), (module.__name__, (function, owner)))
    others = [entry for name, entry in found.values() if name != declared_in]
    return others or [entry for _, entry in found.values()]


def _codes_run(run: Callable[[], object]) -> list[tuple[types.CodeType, type | None]]:
    codes: dict[int, tuple[types.CodeType, type | None]] = {}

    def called(frame: types.FrameType, event: str, argument: Any) -> None:  # noqa: ARG001
        code = frame.f_code
        if id(code) not in codes and _is_layer(frame):
            is_method = code.co_argcount > 0 and code.co_varnames[0] == "self"
            codes[id(code)] = (code, type(frame.f_locals["self"]) if is_method else None)

    with tracing(called):
        run()
    return list(codes.values())


@contextmanager
def tracing(called: Callable[[types.FrameType, str, Any], Any]) -> Iterator[None]:
    """Have a function called with each frame that begins; see sys.settrace."""
    before = sys.gettrace()
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)


def _is_layer(frame: types.FrameType | None) -> bool:
    """Whether a function is the stranger's, called as a layer is called and not to make one."""
    own = True
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(HARNESS):
            return not own and module.startswith(CALLERS)
        if "init" in frame.f_code.co_name or (own and _is_library(module)):
            return False
        own, frame = False, frame.f_back
    return False


def _is_library(module: str) -> bool:
    top = module.partition(".")[0]
    return top in LIBRARIES or top in sys.stdlib_module_names


def _by_name(module: types.ModuleType, path: str) -> Any:
    thing: Any = module
    for name in path.split("."):
        thing = inspect.getattr_static(thing, name, None)
    return thing


def plain(thing: Any) -> Any:
    """The function under a method, a property, or a decorator."""
    if isinstance(thing, staticmethod | classmethod):
        thing = thing.__func__
    elif isinstance(thing, property):
        thing = thing.fget
    elif isinstance(thing, functools.cached_property):
        thing = thing.func
    return inspect.unwrap(thing) if callable(thing) and not isinstance(thing, type) else thing
