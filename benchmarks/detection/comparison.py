"""The comparison and its command line; the words are in the package's docstring."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import hypothesis
from hypothesis import HealthCheck, Phase
from rich.console import Console
from rich.table import Table

import benchmarks.detection
from gradjury.oracle.autograd import deterministic_torch
from gradjury.oracle.vjp import Answer, Case, ask
from gradjury.properties import contracts
from gradjury.properties.adapt import Layer
from gradjury.properties.domain import Situation
from gradjury.properties.laws.law import Bench
from gradjury.properties.mutation.campaign import reason_for
from gradjury.properties.mutation.command import read_declared
from gradjury.properties.mutation.crew import Crew, Died, Job, TimedOut
from gradjury.properties.mutation.mutants import Mutant, mutants_of
from gradjury.properties.mutation.planting import planted
from gradjury.properties.targets import Target

from .tools import TOOLS, alarms

SUB_CASES = range(4)
EQUIVALENT = Path(__file__).parent.parent / "mutation" / "equivalent.toml"
LIMIT = 600.0  # seconds; a mutant that takes longer hangs every check alike


@dataclass(frozen=True)
class Outcome:
    """Which checks noticed a mutant, and whether its outputs were the original's in all cases."""

    layer: str
    mutant: str
    noticed: frozenset[str]
    backward: bool


def drawn(target: Target, draws: int) -> list[Case]:
    """The sub-cases of the first draws of the domain, in float64."""
    found: list[Situation] = []

    @hypothesis.seed(target.seed)
    @hypothesis.settings(
        max_examples=draws, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
    )
    @hypothesis.given(contracts.get(target.contract).situations(dtypes=("float64",)))
    def draw(situation: Situation) -> None:
        found.append(situation)

    draw()
    return [situation.case(number) for situation in found[:draws] for number in SUB_CASES]


def bench(target: Target, case: Case) -> Bench:
    """The layer as it is imported now, in a case's configuration."""
    layer = Layer(target.load(), contracts.get(target.contract), {}, {})
    return Bench(layer.contract, layer.build(case.config), case.config, layer.build)


@lru_cache(maxsize=1)
def original(target: Target, draws: int) -> tuple[list[Case], dict[str, set[int]], list[Answer]]:
    """The cases, at which of them each check alarms without a fault, and the layer's answers; once a worker."""
    cases = drawn(target, draws)
    answers = [ask(bench(target, case).layer, case) for case in cases]
    with deterministic_torch():
        false = {
            name: {n for n, case in enumerate(cases) if alarms(tool, bench(target, case), case)}
            for name, tool in TOOLS.items()
        }
    return cases, false, answers


def false_alarms(target: Target, draws: int) -> tuple[int, dict[str, int]]:
    """In a worker: the number of cases, and of each check's alarms without a fault."""
    cases, false, _ = original(target, draws)
    return len(cases), {name: len(places) for name, places in false.items()}


def notice(target: Target, mutant: Mutant, draws: int) -> tuple[frozenset[str], bool]:
    """In a worker: the checks that notice a mutant, and whether its outputs are the original's."""
    cases, false, answers = original(target, draws)
    noticed = set()
    with planted(mutant), deterministic_torch():
        for name in TOOLS:
            for number, case in enumerate(cases):
                if number not in false[name] and _alarms_on(name, target, case):
                    noticed.add(name)
                    break
        backward = all(_same_outputs(target, case, answer) for case, answer in zip(cases, answers, strict=True))
    return frozenset(noticed), backward


def _alarms_on(name: str, target: Target, case: Case) -> bool:
    try:
        made = bench(target, case)
    except Exception:
        return True
    return alarms(TOOLS[name], made, case)


def _same_outputs(target: Target, case: Case, answer: Answer) -> bool:
    try:
        vjp = bench(target, case).layer
        y = vjp(**case.copies().inputs)[0]
    except Exception:
        return False
    outputs = y if isinstance(y, tuple) else (y,)
    return [(a.dtype, a.shape, a.tobytes()) for a in outputs] == [
        (a.dtype, a.shape, a.tobytes()) for a in answer.outputs
    ]


