"""Laws of calculus: a backward pass is the derivative of its own forward, and linear in the cotangent."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...oracle.budget import ALLOWED, Expected, unit_roundoff
from ...oracle.compare import compare
from ...oracle.finite import (
    Witness,
    along,
    cotangent_vector,
    gaussian_direction,
    slope,
    unit_direction,
    weigh,
    with_cotangents,
)
from ...oracle.kinks import classify
from ...oracle.referee import Verdict
from ...oracle.vjp import Array, Case, differentiable_outputs
from ..contract import Contract
from ..domain import Situation
from ..literals import array_source, script_name
from ..script import against_torch, decide
from ..values import EDITS
from .law import Bench, Broken, Law, allowance, answered, in_script, named

# Up to this many numbers in all differentiable inputs, the whole Jacobian is measured, one unit direction each.
SMALL = 6
# Steps that leave a point: what rounding may hide there and nothing else, and what is narrower than the shortest of the
# differences' steps.
NEIGHBOURS = (2.0**-36, 2.0**-12)
SINGULAR = {name: EDITS[name] for name in ("ties", "zeros", "equal rows")}


def judge_finite_differences(bench: Bench, case: Case) -> None:
    """<dx, v> against the finite difference of <dy, y> along v.

    Outputs at a kink or a tie have no derivative, so finite differences abstain: for those, and where digits are
    missing, the gradient is held against torch's, whose convention counts; so it is for the whole case where torch's
    gradient is a convention and no derivative. All are classified and counted.
    """
    outputs, backward = bench.forward(case)
    if [y.shape for y in differentiable_outputs(outputs, case)] != [dy.shape for dy in case.cotangents]:
        asked = sum(dy.size for dy in case.cotangents)
        bench.tally.count(asked, excluded=asked)  # the laws of the forward and of shapes report it
        return
    seed = zlib.crc32(b"".join(a.tobytes() for a in case.inputs.values()))
    rng = np.random.default_rng(seed)
    names = case.differentiable
    directions = [gaussian_direction(case, rng, names)]  # one each for the sub-cases of a draw
    if sum(case.inputs[n].size for n in names) <= SMALL:
        directions += [unit_direction(case, n, i) for n in names for i in np.ndindex(case.inputs[n].shape)]
    convention = any(holds(case) for holds in bench.contract.conventions.values())
    for direction in directions:
        found = slope(bench.layer, case, direction)
        seen = found.seen
        if convention:
            seen = np.zeros_like(seen)
            bench.tally.kinds["convention"] += seen.size
        else:
            bench.tally.kinds.update(kind.value for kind in classify(bench.layer, case, direction, found))
        excluded = 0 if seen.all() else _judge_unseen(bench, case, ~seen, backward)
        bench.tally.count(seen.size, excluded)
        visible = with_cotangents(case, np.where(seen, cotangent_vector(case), 0))
        gradients = bench.backward(backward, visible)
        if len(answered(gradients, case)) < len(names):
            continue  # the laws of gradients and of shapes report it
        if weigh(found, visible, direction, gradients).agrees:
            continue
        witness = along(bench.layer, visible, direction, gradients)
        if not witness.agrees:
            witness = _with_rounding(bench, visible, direction, witness)
        if witness.agrees:
            continue
        if not _isolated(bench, visible, direction, witness):
            raise _not_derivative(bench, visible, direction, gradients, witness)
        bench.tally.kinds["kink"] += 1
        bench.tally.count(0, _judge_unseen(bench, visible, seen, backward))


def _with_rounding(bench: Bench, case: Case, direction: Mapping[str, Array], witness: Witness) -> Witness:
    """Granted what rounding may do to <dx, v>: where large terms cancel, no difference of the forward shows it."""
    reference = bench.reference(case)
    rounding = float(sum((np.abs(v) * reference.expected(name).budget).sum() for name, v in direction.items()))
    return replace(witness, error=witness.error + rounding)


def _isolated(bench: Bench, case: Case, direction: Mapping[str, Array], witness: Witness) -> bool:
    """Whether the layer's gradient is what was measured as soon as the point is left, to either side along v.

    It may be curved, so it is the mean of both sides that has to be, and either about. Then it is a convention at this
    one point, which differences cannot see: max(-|x|, 0) has no slope anywhere, but a chain of conventions may give it
    one at 0. Or it is the slope of something narrower than the steps: x/√(x² + 1e-12) near 0. A gradient that is wrong
    is wrong beside the point, too.
    """
    gap = abs(witness.claimed - witness.measured)
    near = min(max(gap / 1000, ALLOWED * witness.error), gap / 8)

    def claimed(step: float) -> float:
        beside = {n: case.inputs[n] + step * v for n, v in direction.items()}
        _, backward = bench.forward(moved := replace(case, inputs={**case.inputs, **beside}))
        gradients = bench.backward(backward, moved)
        return sum(float((gradients[n] * v).sum()) for n, v in direction.items())

    for step in NEIGHBOURS:
        off = [claimed(s) - witness.measured for s in (step, -step)]
        if abs(sum(off)) / 2 <= near and max(map(abs, off)) <= gap / 8:
            return True
    return False


def _judge_unseen(bench: Bench, case: Case, unseen: Array, backward: Callable[..., Any]) -> int:
    """The gradients for these outputs alone against torch's; answers how many outputs torch says nothing of either."""
    hidden = with_cotangents(case, np.where(unseen, cotangent_vector(case), 0))
    gradients = bench.backward(backward, hidden)
    reference = bench.reference(hidden)
    silent = False
    for name in answered(gradients, hidden):
        expected = reference.expected(name)
        comparison = compare(gradients[name], expected, enough=ALLOWED)
        silent |= comparison.excluded > 0
        if not comparison.agrees:
            raise Broken(
                named(name),
                "",
                hidden,
                comparison=comparison,
                script=partial(against_torch, bench.contract, hidden, in_script(name), allowance(expected)),
                verdict=partial(bench.verdict, hidden, name, comparison.index),
            )
    return int(unseen.sum()) if silent else 0


