"""Conventions: layers that are right in themselves, but mean something else than torch by the same call.

Two kinds are known: the axes of an array stand in another order (channels last, samples in columns, a weight stored
transposed), and a sum stands where torch takes a mean, or the reverse. One counts only where it explains everything
that the layer answers, at several points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

import numpy as np

from .budget import Expected, Reference
from .compare import compare
from .finite import gaussian_direction
from .vjp import Answer, Array, Case, Outputs, Place, Vjp, ask

Axes = tuple[int, ...]
# So many weights may be stored in different orders.
FEW = 3


@dataclass(frozen=True)
class Layout:
    """The axes of some inputs, and of the outputs, in another order; `axes` by rank, torch's order to the layer's.

    Those named in `rotated` are filters whose kernel axes run backwards. `declared`: the arguments that declare it.
    """

    name: str
    inputs: Mapping[str, Axes]
    outputs: Callable[[int], Axes]
    rotated: frozenset[str] = frozenset()
    declared: str = ""

    def wrap(self, layer: Vjp) -> Vjp:
        """The layer, called and answering in torch's order."""

        def wrapped(**inputs: Array) -> tuple[Outputs, Callable[..., Mapping[str, Array]]]:
            own = {n: self._there(n, a) for n, a in inputs.items()}
            y, backward = layer(**own)
            several = isinstance(y, tuple)
            turned = tuple(self._back(np.asarray(part)) for part in (y if several else (y,)))

            def turned_backward(*dy: Array) -> Mapping[str, Array]:
                gradients = backward(*(part.transpose(self.outputs(part.ndim)).copy() for part in dy))
                return {n: self._home(n, np.asarray(g)) for n, g in gradients.items()}

            return (turned if several else turned[0]), turned_backward

        return wrapped

    def _there(self, name: str, a: Array) -> Array:
        a = np.flip(a, tuple(range(2, a.ndim))) if name in self.rotated else a
        return a.transpose(self.inputs[name]).copy() if name in self.inputs else a.copy()

    def _home(self, name: str, g: Array) -> Array:
        g = g.transpose(np.argsort(self.inputs[name])) if name in self.inputs else g
        return np.flip(g, tuple(range(2, g.ndim))) if name in self.rotated else g

    def _back(self, y: Array) -> Array:
        return y.transpose(np.argsort(self.outputs(y.ndim)))


def layouts(case: Case) -> Iterator[Layout]:
    """The other orders in which the arrays of this case might be meant, the simple ones first."""
    x = next(iter(case.inputs.values()))
    weights = {n: a.ndim for n, a in case.inputs.items() if a.ndim >= 2 and "weight" in n}
    filters = frozenset(name for name, rank in weights.items() if rank > 2)
    if filters:
        words = "the filter is rotated by 180°, a convolution in the strict sense"
        yield Layout(words, {}, same, filters, 'weight="(out, in, rotated kernel)"')
    stored = [[None, *_stored(name, rank)] for name, rank in weights.items()]
    # Of many weights all are stored alike: to try each by itself would take too long.
    for choice in product(*stored) if len(stored) <= FEW else zip(*stored, strict=False):
        parts = {name: part for name, part in zip(weights, choice, strict=True) if part is not None}
        said = [words for _, words in parts.values()]
        inputs = {name: axes for name, (axes, _) in parts.items()}
        stored_as = [_declared(inputs)] if inputs else []
        if inputs:
            yield Layout(", ".join(said), inputs, same, declared=", ".join(stored_as))
        for words, argument, order in _moved(x.ndim):
            same_rank = {n: order(a.ndim) for n, a in case.inputs.items() if n not in weights and a.ndim == x.ndim}
            declared = ", ".join([argument, *stored_as])
            yield Layout(", ".join([words, *said]), {**inputs, **same_rank}, _only(x.ndim, order), declared=declared)


def same(rank: int) -> Axes:
    """torch's own order."""
    return tuple(range(rank))


def _stored(name: str, rank: int) -> list[tuple[Axes, str]]:
    """How else a weight of torch's order (out, in, kernel…) may be stored."""
    kernel = tuple(range(2, rank))
    if not kernel:
        return [((1, 0), f"the {name} is stored transposed, (in, out)")]
    return [
        ((1, 0, *kernel), f"the {name} has its first two axes exchanged, (in, out, kernel)"),
        ((*kernel, 1, 0), f"the {name} is stored as (kernel, in, out)"),
        ((0, *kernel, 1), f"the {name} is stored as (out, kernel, in)"),
    ]


def _declared(stored: Mapping[str, Axes]) -> str:
    """The argument for weights that are stored in these orders."""
    orders = {name: '"(in, out)"' if len(axes) == 2 else str(axes) for name, axes in stored.items()}
    if list(orders) == ["weight"]:
        return f"weight={orders['weight']}"
    entries = ", ".join(f'"{name}": {order}' for name, order in orders.items())
    return f"weight={{{entries}}}"


