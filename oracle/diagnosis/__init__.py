"""How an answer is wrong: explanations, tried against several cases until one reproduces every wrong answer.

An explanation is accepted only where it gives, within the budget, what the layer answered in every wrong observation,
and in the right ones of the same configuration, shapes and dtype too. Specific explanations come before general ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import elementwise, factors, questions, rearrangements, terms
from .observation import Call, Explanation, Family, Observation, Pattern
from .questions import MOST_ASKED

__all__ = ["MOST_ASKED", "Call", "Diagnosis", "Observation", "Pattern", "diagnose"]


# From specific to general.
FAMILIES: tuple[Family, ...] = (
    rearrangements.other_shape,
    elementwise.zeros,
    elementwise.signs,
    questions.stale,
    questions.other_cotangents,
    factors.factors,
    rearrangements.flips,
    rearrangements.exchanges,
    rearrangements.reshapes,
    elementwise.zero_slices,
    questions.kinks,
    elementwise.masks,
    questions.other_inputs,
    terms.slices_of_the_cotangent,
    terms.along_axes,
    elementwise.forward_values,
    elementwise.handed_on,
    terms.single_terms,
    questions.options,
    factors.unnamed_factors,
    elementwise.holes,
    rearrangements.shuffles,
)


@dataclass(frozen=True)
class Diagnosis:
    """The pattern, and what is wrong in one sentence."""

    pattern: Pattern
    sentence: str

    def __str__(self) -> str:
        return f"{self.pattern.value}: {self.sentence}"


def diagnose(observations: Sequence[Observation]) -> Diagnosis | None:
    """The first explanation that holds in all observations; None where none does, or none of them is wrong."""
    wrong = [seen for seen in observations if seen.wrong and seen.usable]
    if not wrong:
        return None
    kinds = {seen.kind for seen in wrong}
    right = [seen for seen in observations if not seen.wrong and seen.kind in kinds and seen.usable]
    for family in FAMILIES:
        for explanation in family(wrong):
            if _holds(explanation, wrong, right):
                return Diagnosis(explanation.pattern, f"{wrong[0].what} {explanation.sentence}")
    return None


def _holds(explanation: Explanation, wrong: Sequence[Observation], right: Sequence[Observation]) -> bool:
    return all(explanation.explains(seen) for seen in wrong) and not any(
        explanation.explains(seen) is False for seen in right
    )
