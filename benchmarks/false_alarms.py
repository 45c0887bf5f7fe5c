"""False alarms: every law over gradjury's own layers, which are right, so that each law found broken is an alarm.

    python benchmarks/false_alarms.py --examples 30 --seeds 0,1 --gradcheck 60 -j 2     # 1,860 examples, minutes
    python benchmarks/false_alarms.py --examples 1100 --seeds 0,1,2 -j 2                # over 100,000, hours

An example is one Hypothesis draw with its eight sets of values: ties, zeros of both signs, equal rows, magnitudes from
2⁻⁶⁰ to 2³⁰. Laws that draw from the same strategy judge the same examples, which count once. The bound is Clopper and
Pearson's: with this confidence, no more than this share of examples would raise an alarm. Clopper, Pearson, The use of
confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26 (1934).

Beside it, torch.autograd.gradcheck at its defaults on a sample of the same float64 inputs, of torch's own modules: as
right as can be, so that each failure of gradcheck is an alarm as well.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

import gradjury
from gradjury import impl
from gradjury.oracle.vjp import Case
from gradjury.properties.contract import Contract
from gradjury.properties.events import LawResult
from gradjury.properties.explain import explain_failure
from gradjury.properties.laws.law import Bench, Law
from gradjury.properties.trial import Trial

CONFIDENCE = 0.95
# gradcheck refuses empty tensors, and it measures the whole Jacobian, two forward passes a number: empty inputs, those
# of more numbers than this, and those whose neighbours torch refuses are left out and counted.
LARGEST = 200


@dataclass(frozen=True)
class Count:
    """How often the harness and gradcheck were asked, and how often they were wrong."""

    examples: int = 0
    cases: int = 0
    alarms: tuple[str, ...] = ()
    gradchecks: int = 0
    gradcheck_alarms: int = 0
    left_out: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def bound(self) -> float:
        """The upper bound for the share of examples that raise an alarm."""
        return clopper_pearson(min(len(self.alarms), self.examples), self.examples)


def clopper_pearson(alarms: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper bound: the share p at which so few alarms have a probability of 1 - confidence."""
    try:
        from scipy.stats import beta
    except ImportError as error:
        raise click.ClickException("scipy is missing: pip install -c constraints.txt -e '.[dev]'") from error
    return 1.0 if alarms == trials else float(beta.ppf(confidence, alarms + 1, trials - alarms))


@dataclass
class Gradcheck:
    """A law that is never broken: it sees the cases that the others see, and asks gradcheck about some of them."""

    wanted: int
    every: int
    seen: int = 0
    tried: int = 0
    alarms: int = 0
    left_out: int = 0
    law: Law = field(init=False)

    def __post_init__(self) -> None:
        self.law = Law("gradcheck", "torch.autograd.gradcheck of torch's own module", self.judge)

    def judge(self, bench: Bench, case: Case) -> None:
        """Every so many-th case in float64."""
        if case.dtype != np.float64 or self.tried == self.wanted:
            return
        self.seen += 1
        if self.seen % self.every:
            return
        sizes = [a.size for a in case.inputs.values()]
        if not all(sizes) or sum(sizes) > LARGEST:
            self.left_out += 1
            return
        try:
            passes = gradcheck(bench.contract, case)
        except Exception:  # its steps leave what torch takes: a variance below zero
            self.left_out += 1
            return
        self.tried += 1
        self.alarms += not passes


def gradcheck(contract: Contract, case: Case) -> bool:
    """Whether torch's own function passes torch.autograd.gradcheck at its defaults."""
    function = contract.reference.bind(case.config)
    tensors = tuple(torch.tensor(a, requires_grad=name in case.differentiable) for name, a in case.inputs.items())

    def positional(*inputs: torch.Tensor) -> Any:
        return function(**dict(zip(case.inputs, inputs, strict=True)))

    return bool(torch.autograd.gradcheck(positional, tensors, raise_exception=False))


