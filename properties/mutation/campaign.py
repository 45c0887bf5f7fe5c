"""A campaign: every mutant of some layers on trial, and what became of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from types import FrameType
from typing import Any, Literal

from ..adapt import Layer
from ..targets import Target, TargetError
from ..trial import Trial
from .crew import Crew, Died, Job, TimedOut
from .mutants import Mutant, mutants_in, mutants_of
from .planting import planted
from .rehearsal import Break, Rehearsal
from .routines import Routines
from .running import tracing

State = Literal["killed", "survived", "equivalent", "timed out"]
# What a mutant that was noticed has come to.
DEAD: tuple[State, ...] = ("killed", "timed out")
# A mutant may take this many times as long as the layer without a fault, and this many seconds on top, before it counts
# as one that never ends.
PATIENCE, GRACE = 5, 60.0
# The rate of killed mutants below which a campaign fails, in per cent.
ENOUGH = 99.0


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: the law that killed it, how and after how many draws; or why it is still there.

    `elsewhere` names the layer whose trial killed it, where that is not the one it is listed with.
    """

    mutant: Mutant
    state: State
    law: str = ""
    examples: int = 0
    reason: str = ""
    elsewhere: str = ""

    @property
    def dead(self) -> bool:
        """Whether it was noticed."""
        return self.state in DEAD


@dataclass(frozen=True)
class Findings:
    """All mutants of one layer. `stale`: declared equivalents that were killed or do not exist."""

    layer: str
    fates: tuple[Fate, ...]
    stale: tuple[str, ...] = ()

    def count(self, state: State) -> int:
        """How many mutants ended so."""
        return sum(fate.state == state for fate in self.fates)

    @property
    def survivors(self) -> list[Fate]:
        """The mutants that no law noticed and nobody has explained."""
        return [fate for fate in self.fates if fate.state == "survived"]

    @property
    def rate(self) -> float:
        """The killed (those that never ended among them) in per cent of the mutants that are not equivalent."""
        judged = len(self.fates) - self.count("equivalent")
        return 100.0 * (judged - self.count("survived")) / judged if judged else 100.0

    @property
    def median(self) -> float:
        """How many draws it took to kill half of those that the layer's own trial killed."""
        own = [fate.examples for fate in self.fates if fate.state == "killed" and not fate.elsewhere]
        return statistics.median(own or [0])

    @property
    def raised(self) -> int:
        """How many of the killed only raised: the faults that anyone would have noticed."""
        return sum(fate.state == "killed" and "raised" in fate.reason for fate in self.fates)

    @property
    def elsewhere(self) -> int:
        """How many of the killed are of code that other layers run too, one of whose trials killed them."""
        return sum(bool(fate.elsewhere) for fate in self.fates)

    @property
    def passed(self) -> bool:
        """Whether enough was killed, and every declaration still holds."""
        return self.rate >= ENOUGH and not self.stale


@dataclass(frozen=True)
class Baseline:
    """The layer without a fault: its mutants, how long its trial took, and which lines of its files that ran."""

    mutants: list[Mutant]
    seconds: float
    lines: dict[str, set[int]]
    broken: Break | None


@dataclass(frozen=True)
class Progress:
    """One step of a campaign, for whoever shows it: the layer's number, how many mutants are tried, one's fate."""

    layer: int
    mutants: int
    fate: Fate | None = None


