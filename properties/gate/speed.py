"""Speed, base against head: the same cases, in processes that take turns, in one job.

There is no threshold. Two processes run the base's code, one the head's; how far the two that run the same code are
apart is what this machine cannot tell from nothing, and a layer is slower only where it lies beyond all of that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...oracle.vjp import Case
from ..targets import Target, TargetError
from ..trial import Trial, quiet
from .stopwatch import Stopwatch, Times

ROUNDS = 15

# A round is long enough for the clock and the scheduler, and short enough for the next to meet the same machine.
ROUND = 0.004

# What is found slower is timed again in new processes: where its memory happens to lie can make a process slower for
# as long as it lives.
TIMES = 3


@dataclass(frozen=True)
class Speed:
    """How long the head takes for each second of the base, and the largest such ratio between two runs of the base.

    `why` says why a layer was not timed.
    """

    layer: str
    ratio: float = math.nan
    noise: float = math.nan
    why: str = ""

    @property
    def slower(self) -> bool:
        """Whether the head lies beyond all noise."""
        return not self.why and self.ratio > self.noise


def judge_rounds(rounds: Sequence[Times]) -> tuple[float, float]:
    """(ratio, noise) of rounds of (base, the base again, head) in seconds.

    The ratio is the median over the rounds, against the copy of the base that it is nearer to.
    """
    against_one = statistics.median(head / one for one, _, head in rounds)
    against_other = statistics.median(head / other for _, other, head in rounds)
    ratio = min(against_one, against_other)
    noise = max(max(one / other, other / one) for one, other, _ in rounds)
    return ratio, noise


def time_layers(targets: Sequence[tuple[str, Target]], base: Path) -> Iterator[Speed]:
    """Time each layer, as the code in `base` has it and as it is here; TargetError where `base` has none of them."""
    cases = {key: _cases(target) for key, target in targets}
    found = {key: Speed(key, why="not timed") for key, _ in targets}
    waiting = list(targets)
    for _ in range(TIMES):
        if waiting:
            with Stopwatch(base) as stopwatch:
                for key, target in waiting:
                    found[key] = _time(stopwatch, key, target, cases[key])
        waiting = [(key, target) for key, target in waiting if found[key].slower]
    if found and all(speed.why for speed in found.values()):
        raise TargetError(f"no layer could be timed against {base}: {next(iter(found.values())).why}")
    yield from found.values()


def _cases(target: Target) -> list[Case]:
    """One set of plain values for each example that the trial draws."""
    check = target.checks()[0]
    with quiet():
        drawn = Trial(check.layer, check.examples, check.seed).draws(check.law)
        return [situation.case(1) for situation in drawn]


def _time(stopwatch: Stopwatch, key: str, target: Target, cases: Sequence[Case]) -> Speed:
    why = stopwatch.load(target, cases)
    if why:
        return Speed(key, why=why)
    once = min(min(stopwatch.round(1, first)) for first in range(3))
    repeats = math.ceil(ROUND / once)
    return Speed(key, *judge_rounds([stopwatch.round(repeats, first) for first in range(ROUNDS)]))