def _moved(rank: int) -> list[tuple[str, str, Callable[[int], Axes]]]:
    """How else the axes of an input may stand, and the argument that declares it."""
    found: list[tuple[str, str, Callable[[int], Axes]]] = []
    orders: tuple[Callable[[int], Axes], Callable[[int], Axes]] = (
        lambda r: (0, *range(2, r), 1),
        lambda r: (*range(1, r), 0),
    )
    letters = {3: ("NLC", "HWC"), 4: ("NHWC", "DHWC"), 5: ("NDHWC",)}
    for layout, order in zip(letters.get(rank, ()), orders, strict=False):
        found.append((f"channels come last ({layout})", f'layout="{layout}"', order))
    if rank == 2:
        found.append(("samples stand in columns, (features, N)", "columns=True", lambda _: (1, 0)))
    return found


def _only(rank: int, order: Callable[[int], Axes]) -> Callable[[int], Axes]:
    """The order for outputs of the input's rank; others (a scalar loss) stay as they are."""
    return lambda r: order(r) if r == rank else same(r)


def other_layout(layer: Vjp, torch: Vjp, case: Case) -> str | None:
    """The layout under which everything the layer answers is torch's; None where there is none."""
    cases = [case, elsewhere(case)]
    for layout in layouts(case):
        if all(agrees_wholly(layout.wrap(layer), torch, tried) for tried in cases):
            return f"{layout.name}. If it is meant, declare it: {layout.declared}"
    return None


def averaged_over(answer: Answer, reference: Reference, case: Case) -> str | None:
    """The axes over which all parameters' gradients are averaged where torch sums; None where they are not."""
    x = next(iter(case.inputs.values()))
    others = [n for n in case.differentiable if n != "x"]
    names = [n for n in others if case.inputs[n].shape != x.shape or "weight" in n or "bias" in n]
    counts = {"the batch": x.shape[0], "all rows": x.size // x.shape[-1]} if x.ndim and x.size else {}
    for words, count in counts.items():
        times = {n: Answer((), {n: np.asarray(answer.gradients[n]) * count}) for n in names if n in answer.gradients}
        if count > 1 and times and all(agrees_at(n, scaled, reference.expected(n)) for n, scaled in times.items()):
            return (
                f"the gradients of {', '.join(names)} are averaged over {words} ({count}) instead of summed. "
                f'If it is meant, declare it: averaged_over="{words.split()[-1]}"'
            )
    return None


def multiple(layer: Vjp, torch: Vjp, case: Case, number: int) -> str | None:
    """The one number by which an output is a multiple of torch's, as a fraction; None where there is none.

    A single number is always a multiple of another: the factor must be the same at other inputs too.
    """
    factors = set()
    for tried in (case, elsewhere(case)):
        try:
            with np.errstate(all="ignore"):
                answer = ask(layer, tried)
        except Exception:  # a stranger's layer may raise anything at other inputs
            return None
        got, expected = answer.outputs[number], Reference(torch, tried).expected(number)
        want = expected.value
        if got.shape != want.shape or not np.isfinite(got).all() or not np.isfinite(want).all() or not want.any():
            return None
        largest = np.unravel_index(int(np.abs(want).argmax()), want.shape)
        factor = Fraction(float(got[largest] / want[largest])).limit_denominator(4096)
        if not factor or not compare(got / float(factor), expected).agrees:
            return None
        factors.add(factor)
    return _in_words(factors.pop(), case) if len(factors) == 1 else None


def _in_words(factor: Fraction, case: Case) -> str:
    """The factor, and what a number of that size may be: what was summed instead of averaged, or the reverse."""
    x = next(iter(case.inputs.values()))
    counts = {"the elements": x.size} | ({"the batch": x.shape[0]} if x.ndim else {})
    said = ""
    for words, count in counts.items():
        if count > 1 and factor in (count, Fraction(1, count)):
            said = (
                f": summed over {words} instead of averaged" if factor > 1 else f": averaged over {words}, not summed"
            )
    return f"the output is {factor} times torch's throughout{said}"


def agrees_wholly(layer: Vjp, torch: Vjp, case: Case) -> bool:
    """Whether all outputs and gradients are torch's."""
    try:
        with np.errstate(all="ignore"):
            answer = ask(layer, case)
    except Exception:  # the layout does not fit, or the layer cannot bear it: no explanation
        return False
    reference = Reference(torch, case)
    return len(answer.outputs) == len(reference.truth.outputs) and all(
        agrees_at(place, answer, reference.expected(place)) for place in reference.truth.places
    )


def agrees_at(place: Place, answer: Answer, expected: Expected) -> bool:
    """Whether an answer has this array, and it is what is expected."""
    return place in answer and answer[place].shape == expected.value.shape and compare(answer[place], expected).agrees


def elsewhere(case: Case) -> Case:
    """The case with its differentiable inputs moved along a random direction."""
    direction = gaussian_direction(case, np.random.default_rng(0), case.differentiable)
    return replace(case, inputs={**case.inputs, **{n: case.inputs[n] + v for n, v in direction.items()}})
