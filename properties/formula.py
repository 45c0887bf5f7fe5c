"""A formula as scripts print it: its source, and what it takes from outside, which has to come along."""

from __future__ import annotations

import builtins
import dis
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any

import torch

# Where torch keeps its functions.
_PLACES = (torch, torch.nn.functional, torch.linalg, torch.special, torch.fft)
# A script may import from these: it needs them anyway, or every Python has them.
_IMPORTABLE = {"torch", "numpy", *sys.stdlib_module_names} - {"builtins"}


def torch_path(function: Callable[..., Any]) -> str:
    """How a function of torch's is spelled, "torch.add"; empty for any other."""
    for place in _PLACES:
        for name, value in vars(place).items():
            if value is function and not name.startswith("_"):
                return f"{place.__name__}.{name}"
    return ""


def formula_source(function: Callable[..., Any]) -> str:
    """The function's definition below the lines that bind what it takes from outside, as far as there are such lines.

    OSError or TypeError where Python has no source of it.
    """
    lines = [_line(name, value) for name, value in _outside(function).items()]
    return "\n".join([*filter(None, lines), _definition(function)])


def unprintable(function: Callable[..., Any]) -> list[str]:
    """The names that the formula takes from outside and that no line of a script can bind."""
    return [name for name, value in _outside(function).items() if _line(name, value) is None]


def taken_names(function: Callable[..., Any]) -> set[str]:
    """The names that its source binds in a script."""
    return {function.__name__, *_outside(function)} - {"torch"}


def _definition(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _outside(function: Callable[..., Any]) -> dict[str, Any]:
    """What the definition needs beside itself, header included, by name; `Ellipsis` for what is no global."""
    code = compile(_definition(function), function.__name__, "exec", dont_inherit=True)
    steps = [step for part in _codes(code) for step in dis.get_instructions(part)]
    used = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    bound = {step.argval for step in steps if step.opname == "STORE_NAME"} | {"__name__"}  # of a module, for classes
    known = inspect.unwrap(function).__globals__
    return {name: known.get(name, ...) for name in sorted(used - bound) if name in known or not hasattr(builtins, name)}


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are in it."""
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)


def _line(name: str, value: Any) -> str | None:
    """The line of a script that binds the name to the value; nothing for torch itself, None where there is no line."""
    if type(value) in (bool, int, float, str):
        return f"{name} = {value!r}"
    if isinstance(value, ModuleType):
        home, own = value.__name__, ""
    else:
        home, own = str(getattr(value, "__module__", "")), str(getattr(value, "__name__", ""))
        if not own or getattr(sys.modules.get(home), own, None) is not value:
            return None
    if home.partition(".")[0] not in _IMPORTABLE:
        return None
    if name == home == "torch":
        return ""  # every script that calls a formula has it
    line = f"from {home} import {own}" if own else f"import {home}"
    return line if name == (own or home) else f"{line} as {name}"
