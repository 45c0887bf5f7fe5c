"""A gradient bug that happened, and the two versions of a layer that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradjury.properties.contract import Contract


@dataclass(frozen=True)
class Bug:
    """A bug of a public project, re-created.

    `correct` and `faulty` are the same layer without and with the fault, `contract` is what both claim to keep.
    `reference` is the address where the bug was reported or mended, `sentence` says what was wrong.
    """

    name: str
    project: str
    reference: str
    sentence: str
    correct: Any
    faulty: Any
    contract: str | Contract

    @property
    def layer(self) -> str:
        """The name of the contract."""
        return self.contract if isinstance(self.contract, str) else self.contract.name
