"""The error budget: how far from the truth rounding alone may bring each element of an answer. Computed, never chosen.

`t` is the reference in float64 on the same (rounded) inputs and cotangents, T the dtype under test and u its unit
roundoff. The budget of an element is the sum of
- how far t moves when every input, cotangent and intermediate result of the reference moves by ±u at random (the
  conditioning of the problem and of the reference's way to solve it: where a sigmoid saturates, 1 - y has no digit
  left); for an answer in float64 that is outside of all this, by a small step as well as by a large one;
- u·|t|, and u·max|t| over the array (the rounding of intermediates);
- the reference's own error at T, max|torch_T - t| over the array, but at most six times its root mean square; for
  float64 it is estimated from float32, and from what comes out where operations of torch that compute several things
  at once are taken apart (batch normalisation adds thousands of numbers one by one, in float32 with more digits) and
  sums are added one by one; for an answer that is outside of all this, at least the error in float32 at four points
  nearby, for whole numbers are lucky: float32 holds their squares, and their sums cancel without a trace;
- how far t jumps, by more than ALLOWED times the rest, when every intermediate result that is not exact is off by its
  last digit, and when all have T's digits only and some are off by the last: where a difference should be zero and is
  one rounding, that decides on which side of a kink the reference is, and another program may be on the other; where
  that moves an output by half of its largest element or more, no gradient is known, though it may be the same at both
  ends (a softmax of scores that cancelled is one row or another, its gradient zero in both, and steep in between);
- T's smallest normal number, times the largest that enters (below it intermediates may be lost: e^-730 is 0 to torch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np

from .autograd import RoundingErrors
from .vjp import Answer, Array, Case, Place, Vjp, ask

# How many budgets an answer may be off. One number for all layers, outputs, gradients and dtypes: a budget is an
# estimate of a rounding error's size, not a bound. See docs/budgets.md for what was measured.
ALLOWED = 16.0

TRIES, NEARBY = 8, 4
# How many operations are disturbed where the others are only rounded: of a deep network most have to stay.
SHARES = (1 / 4, 1 / 8, 1 / 16)
# The inputs are moved by a larger step and the movement is scaled back to u. A jump at a kink does not shrink with the
# step, so scaling back keeps it from excusing a wrong convention there.
STEP = 2.0**-12
# Where layers multiply the movement (a layer norm of equal features by hundreds), that is too far for a slope; float64
# has the digits for a smaller step.
FINE = 2.0**-26


def unit_roundoff(dtype: np.dtype[np.floating]) -> float:
    """Half the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps) / 2


@dataclass(frozen=True)
class Expected:
    """One array of the reference's answer with its budget.

    `value` is the truth in float64. `parts` are the terms of the budget from cheap to costly; most answers are within
    the first and never ask for the others. `nearby`, the reference's error at other points and what a smaller step
    moves it by, and `jump`, what a kink adds, are asked for by answers that are outside; `seldom`, what a kink adds in
    one of many tries, where no digit is known. A budget of more than `most`, all that T can hold, is infinite.
    """

    value: Array
    parts: tuple[Callable[[], Array | float], ...]
    nearby: Callable[[], Array | float] = lambda: 0.0
    jump: Callable[[], Array | float] = lambda: 0.0
    seldom: Callable[[], Array | float] = lambda: 0.0
    most: float = np.inf

    def budgets(self) -> Iterator[Array]:
        """The sum of the first part, of the first two, and so on to all of them."""
        total: Array = np.zeros(self.value.shape)
        for part in self.parts:
            total = total + part()
            yield total

    @cached_property
    def budget(self) -> Array:
        """The whole budget, element by element; infinite where torch in T has no finite answer but float64 has."""
        *_, smooth = self.budgets()
        smooth = np.maximum(smooth, self.nearby())
        jump = np.asarray(self.jump())
        whole = smooth + np.where(jump > ALLOWED * smooth, jump, 0.0)  # below it is the movement once more
        finite = np.isfinite(whole) & np.isfinite(self.value)
        largest = whole.max(initial=0.0, where=finite)
        # No digit of the array is known where all of it has cancelled. Which of its elements rounding hits how hard is
        # then the way of one implementation: the budget of each is that of all, and any jump of one is every other's. A
        # few tries say that rounding decides, and not yet how far it goes.
        if largest >= np.abs(self.value).max(initial=0.0, where=finite):
            farthest = np.maximum(jump, self.seldom()) if jump.any() else jump
            whole = np.maximum(whole, max(largest, _largest(farthest)))
        return np.where(whole > self.most, np.inf, whole)

    def replaced(self, value: Array, times: float = 1) -> Expected:
        """Another value with the same budget, or a multiple of it."""
        parts = tuple(lambda part=part: times * part() for part in self.parts)
        jump, seldom = (lambda: times * self.jump()), (lambda: times * self.seldom())
        return Expected(value, parts, lambda: times * self.nearby(), jump, seldom, self.most)


