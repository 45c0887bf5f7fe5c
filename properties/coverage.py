"""What a run exercised: counted from what it drew, with the gaps and the options that change nothing named.

An option that a layer accepts and ignores is invisible where no drawn case shows it. So every drawn option is set back
to its default, on the same arrays, and torch and the layer are asked again: torch's answer must change in some case, or
the domain never shows the option; and where torch's changes, so must the layer's.
"""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.autograd import torch_vjp
from ..oracle.vjp import Array, Case, Vjp, arrays_of, differentiable_outputs, outputs_of
from .adapt import Layer
from .domain import Situation
from .values import EDITS, Real

DTYPES = ("float64", "float32")

# What the values of an array may show. Magnitudes: an edit moves them by 2⁻²⁰ or less, or by up to 2³⁰.
CONTENTS: dict[str, Callable[[Array], bool]] = {
    "positive": lambda a: bool((a > 0).any()),
    "negative": lambda a: bool((a < 0).any()),
    "zero": lambda a: bool(((a == 0) & ~np.signbit(a)).any()),
    "negative zero": lambda a: bool(((a == 0) & np.signbit(a)).any()),
    "ties": lambda a: np.unique(a).size < a.size,
    "tiny": lambda a: bool(((np.abs(a) < 2.0**-16) & (a != 0)).any()),
    "huge": lambda a: bool((np.abs(a) > 2.0**16).any()),
}
# ... and its shape.
SHAPES: dict[str, Callable[[Array], bool]] = {
    "empty": lambda a: a.size == 0,
    "axis of 1": lambda a: 1 in a.shape,
}

# An option is asked about until torch's answer has changed so often, or so many cases have it. And how many changes it
# takes to say that a layer which never changed ignores the option: one alone may be rounding.
ENOUGH = 20
MOST_ASKED = 200
SEVERAL = 3


@dataclass(frozen=True)
class OptionCoverage:
    """How one option was drawn, and what it changed.

    `values` counts the examples of each value and `away` those away from the default (None for an option without one).
    Of `asked` cases in which it was set back to its default, torch's answer changed in `shown`, and in `honoured` of
    those the layer's did too. Nothing can be asked where other arrays belong to the default (a bias, the groups of a
    convolution): there the arrays tell the option.
    """

    name: str
    values: Mapping[str, int]
    away: int | None
    asked: int
    shown: int
    honoured: int

    @property
    def ignored(self) -> bool:
        """Whether the layer never changed where torch did."""
        return self.shown >= SEVERAL and not self.honoured


@dataclass(frozen=True)
class Coverage:
    """What the laws that share the whole domain were tried on.

    Examples are counted in `options`, `pairs` (both options away from their defaults), `dtypes`, `edits` and `ranks`
    (by input); cases in `contents` (by input or cotangent). `gaps` says what is missing that should be there, `ignored`
    which options the layer accepts and ignores.
    """

    examples: int
    cases: int
    options: tuple[OptionCoverage, ...]
    pairs: Mapping[tuple[str, str], int]
    dtypes: Mapping[str, int]
    edits: Mapping[str, int]
    ranks: Mapping[str, Mapping[int, int]]
    contents: Mapping[str, Mapping[str, int]]
    gaps: tuple[str, ...]

    @property
    def ignored(self) -> tuple[str, ...]:
        """The options that changed torch's answers and never the layer's."""
        return tuple(option.name for option in self.options if option.ignored)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "examples": self.examples,
            "cases": self.cases,
            "options": {
                o.name: {
                    "values": dict(o.values),
                    "away_from_default": o.away,
                    "asked": o.asked,
                    "changed_torch": o.shown,
                    "changed_the_layer": o.honoured,
                }
                for o in self.options
            },
            "pairs": [{"options": list(pair), "examples": count} for pair, count in self.pairs.items()],
            "dtypes": dict(self.dtypes),
            "edits": dict(self.edits),
            "ranks": {name: {str(rank): n for rank, n in ranks.items()} for name, ranks in self.ranks.items()},
            "contents": {name: dict(counts) for name, counts in self.contents.items()},
            "gaps": list(self.gaps),
            "ignored": list(self.ignored),
        }


