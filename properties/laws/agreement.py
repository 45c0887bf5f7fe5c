"""Laws of agreement with torch: values, gradients, dtypes and shapes, NaN and infinities."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import partial

import numpy as np

from ...oracle.budget import Expected
from ...oracle.referee import judge_gradient, judge_output
from ...oracle.vjp import Case
from ..script import against_torch
from ..values import NONFINITE
from .law import Bench, Broken, Law, allowance, answered


def _script(bench: Bench, case: Case, place: str, expected: Expected) -> list[str]:
    return against_torch(bench.contract, case, place, allowance(expected))


def judge_forward(bench: Bench, case: Case) -> None:
    """Every output against torch's."""
    outputs, _ = bench.forward(case)
    reference = bench.reference(case)
    count = len(reference.truth.outputs)
    if len(outputs) != count:
        finding = f"the layer has {len(outputs)} outputs, torch has {count}"
        lines = [f"wrong = len(ask(layer, *case)[0]) != {count}"]
        raise Broken("outputs", finding, case, script=lines)
    for number, got in enumerate(outputs):
        expected = reference.output(number)
        bench.compare(
            got,
            expected,
            "output" if count == 1 else f"output {number}",
            case,
            script=partial(_script, bench, case, f"[0][{number}]", expected),
            verdict=partial(judge_output, bench.layer, bench.torch(case), case, number),
        )


def judge_gradients(bench: Bench, case: Case) -> None:
    """Every gradient against autograd's."""
    gradients = bench.ask(case).gradients
    for name in (name for name in case.differentiable if name not in gradients):
        lines = [f"wrong = ask(layer, *case)[1].get({name!r}) is None"]
        raise Broken(f"gradient of {name}", "the backward does not answer it", case, script=lines)
    reference = bench.reference(case)
    for name in case.differentiable:
        expected = reference.gradient(name)
        bench.compare(
            gradients[name],
            expected,
            f"gradient of {name}",
            case,
            script=partial(_script, bench, case, f'[1]["{name}"]', expected),
            verdict=partial(judge_gradient, bench.layer, bench.torch(case), case, name),
        )


def judge_dtype_and_shape(bench: Bench, case: Case) -> None:
    """Outputs have torch's dtypes and shapes, gradients those of the inputs they belong to."""
    answer = bench.ask(case)
    truth = bench.reference(case).at_dtype
    pairs = [
        (f"output {n}", got, want, f"[0][{n}]")
        for n, (got, want) in enumerate(zip(answer.outputs, truth.outputs, strict=False))
    ] + [
        (f"gradient of {n}", answer.gradients[n], truth.gradients[n], f'[1]["{n}"]')
        for n in case.differentiable
        if n in answer.gradients
    ]
    for what, got, want, place in pairs:
        got = np.asarray(got)
        bench.tally.count(1)
        if (got.dtype, got.shape) != (want.dtype, want.shape):
            finding = f"it is {got.dtype} {got.shape}, torch's is {want.dtype} {want.shape}"
            lines = [
                f"got = np.asarray(ask(layer, *case){place})",
                f"wrong = (got.dtype.name, got.shape) != {(want.dtype.name, want.shape)!r}",
            ]
            raise Broken(what, finding, case, script=lines)


def judge_nonfinite(bench: Bench, case: Case) -> None:
    """NaN and infinities, put into the case, against where torch has them; finite numbers are for the other laws."""
    case = with_special_values(case)
    answer = bench.ask(case)
    truth = bench.reference(case).at_dtype
    pairs = [
        (f"output {n}", got, want, f"[0][{n}]")
        for n, (got, want) in enumerate(zip(answer.outputs, truth.outputs, strict=False))
    ] + [
        (f"gradient of {n}", answer.gradients[n], truth.gradients[n], f'[1]["{n}"]')
        for n in answered(answer.gradients, case)
    ]
    for what, got, want, place in pairs:
        if np.shape(got) != want.shape:
            continue  # the law of dtypes and shapes reports it
        special = ~(np.isfinite(got) & np.isfinite(want))
        bench.tally.count(want.size)
        with np.errstate(invalid="ignore"):
            differ = special & ~((got == want) | (np.isnan(got) & np.isnan(want)))
        if differ.any():
            index = tuple(int(i) for i in np.argwhere(differ)[0])
            finding = f"at {list(index)} it is {np.asarray(got)[index]}, torch has {want[index]}"
            script = partial(against_torch, bench.contract, case, place, None)
            raise Broken(what, finding, case, script=script)


def with_special_values(case: Case) -> Case:
    """The case with NaN or infinities in one or two places of some of its inputs and cotangents, at least one array."""
    rng = np.random.default_rng(zlib.crc32(b"".join(a.tobytes() for a in case.inputs.values())))
    edit = list(NONFINITE.values())[rng.integers(len(NONFINITE))]
    places = [*case.differentiable, *range(len(case.cotangents))]
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
    "NaN and infinities come out where torch has them",
    judge_nonfinite,
    strict=True,
)