def _not_derivative(
    bench: Bench, case: Case, direction: Mapping[str, Array], gradients: Mapping[str, Array], witness: Witness
) -> Broken:
    """The finding, with the input to blame: the one whose own part of the direction disagrees most."""
    alone = {n: {n: v} for n, v in direction.items()}
    parts = {n: _with_rounding(bench, case, v, along(bench.layer, case, v, gradients)) for n, v in alone.items()}
    name = max(parts, key=lambda n: _excess(parts[n]))
    if not parts[name].agrees:
        witness, direction = parts[name], {name: direction[name]}
    finding = (
        f"along a direction v, <dx, v> is {witness.claimed:.9g}, but the finite difference of its own forward is "
        f"{witness.measured:.9g} (± {ALLOWED * witness.error:.2g})"
    )
    return Broken(
        named(name),
        finding,
        case,
        verdict=partial(_verdict, bench, case, name, gradients[name], direction[name]),
        script=partial(_difference_script, case, direction, witness),
    )


def _verdict(bench: Bench, case: Case, name: str, gradient: Array, direction: Array) -> Verdict:
    """The referee judges one element: that which is furthest from torch's; if none is, the direction's largest."""
    comparison = compare(gradient, bench.reference(case).expected(name))
    largest = tuple(int(i) for i in np.unravel_index(int(np.abs(direction).argmax()), direction.shape))
    return bench.verdict(case, name, largest if comparison.agrees else comparison.index)


def _excess(witness: Witness) -> float:
    return abs(witness.measured - witness.claimed) / witness.error if witness.error else np.inf


def _difference_script(case: Case, direction: Mapping[str, Array], witness: Witness) -> list[str]:
    names = [script_name(name) for name in case.inputs]
    moved = {script_name(name): v for name, v in direction.items()}
    # The plain central difference has an error of order h²: half the disagreement tells wrong from right.
    allowed = abs(witness.measured - witness.claimed) / 2
    terms = [f'(gradients["{name}"] * v_{script_name(name)}).sum()' for name in direction]
    return [
        *(f"v_{name} = {array_source(v)}" for name, v in moved.items()),
        "def loss(h):",
        f"    moved = [{', '.join(f'{n} + h * v_{n}' if n in moved else n for n in names)}]",
        "    return sum((dy * y).sum() for dy, y in zip(cotangents, ask(layer, *moved, *cotangents)[0]))",
        "h = 2.0**-12",
        "gradients = ask(layer, *case)[1]",
        f"got = {' + '.join(terms)}",
        "expected = (loss(h) - loss(-h)) / (2 * h)",
        'print(f"got {got}, expected {expected}")',
        f"wrong = not abs(got - expected) <= {allowed!r}",
    ]