def count_alarms(layer: Any, to: str, examples: int, seed: int, gradchecks: int, scripts: str) -> Count:
    """All laws of a layer with one seed; `gradchecks` is how many cases gradcheck is asked about."""
    tried = list(gradjury.checks(layer, to=to, strict=True, examples=examples, seed=seed, scripts=scripts))
    # About half of the cases are in float64, eight to an example.
    beside = Gradcheck(gradchecks, every=max(1, 4 * examples // max(1, gradchecks)))
    laws = [*(check.law for check in tried), beside.law]
    results = Trial(tried[0].layer, examples, seed, Path(scripts)).run(laws)[:-1]
    failures = [result.failure for result in results if result.failure is not None]
    return Count(
        examples=sum(drawn(laws, results).values()),
        cases=sum(result.cases for result in results),
        alarms=tuple(map(explain_failure, failures)),
        gradchecks=beside.tried,
        gradcheck_alarms=beside.alarms,
        left_out=beside.left_out,
    )


def drawn(laws: Iterable[Law], results: Iterable[LawResult]) -> Mapping[Any, int]:
    """How many examples each strategy drew: those of the law that saw most of them."""
    found: dict[Any, int] = {}
    for law, result in zip(laws, results, strict=False):
        found[law.strategy] = max(found.get(law.strategy, 0), result.examples)
    return found


def count_own(name: str, examples: int, seeds: tuple[int, ...], gradchecks: int) -> Count:
    """One of gradjury's own layers with all seeds; what a process does."""
    layer = getattr(impl, name)
    share = -(-gradchecks // len(seeds))
    counts = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as scripts:  # one each: what is kept there would be tried again
            counts.append(count_alarms(layer, name, examples, seed, share, scripts))
    return reduce(Count.__add__, counts)


def seeds_of(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:  # noqa: ARG001
    """Numbers with commas between them."""
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of numbers like 0,1,2") from None


def line(name: str, count: Count) -> str:
    """A row of the table."""
    rate = f"{count.gradcheck_alarms / count.gradchecks:.1%}" if count.gradchecks else "-"
    return (
        f"{name:<17}{count.examples:>9}{count.cases:>10}{len(count.alarms):>8}{count.bound:>10.1e}"
        f"{count.gradchecks:>12}{count.gradcheck_alarms:>8}{rate:>8}{count.left_out:>11}"
    )


HEAD = (
    f"{'layer':<17}{'examples':>9}{'cases':>10}{'alarms':>8}{'bound':>10}"
    f"{'gradchecks':>12}{'alarms':>8}{'rate':>8}{'left out':>11}"
)


@click.command()
@click.option("--examples", default=100, show_default=True, type=click.IntRange(min=1), help="A law, layer and seed.")
@click.option("--seeds", default="0,1,2", show_default=True, callback=seeds_of, help="Numbers, commas between them.")
@click.option("--layers", default="", metavar="NAMES", help="Commas between them; default: all of gradjury.impl.")
@click.option("--gradcheck", "gradchecks", default=100, show_default=True, type=click.IntRange(min=0), help="A layer.")
@click.option("-j", "--jobs", default=2, show_default=True, type=click.IntRange(min=1), help="Processes.")
def main(examples: int, seeds: tuple[int, ...], layers: str, gradchecks: int, jobs: int) -> None:
    """Try gradjury's own layers and count the alarms; exit status 1 where there are any."""
    names = layers.split(",") if layers else [name for name in gradjury.contracts.ALL if hasattr(impl, name)]
    unknown = [name for name in names if name not in gradjury.contracts.ALL]
    if unknown:
        raise click.BadParameter(f"no layer is called {', '.join(unknown)}", param_hint="--layers")
    click.echo(HEAD)
    total = Count()
    for name, count in try_all(names, jobs, examples, seeds, gradchecks):
        total += count
        click.echo(line(name, count))
        for alarm in count.alarms:
            click.echo(alarm)
    click.echo(line("all", total))
    click.echo(f"bound: at most this share of examples raises an alarm, with {CONFIDENCE:.0%} confidence, one-sided")
    raise SystemExit(1 if total.alarms else 0)


def try_all(names: list[str], jobs: int, *arguments: Any) -> Iterator[tuple[str, Count]]:
    """Each layer in a process, the results in order; with one job, all of them in this one."""
    if jobs == 1:
        yield from ((name, count_own(name, *arguments)) for name in names)
        return
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # a process has a core; BLAS threads on top would fight over them
    context = multiprocessing.get_context("spawn")  # a fork of a process that holds torch may hang
    with ProcessPoolExecutor(min(jobs, len(names)), context) as pool:
        futures = [pool.submit(count_own, name, *arguments) for name in names]
        yield from ((name, future.result()) for name, future in zip(names, futures, strict=True))


if __name__ == "__main__":
    main()
