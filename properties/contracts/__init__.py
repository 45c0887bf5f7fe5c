"""The contracts, by torch's names: `contracts.Conv2d`, or `contracts.get("Conv2d")`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from ..contract import Contract

# Every module beside this one is a family; those that only help have no contracts.
_FAMILIES = [importlib.import_module(f".{module.name}", __name__) for module in pkgutil.iter_modules(__path__)]
ALL: dict[str, Contract] = {
    value.name: value for family in _FAMILIES for value in vars(family).values() if isinstance(value, Contract)
}


def get(name: str) -> Contract:
    """The contract of this name; ValueError with the nearest names where there is none."""
    if name in ALL:
        return ALL[name]
    near = difflib.get_close_matches(name, ALL) or sorted(ALL)
    raise ValueError(f"there is no contract {name!r}; did you mean {', '.join(near)}?")


def __getattr__(name: str) -> Contract:
    if name in ALL:
        return ALL[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*ALL, "ALL", "get"])
