"""What is known of a planted fault: which side is wrong, and in which way. Written down by whoever planted it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gradjury.oracle.referee import Fault
from gradjury.properties.contract import Contract

PATTERNS = frozenset(
    (
        "factor",
        "sign",
        "permutation",
        "flip",
        "missing term",
        "doubled term",
        "mask",
        "zeros",
        "stale",
        "forward value",
    )
)


class Cause(NamedTuple):
    """A layer, what it is held against, the verdicts that are right, and the patterns that are (none: it has none)."""

    layer: Any
    to: str | Contract
    fixed: Mapping[str, Any]
    faults: frozenset[Fault]
    patterns: frozenset[str]

    @property
    def name(self) -> str:
        return str(self.layer.__name__)

    @property
    def note(self) -> str:
        return str(self.layer.__doc__)


CAUSES: list[Cause] = []


def cause(
    *faults: Fault, pattern: str | tuple[str, ...] = (), to: Contract | None = None, **fixed: Any
) -> Callable[[Any], Any]:
    """A class decorator: enters the layer in the list, with what is known of it and options to be fixed besides."""
    patterns = frozenset((pattern,) if isinstance(pattern, str) else pattern)
    assert faults
    assert patterns <= PATTERNS

    def enter(layer: Any) -> Any:
        CAUSES.append(Cause(layer, to or layer.to, {**layer.fixed, **fixed}, frozenset(faults), patterns))
        return layer

    return enter