def _difference_strategy(contract: Contract, fixed: Mapping[str, Any]) -> st.SearchStrategy[Situation]:
    # Mostly smooth points, where there is a derivative to measure; kinks and ties by edits, and by few whole numbers.
    return contract.situations(fixed=fixed, dtypes=("float64",), edits=SINGULAR, generic=True)


def judge_linearity(bench: Bench, case: Case) -> None:
    """backward(2·dy - dy'/2) against 2·backward(dy) - backward(dy')/2, and backward(0) against 0."""
    _, backward = bench.forward(case)
    other = replace(case, cotangents=tuple(second_cotangent(dy) for dy in case.cotangents))
    mixed = tuple(2 * a - b / 2 for a, b in zip(case.cotangents, other.cotangents, strict=True))
    both = replace(case, cotangents=mixed)
    nothing = replace(case, cotangents=tuple(np.zeros_like(dy) for dy in case.cotangents))
    first, second, mix, zero = (bench.backward(backward, c) for c in (case, other, both, nothing))
    names = set.intersection(*(set(answered(gradients, case)) for gradients in (first, second, mix, zero)))
    for name in sorted(names):
        with np.errstate(all="ignore"):
            a, b, got, none = (np.asarray(g[name], np.float64) for g in (first, second, mix, zero))
            linear = 2 * a - b / 2
        finite = np.isfinite(linear)
        bench.tally.count(finite.size, int((~finite).sum()))
        linear, got, a, b = (np.where(finite, part, 0) for part in (linear, got, a, b))
        # What rounding may do to numbers of that size needs no reference, and is nearly always enough.
        size = 2 * np.abs(a) + np.abs(b) / 2 + np.abs(got)
        rounding = unit_roundoff(case.dtype) * (size + size.max(initial=0))
        if not (np.abs(got - linear) <= ALLOWED * rounding).all():
            expected = _sum_of_budgets(bench, name, linear, (2, case), (0.5, other), (1, both))
            bench.compare(
                got,
                expected,
                f"{named(name)} for the cotangent 2·dy - dy'/2, expected from those for dy and dy'",
                case,
                script=partial(_linear_script, name, expected),
                enough=ALLOWED,
            )
        if (finite & (none != 0)).any():
            lines = [
                f"got = ask(layer, *inputs, *(0 * dy for dy in cotangents)){in_script(name)}",
                "wrong = np.any(got != 0)",
            ]
            finding = "it is not zero for a cotangent of zeros"
            raise Broken(named(name), finding, case, script=lines)


def _sum_of_budgets(bench: Bench, name: str, value: Array, *cases: tuple[float, Case]) -> Expected:
    """A value that was summed from answers to several cases, with the sum of their budgets.

    All cases have one forward, which is on one side of every kink. But where a softmax is given 1e13 and one digit of
    that decides all, only a try that is off by one digit shows what rounding does to the backward.
    """
    budgets = [(times, bench.reference(case).expected(name)) for times, case in cases]

    def total(pick: Callable[[Expected], Array | float]) -> Array:
        return np.asarray(sum(times * pick(expected) for times, expected in budgets))

    def part(number: int) -> Array:
        return total(lambda expected: expected.parts[number]())

    parts = tuple(partial(part, number) for number in range(len(budgets[0][1].parts)))
    jump, seldom = partial(total, lambda e: e.jump()), partial(total, lambda e: e.seldom())
    return Expected(value, parts, partial(total, lambda e: e.nearby()), jump, seldom)


def _linear_script(name: str, expected: Expected) -> list[str]:
    place = in_script(name)
    return [
        "other = [np.flip(dy) * 0.5 + 1 for dy in cotangents]",
        "mixed = [2 * a - b / 2 for a, b in zip(cotangents, other)]",
        f"got = ask(layer, *inputs, *mixed){place}",
        f"expected = 2 * ask(layer, *case){place} - ask(layer, *inputs, *other){place} / 2",
        *decide(allowance(expected)),
    ]


def second_cotangent(dy: Array) -> Array:
    """Another cotangent of the same shape, made from the first so that a script can make it too."""
    return np.asarray(np.flip(dy) * 0.5 + 1, dy.dtype)


FINITE_DIFFERENCES = Law(
    "finite_differences",
    "every gradient is the finite difference of the layer's own forward",
    judge_finite_differences,
    strategy=_difference_strategy,
    dtypes=("float64",),
)
LINEARITY = Law("linearity", "the backward is linear in the cotangent, and zero at zero", judge_linearity)
