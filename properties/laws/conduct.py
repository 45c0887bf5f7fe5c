"""Laws of conduct: a layer leaves its arguments alone, keeps nothing between calls, and takes any memory layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from ...oracle.vjp import Answer, Array, Case, Place, arrays_of, outputs_of
from ..script import construction, decide
from .law import Bench, Broken, Law, allowance, answered, in_script, named


def other_case(case: Case) -> Case:
    """Another case of the same shapes, made from the first so that a script can make it too."""
    other = case.map(
        lambda a: np.flip(a).copy() if a.dtype.kind in "biu" else np.asarray(np.flip(a) * 0.5 + 1, a.dtype)
    )
    return replace(other, inputs={**other.inputs, **{name: case.inputs[name] for name in case.kept}})


def _other_lines(case: Case) -> list[str]:
    """The same in a script."""
    changed = "np.flip(a) if a.dtype.kind in 'biu' else np.flip(a) * a.dtype.type(0.5) + 1"
    if not case.kept:
        return [f"other = [{changed} for a in case]"]
    kept = [number for number, name in enumerate(case.inputs) if name in case.kept]
    return [f"other = [a if n in {kept} else {changed} for n, a in enumerate(case)]"]


def judge_purity(bench: Bench, case: Case) -> None:
    """Arguments are not modified, results do not share memory, and no call changes the answer of another."""
    _judge_arguments(bench, case)
    first = bench.ask(case)
    kept = _snapshot(first)
    _judge_aliases(bench, first, case)
    lines = ["first = bits(ask(layer, *case))", "wrong = first != bits(ask(layer, *case))"]
    _same(bench, bench.ask(case), kept, case, "the second time it is called", lines)

    # A new layer, which has seen nothing, is asked what this one, which has, is asked.
    other = other_case(case)
    fresh = _snapshot(bench.ask(other, bench.make(bench.config)))
    lines = [
        *_other_lines(case),
        f"layer = {construction(bench.layer.layer, case)}",
        "first = bits(ask(layer, *other))",
        f"layer = {construction(bench.layer.layer, case)}",
        "ask(layer, *case)",
        "wrong = first != bits(ask(layer, *other))",
    ]
    _same(bench, bench.ask(other), fresh, case, "after a call with other values", lines)
    if bench.layer.reentrant:
        _, backward = bench.forward(case)
        bench.ask(other)
        late = Answer(first.outputs, bench.backward(backward, case))
        lines = [
            *_other_lines(case),
            "first = bits(ask(layer, *case))",
            "y, later = start(layer, *inputs)",
            "ask(layer, *other)",
            "wrong = first != bits((y, later(*cotangents)))",
        ]
        _same(bench, late, kept, case, "when another call comes between forward and backward", lines)
    lines = [
        *_other_lines(case),
        "answer = ask(layer, *case)",
        "first = bits(answer)",
        "ask(layer, *other)",
        "wrong = first != bits(answer)",
    ]
    _same(bench, first, kept, case, "later, because its memory is used again", lines)


def _judge_arguments(bench: Bench, case: Case) -> None:
    """The layer gets its own copies, which must still be what they were."""
    own = case.copies()
    try:
        _, backward = bench.layer(**own.inputs)
    except Exception as error:
        raise bench.raised("forward", error, case) from error
    _unchanged(bench, case, own, "forward")
    try:
        backward(*own.cotangents)
    except Exception as error:
        raise bench.raised("backward", error, case) from error
    _unchanged(bench, case, own, "backward")


def _unchanged(bench: Bench, case: Case, own: Case, where: str) -> None:
    pairs = [(name, a, own.inputs[name]) for name, a in case.inputs.items()]
    pairs += [("dy", a, b) for a, b in zip(case.cotangents, own.cotangents, strict=True)]
    for name, before, now in pairs:
        bench.tally.count(1)
        if before.tobytes() != now.tobytes():
            lines = [
                "first = [a.tobytes() for a in case]",
                "ask_in_place(layer, *case)",
                "wrong = first != [a.tobytes() for a in case]",
            ]
            raise Broken(name, f"the {where} modifies its argument {name}", case, script=lines)


def _judge_aliases(bench: Bench, answer: Answer, case: Case) -> None:
    for a, b in combinations(answer.places, 2):
        bench.tally.count(1)
        if np.shares_memory(answer[a], answer[b]):
            lines = [
                "outputs, gradients = ask(layer, *case)",
                "results = [*outputs, *(g for g in gradients.values() if isinstance(g, np.ndarray))]",
                "wrong = any(np.shares_memory(a, b) for i, a in enumerate(results) for b in results[:i])",
            ]
            raise Broken(named(b), f"it shares memory with {named(a)}", case, script=lines)


def _snapshot(answer: Answer) -> Answer:
    return Answer(
        tuple(y.copy() for y in answer.outputs),
        {n: g.copy() for n, g in answer.gradients.items()},
    )


def _same(bench: Bench, answer: Answer, kept: Answer, case: Case, when: str, lines: list[str]) -> None:
    """Bit for bit the same answer, for it is the same computation."""
    for place in kept.places:
        bench.tally.count(1)
        if (now := answer.get(place)) is None or now.tobytes() != kept[place].tobytes():
            raise Broken(named(place), f"the answer changes {when}", case, script=lines)


def _strided(a: Array) -> Array:
    wide = np.full(tuple(2 * n for n in a.shape), 7, a.dtype)
    wide[tuple(slice(None, None, 2) for _ in a.shape)] = a
    return wide[tuple(slice(None, None, 2) for _ in a.shape)]


def _read_only(a: Array) -> Array:
    b = a.copy()
    b.flags.writeable = False
    return b


# The name of a view, how it is made, and the same as source.
VIEWS: Mapping[str, tuple[Callable[[Array], Array], str]] = {
    "strided": (_strided, "np.repeat(a.reshape(*a.shape, 1), 2, axis=-1)[..., 0]"),
    "transposed": (lambda a: np.asarray(a, order="F"), "np.asarray(a, order='F')"),
    "negative-stride": (lambda a: np.flip(np.flip(a).copy()), "np.flip(np.flip(a).copy())"),
    "read-only": (_read_only, "np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape)"),
}


def judge_views(bench: Bench, case: Case) -> None:
    """The same values in another memory layout give the same answer, within the budget (sums may be reordered)."""
    plain = bench.ask(case)
    for kind, (make, source) in VIEWS.items():
        own = case.map(make)
        try:
            y, backward = bench.layer(**own.inputs)
            got = Answer(outputs_of(y), arrays_of(backward(*own.cotangents)))
        except Exception as error:
            finding = f"with {kind} arrays the layer raises {type(error).__name__}: {error}"
            lines = [f"ask_in_place(layer, *({source} for a in case))  # raises", "wrong = False"]
            raise Broken(f"{kind} arrays", finding, case, script=lines) from error
        for place in (*range(len(plain.outputs)), *answered(plain.gradients, case)):
            _judge_view(bench, case, place, got, plain, (kind, source))


def _judge_view(bench: Bench, case: Case, place: Place, answer: Answer, plain: Answer, view: tuple[str, str]) -> None:
    """One array of the answer to a view against the answer to plain arrays."""
    got, want = answer.get(place), plain[place]
    if got is not None and got.tobytes() == want.tobytes():
        bench.tally.count(want.size)
        return
    kind, source = view
    # Both answers may be off, so the budget counts twice.
    twice = bench.reference(case).expected(place).replaced(want, 2)
    here = in_script(place)
    lines = [f"expected = ask(layer, *case){here}", f"got = ask_in_place(layer, *({source} for a in case)){here}"]
    bench.compare(
        got,
        twice,
        f"{named(place)} with {kind} arrays",
        case,
        script=lambda: [*lines, *decide(allowance(twice))],
    )


PURITY = Law(
    "purity",
    "arguments are not modified, results share no memory, and no call changes the answer of another",
    judge_purity,
)
VIEWS_LAW = Law("views", "strided, transposed, read-only and negative-stride arrays give the same answer", judge_views)
