"""What got worse since the baseline was written, what was known, what got better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ..events import Result
from ..explain import explain_failure, explain_vacuity
from .baseline import BROKEN, HOLDS, STATES, LawRecord, LayerRecord, layer_record


class Change(Enum):
    """What a finding says. Only what got worse fails the gate."""

    WORSE = "worse"
    KNOWN = "known"
    BETTER = "better"
    NEW = "new"


@dataclass(frozen=True)
class Finding:
    """One difference from the baseline, or one fault that it knows.

    `aspect` is a law, or "coverage", "speed", or "layer" for a layer as a whole; `what` is what changed there, and
    `text` the whole story, with the path of the `script` where there is one.
    """

    layer: str
    aspect: str
    change: Change
    what: str
    then: str
    now: str
    text: str = ""
    script: str | None = None

    def __str__(self) -> str:
        change = f"{self.then} → {self.now}" if self.then != self.now else self.now
        return f"{self.layer}: {self.aspect}: {self.what}: {change}"


def compare_layer(key: str, then: LayerRecord, result: Result, *, alike: bool, whole: bool) -> Iterator[Finding]:
    """All differences of one layer.

    `alike` says that the tools are those of the baseline: others draw other cases, on which only verdicts can be
    compared. `whole` says that all laws were tried.
    """
    now = layer_record(result, then.examples)
    for name in then.laws if whole else ():
        if name not in now.laws:
            yield Finding(key, name, Change.WORSE, "the law is gone", then.laws[name].state, "not tried")
    for law in result.laws:
        new, old = now.laws[law.law], then.laws.get(law.law)
        text, script = _story(result, law.law)
        if old is None:
            yield _unknown(key, law.law, new, text, script)
            continue
        better = STATES.index(old.state) - STATES.index(new.state)
        if better or new.state != HOLDS:
            change = Change.BETTER if better > 0 else Change.WORSE if better < 0 else Change.KNOWN
            yield Finding(key, law.law, change, "verdict", _verdict(old), _verdict(new), text, script)
        if alike and not better and new.state != BROKEN:
            yield from _numbers(key, law.law, old, new)
    if alike and whole:
        yield from _coverage(key, "accepted and ignored", then.ignored, now.ignored)
        # A broken law stops the drawing, and what was not drawn is no gap.
        if all(law.state != BROKEN for law in (*now.laws.values(), *then.laws.values())):
            yield from _coverage(key, "gap", then.gaps, now.gaps)


def new_layer(key: str, result: Result, examples: int) -> Iterator[Finding]:
    """A layer that the baseline does not have: what is broken in it fails."""
    record = layer_record(result, examples)
    yield Finding(key, "layer", Change.NEW, "not in the baseline", "", "tried for the first time")
    for name, law in record.laws.items():
        if law.state != HOLDS:
            yield _unknown(key, name, law, *_story(result, name))


def gone_layer(key: str) -> Finding:
    """A layer that is in the baseline and was not tried."""
    return Finding(key, "layer", Change.WORSE, "the layer is gone", "tried", "not tried")


def _unknown(key: str, law: str, new: LawRecord, text: str, script: str | None) -> Finding:
    """A law that the baseline does not have."""
    change = Change.WORSE if new.state == BROKEN else Change.NEW
    return Finding(key, law, change, "verdict", "not in the baseline", _verdict(new), text, script)


def _verdict(law: LawRecord) -> str:
    return f"{law.state} ({law.what})" if law.what else law.state


def _story(result: Result, name: str) -> tuple[str, str | None]:
    """What there is to say of a law that does not hold, and its script."""
    law = next(law for law in result.laws if law.law == name)
    if law.failure is not None:
        return explain_failure(law.failure), str(law.failure.script) if law.failure.script else None
    return "\n".join(explain_vacuity(law)), None


def _numbers(key: str, law: str, old: LawRecord, new: LawRecord) -> Iterator[Finding]:
    """Accuracy and sensitivity of a law that is not broken."""
    for unit, what, then, now in (
        ("budgets", "worst error", old.budgets, new.budgets),
        ("ULPs", "median error", old.ulps, new.ulps),
    ):
        if then is not None and now is not None and (change := _bits(then, now)):
            yield Finding(key, law, change, what, f"{then:.3g} {unit}", f"{now:.3g} {unit}")
    for name, finest in old.sees.items():
        coarsest = new.sees.get(name)
        if change := _steps(finest, coarsest):
            yield Finding(key, law, change, f"smallest error seen in {name}", _power(finest), _power(coarsest))


def _bits(then: float, now: float) -> Change | None:
    """More than a bit lost, or won; what is below one unit is rounding, of which no less can be had."""
    if now > max(1.0, 2 * then):
        return Change.WORSE
    return Change.BETTER if then > max(1.0, 2 * now) else None


def _steps(then: int | None, now: int | None) -> Change | None:
    """More than one step of the certificate's grid, the powers of two."""
    if then is None or now is None:
        return None if then == now else Change.WORSE if now is None else Change.BETTER
    return None if abs(now - then) <= 1 else Change.WORSE if now > then else Change.BETTER


def _power(exponent: int | None) -> str:
    return "none" if exponent is None else f"{2.0**exponent:.1e}"


def _coverage(key: str, what: str, then: Sequence[str], now: Sequence[str]) -> Iterator[Finding]:
    """What is listed now and was not, and the reverse."""
    for name in (name for name in now if name not in then):
        yield Finding(key, "coverage", Change.WORSE, what, "none", name)
    for name in (name for name in then if name not in now):
        yield Finding(key, "coverage", Change.BETTER, what, name, "none")
