"""The public face: put a layer on trial from a script, from pytest, or law by law."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from .adapt import Declarations, Layer, adapt
from .contract import Contract
from .coverage import Recorder
from .events import Event, LawResult, Result
from .explain import explain_failure, explain_result
from .laws import COMMON, Law
from .session import current
from .trial import Trial, quiet


class CheckFailed(AssertionError):  # noqa: N818 - reads as what happened, like AssertionError
    """A layer broke a law. `result` holds every law that was tried, with the smallest case of each that is broken."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Check:
    """One law of one layer, ready to be tried: call it, or `run` it for the result.

    `results` holds the result of the last call, whether it raised or not.
    """

    layer: Layer
    law: Law
    examples: int
    seed: int
    scripts: Path
    results: list[Result] = field(default_factory=list, compare=False, repr=False)

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
        self.results[:] = [Result(self.layer.name, self.layer.contract.name, (self.run(),))]
        _raise_unless_passed(self.results[0])

    def __repr__(self) -> str:
        return f"<check {self.id}>"


def checks(
    layer: Any,
    *,
    to: str | Contract | None = None,
    strict: bool = False,
    examples: int | None = None,
    seed: int | None = None,
    scripts: str | Path | None = None,
    **declared: Unpack[Declarations],
) -> Iterator[Check]:
    """One check for each law, the primitive under everything else; the arguments are those of `check_layer`."""
    examples = current.examples if examples is None else examples
    seed = current.seed if seed is None else seed
    scripts = Path(current.scripts if scripts is None else scripts)
    if examples < 1:
        raise ValueError(f"examples must be at least 1, got {examples}")
    subject = _subject(layer, to, declared)
    for law in (*COMMON, *subject.contract.laws):
        possible = law.applies(subject.fixed) and set(law.dtypes) & set(subject.contract.dtypes)
        if (strict or not law.strict) and possible:
            yield Check(subject, law, examples, seed, scripts)


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
    examples: int | None = None,
    seed: int | None = None,
    scripts: str | Path | None = None,
    **declared: Unpack[Declarations],
) -> Result:
    """Put a layer on trial against a contract, and answer how it fared.

    - `layer`: what `adapt` takes, or has made: a class or function that, called with the contract's options by torch's
      names, gives a layer in one of many styles, or a pair of functions.
    - `to`: the contract, by torch's name of the layer ("Conv2d"), or one of your own.
    - `strict`: also try the laws on NaN and infinities and on the refusal of bad input.
    - `examples`: how many configurations Hypothesis draws for each law, 100 if nothing is said here or to pytest; each
      carries eight sets of values.
    - `seed`: the same seed draws the same examples; 0 if nothing is said.
    - `scripts`: the folder for reproduction scripts, gradjury-scripts if nothing is said.
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


def parametrize(
    layers: Iterable[Any],
    *,
    xfail: Mapping[str, str] | None = None,
    strict: bool = False,
    examples: int | None = None,
    seed: int | None = None,
    scripts: str | Path | None = None,
    **declared: Unpack[Declarations],
) -> Callable[[Any], Any]:
    """A pytest decorator: the test gets an argument `check`, one for each law of each layer, and calls it.

    - `layers`: pairs of a layer and its contract's name; or what `adapt` has made.
    - `xfail`: checks that are known to fail, by their ids, each with its reason: {"MyLinear-Linear-gradients": "…"}.
      One that passes fails the run, so that the list is kept up to date.
    - all other arguments: those of `check_layer`, the same for all layers.

    Raises ValueError where `xfail` names no check.
    """
    import pytest

    known = dict(xfail or {})
    tried = [
        check
        for layer, to in (pair if isinstance(pair, tuple | list) else (pair, None) for pair in layers)
        for check in checks(layer, to=to, strict=strict, examples=examples, seed=seed, scripts=scripts, **declared)
    ]
    unknown = set(known) - {check.id for check in tried}
    if unknown:
        ids = ", ".join(check.id for check in tried)
        raise ValueError(f"xfail names {', '.join(sorted(unknown))}, which is no check; there are {ids}")
    parameters = []
    for check in tried:
        reason = known.get(check.id)
        marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True, raises=CheckFailed)]
        parameters.append(pytest.param(check, id=check.id, marks=marks))
    return pytest.mark.parametrize("check", parameters)
