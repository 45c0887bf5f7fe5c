"""What several campaigns of `gradjury mutate --json` say together of gradjury's own layers.

    gradjury mutate --together --json pooling.json gradjury.impl:MaxPool1d gradjury.impl:MaxPool2d …
    python -m benchmarks.mutation pooling.json activation.json …

A campaign over all layers takes hours, so that families of layers are tried apart. A mutant of code that families share
is killed if a trial of any of them killed it. Declarations are read from equivalent.toml as it is now, and the mutants
are those of the source as it is now: one that no file tells of is listed as not tried, and counts as surviving.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import gradjury
from gradjury import impl
from gradjury.properties.mutation.command import read_declared
from gradjury.properties.mutation.mutants import mutants_of

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
DEAD = ("killed", "timed out")
ORDER = (*DEAD, "elsewhere", "survived", "equivalent", "not tried")
HEADERS = ("layer", "mutants", "killed", "elsewhere", "equivalent", "survived", "not tried", "rate")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--survivors", is_flag=True, help="List what survives, by module.")
def main(files: tuple[Path, ...], survivors: bool) -> None:
    """Judge all layers by the results of several campaigns; exit status 1 where a layer has less than 99 %."""
    own: dict[str, dict[str, str]] = {}
    for file in files:
        for layer in json.loads(file.read_text(encoding="utf-8"))["layers"]:
            own[layer["layer"]] = {fate["id"]: state_of(fate) for fate in layer["fates"]}
    killed = {name for fates in own.values() for name, state in fates.items() if state in DEAD}
    declared = read_declared(EQUIVALENT)
    table = Table(box=None, pad_edge=False)
    for header in HEADERS:
        table.add_column(header, justify="left" if header == "layer" else "right")
    verdicts: dict[str, str] = {}
    used: dict[str, set[str]] = {}
    low = 0
    for name in (name for name in gradjury.contracts.ALL if hasattr(impl, name)):
        fates = own.get(name, {})
        states = {}
        for mutant in mutants_of(getattr(impl, name)):
            reason = declared.get(name, {}).get(mutant.id) or declared.get(mutant.module, {}).get(mutant.id)
            state = fates.get(mutant.id, "not tried")
            if mutant.same or (reason and state not in DEAD):
                state = "equivalent"
            elif state not in DEAD and mutant.id in killed:
                state = "elsewhere"
            states[mutant.id] = state
            used.setdefault(mutant.id, set()).add(name)
        for mutant_id, state in states.items():  # the first of these that any layer says
            verdicts[mutant_id] = min(verdicts.get(mutant_id, state), state, key=ORDER.index)
        counts = {state: list(states.values()).count(state) for state in (*DEAD, *HEADERS[3:-1])}
        judged = len(states) - counts["equivalent"]
        rate = 100 * (judged - counts["survived"] - counts["not tried"]) / judged if judged else 100.0
        low += rate < 99
        dead = counts["killed"] + counts["timed out"] + counts["elsewhere"]
        cells = (len(states), dead, *(counts[header] for header in HEADERS[3:-1]), f"{rate:.1f} %")
        table.add_row(name, *map(str, cells), style="red" if rate < 99 else "")
    console = Console(width=120)
    console.print(table)
    alive = [name for name, state in verdicts.items() if state in ("survived", "not tried")]
    if survivors:
        for name in sorted(alive):
            layers = ", ".join(sorted(used[name]))
            click.echo(f"{verdicts[name]}: {name}  ({layers})")
    equivalent = sum(state == "equivalent" for state in verdicts.values())
    click.echo(
        f"{len(verdicts)} mutants of all layers: {equivalent} equivalent, {len(alive)} survive or were not tried, "
        f"{100 * (1 - len(alive) / (len(verdicts) - equivalent)):.2f} % killed; {low} layers below 99 %"
    )
    raise SystemExit(1 if low else 0)


def state_of(fate: dict[str, Any]) -> str:
    """What the layer's own trial said of a mutant; a declaration of that day is not looked at."""
    if fate["elsewhere"] or fate["state"] == "equivalent":
        return "survived" if fate["state"] == "equivalent" else "elsewhere"
    return str(fate["state"])


if __name__ == "__main__":
    main()
