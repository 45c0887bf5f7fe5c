"""Laws of agreement with torch: values, gradients, dtypes and shapes, NaN and infinities."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from ...oracle.budget import ALLOWED, Expected
from ...oracle.compare import compare
from ...oracle.referee import Fault
from ...oracle.vjp import Answer, Array, Case, Place
from ..script import against_torch
from ..styles.base import StyleError
from ..values import NONFINITE
from .law import Bench, Broken, Law, allowance, in_script, named


def _script(bench: Bench, case: Case, place: Place, expected: Expected) -> list[str]:
    return against_torch(bench.contract, case, in_script(place), allowance(expected))


def judge_forward(bench: Bench, case: Case) -> None:
    """Every output against torch's."""
    outputs, _ = bench.forward(case)
    reference = bench.reference(case)
    count = len(reference.truth.outputs)
    if len(outputs) != count:
        finding = f"the layer has {len(outputs)} outputs, torch has {count}"
        lines = [f"wrong = len(ask(layer, *case)[0]) != {count}"]
        raise Broken("outputs", finding, case, script=lines, verdict=bench.refusal(case, Fault.FORWARD, finding))
    for number, got in enumerate(outputs):
        expected = reference.expected(number)
        bench.compare(
            got,
            expected,
            "output" if count == 1 else named(number),
            case,
            script=partial(_script, bench, case, number, expected),
            verdict=partial(bench.verdict, case, number),
        )


def judge_gradients(bench: Bench, case: Case) -> None:
    """Every gradient against autograd's."""
    gradients = bench.ask(case).gradients
    for name in (name for name in case.differentiable if gradients.get(name) is None):
        if (reason := bench.layer.unanswered(name)) is not None:
            raise StyleError(reason)
        lines = [f"wrong = ask(layer, *case)[1].get({name!r}) is None"]
        finding = "the backward does not answer it"
        verdict = bench.refusal(case, Fault.BACKWARD, finding)
        raise Broken(named(name), finding, case, script=lines, verdict=verdict)
    reference = bench.reference(case)
    for name in case.differentiable:
        expected = reference.expected(name)
        bench.compare(
            gradients[name],
            expected,
            named(name),
            case,
            script=partial(_script, bench, case, name, expected),
            verdict=partial(bench.verdict, case, name),
        )


def _pairs(answer: Answer, truth: Answer) -> Iterator[tuple[Place, Array, Array]]:
    """What both answered: its place, the layer's array, and torch's."""
    return ((place, answer[place], truth[place]) for place in truth.places if place in answer)


def judge_dtype_and_shape(bench: Bench, case: Case) -> None:
    """Outputs have torch's dtypes and shapes, gradients those of the inputs they belong to."""
    answer = bench.ask(case)
    truth = bench.reference(case).at_dtype
    for place, got, want in _pairs(answer, truth):
        bench.tally.count(1)
        if (got.dtype, got.shape) != (want.dtype, want.shape):
            raise _other_type(place, got, want, case)


def _other_type(place: Place, got: Array, want: Array, case: Case) -> Broken:
    """The finding that an array is of another dtype or shape."""
    lines = [
        f"got = np.asarray(ask(layer, *case){in_script(place)})",
        f"wrong = (got.dtype.name, got.shape) != {(want.dtype.name, want.shape)!r}",
    ]
    finding = f"it is {got.dtype} {got.shape}, torch's is {want.dtype} {want.shape}"
    return Broken(named(place), finding, case, script=lines)