def campaign(
    targets: Sequence[Target],
    jobs: int = 1,
    declared: Mapping[str, Mapping[str, str]] | None = None,
    emit: Callable[[Progress], None] = lambda progress: None,  # noqa: ARG005
    limit: float | None = None,
    together: bool = False,
    keyword: str = "",
) -> list[Findings]:
    """Try every mutant of every target, `jobs` at a time.

    `declared`: for the names of layers and of modules, reasons by the ids of mutants that no trial can tell from the
    original: no trial of that layer, or of any layer that runs that module.
    `limit`: how many seconds a mutant is given; by default PATIENCE times the trial of the original, and GRACE.
    `together`: judge the layers' trials as one suite: a mutant of code that several of them run is tried with one after
    the other until it is killed, and is then killed for all of them.
    `keyword`: only mutants whose id contains it.

    Raises TargetError where a layer cannot be loaded, has no source, or breaks a law without any fault, and where no
    mutant's id contains the keyword.
    """
    declared = {table: {m: why for m, why in some.items() if keyword in m} for table, some in (declared or {}).items()}
    with Crew(jobs) as crew:
        baselines = [
            replace(baseline, mutants=[mutant for mutant in baseline.mutants if keyword in mutant.id])
            for baseline in _baselines(crew, targets)
        ]
        if keyword and not any(baseline.mutants for baseline in baselines):
            raise TargetError(f"no mutant of these layers has {keyword!r} in its id")
        counts = [sum(not mutant.same for mutant in baseline.mutants) for baseline in baselines]
        for number in range(len(baselines)):
            emit(Progress(number, counts[number]))
        fates: dict[tuple[int, str], Fate] = {}
        killed: dict[str, Fate] = {}
        pairs = [(n, mutant) for n, baseline in enumerate(baselines) for mutant in baseline.mutants]
        for _, some in groupby(pairs, lambda pair: together and pair[0]):
            tried = []
            for n, mutant in some:
                reason = reason_for(targets[n].attribute, mutant, declared)
                fate = killed.get(mutant.id) or _without_trial(mutant, baselines[n].lines, reason)
                if fate is None:
                    tried.append((n, mutant))
                    continue
                fates[n, mutant.id] = fate
                if not mutant.same:
                    emit(Progress(n, counts[n], fate))
            limits = [PATIENCE * baselines[n].seconds + GRACE if limit is None else limit for n, _ in tried]
            work = [Job(try_mutant, (targets[n], m), most) for (n, m), most in zip(tried, limits, strict=True)]
            for done, result in crew.run(work):
                n, mutant = tried[done]
                fate = fates[n, mutant.id] = _fate(mutant, result, reason_for(targets[n].attribute, mutant, declared))
                if together and fate.dead:
                    killed[mutant.id] = replace(fate, elsewhere=targets[n].attribute)
                emit(Progress(n, counts[n], fate))
    found = []
    for n, (target, baseline) in enumerate(zip(targets, baselines, strict=True)):
        own = {mutant.id: fates[n, mutant.id] for mutant in baseline.mutants}
        last = tuple(killed.get(name, fate) if fate.state == "survived" else fate for name, fate in own.items())
        found.append(Findings(target.attribute, last, _stale(target, own, declared)))
    return found


def _without_trial(mutant: Mutant, lines: Mapping[str, set[int]], declared: str | None) -> Fate | None:
    """The fate of a mutant that need not be tried."""
    if mutant.same:
        return Fate(mutant, "equivalent", reason="it compiles to the same code")
    first, last = mutant.lines
    if not mutant.at_import and not lines[mutant.file] & set(range(first, last + 1)):
        return _alive(mutant, declared, "never executed: no drawn case comes here")
    return None


def _alive(mutant: Mutant, declared: str | None, otherwise: str = "") -> Fate:
    """The fate of a mutant that no law noticed."""
    if declared is not None:
        return Fate(mutant, "equivalent", reason=declared)
    return Fate(mutant, "survived", reason=otherwise)


def reason_for(layer: str, mutant: Mutant, declared: Mapping[str, Mapping[str, str]]) -> str | None:
    """Why a mutant that survives a layer's trial is equivalent; None where nobody has said."""
    return declared.get(layer, {}).get(mutant.id) or declared.get(mutant.module, {}).get(mutant.id)


