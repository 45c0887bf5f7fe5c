"""The public face: put a layer on trial from a script, from pytest, or law by law."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import contracts
from .adapt import Layer, Parameters
from .contract import Contract
from .coverage import Recorder
from .events import Event, LawResult, Result
from .explain import explain_failure, explain_result
from .laws import COMMON, Law
from .trial import EXAMPLES, SCRIPTS, Trial, quiet


class CheckFailed(AssertionError):  # noqa: N818 - reads as what happened, like AssertionError
    """A layer broke a law. `result` holds every law that was tried, with the smallest case of each that is broken."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Check:
    """One law of one layer, ready to be tried: call it, or `run` it for the result."""

    layer: Layer
    law: Law
    examples: int
    seed: int
    scripts: Path

    @property
    def id(self) -> str:
        """A readable name: the layer, its contract where that is another name, and the law."""
        name, contract = self.layer.name, self.layer.contract.name
        return f"{name if name == contract else f'{name}-{contract}'}-{self.law.name}"

    def run(self, emit: Callable[[Event], None] = lambda event: None) -> LawResult:  # noqa: ARG005
        """Try the law and answer how it fared; a broken law is a result here, not an exception."""
        return Trial(self.layer, self.examples, self.seed, self.scripts, emit).run([self.law])[0]

    def __call__(self) -> None:
        """Try the law; CheckFailed where it is broken, or where everything was excluded and nothing judged."""
        __tracebackhide__ = True
        _raise_unless_passed(Result(self.layer.name, self.layer.contract.name, (self.run(),)))

    def __repr__(self) -> str:
        return f"<check {self.id}>"


def checks(
    layer: Any,
    *,
    to: str | Contract,
    strict: bool = False,
    examples: int = EXAMPLES,
    seed: int = 0,
    fixed: Mapping[str, Any] | None = None,
    parameters: Parameters | None = None,
    scripts: str | Path = SCRIPTS,
) -> Iterator[Check]:
    """One check for each law, the primitive under everything else; the arguments are those of `check_layer`."""
    contract = contracts.get(to) if isinstance(to, str) else to
    fixed = dict(fixed or {})
    contract.check_fixed(fixed)
    if examples < 1:
        raise ValueError(f"examples must be at least 1, got {examples}")
    subject = Layer(layer, contract, fixed, dict(parameters or {}))
    subject.check_options()
    for law in (*COMMON, *contract.laws):
        if (strict or not law.strict) and law.applies(fixed):
            yield Check(subject, law, examples, seed, Path(scripts))


def check_layer(
    layer: Any,
    *,
    to: str | Contract,
    strict: bool = False,
    examples: int = EXAMPLES,
    seed: int = 0,
    fixed: Mapping[str, Any] | None = None,
    parameters: Parameters | None = None,
    scripts: str | Path = SCRIPTS,
) -> Result:
    """Put a layer on trial against a contract, and answer how it fared.

    - `layer`: a class or function that, called with the contract's options by torch's names, gives a layer: a callable
      that answers `(y, backward)`, a pair of functions `(forward, backward)` with `(y, cache)`, or an object with
      `forward` and `backward` that keeps its parameters and gradients as attributes. A pair of functions may also be
      given directly.
    - `to`: the contract, by torch's name of the layer ("Conv2d"), or one of your own.
    - `strict`: also try the laws on NaN and infinities and on the refusal of bad input.
    - `examples`: how many configurations Hypothesis draws for each law; each carries eight sets of values.
    - `seed`: the same seed draws the same examples.
    - `fixed`: options the layer has no choice about, {"stride": 1}; only configurations with these values are drawn.
    - `parameters`: for objects, the attributes that hold a parameter and its gradient, {"weight": ("W", "dW")}, where
      their names are not the usual ones.
    - `scripts`: the folder for reproduction scripts.

    Raises CheckFailed (an AssertionError that carries the result) where a law is broken; ValueError or TypeError where
    the arguments make no trial.
    """
    __tracebackhide__ = True
    options: dict[str, Any] = {"strict": strict, "examples": examples, "seed": seed, "scripts": scripts}
    options |= {"fixed": fixed, "parameters": parameters}
    result = run_checks(list(checks(layer, to=to, **options)))
    _raise_unless_passed(result)
    return result


def run_checks(
    tried: list[Check],
    emit: Callable[[Event], None] = lambda event: None,  # noqa: ARG005
    *,
    coverage: bool = False,
) -> Result:
    """All checks of one layer at once: the laws share what is drawn, which is several times faster than one by one.

    `coverage` also counts what was drawn, and asks which options change anything.
    """
    first = tried[0]
    recorder = Recorder(first.layer) if coverage else None
    trial = Trial(first.layer, first.examples, first.seed, first.scripts, emit, recorder)
    laws = tuple(trial.run([check.law for check in tried]))
    with quiet():
        return Result(first.layer.name, first.layer.contract.name, laws, recorder.close() if recorder else None)


def _raise_unless_passed(result: Result) -> None:
    __tracebackhide__ = True
    if result.passed:
        return
    if len(result.laws) == 1 and result.failures:
        raise CheckFailed(explain_failure(result.failures[0]), result)
    raise CheckFailed(explain_result(result), result)


def parametrize(layers: Iterable[tuple[Any, str | Contract]], **options: Any) -> Callable[[Any], Any]:
    """A pytest decorator: the test gets an argument `check`, one for each law of each layer, and calls it.

    layers: pairs of a layer and its contract's name; options: those of `check_layer`.
    """
    import pytest

    tried = [check for layer, to in layers for check in checks(layer, to=to, **options)]
    return pytest.mark.parametrize("check", [pytest.param(check, id=check.id) for check in tried])