class Reference:
    """The truth for one case, and what rounding may do to it; costly parts are computed when asked for."""

    def __init__(self, vjp: Vjp, case: Case) -> None:
        self._vjp = vjp
        self._case = case
        self._dtype = case.dtype
        self._known: dict[Place, Expected] = {}

    @cached_property
    def at_dtype(self) -> Answer:
        """torch's answer in the dtype of the case."""
        return self.truth if self._dtype == np.float64 else self._ask(self._case)

    @cached_property
    def truth(self) -> Answer:
        """torch's answer in float64."""
        return self._ask(self._case.astype(np.float64))

    @property
    def alternatives(self) -> Iterator[Answer]:
        """What torch answers in float64, and where rounding errors disturb it; first the tries of the budget.

        Where infinities meet, operations that are taken apart may answer otherwise: there are tries of both kinds. And
        a large disturbance may push to one side what rounding leaves at zero or on either; the sign of what is small
        beside others of its array is nobody's.
        """
        yield self.truth
        yield from self._moved
        yield from self._rounded_otherwise
        yield from self._tries(range(TRIES, 4 * TRIES))
        yield from self._tries(range(4 * TRIES, 7 * TRIES), whole=True)
        yield from self._rounded_normwise

    def expected(self, place: Place) -> Expected:
        """What the array at this place should be.

        Made once for each array, and so is each part of its budget: several laws and the certificate ask.
        """
        if place not in self._known:
            t = self.truth[place]
            parts: list[Callable[[], Array | float]] = [partial(self._rounding, t)]
            parts += [partial(self._own_error, place), partial(self._movement, place, STEP)]
            nearby, jump, seldom = (cache(partial(part, place)) for part in (self._nearby, self._jump, self._seldom))
            exact, most = Expected(t, (lambda: 0.0,)), float(np.finfo(self._dtype).max)
            known = Expected(t, tuple(map(cache, parts)), nearby, jump, seldom, most)
            self._known[place] = known if t.dtype.kind == "f" else exact
        return self._known[place]

    def _ask(self, case: Case) -> Answer:
        with np.errstate(all="ignore"):
            return ask(self._vjp, case)

    @cached_property
    def _single(self) -> tuple[Answer, Answer]:
        """torch in float32 and in float64 on the same float32 inputs, whose difference scales to float64's error."""
        return self._rounded(self._case)

    @cached_property
    def _single_nearby(self) -> list[tuple[Answer, Answer]]:
        """The same where inputs and cotangents are moved."""
        rng = np.random.default_rng(0)
        return [self._rounded(_moved(self._case.astype(np.float64), rng, STEP)) for _ in range(NEARBY)]

    def _rounded(self, case: Case) -> tuple[Answer, Answer]:
        rounded = case.astype(np.float32)
        return self._ask(rounded), self._ask(rounded.astype(np.float64))

    @cached_property
    def _apart(self) -> Answer:
        """torch's answer in float64 by other ways: what it does at once is done one by one."""
        with RoundingErrors(0.0, 0):
            return self._ask(self._case.astype(np.float64))

    def _own_error(self, place: Place) -> Array | float:
        """The size of |torch_T - t| over the array; infinite where they are not finite alike."""
        t = self.truth[place]
        if self._dtype != np.float64:
            low = self.at_dtype[place]
            same = (low == t) | (np.isnan(low) & np.isnan(t))
            return _typical(low - t) + np.where(np.isfinite(low - t) | same, 0, np.inf)
        with np.errstate(invalid="ignore"):
            return max(self._scaled(place, *self._single), _typical(self._apart[place] - t))

    def _scaled(self, place: Place, low: Answer, high: Answer) -> float:
        """The size of torch's error in float32, scaled to T's."""
        with np.errstate(invalid="ignore"):
            error = _typical(low[place] - high[place])
        return error * unit_roundoff(self._dtype) / unit_roundoff(np.dtype(np.float32))

    def _nearby(self, place: Place) -> Array | float:
        """The largest of torch's errors at points nearby; in float64 no less than the movement by a smaller step."""
        error = max(self._scaled(place, *answers) for answers in self._single_nearby)
        return error if self._dtype != np.float64 else np.maximum(error, self._movement(place, FINE))

    def _rounding(self, t: Array) -> Array:
        """u·|t| + u·max|t| + what underflow may do."""
        size = np.where(np.isfinite(t), np.abs(t), 0)
        return np.asarray(unit_roundoff(self._dtype) * (size + size.max(initial=0)) + self._underflow)

    @cached_property
    def _underflow(self) -> float:
        """The smallest normal number, times the largest that enters: an intermediate below it may be lost."""
        arrays = [a for a in (*self._case.inputs.values(), *self._case.cotangents) if a.dtype.kind == "f"]
        return float(np.finfo(self._dtype).tiny) * max(1.0, *(_largest(a.astype(np.float64)) for a in arrays))

    @cached_property
    def _moved(self) -> list[Answer]:
        return list(self._tries(range(TRIES)))

    @cached_property
    def _nudged(self) -> list[Answer]:
        return list(self._tries(range(TRIES), step=FINE))

    def _tries(self, seeds: range, *, whole: bool = False, step: float = STEP) -> Iterator[Answer]:
        """The reference with inputs, cotangents and intermediates moved by ±step, relative to each element."""
        case = self._case.astype(np.float64)
        rng = np.random.default_rng(seeds.start)  # the same tries for every case: judging is repeatable
        for seed in seeds:
            moved = _moved(case, rng, step)
            with RoundingErrors(step, seed, whole=whole):
                answer = self._ask(moved)
            # A reference may look for one of its intermediates in its input (amax does, to find the ties) and fail on a
            # disturbed one; that is no property of the problem.
            yield answer if self._as_finite(answer) else self._ask(moved)

    def _as_finite(self, answer: Answer) -> bool:
        """Whether an answer is finite wherever the truth is."""
        pairs = ((answer[place], self.truth[place]) for place in answer.places)
        return all(bool((np.isfinite(a) | ~np.isfinite(t)).all()) for a, t in pairs)

    @cached_property
    def _rounded_otherwise(self) -> list[Answer]:
        """The reference on the case as it is, with intermediate results off by their last digit.

        Every other try turns all signs of the one before: two numbers of which one rounding says which is larger change
        places in one of the two unless their signs were equal, and in none of all these with a chance of 2 ** -TRIES.
        """
        case = self._case.astype(np.float64)
        answers = []
        for seed in range(TRIES):
            for step in (self._digit, -self._digit):
                with RoundingErrors(step, seed, exact=True):
                    answers.append(self._ask(case))
        return answers

    @cached_property
    def _rounded_to_digits(self) -> list[Answer]:
        """The reference with T's digits, and with results of some operations off by the last one.

        It is what others compute who add in another order. Numbers become equal that float64 tells apart, and that
        decides as well: of scores so large that a digit makes a weight 1 or 0, two that are equal share it. T's range
        is not what is asked for here: what overflows to torch need not overflow to others.
        """
        return list(self._to_digits(range(TRIES)))

    @cached_property
    def _rounded_again(self) -> list[Answer]:
        """More of the same: through several layers, each a step, only one rounding in fifty may let a gradient pass."""
        return list(self._to_digits(range(TRIES, 4 * TRIES)))

    def _to_digits(self, seeds: range) -> Iterator[Answer]:
        case, bits = self._case.astype(np.float64), np.finfo(self._dtype).nmant + 1
        for seed in seeds:
            for share in SHARES:
                with RoundingErrors(self._digit, seed, exact=True, share=share, bits=bits):
                    yield self._ask(case)

    @property
    def _digit(self) -> float:
        """The last digit of T, relative to a number."""
        return 2 * unit_roundoff(self._dtype)

    @property
    def _rounded_normwise(self) -> Iterator[Answer]:
        """The reference on the case as it is, with intermediate results off by the last digit of their largest."""
        case = self._case.astype(np.float64)
        for seed in range(2 * TRIES):
            with RoundingErrors(self._digit, seed, normwise=True):
                yield self._ask(case)

    def _jump(self, place: Place) -> Array:
        """The largest difference of each element; infinite where t stops being finite, or no gradient is known."""
        t = self.truth[place]
        if isinstance(place, str) and self._torn:
            return np.full(t.shape, np.inf)
        return _farthest((answer[place] for answer in (*self._rounded_otherwise, *self._rounded_to_digits)), t)

    def _seldom(self, place: Place) -> Array:
        """The largest difference of each element in the tries that are made where no digit is known."""
        return _farthest((answer[place] for answer in self._rounded_again), self.truth[place])

    @cached_property
    def _torn(self) -> bool:
        """Whether an element of an output that counts jumps by half the output's largest or more."""
        for number, dy in enumerate(self._case.cotangents):
            expected = self.expected(number)
            *_, smooth = expected.budgets()
            jump = np.asarray(expected.jump())
            large = (jump > ALLOWED * smooth) & (jump >= _largest(expected.value) / 2)
            if (large & (dy != 0)).any():
                return True
        return False

    def _movement(self, place: Place, step: float) -> Array:
        """The largest movement of each element, scaled from step back to u; infinite where t stops being finite."""
        answers = self._moved if step == STEP else self._nudged
        return _farthest((answer[place] for answer in answers), self.truth[place]) * (unit_roundoff(self._dtype) / step)