class Recorder:
    """Counts what a trial draws, case by case; `close` asks about the options and sums up."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        defaults = layer.contract.reference.defaults
        self._defaults = {n: v for n, v in defaults.items() if v is not inspect.Parameter.empty}
        self._free = [name for name in defaults if name not in layer.settled]
        self._examples = self._cases = 0
        self._values: dict[str, Counter[str]] = {name: Counter() for name in defaults}
        optional = [name for name in self._free if name in self._defaults]
        self._pairs = Counter(dict.fromkeys(itertools.combinations(optional, 2), 0))
        self._dtypes = Counter(dict.fromkeys(DTYPES, 0))
        self._edits = Counter(dict.fromkeys(EDITS, 0))
        self._ranks: dict[str, Counter[int]] = {}
        self._contents: dict[str, Counter[str]] = {}
        self._expected: dict[str, set[str]] = {}
        # For each option, the inputs there were where it had its default; and the cases to ask about.
        self._at_default: dict[str, set[tuple[str, ...]]] = {name: set() for name in self._defaults}
        self._to_ask: list[Case] = []
        self._chosen: Counter[str] = Counter()

    def __call__(self, situation: Situation, cases: Sequence[Case]) -> None:
        """One example."""
        config = situation.config
        for name, values in self._values.items():
            values[repr(config.get(name, self._defaults.get(name)))] += 1
        away = self._away(config)
        self._pairs.update(itertools.combinations(away, 2))
        self._dtypes[situation.dtype.name] += 1
        named = {edit: name for name, edit in EDITS.items()}
        self._edits.update({named[edit] for edit in situation.edits if edit in named})
        for name, spec in situation.specs.items():
            self._ranks.setdefault(name, Counter())[len(spec.shape)] += 1
        for case in cases:
            self._count(situation, case)
        for name in self._defaults:
            if name not in away:
                self._at_default[name].add(tuple(situation.specs))
        if any(self._chosen[name] < MOST_ASKED for name in away):
            self._chosen.update(away)
            self._to_ask.append(cases[self._examples % len(cases)])
        self._examples += 1
        self._cases += len(cases)

    def _away(self, config: Mapping[str, Any]) -> list[str]:
        """The options that are not at their default and not fixed, in the contract's order."""
        return [name for name in self._free if name in self._defaults and name in config]

    def _count(self, situation: Situation, case: Case) -> None:
        """What the arrays of one case show, and what arrays of their kind should show in some case."""
        many = len(case.cotangents) > 1
        cotangents = {f"dy[{n}]" if many else "dy": dy for n, dy in enumerate(case.cotangents)}
        arrays = {**case.inputs, **cotangents}
        for name, a in arrays.items():
            counts = self._contents.setdefault(name, Counter())
            counts.update(kind for kind, shows in SHAPES.items() if shows(a))
            if a.dtype.kind != "f":
                continue
            counts.update(kind for kind, shows in CONTENTS.items() if shows(a))
            spec = situation.specs.get(name)
            if a.size and (spec is None or isinstance(spec, Real)):  # other kinds hold what they were made for
                expected = self._expected.setdefault(name, set())
                expected.update(kind for kind in CONTENTS if kind != "ties" or a.size > 1)

    def close(self) -> Coverage:
        """Ask torch and the layer about the options, and sum up."""
        asked: dict[str, Counter[str]] = {name: Counter() for name in self._values}
        for case in self._to_ask:
            for name in self._away(case.config):
                if asked[name]["shown"] < ENOUGH and tuple(case.inputs) in self._at_default[name]:
                    asked[name].update(self._ask_without(name, case))
        options = tuple(
            OptionCoverage(
                name=name,
                values=dict(values.most_common()),
                away=self._examples - values[repr(self._defaults[name])] if name in self._defaults else None,
                asked=asked[name]["asked"],
                shown=asked[name]["shown"],
                honoured=asked[name]["honoured"],
            )
            for name, values in self._values.items()
        )
        return Coverage(
            examples=self._examples,
            cases=self._cases,
            options=options,
            pairs=dict(self._pairs),
            dtypes=dict(self._dtypes),
            edits=dict(self._edits),
            ranks={name: dict(sorted(ranks.items())) for name, ranks in self._ranks.items()},
            contents={n: {kind: counts[kind] for kind in (*CONTENTS, *SHAPES)} for n, counts in self._contents.items()},
            gaps=tuple(self._gaps(options)),
        )

    def _ask_without(self, name: str, case: Case) -> list[str]:
        """What is to be counted for one option of one case; nothing where torch does not take the arrays without it."""
        reset = {n: v for n, v in case.config.items() if n != name}
        bind = self._layer.contract.reference.bind

        def torch(config: Mapping[str, Any]) -> Vjp:
            return torch_vjp(bind(config), case.differentiable)

        theirs = _answer(torch, reset, case)
        if theirs is None:
            return []
        if _same(theirs, _answer(torch, case.config, case)):
            return ["asked"]
        # A layer that refuses what it took with the option has heeded it.
        kept = _same(_answer(self._layer.build, reset, case), _answer(self._layer.build, case.config, case))
        return ["asked", "shown"] if kept else ["asked", "shown", "honoured"]

    def _gaps(self, options: Sequence[OptionCoverage]) -> list[str]:
        gaps = []
        for o in (o for o in options if o.name in self._free):
            if len(o.values) == 1:
                gaps.append(f"the option {o.name} was always {next(iter(o.values))}")
            elif o.away == self._examples:
                gaps.append(f"the option {o.name} was never at its default")
            elif o.asked and not o.shown:
                gaps.append(f"the option {o.name} changed nothing in torch's answers to {o.asked} cases")
        drawn = {o.name for o in options if o.away}
        gaps += [
            f"the options {a} and {b} were never both away from their defaults"
            for (a, b), n in self._pairs.items()
            if not n and {a, b} <= drawn
        ]
        gaps += [f"no example in {dtype}" for dtype, n in self._dtypes.items() if not n]
        gaps += [f"no example with the edit {edit!r}" for edit, n in self._edits.items() if not n]
        for name, expected in self._expected.items():
            missing = [kind for kind in CONTENTS if kind in expected and not self._contents[name][kind]]
            if missing:
                gaps.append(f"{name} never showed: {', '.join(missing)}")
        missing = [kind for kind in SHAPES if not any(self._contents[name][kind] for name in self._ranks)]
        if missing:
            gaps.append(f"no input ever showed: {', '.join(missing)}")
        return gaps


def _answer(make: Callable[[Mapping[str, Any]], Vjp], config: Mapping[str, Any], case: Case) -> list[Array] | None:
    """The outputs and gradients; the outputs alone where the cotangents are not theirs; None where it refuses."""
    own = case.copies()
    try:
        y, backward = make(config)(**own.inputs)
        outputs = outputs_of(y)
        if [a.shape for a in differentiable_outputs(outputs, case)] != [dy.shape for dy in case.cotangents]:
            return list(outputs)
        gradients = arrays_of(backward(*own.cotangents))
    except Exception:  # torch and strangers raise whatever they like
        return None
    return [*outputs, *(gradients[name] for name in case.differentiable if name in gradients)]


def _same(one: Sequence[Array] | None, other: Sequence[Array] | None) -> bool:
    """Whether two answers are the same to the last digit."""
    if one is None or other is None or len(one) != len(other):
        return one is other
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))
