"""`gradjury gate`: try layers and compare them with a stored baseline.

Exit status 0: nothing got worse; 1: something did; 2: it could not run.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..board import Board
from ..check import Check
from ..events import Result
from ..files import write_json, write_text
from ..pool import try_all
from ..session import SCRIPTS
from ..targets import Target, TargetError, parse_fixed
from .baseline import Baseline, BaselineError, Settings, layer_record, read_baseline, versions, write_baseline
from .compare import Change, Finding, compare_layer, gone_layer, new_layer
from .reports import Report, as_dict, github_annotations, junit, markdown, show
from .speed import Speed, time_layers

# The laws that decide a gradient: between them they compare all that torch answers.
DECIDING = ("forward", "gradients")

# How many examples a layer starts with, and the gradients that it is asked for in each of them, on average: one with
# fewer may get more examples, one with more (a Transformer has 71) gets fewer, but LEAST.
EXAMPLES = 5
GRADIENTS = 16
LEAST = 1


@dataclass(frozen=True)
class Gated(Target):
    """A layer at the gate: only the laws of these names are tried, or all of them where there are none."""

    laws: tuple[str, ...] = ()

    def checks(self) -> list[Check]:
        """The checks of these laws."""
        return [check for check in super().checks() if not self.laws or check.law.name in self.laws]

    @property
    def key(self) -> str:
        """The name of the layer in the baseline."""
        own = self.contract in (None, self.attribute.rpartition(".")[2])
        return f"{self.module}:{self.attribute}{'' if own else f' as {self.contract}'}"


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("layers", nargs=-1, metavar="[MODULE:LAYER]...")
@click.option("--to", metavar="NAME", help="The contract the layer answers to, by torch's name; default: its own name.")
@click.option("--baseline", "file", default="gradjury.json", show_default=True, type=_FILE, help="The baseline.")
@click.option("--update", is_flag=True, help="Write the baseline anew from what is found now.")
@click.option(
    "--examples", type=click.IntRange(min=1), help=f"Examples a law; default: as in the baseline, at first {EXAMPLES}."
)
@click.option("--seed", type=click.IntRange(min=0), help="The seed; default: as in the baseline, at first 0.")
@click.option(
    "--all-laws/--deciding-laws",
    default=None,
    help="Whether to try all laws, or those that compare with torch; default: as in the baseline, at first the latter.",
)
@click.option(
    "-k", "keyword", default="", metavar="TEXT", help="Only checks whose name (Conv2d-gradients) contains this."
)
@click.option(
    "--fixed",
    multiple=True,
    metavar="OPTION=VALUE",
    help="An option the layer has no choice about; repeatable; default: as in the baseline.",
)
@click.option(
    "--base",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of the revision to be compared with: also judge the speed.",
)
@click.option("--junit", "junit_file", type=_FILE, help="Write JUnit XML to this file.")
@click.option("--markdown", "markdown_file", type=_FILE, help="Write a summary in Markdown to this file.")
@click.option("--json", "json_file", type=_FILE, help="Write the results to this file.")
@click.option(
    "--github/--no-github",
    default=None,
    help="Print GitHub annotations and append to its step summary; default: where GITHUB_ACTIONS is set.",
)
@click.option(
    "--scripts",
    default=SCRIPTS,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for reproduction scripts.",
)
@click.option("-j", "--jobs", default=0, type=click.IntRange(min=0), help="Processes; default: one a core.")
def gate(
    layers: tuple[str, ...],
    to: str | None,
    file: Path,
    update: bool,
    examples: int | None,
    seed: int | None,
    all_laws: bool | None,
    keyword: str,
    fixed: tuple[str, ...],
    base: Path | None,
    junit_file: Path | None,
    markdown_file: Path | None,
    json_file: Path | None,
    github: bool | None,
    scripts: Path,
    jobs: int,
) -> None:
    """Compare layers with a stored baseline; without arguments, gradjury's own.

    Exit status 0: nothing got worse; 1: something did; 2: it could not run.
    """
    if update and (keyword or base):
        raise click.UsageError("--update writes all of the baseline, and no speed: leave -k and --base out")
    for path in (file, junit_file, markdown_file, json_file):
        if path is not None and not path.resolve().parent.is_dir():
            raise click.UsageError(f"the folder of {path} does not exist")
    stored = None if update and not file.exists() else read_baseline(file)
    given = {"examples": examples, "seed": seed, "all_laws": all_laws, "fixed": tuple(sorted(fixed)) or None}
    settings = _settings(stored, {name: value for name, value in given.items() if value is not None}, update, file)
    options: dict[str, Any] = {
        "strict": None,
        "examples": settings.examples,
        "seed": settings.seed,
        "scripts": str(scripts.resolve()),
        "keyword": keyword,
        "fixed": parse_fixed(settings.fixed),
        "coverage": True,
        "laws": () if settings.all_laws else DECIDING,
    }
    targets = _ordered(Gated.find(layers, to, **options), stored, update)
    console, started = Console(), time.perf_counter()
    jobs = jobs or os.cpu_count() or 1
    results = _try(console, targets, jobs)
    if update:
        targets, results = _until_seen(console, targets, results, jobs)
        records = {target.key: layer_record(results[target.key], target.examples) for target in targets}
        stored = Baseline(settings, versions(), records)
        write_baseline(file, stored)
    assert stored is not None
    findings, notes = _compare(stored, targets, results, whole=not keyword)
    speeds = tuple(time_layers([(target.key, target) for target in targets], base.resolve())) if base else ()
    report = Report(
        baseline=file,
        findings=(*findings, *_slower(speeds)),
        results=results,
        speeds=speeds,
        notes=(*notes, *_speed_notes(speeds, base), *([f"wrote {file}"] if update else [])),
        places={target.key: place for target in targets if (place := _place(target))},
        seconds=time.perf_counter() - started,
    )
    show(console, report)
    _write_reports(report, junit_file, markdown_file, json_file, github)
    sys.exit(0 if report.passed else 1)


def _settings(stored: Baseline | None, given: Mapping[str, Any], update: bool, file: Path) -> Settings:
    """Those of the baseline, or what is given where it is written; BaselineError where they contradict each other."""
    first = Settings(examples=EXAMPLES, seed=0, all_laws=False, fixed=())
    known = first if stored is None else stored.settings
    wanted = replace(known, **given)
    if wanted != known and not update:
        other = next(name for name in given if getattr(wanted, name) != getattr(known, name))
        raise BaselineError(
            f"{file} was written with {other} = {getattr(known, other)!r}, not {getattr(wanted, other)!r}: "
            "leave the option out, or write the baseline anew with --update"
        )
    return wanted


def _ordered(targets: list[Gated], stored: Baseline | None, update: bool) -> list[Gated]:
    """With the baseline's number of examples, and those with most gradients first: no core waits for them at the end.

    An update begins with few examples again, so that what it writes does not hang on what was written before.
    """
    doubles = len(targets) - len({target.key for target in targets})
    if doubles:
        raise TargetError("a layer is named twice")
    layers = {} if stored is None else stored.layers

    def gradients(target: Gated) -> int:
        laws = layers[target.key].laws.values() if target.key in layers else ()
        return sum(len(law.sees) for law in laws)

    targets = sorted(targets, key=gradients, reverse=True)
    return [
        replace(target, examples=layers[target.key].examples) if target.key in layers and not update else target
        for target in targets
    ]


def _try(console: Console, targets: Sequence[Gated], jobs: int) -> dict[str, Result]:
    """Try them all; TargetError where -k leaves nothing."""
    counted = [(target, count) for target in targets if (count := len(target.checks()))]
    if not counted:
        raise TargetError(f"no check's name contains {targets[0].keyword!r}; names look like Conv2d-gradients")
    with Board(console, [(target.attribute, count) for target, count in counted]) as board:
        results = try_all([target for target, _ in counted], jobs, board)
    return {target.key: result for (target, _), result in zip(counted, results, strict=True)}


def _until_seen(
    console: Console, targets: Sequence[Gated], results: dict[str, Result], jobs: int
) -> tuple[list[Gated], dict[str, Result]]:
    """Layers of which an error in a gradient was not seen get twice the examples, and again, within limits."""
    final = {target.key: target for target in targets}
    most = {target.key: most_examples(target, results[target.key]) for target in targets}
    pending = {t.key: replace(t, examples=most[t.key]) for t in targets if t.examples > most[t.key]}
    while True:
        for key, target in final.items():
            if 2 * target.examples <= most[key] and not _seen(target, results[key]):
                pending[key] = replace(target, examples=2 * target.examples)
        if not pending:
            return list(final.values()), results
        results = results | _try(console, list(pending.values()), jobs)
        final |= pending
        pending = {}


def most_examples(target: Gated, result: Result) -> int:
    """So many that the layer costs no more than others; as they are where it is broken, which is found at once."""
    gradients = len({c.name for law in result.laws for c in law.certificates})
    most = target.examples * GRADIENTS // max(gradients, 1)
    return target.examples if result.failures else max(LEAST, most)


def _seen(target: Gated, result: Result) -> bool:
    """Whether no law is vacuous, and gradients were seen in every dtype."""
    dtypes = {c.dtype for law in result.laws for c in law.certificates}
    wanted = set(target.checks()[0].layer.contract.dtypes) if dtypes else set()
    return dtypes >= wanted and not any(law.vacuous for law in result.laws)


def _compare(
    stored: Baseline, targets: Sequence[Gated], results: Mapping[str, Result], *, whole: bool
) -> tuple[list[Finding], list[str]]:
    """The findings, and what is to be said of the comparison."""
    now = versions()
    changed = [name for name in now if stored.versions.get(name) != now[name]]
    other = [f"{name} {stored.versions.get(name, 'unknown')} → {now[name]}" for name in changed]
    notes = []
    if other:
        notes.append(
            f"The baseline was written with other tools ({', '.join(other)}), which draw other cases: only verdicts "
            "were compared. --update writes it anew."
        )
    findings: list[Finding] = []
    for target in (target for target in targets if target.key in results):
        result = results[target.key]
        if target.key in stored.layers:
            then = stored.layers[target.key]
            findings += compare_layer(target.key, then, result, alike=not other, whole=whole)
        else:
            findings += new_layer(target.key, result, target.examples)
    here = {target.key for target in targets}
    findings += [gone_layer(key) for key in stored.layers if whole and key not in here]
    return findings, notes


def _slower(speeds: Sequence[Speed]) -> Iterator[Finding]:
    for speed in (speed for speed in speeds if speed.slower):
        now = f"{speed.ratio:.2f} times (noise up to {speed.noise:.2f})"
        yield Finding(speed.layer, "speed", Change.WORSE, "time of forward and backward", "the base's", now)


def _speed_notes(speeds: Sequence[Speed], base: Path | None) -> Iterator[str]:
    if base is None:
        yield "Speed was not judged: --base names a checkout of the revision to compare with."
        return
    timed = [speed for speed in speeds if not speed.why]
    yield f"Speed was judged against {base}: {len(timed)} layers timed, {sum(s.slower for s in timed)} slower."
    yield from (f"{speed.layer} was not timed: {speed.why}" for speed in speeds if speed.why)


def _place(target: Target) -> tuple[str, int] | None:
    """The file, relative to this folder, and line where a layer is defined."""
    source = target.checks()[0].layer.source if target.checks() else None
    source = source[0] if isinstance(source, tuple) else source
    found = inspect.unwrap(source) if inspect.isroutine(source) or inspect.isclass(source) else type(source)
    try:
        path = Path(inspect.getsourcefile(found) or "").resolve()
        return path.relative_to(Path.cwd().resolve()).as_posix(), inspect.getsourcelines(found)[1]
    except (TypeError, OSError, ValueError):
        return None


def _write_reports(
    report: Report, junit_file: Path | None, markdown_file: Path | None, json_file: Path | None, github: bool | None
) -> None:
    if junit_file is not None:
        write_text(junit_file, junit(report))
    if markdown_file is not None:
        write_text(markdown_file, markdown(report))
    if json_file is not None:
        write_json(json_file, as_dict(report))
    if github or (github is None and os.environ.get("GITHUB_ACTIONS")):
        for line in github_annotations(report):
            print(line)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as stream:
                stream.write(markdown(report))
