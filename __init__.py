"""Gradjury puts hand-written backward passes on trial: Hypothesis draws, torch autograd and finite differences judge.

>>> import gradjury
>>> gradjury.check_layer(MyLinear, to="Linear")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .properties import contracts as contracts
    from .properties import inputs as inputs
    from .properties.adapt import Layer as Layer
    from .properties.adapt import adapt as adapt
    from .properties.check import Check as Check
    from .properties.check import CheckFailed as CheckFailed
    from .properties.check import check_layer as check_layer
    from .properties.check import checks as checks
    from .properties.check import parametrize as parametrize
    from .properties.events import Failure as Failure
    from .properties.events import LawResult as LawResult
    from .properties.events import Result as Result
    from .properties.lockstep import Lockstep as Lockstep
    from .properties.lockstep import lockstep as lockstep
    from .properties.own import contract as contract

__version__ = "0.1.0"

# Where each name is defined. They are imported when they are asked for: pytest imports this package at every start, to
# load the plugin, and must not wait for torch.
_PLACES = {
    "Check": "check",
    "CheckFailed": "check",
    "Failure": "events",
    "LawResult": "events",
    "Layer": "adapt",
    "Lockstep": "lockstep",
    "Result": "events",
    "adapt": "adapt",
    "check_layer": "check",
    "checks": "check",
    "contract": "own",
    "contracts": "contracts",
    "inputs": "inputs",
    "lockstep": "lockstep",
    "parametrize": "check",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".properties.{_PLACES[name]}", __name__)
    return module if name in ("contracts", "inputs") else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*_PLACES, "__version__"])
