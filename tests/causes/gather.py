"""Puts each cause on trial and takes down what the referee and the diagnosis say of it, beside what is known."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import gradjury

from .cause import Cause

# The laws that hold values against torch's and against finite differences; only these ask the referee.
JUDGING = ("forward", "gradients", "finite_differences")
# Most faults show within the first number of examples; digits are lost in rare cases, and looked for with the second.
EXAMPLES, MORE = 30, 300

# Of 60 verdicts, 57 are to be right; of the patterns, 45.
RIGHT_VERDICTS, OF_VERDICTS = 57, 60
RIGHT_PATTERNS = 45


@dataclass(frozen=True)
class Outcome:
    """What was said of a cause: the first verdict and the first pattern in the order of the laws, and who said them.

    `crash` is what the harness itself raised, which it must not.
    """

    cause: Cause
    verdict: str | None
    pattern: str | None
    law: str | None
    crash: str | None

    @property
    def verdict_is_right(self) -> bool:
        return self.verdict in {fault.value for fault in self.cause.faults}

    @property
    def pattern_is_right(self) -> bool:
        return self.pattern in self.cause.patterns

    @property
    def law_is_right(self) -> bool:
        """Whether the broken law fits what is known: a forward that is torch's keeps that law, another breaks it."""
        faults = {fault.value for fault in self.cause.faults}
        if faults == {"forward"}:
            return self.law == "forward"
        return self.law != "forward" if faults <= {"backward", "torch"} else self.law is not None


def try_all(causes: Iterable[Cause], scripts: Path) -> list[Outcome]:
    return [try_cause(cause, scripts) for cause in causes]


def try_cause(cause: Cause, scripts: Path) -> Outcome:
    """Law by law until something is known, which spares the shrinking of what breaks for the same reason."""
    own = Path(tempfile.mkdtemp(dir=scripts))  # one cause is not told what was found of another
    outcome = _try(cause, own, EXAMPLES)
    return outcome if outcome.law or outcome.crash else _try(cause, own, MORE)


def _try(cause: Cause, scripts: Path, examples: int) -> Outcome:
    verdict = pattern = law = crash = None
    for check in gradjury.checks(cause.layer, to=cause.to, fixed=cause.fixed, examples=examples, scripts=scripts):
        if check.law.name not in JUDGING or (verdict and (pattern or not cause.patterns)):
            continue
        try:
            failure = check.run().failure
        except Exception as error:  # a finding about the harness itself, which goes into the table
            crash = f"{check.law.name}: {type(error).__name__}: {error}"
            continue
        if failure is not None:
            law = law or check.law.name
            verdict = verdict or (failure.verdict and failure.verdict.fault.value)
            pattern = pattern or _pattern(failure)
    return Outcome(cause, verdict, pattern, law, crash)


def _pattern(failure: gradjury.Failure) -> str | None:
    """The name of the pattern that the diagnosis states, where there is a diagnosis."""
    pattern: Any = getattr(getattr(failure, "diagnosis", None), "pattern", None)
    return pattern.value if isinstance(pattern, Enum) else pattern


def table(outcomes: list[Outcome]) -> str:
    """A line a cause, then what was said of each kind of fault, and the totals."""
    lines = [_line("", "cause", "known", "verdict", "pattern", "stated")]
    for outcome in sorted(outcomes, key=lambda o: sorted(f.value for f in o.cause.faults)):
        patterns = outcome.cause.patterns
        right = outcome.verdict_is_right and (outcome.pattern_is_right or not patterns) and not outcome.crash
        known = "/".join(sorted(fault.value for fault in outcome.cause.faults))
        said = (outcome.verdict or "-", "/".join(sorted(patterns)) or "-", outcome.pattern or "-")
        lines.append(_line("" if right else "x", outcome.cause.name, known, *said))
        lines += [f"    the harness raised {outcome.crash}"] * bool(outcome.crash)
    said_of = Counter((f.value, o.verdict) for o in outcomes for f in o.cause.faults if len(o.cause.faults) == 1)
    lines += ["", *(f"{known} called {verdict}: {n}" for (known, verdict), n in sorted(said_of.items(), key=str)), ""]
    with_pattern = [o for o in outcomes if o.cause.patterns]
    verdicts, patterns_right = sum(o.verdict_is_right for o in outcomes), sum(o.pattern_is_right for o in with_pattern)
    lines.append(f"verdicts right: {verdicts} of {len(outcomes)}")
    lines.append(f"patterns right: {patterns_right} of {len(with_pattern)}")
    return "\n".join(lines)


def _line(mark: str, *cells: str) -> str:
    widths = (30, 21, 11, 27, 13)
    return f"{mark:<2}" + " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
