"""What is seen of a wrong answer, and what an explanation of it is; `diagnosis` tries them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from ..budget import ALLOWED, Expected, unit_roundoff
from ..vjp import Answer, Array, Case, Place, differentiable_outputs

# Where all values are of ordinary size, the inputs' rounding does not move a result by so many times its own rounding.
FAR = 2.0**20


class Pattern(Enum):
    """The ways in which hand-written gradients go wrong."""

    FACTOR = "factor"
    SIGN = "sign"
    PERMUTATION = "permutation"
    FLIP = "flip"
    MISSING_TERM = "missing term"
    DOUBLED_TERM = "doubled term"
    MASK = "mask"
    ZEROS = "zeros"
    STALE = "stale"
    FORWARD_VALUE = "forward value"


@dataclass(frozen=True)
class Call:
    """A case and what the layer answered to it."""

    case: Case
    answer: Answer


@dataclass(frozen=True, eq=False)
class Observation:
    """One array of a layer's answer beside what it should be.

    `place` says which: the number of an output, or the name of the input whose gradient it is. `truth` is torch's
    answer in float64, and `truth_of` asks torch about another case in the same way. `options` are those of the
    configuration with torch's defaults, `earlier` the calls of the same layer before this one. `plain` says that the
    values are of ordinary size.
    """

    case: Case
    place: Place
    expected: Expected
    answer: Answer
    truth: Answer
    truth_of: Callable[[Case], Answer]
    options: Mapping[str, Any]
    earlier: tuple[Call, ...] = ()
    plain: bool = False
    _asked: dict[str, Array | None] = field(default_factory=dict, repr=False)

    def picked(self, answer: Answer) -> Array | None:
        """The array in question out of an answer, in float64; None where there is none."""
        return np.asarray(answer[self.place], np.float64) if self.place in answer else None

    @cached_property
    def got(self) -> Array:
        """What the layer answered, in float64."""
        return np.asarray(self.answer[self.place], np.float64)

    @property
    def want(self) -> Array:
        """What it should have answered."""
        return self.expected.value

    @property
    def dy(self) -> Array:
        """The first cotangent."""
        return self.case.cotangents[0].astype(np.float64)

    @property
    def y(self) -> Array:
        """The output that the first cotangent belongs to."""
        return differentiable_outputs(self.truth.outputs, self.case)[0]

    @property
    def reals(self) -> dict[str, Array]:
        """The floating-point inputs, in float64."""
        return {name: a.astype(np.float64) for name, a in self.case.inputs.items() if a.dtype.kind == "f"}

    @property
    def what(self) -> str:
        """The array in words."""
        if isinstance(self.place, str):
            return f"the gradient of {self.place}"
        return "the output" if len(self.truth.outputs) == 1 else f"output {self.place}"

    @cached_property
    def wrong(self) -> bool:
        """Whether it differs from what it should be."""
        return self.got.shape != self.want.shape or not self.within(self.got - self.want)

    def within(self, error: Array, predicted: Array | float = 0.0) -> bool:
        """Whether errors are within what is allowed, also where they are those of a prediction that is larger.

        The costly part of the budget is asked for only where it may decide: among plain values, not for errors FAR
        beyond the rest. An answer of another shape, which a prediction may share, is allowed the largest budget.
        """

        def fitted(budget: Array) -> Array | float:
            return budget if budget.shape == np.shape(error) else float(budget.max(initial=0.0))

        with np.errstate(all="ignore"):
            size = unit_roundoff(self.case.dtype) * float(np.abs(predicted).max(initial=0))
            off = np.nan_to_num(np.abs(error), nan=np.inf)
            cheap = ALLOWED * (fitted(self._cheap) + size)
            if (off <= cheap).all():
                return True
            if self.plain and (off > FAR * cheap).any():
                return False
            return bool((off <= ALLOWED * (fitted(self.expected.budget) + size)).all())

    @cached_property
    def _cheap(self) -> Array:
        """The budget but for its last part, the costly one."""
        *_, cheap = (np.zeros(self.want.shape), *islice(self.expected.budgets(), len(self.expected.parts) - 1))
        return cheap

    @property
    def kind(self) -> str:
        """Configuration, shapes and dtype: what must be the same for two observations to be told apart by values."""
        shapes = {name: a.shape for name, a in self.case.inputs.items()}
        return repr((sorted(self.case.config.items()), shapes, self.case.dtype))

    @property
    def usable(self) -> bool:
        """Whether there are finite numbers to reproduce."""
        return self.want.dtype.kind == "f" and bool(np.isfinite(self.got).all() and np.isfinite(self.want).all())

    def reproduces(self, predicted: Array | None) -> bool | None:
        """Whether a predicted array is what the layer answered; None where there is no prediction."""
        if predicted is None or predicted.shape != self.got.shape:
            return None
        return self.within(self.got - predicted, predicted)

    def asked(self, label: str, change: Callable[[Case], Case | None]) -> Array | None:
        """torch's answer in the same place to a changed case, asked once for each label; None where it has none."""
        if label not in self._asked:
            self._asked[label] = self._ask(change)
        return self._asked[label]

    def _ask(self, change: Callable[[Case], Case | None]) -> Array | None:
        try:
            with np.errstate(all="ignore"):
                case = change(self.case.astype(np.float64))
                found = None if case is None else self.truth_of(case)[self.place]
        except Exception:  # torch refuses what the change has made, in whichever way
            return None
        return found if found is not None and np.isfinite(found).all() else None

    def with_input(self, name: str, label: str, change: Callable[[Array], Array | None]) -> Array | None:
        """torch's answer where one input is another array of the same shape."""

        def changed(case: Case) -> Case | None:
            if name not in case.inputs:
                return None
            new = change(case.inputs[name])
            if new is None or new.shape != case.inputs[name].shape:
                return None
            return replace(case, inputs={**case.inputs, name: new.copy()})

        return self.asked(f"{name}: {label}", changed)

    def with_cotangent(self, label: str, change: Callable[[Array], Array | None]) -> Array | None:
        """torch's answer where the cotangents are others of the same shape."""
        if isinstance(self.place, int):
            return None

        def changed(case: Case) -> Case | None:
            dys = tuple(change(dy) for dy in case.cotangents)
            if any(new is None or new.shape != dy.shape for new, dy in zip(dys, case.cotangents, strict=True)):
                return None
            return replace(case, cotangents=tuple(np.array(new) for new in dys))

        return self.asked(f"dy: {label}", changed)


# Whether the layer answered as explained; None where the explanation has nothing to say.
Explains = Callable[[Observation], bool | None]


@dataclass(frozen=True)
class Explanation:
    """A way to be wrong: its pattern, what it says, and what it explains."""

    pattern: Pattern
    sentence: str
    explains: Explains


Family = Callable[[Sequence[Observation]], Iterable[Explanation]]


def predicting(pattern: Pattern, sentence: str, predict: Callable[..., Array | None], *arguments: Any) -> Explanation:
    """An explanation that says what the layer answers: `predict(observation, *arguments)`."""
    return Explanation(pattern, sentence, lambda seen: seen.reproduces(predict(seen, *arguments)))


def axis_words(axes: Sequence[int]) -> str:
    """Axes in words."""
    names = [str(axis) for axis in axes]
    return f"axis {names[0]}" if len(names) == 1 else f"axes {', '.join(names[:-1])} and {names[-1]}"


def has_axes(a: Array, axes: tuple[int, ...]) -> bool:
    """Whether an array has these axes, each of them once."""
    return all(-a.ndim <= axis < a.ndim for axis in axes) and len({axis % a.ndim for axis in axes}) == len(axes)
