"""Element by element: what a layer answered against what it should have, in budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .budget import ALLOWED, Expected
from .vjp import Array


@dataclass(frozen=True)
class Comparison:
    """The worst element of one array, and how much of it was really compared.

    `ratio` is the worst error in budgets: an upper bound where it is below 1, or below what the caller holds to be
    enough (the costly part of the budget is only computed where the cheap part does not suffice). `ulps` is the largest
    error in units in the last place of the array's largest element. `excluded` counts elements whose budget is
    infinite.
    """

    ratio: float
    index: tuple[int, ...]
    got: Any
    expected: Any
    budget: float
    elements: int
    excluded: int
    wrong: int
    ulps: float

    @property
    def agrees(self) -> bool:
        """Whether every element is within ALLOWED budgets."""
        return self.ratio <= ALLOWED


def compare(got: Array, expected: Expected, enough: float = 1.0) -> Comparison:
    """Compare an answer of the right shape with what was expected.

    NaN agrees with NaN and an infinity with itself, and with nothing else; integers agree when equal. Costly parts of
    the budget are left out once the ratio is no more than `enough`, and jumps are looked for where all of them do not
    suffice.
    """
    for budget in expected.budgets():
        ratios = _ratios(got, expected.value, budget)
        if not (ratios > enough).any():
            break
    if (ratios > ALLOWED).any():
        budget = expected.budget
        ratios = _ratios(got, expected.value, budget)
    if not ratios.size:
        return Comparison(0.0, (), None, None, 0.0, 0, 0, 0, 0.0)
    index = tuple(int(i) for i in np.unravel_index(int(ratios.argmax()), ratios.shape))
    return Comparison(
        ratio=float(ratios[index]),
        index=index,
        got=got[index].item(),
        expected=expected.value[index].item(),
        budget=float(budget[index]),
        elements=ratios.size,
        excluded=int(np.isinf(budget).sum()),
        wrong=int((ratios > ALLOWED).sum()),
        ulps=_ulps(got, expected.value, ratios, budget),
    )


def _ulps(got: Array, want: Array, ratios: Array, budget: Array) -> float:
    """The largest error in ULPs of the largest finite element."""
    if got.dtype.kind != "f":
        return 0.0
    size = np.abs(want).max(initial=0.0, where=np.isfinite(want))
    with np.errstate(all="ignore"):
        error = ratios * budget
        worst = error.max(initial=0.0, where=~np.isnan(error))  # a NaN is an excluded element
        return float(worst / np.spacing(got.dtype.type(size))) if worst else 0.0


def _ratios(got: Array, want: Array, budget: Array) -> Array:
    """Each element's error in budgets; 0 where both are NaN or equal, infinite where only one is finite."""
    with np.errstate(all="ignore"):
        same = (got == want) | ((got != got) & (want != want)) | np.isinf(budget)
        error = np.abs(got.astype(np.float64) - want.astype(np.float64))
        return np.asarray(np.where(same, 0.0, np.nan_to_num(error / budget, nan=np.inf, posinf=np.inf)))
