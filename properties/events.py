"""What a trial reports while it runs; the terminal, reports and files consume these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..oracle.compare import Comparison
from ..oracle.diagnosis import Diagnosis
from ..oracle.referee import Verdict
from ..oracle.vjp import Case
from .certificate import Certificate, unseen
from .coverage import Coverage


@dataclass(frozen=True)
class Drawn:
    """An example was drawn and all its sub-cases passed (or one did not)."""

    layer: str
    law: str
    examples: int


@dataclass(frozen=True)
class Failed:
    """A law was found broken for the first time; shrinking begins."""

    layer: str
    law: str
    what: str


@dataclass(frozen=True)
class Failure:
    """A broken law in its smallest case. `kept`: its file in the corpus, from which it may have been `replayed`."""

    layer: str
    contract: str
    law: str
    statement: str
    what: str
    finding: str
    case: Case
    comparison: Comparison | None
    verdict: Verdict | None
    script: Path | None
    shown: str
    found_after: int
    seed: int
    repeatable: bool = True
    after_another: bool = False
    diagnosis: Diagnosis | None = None
    matters: str | None = None
    kept: Path | None = None
    replayed: bool = False


# The laws that compare every array, whose medians say how accurate a layer is.
ACCURACY = ("forward", "gradients")


@dataclass(frozen=True)
class LawResult:
    """How one law fared: examples drawn, sub-cases and elements judged, elements excluded, the worst error in budgets,
    the median array's in ULPs of its largest element (the worst says nothing: rounding is all there is of a gradient
    that cancels to nearly zero), and how many outputs were at which kind of point (smooth, kink, tie, overflow).
    For gradients that hold, `certificates` say what errors the run would have caught. `skipped`: the files of the
    corpus that could not be replayed, with the reason.
    """

    layer: str
    contract: str
    law: str
    examples: int
    cases: int
    elements: int
    excluded: int
    worst: float
    ulps: float
    kinds: Mapping[str, int]
    seconds: float
    failure: Failure | None = None
    certificates: tuple[Certificate, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Held, and judged something: a law that could not have failed has not passed."""
        return self.failure is None and not self.vacuous

    @property
    def vacuous(self) -> bool:
        """Whether it held because it could not have failed: all was excluded, or a gradient wrong would be unseen."""
        return self.failure is None and (self.elements == self.excluded or bool(unseen(self.certificates)))


@dataclass(frozen=True)
class Done:
    """A law has been tried."""

    result: LawResult


Event = Drawn | Failed | Done


@dataclass(frozen=True)
class Result:
    """All laws of one layer, and what they were tried on where that was asked for."""

    layer: str
    contract: str
    laws: tuple[LawResult, ...] = field(default=())
    coverage: Coverage | None = None

    @property
    def passed(self) -> bool:
        """Whether every law holds."""
        return all(law.passed for law in self.laws)

    @property
    def skipped(self) -> list[str]:
        """The files of the corpus that could not be replayed, each with the reason."""
        return list(dict.fromkeys(text for law in self.laws for text in law.skipped))

    @property
    def failures(self) -> list[Failure]:
        """The broken laws, in their smallest cases."""
        return [law.failure for law in self.laws if law.failure is not None]

    @property
    def verdict(self) -> Verdict | None:
        """The referee's verdict on the first broken law that has one."""
        return next((failure.verdict for failure in self.failures if failure.verdict is not None), None)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """How the layer is wrong: the first diagnosis, in the order of the laws; None where there is none."""
        return next((f.diagnosis for f in self.failures if f.diagnosis is not None), None)

    @property
    def worst(self) -> float:
        """The worst error of any law that holds, in budgets."""
        return max((law.worst for law in self.laws if law.failure is None), default=0.0)

    @property
    def ulps(self) -> float:
        """The median array's error in ULPs, of the outputs or of the gradients, whichever is larger."""
        return max((law.ulps for law in self.laws if law.law in ACCURACY and law.failure is None), default=0.0)

    @property
    def blindest(self) -> float | None:
        """The smallest float64 error that would have been caught in every gradient; None where none was measured."""
        measured = [c.smallest for law in self.laws for c in law.certificates if c.dtype == "float64"]
        return max(measured, default=None)

    def __str__(self) -> str:
        from .explain import explain_result

        return explain_result(self)

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data, for JSON."""
        from .explain import result_as_dict

        return result_as_dict(self)
