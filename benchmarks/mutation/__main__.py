"""What several campaigns of `gradjury mutate --json` say together of gradjury's own layers.

    gradjury mutate --together --json pooling.json gradjury.impl:MaxPool1d gradjury.impl:MaxPool2d …
    python -m benchmarks.mutation pooling.json activation.json …

A campaign over all layers takes hours, so that families of layers are tried apart. A mutant of code that families share
is killed if a trial of any of them killed it; what was tried again counts as it was last. Declarations are read from
equivalent.toml as it is now, and the mutants are those of the source as it is now: one that no file tells of is listed
as not tried, and counts as surviving. A declaration that names a unit test is of a mutant that is no equivalent: it can
be told from the original, but no trial does; the last column has the rate with these as survivors.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from gradjury import impl
from gradjury.properties.mutation.campaign import DEAD, Fate, Findings, State, reason_for
from gradjury.properties.mutation.command import Declared, read_declared
from gradjury.properties.mutation.mutants import Mutant, mutants_of
from gradjury.properties.targets import own_layers

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
NOT_TRIED, TESTED = "not tried", "unit test"
UNIT_TEST = re.compile(r"tests/test_\w+\.py")
# What a mutant is called that several layers have: the first of these that one of them says.
ORDER = ("killed", "timed out", "survived", TESTED, "equivalent", NOT_TRIED)
HEADERS = ("layer", "mutants", "killed", "elsewhere", TESTED, "equivalent", "survived", NOT_TRIED, "rate", "laws alone")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--survivors", is_flag=True, help="List what survives, by module.")
def main(files: tuple[Path, ...], survivors: bool) -> None:
    """Judge all layers by the results of several campaigns; exit status 1 where a layer has less than 99 %."""
    tried, killed = read(files)
    declared = read_declared(EQUIVALENT)
    table = Table(box=None, pad_edge=False)
    for header in HEADERS:
        table.add_column(header, justify="left" if header == "layer" else "right")
    verdicts: dict[str, str] = {}
    used: dict[str, list[str]] = {}
    low = 0
    for name in own_layers():
        states = tried.get(name, {})
        fates = [fate_of(mutant, name, states, killed, declared) for mutant in mutants_of(getattr(impl, name))]
        for fate in fates:
            mutant, verdict = fate.mutant.id, verdict_of(fate)
            verdicts[mutant] = min(verdicts.get(mutant, verdict), verdict, key=ORDER.index)
            used.setdefault(mutant, []).append(name)
        one = Findings(name, tuple(fates))
        low += not one.passed
        table.add_row(name, *map(str, cells_of(one)), style="" if one.passed else "red")
    Console(width=120).print(table)
    alive = [name for name, state in verdicts.items() if state in ("survived", NOT_TRIED)]
    if survivors:
        for name in sorted(alive):
            click.echo(f"{verdicts[name]}: {name}  ({', '.join(sorted(used[name]))})")
    equivalent, tested = (sum(state == word for state in verdicts.values()) for word in ("equivalent", TESTED))
    judged = len(verdicts) - equivalent
    click.echo(
        f"{len(verdicts)} mutants of all layers: {equivalent} equivalent, {len(alive)} survive or were not tried, "
        f"{percent(judged - len(alive), judged)} killed, {tested} of them by a unit test alone "
        f"({percent(judged - len(alive) - tested, judged)} by laws); {low} layers below 99 %"
    )
    raise SystemExit(1 if low else 0)


def read(files: Iterable[Path]) -> tuple[dict[str, dict[str, State]], set[str]]:
    """What became of the mutants in each layer's own trial, and those that any layer's killed."""
    tried: dict[str, dict[str, State]] = {}
    killed: set[str] = set()
    for file in files:
        for layer in json.loads(file.read_text(encoding="utf-8"))["layers"]:
            states = {f["id"]: f["state"] for f in layer["fates"] if not f["elsewhere"]}
            tried.setdefault(layer["layer"], {}).update(states)
            killed |= {f["id"] for f in layer["fates"] if f["elsewhere"]}
    killed |= {name for states in tried.values() for name, state in states.items() if state in DEAD}
    return tried, killed


def fate_of(mutant: Mutant, layer: str, states: Mapping[str, State], killed: Set[str], declared: Declared) -> Fate:
    """What became of a mutant; a declaration of the day of the campaign is not looked at."""
    state = states.get(mutant.id)
    if state in DEAD:
        return Fate(mutant, state)
    reason = "it compiles to the same code" if mutant.same else reason_for(layer, mutant, declared)
    if reason:
        return Fate(mutant, "equivalent", reason=reason)
    if mutant.id in killed:
        return Fate(mutant, "killed", elsewhere="another layer")
    return Fate(mutant, "survived", reason="" if state else NOT_TRIED)


def verdict_of(fate: Fate) -> str:
    """Its state, but for what was not tried and what only a unit test kills."""
    if fate.state == "equivalent" and UNIT_TEST.search(fate.reason):
        return TESTED
    return NOT_TRIED if fate.reason == NOT_TRIED else fate.state


def cells_of(one: Findings) -> tuple[int | str, ...]:
    """A layer's row, but for its name."""
    count = Counter(verdict_of(fate) for fate in one.fates)
    dead = sum(fate.dead for fate in one.fates)
    rest = (count[TESTED], count["equivalent"], count["survived"], count[NOT_TRIED])
    judged = len(one.fates) - count["equivalent"]
    return len(one.fates), dead, one.elsewhere, *rest, percent(dead + count[TESTED], judged), percent(dead, judged)


def percent(part: int, whole: int) -> str:
    """A share, as text."""
    return f"{100 * part / whole if whole else 100:.1f} %"


if __name__ == "__main__":
    main()