def judge_nonfinite(bench: Bench, case: Case) -> None:
    """NaN and infinities, put into the case, against where torch has them; and the numbers beside them and those that
    come of them (which of two NaN is the largest, and the slope at one).
    """
    case = with_special_values(case, bench.contract.finite(bench.config))
    answer = bench.ask(case)
    reference = bench.reference(case)
    for place, got, want in _pairs(answer, reference.at_dtype):
        if (got.dtype, got.shape) != (want.dtype, want.shape):
            raise _other_type(place, got, want, case)
        differ = ~_same(got, want)
        suspects = int(differ.sum())
        if suspects:
            # Infinity times 1 - y, where y is about to round to 1, is NaN or infinite by a single rounding; and where
            # torch's own answer hangs on one, it says nothing of infinity times a layer's exact zero.
            others = reference.alternatives
            while differ.any() and (other := next(others, None)) is not None:
                differ &= _same(want, other[place])
            if differ.any() and isinstance(place, str):
                differ &= ~_vanishing(bench, case, place)
        numbers = want.dtype.kind == "f"  # they are counted with those beside them
        bench.tally.count(0 if numbers else want.size, excluded=suspects - int(differ.sum()))
        if differ.any():
            index = tuple(int(i) for i in np.argwhere(differ)[0])
            finding = f"at {list(index)} it is {got[index]}, torch has {want[index]}"
            script = partial(against_torch, bench.contract, case, in_script(place), None)
            raise Broken(named(place), finding, case, script=script)
        if numbers:
            _judge_beside(bench, case, got, place)


def _vanishing(bench: Bench, case: Case, name: str) -> Array:
    """Where infinite cotangents are multiplied with something smaller than the smallest normal number, but not zero.

    What is computed on the way to it may be lost, and its sign with it: to torch the sigmoid of -726 is 0, so that the
    slope of Mish is positive there. A slope that is zero has no such excuse: infinity times zero is NaN.
    """
    alone = replace(case, cotangents=tuple(np.where(np.isinf(dy), np.sign(dy), 0) for dy in case.cotangents))
    size = np.abs(bench.reference(alone).truth[name])
    return np.asarray((size > 0) & (size < np.finfo(case.dtype).tiny))


def _judge_beside(bench: Bench, case: Case, got: Array, place: Place) -> None:
    """The finite numbers beside those that are not."""
    reference = bench.reference(case)
    expected = reference.expected(place)
    both = np.isfinite(got) & np.isfinite(expected.value)

    def script() -> list[str]:
        return against_torch(bench.contract, case, in_script(place), np.where(both, allowance(expected), np.inf))

    comparison = compare(np.where(both, got, expected.value), expected, enough=ALLOWED)
    bench.tally.count(comparison.elements, comparison.excluded)
    if not comparison.agrees:
        raise Broken(named(place), "", case, comparison=comparison, script=script)


def _same(got: Array, want: Array) -> Array:
    """Where both are NaN, the same infinity, or both finite, however far apart; integers where they are equal."""
    if want.dtype.kind != "f":
        return np.asarray(got == want)
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(got) & np.isfinite(want)
        return np.asarray(finite | (got == want) | (np.isnan(got) & np.isnan(want)))


def with_special_values(case: Case, finite: Collection[str] = ()) -> Case:
    """The case with NaN or infinities in one or two places of some of its inputs and cotangents, at least one array.

    Inputs named in `finite` stay as they are.
    """
    rng = np.random.default_rng(zlib.crc32(b"".join(a.tobytes() for a in case.inputs.values())))
    edit = list(NONFINITE.values())[rng.integers(len(NONFINITE))]
    places = [*(n for n in case.differentiable if n not in finite), *range(len(case.cotangents))]
    sure = places[rng.integers(len(places))]
    chosen = {place for place in places if place == sure or rng.random() < 1 / 3}
    inputs = {name: edit(rng, a) if name in chosen else a for name, a in case.inputs.items()}
    cotangents = tuple(edit(rng, dy) if n in chosen else dy for n, dy in enumerate(case.cotangents))
    return replace(case, inputs=inputs, cotangents=cotangents)


FORWARD = Law("forward", "the outputs are torch's", judge_forward)
GRADIENTS = Law("gradients", "every gradient is autograd's, for a drawn cotangent", judge_gradients)
DTYPE_AND_SHAPE = Law("dtype_and_shape", "outputs and gradients have torch's dtypes and shapes", judge_dtype_and_shape)
NONFINITE_VALUES = Law(
    "nonfinite",
    "NaN and infinities come out where torch has them, and the numbers beside them are torch's",
    judge_nonfinite,
    strict=True,
)
