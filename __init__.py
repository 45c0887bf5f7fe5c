"""Gradjury puts hand-written backward passes on trial: Hypothesis draws, torch autograd and finite differences judge.

>>> import gradjury
>>> gradjury.check_layer(MyLinear, to="Linear")  # doctest: +SKIP
"""

from .properties import contracts
from .properties.check import Check, CheckFailed, check_layer, checks, parametrize
from .properties.events import Failure, LawResult, Result
from .properties.lockstep import Lockstep, lockstep

__version__ = "0.1.0"

__all__ = [
    "Check",
    "CheckFailed",
    "Failure",
    "LawResult",
    "Lockstep",
    "Result",
    "check_layer",
    "checks",
    "contracts",
    "lockstep",
    "parametrize",
]