def _moved(case: Case, rng: np.random.Generator, step: float) -> Case:
    """The case with inputs and cotangents moved by ±step, relative to each element."""

    def move(a: Array) -> Array:
        return np.asarray(a * (1 + step * (2 * rng.integers(0, 2, a.shape) - 1))) if a.dtype.kind == "f" else a

    return case.map(move)


def _farthest(answers: Iterable[Array], t: Array) -> Array:
    """The largest distance of each element from t; infinite where one of both is finite, infinite or NaN alone."""
    farthest = np.zeros(t.shape)
    with np.errstate(invalid="ignore"):
        for answer in answers:
            difference = np.abs(answer - t)
            lost = ~np.isfinite(difference) & (answer != t) & ~(np.isnan(answer) & np.isnan(t))
            farthest = np.fmax(farthest, np.where(lost, np.inf, difference))
    return farthest


def _typical(difference: Array) -> float:
    """The largest finite magnitude, but no more than six times their root mean square.

    Of many sums the worst is far worse than the others, and may not excuse them. Where a single element is off, six
    times the root mean square of up to 9,216 elements still is a sixteenth of it, and ALLOWED budgets all of it.
    """
    size = np.abs(difference[np.isfinite(difference)]).astype(np.float64)
    largest = float(size.max(initial=0.0))
    if not largest:
        return 0.0
    return largest * min(1.0, 6 * float(np.sqrt(np.square(size / largest).mean())))  # no overflow, no underflow


def _largest(difference: Array) -> float:
    """The largest finite magnitude, 0 where there is none."""
    size = np.abs(difference)
    return float(size.max(initial=0.0, where=np.isfinite(size)))