def _stale(target: Target, fates: Mapping[str, Fate], declared: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Declarations that the layer's own trial refutes, and those of mutants that do not exist.

    A module's table is about all layers: of its mutants, those of functions that this layer does not run are not here.
    """
    places = {(fate.mutant.module, fate.mutant.path) for fate in fates.values()}
    names = [
        *declared.get(target.attribute, {}),
        *(name for m, path in places for name in declared.get(m, {}) if name.startswith(f"{m}:{path} [")),
    ]
    own = {name for name, fate in fates.items() if not fate.dead or fate.elsewhere}
    return tuple(name for name in dict.fromkeys(names) if name not in own)


def _baselines(crew: Crew, targets: Sequence[Target]) -> list[Baseline]:
    found: dict[int, Baseline] = {}
    known: dict[str, Mutant] = {}  # layers share code; each mutant, with its module's whole code, is kept once
    for number, result in crew.run([Job(examine, (target,)) for target in targets]):
        name = f"{targets[number].module}:{targets[number].attribute}"
        if isinstance(result, str):
            raise TargetError(f"{name}: {result}")
        if isinstance(result, Died):
            raise TargetError(f"{name}: the process died (exit code {result.exit_code}) before any fault was planted")
        if result.broken is not None:
            law, finding = result.broken.law, result.broken.finding
            raise TargetError(f"{name} breaks the law {law} without any fault planted: {finding}; first mend that")
        found[number] = replace(result, mutants=[known.setdefault(mutant.id, mutant) for mutant in result.mutants])
    return [found[number] for number in range(len(targets))]


def _fate(mutant: Mutant, result: Any, declared: str | None) -> Fate:
    if isinstance(result, Died):
        return Fate(mutant, "killed", "process", 0, f"the process died, exit code {result.exit_code}")
    if isinstance(result, TimedOut):
        return Fate(mutant, "timed out", reason=f"still running after {result.seconds:.0f} s")
    if isinstance(result, Break):
        return Fate(mutant, "killed", result.law, result.examples, result.finding)
    return _alive(mutant, declared)


def examine(target: Target) -> Baseline | str:
    """In a worker: the layer without a fault on trial, its lines watched; or why that is impossible."""
    started = time.perf_counter()
    try:
        rehearsal = rehearsal_of(target)
        source = target.load()
        if isinstance(source, Layer):
            mutants = mutants_in(Routines.run_by(lambda: rehearsal.first_break(rehearsal.layer), target.module))
        else:
            mutants = mutants_of(source)
    except (TargetError, ValueError) as error:
        return str(error)
    lines: dict[str, set[int]] = {mutant.file: set() for mutant in mutants}
    with _watched(lines):
        broken = rehearsal.first_break(rehearsal.layer)
    return Baseline(mutants, time.perf_counter() - started, lines, broken)


def try_mutant(target: Target, mutant: Mutant) -> Break | None:
    """In a worker: the layer with a fault on trial."""
    rehearsal = rehearsal_of(target)
    home = target.at_home()
    with planted(mutant, target.module, home.module):
        try:
            loaded = home.load()
        except TargetError as error:
            return Break("import", 0, f"it raised: {error}")
        layer = rehearsal.layer
        if isinstance(loaded, Layer):
            return rehearsal.first_break(replace(layer, source=loaded.source, tensor=loaded.tensor))
        return rehearsal.first_break(replace(layer, source=loaded))


@lru_cache(maxsize=1)
def rehearsal_of(target: Target) -> Rehearsal:
    """The draws of a target's trial; a worker keeps those of the layer that it works at."""
    checks = target.checks()
    first = checks[0]
    return Rehearsal(Trial(first.layer, first.examples, first.seed), [check.law for check in checks])


@contextmanager
def _watched(lines: dict[str, set[int]]) -> Iterator[None]:
    """Note the lines of these files that run."""

    def called(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
        seen = lines.get(frame.f_code.co_filename)
        if seen is None:
            return None

        def stepped(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
            seen.add(frame.f_lineno)
            return stepped

        seen.add(frame.f_lineno)
        return stepped

    with tracing(called):
        yield