@click.command(help=benchmarks.detection.__doc__)
@click.option("--layers", default="", help="Names of layers, with commas; default: all of our own.")
@click.option("--sample", type=click.IntRange(min=1), help="At most so many mutants a layer, drawn at random.")
@click.option("--draws", default=5, show_default=True, type=click.IntRange(min=1), help="Draws; each gives four cases.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="For the draws and the sample.")
@click.option("--equivalent", default=EQUIVALENT, type=click.Path(exists=True, path_type=Path), help="See mutate.")
@click.option("-j", "--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Processes.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the outcomes to this file.")
def main(
    layers: str,
    sample: int | None,
    draws: int,
    seed: int,
    equivalent: Path,
    jobs: int,
    json_file: Path | None,
) -> None:
    """Run the comparison."""
    started = time.perf_counter()
    declared = read_declared(equivalent)
    wanted = [name for name in layers.split(",") if name]
    ours = Target.find((), None, strict=True, examples=1, seed=seed, scripts="")
    targets = [target for target in ours if not wanted or target.attribute in wanted]
    rng = random.Random(seed)
    tried = []
    for target in targets:
        every = [m for m in mutants_of(target.load()) if not m.same]
        found = [m for m in every if reason_for(target.attribute, m, declared) is None]
        tried += [(target, m) for m in (rng.sample(found, sample) if sample and sample < len(found) else found)]
    false: dict[str, tuple[int, dict[str, int]]] = {}
    outcomes = []
    with Crew(jobs) as crew:
        for number, result in crew.run([Job(false_alarms, (target, draws)) for target in targets]):
            false[targets[number].attribute] = result
        for number, result in crew.run([Job(notice, (target, m, draws), LIMIT) for target, m in tried]):
            target, mutant = tried[number]
            everyone = (frozenset(TOOLS), False)
            noticed, backward = everyone if isinstance(result, Died | TimedOut) else result
            outcomes.append(Outcome(target.attribute, mutant.id, noticed, backward))
    show([target.attribute for target in targets], outcomes, false)
    print(f"{len(outcomes)} mutants, {draws} draws, seed {seed}, {time.perf_counter() - started:.0f} s")
    if json_file is not None:
        data = [{**vars(o), "noticed": sorted(o.noticed)} for o in outcomes]
        json_file.write_text(json.dumps({"false_alarms": false, "outcomes": data}, indent=1), encoding="utf-8")


def show(layers: list[str], outcomes: list[Outcome], false: Mapping[str, tuple[int, dict[str, int]]]) -> None:
    """Rates side by side, over all mutants, over the backward ones, and the false alarms."""
    by_layer: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_layer[outcome.layer].append(outcome)
    total = "total"
    by_layer[total] = outcomes
    console = Console(width=120)
    for backward in (False, True):
        table = _table(f"noticed, in % of {'the backward' if backward else 'all'} mutants", "mutants")
        for layer in [*layers, total]:
            some = [o for o in by_layer[layer] if o.backward or not backward]
            rates = [100 * sum(name in o.noticed for o in some) / len(some) if some else None for name in TOOLS]
            table.add_row(layer, str(len(some)), *("" if rate is None else f"{rate:.1f}" for rate in rates))
        console.print(table)
    table = _table("false alarms: cases at which a check alarms without a fault", "cases")
    for layer in layers:
        table.add_row(layer, str(false[layer][0]), *(str(false[layer][1][name]) for name in TOOLS))
    sums = [sum(false[layer][1][name] for layer in layers) for name in TOOLS]
    table.add_row(total, str(sum(false[layer][0] for layer in layers)), *map(str, sums))
    console.print(table)


def _table(title: str, count: str) -> Table:
    table: Any = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True)
    for header in (count, *TOOLS):
        table.add_column(header, justify="right")
    return table  # type: ignore[no-any-return]
