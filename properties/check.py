"""The public face: put a layer on trial from a script, from pytest, or law by law."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from .adapt import Declarations, Layer, adapt
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
    to: str | Contract | None = None,
    strict: bool = False,
    examples: int = EXAMPLES,
    seed: int = 0,
    scripts: str | Path = SCRIPTS,
    **declared: Unpack[Declarations],
) -> Iterator[Check]:
    """One check for each law, the primitive under everything else; the arguments are those of `check_layer`."""
    if examples < 1:
        raise ValueError(f"examples must be at least 1, got {examples}")
    subject = _subject(layer, to, declared)
    for law in (*COMMON, *subject.contract.laws):
        possible = law.applies(subject.fixed) and set(law.dtypes) & set(subject.contract.dtypes)
        if (strict or not law.strict) and possible:
            yield Check(subject, law, examples, seed, Path(scripts))


def _subject(layer: Any, to: str | Contract | None, declared: Declarations) -> Layer:
    """The layer with what is declared of it, here or before."""
    if not isinstance(layer, Layer):
        if to is None:
            raise TypeError('say which contract the layer answers to: to="Conv2d", torch\'s name of the layer')
        return adapt(layer, to=to, **declared)
    if to is not None or declared:
        also = ", ".join([*(["to"] if to is not None else []), *declared])
        raise TypeError(f"{layer.name} is adapted already, and {also} with it: declare everything in gradjury.adapt")
    return layer


def check_layer(
    layer: Any,
    *,
    to: str | Contract | None = None,
    strict: bool = False,
    examples: int = EXAMPLES,
    seed: int = 0,
    scripts: str | Path = SCRIPTS,
    **declared: Unpack[Declarations],
) -> Result:
    """Put a layer on trial against a contract, and answer how it fared.

    - `layer`: what `adapt` takes, or has made: a class or function that, called with the contract's options by torch's
      names, gives a layer in one of many styles, or a pair of functions.
    - `to`: the contract, by torch's name of the layer ("Conv2d"), or one of your own.
    - `strict`: also try the laws on NaN and infinities and on the refusal of bad input.
    - `examples`: how many configurations Hypothesis draws for each law; each carries eight sets of values.
    - `seed`: the same seed draws the same examples.
    - `scripts`: the folder for reproduction scripts.
    - `fixed` and all other keywords: what is declared of the layer, as for `adapt`.

    Raises CheckFailed (an AssertionError that carries the result) where a law is broken; ValueError or TypeError where
    the arguments make no trial.
    """
    __tracebackhide__ = True
    tried = checks(layer, to=to, strict=strict, examples=examples, seed=seed, scripts=scripts, **declared)
    result = run_checks(list(tried))
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
