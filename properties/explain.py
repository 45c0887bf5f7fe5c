"""Results in words and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..oracle.budget import ALLOWED
from ..oracle.compare import Comparison
from ..oracle.jurors import Opinion
from ..oracle.referee import Verdict
from ..oracle.vjp import Case
from .certificate import Certificate, sight, unseen
from .events import ACCURACY, Failure, LawResult, Result
from .twins import call_arguments

MOST_SHOWN = 12


def explain_case(shown: str, case: Case) -> list[str]:
    """The layer as it is built, and each array in one line."""
    arrays = [*case.inputs.items()]
    count = len(case.cotangents)
    arrays += [("dy" if count == 1 else f"dy[{n}]", dy) for n, dy in enumerate(case.cotangents)]
    width = max((len(name) for name, _ in arrays), default=0)
    lines = [shown]
    for name, a in arrays:
        values = str(a.tolist()) if a.size <= MOST_SHOWN else f"{a.size} values"
        lines.append(f"  {name:<{width}} = {values}  {a.dtype} {a.shape}")
    return lines


def explain_comparison(c: Comparison) -> str:
    """The worst element against what was expected."""
    place = f"[{', '.join(map(str, c.index))}]" if c.index else "the value"
    off = "infinitely many" if math.isinf(c.ratio) else f"{c.ratio:.3g}"
    return (
        f"worst at {place}: got {c.got!r}, expected {c.expected!r}; "
        f"{off} budgets of {c.budget:.2g} off, {ALLOWED:g} allowed ({c.wrong} of {c.elements} elements wrong)"
    )


def explain_failure(failure: Failure) -> str:
    """The whole finding: layer, law, which gradient, worst element, verdict, smallest case, script."""
    lines = [f"{failure.layer} breaks the law {failure.law}: {failure.statement}"]
    found = explain_comparison(failure.comparison) if failure.comparison else failure.finding
    lines.append(f"  {failure.what}: {found}")
    if failure.verdict is not None:
        lines.append(f"  verdict: {failure.verdict}")
        lines += _jury(failure.verdict)
    if failure.diagnosis is not None:
        lines.append(f"  diagnosis: {failure.diagnosis}")
    if failure.matters is not None:
        lines.append(f"  matters: {failure.matters}")
    if not failure.repeatable:
        lines.append(
            "  not repeatable: the same case passed when tried again, so the answer depends on earlier calls or chance"
        )
    if failure.after_another:
        lines.append(
            "  only after another call: a new layer answers this case rightly, so something is kept between calls"
        )
    lines.append("  smallest case:")
    lines += [f"    {line}" for line in explain_case(failure.shown, failure.case)]
    if failure.replayed:
        lines.append(f"  replayed from {failure.kept}")
    else:
        lines.append(f"  found after {failure.found_after} examples (seed {failure.seed})")
    if failure.script is not None:
        lines.append(f"  script: {failure.script}")
    return "\n".join(lines)


def _jury(verdict: Verdict) -> list[str]:
    """A line for each claim that was judged: who says what of it, and why the others abstain."""
    lines = []
    for whose in dict.fromkeys(whose for whose, _ in verdict.votes):
        votes = [vote for claim, vote in verdict.votes if claim == whose]
        parts = []
        for opinion in Opinion:
            said = [vote for vote in votes if vote.opinion is opinion]
            shown = [f"{v.juror}: {v.reason}" if opinion is Opinion.ABSTAINS else v.juror for v in said]
            if said:
                parts.append(
                    f"{len(said)} {opinion.value[:-1] if len(said) > 1 else opinion.value} ({'; '.join(shown)})"
                )
        lines.append(f"    jury on {whose}: {', '.join(parts)}")
    return lines


def explain_result(result: Result) -> str:
    """A line a law, and the findings."""
    name = result.layer if result.layer == result.contract else f"{result.layer} as {result.contract}"
    lines = [f"{name}: {'all laws hold' if result.passed else 'guilty' if result.failures else 'VACUOUS'}"]
    lines += [f"  {line}" for law in result.laws for line in _law_lines(law)]
    lines += [f"  skipped: {text}" for text in result.skipped]
    return "\n".join([*lines, *(f"\n{explain_failure(f)}" for f in result.failures)])


def _law_lines(law: LawResult) -> list[str]:
    state = "holds" if law.passed else "VACUOUS" if law.vacuous else "BROKEN"
    excluded = f", {law.excluded} of {law.elements} excluded" if law.excluded else ""
    points = ", ".join(f"{count} {kind}" for kind, count in sorted(law.kinds.items(), key=lambda item: -item[1]))
    ulps = f" (median {law.ulps:.2g} ulps)" if law.law in ACCURACY and law.passed else ""
    line = (
        f"{law.law:<20} {state:<7} {law.examples} examples, {law.cases} cases{excluded}, "
        f"worst {_budgets(law.worst)} budgets{ulps}{f'; points: {points}' if points else ''}"
    )
    caught = [f"  would have caught: {explain_certificates(law.certificates)}"] if law.certificates else []
    return [line, *caught, *(f"  {reason}" for reason in explain_vacuity(law))]


def _budgets(worst: float) -> str:
    return f"{worst:.2f}" if worst < 1e6 else f"{worst:.1e}"


def explain_certificates(certificates: Sequence[Certificate]) -> str:
    """x 3.6e-15 (float64), 1.9e-06 (float32); weight ..."""
    by_name: dict[str, list[str]] = {}
    for c in certificates:
        by_name.setdefault(c.name, []).append(f"{error_size(c.smallest)} ({c.dtype})")
    return "; ".join(f"{name} {', '.join(sizes)}" for name, sizes in by_name.items())


def error_size(error: float) -> str:
    """An error that would have been caught; infinite where none would."""
    return "nothing" if math.isinf(error) else f"{error:.1e}"


def explain_vacuity(law: LawResult) -> list[str]:
    """Why a law that was not broken has not passed; nothing where it has."""
    if not law.vacuous:
        return []
    if law.elements == law.excluded:
        return [f"nothing was judged: all {law.elements} elements were excluded"]
    return [
        f"the gradient of {c.name} could have been wrong unseen in {c.dtype}: {_blindness(c)}"
        for c in unseen(law.certificates)
    ]


def _blindness(c: Certificate) -> str:
    if not c.cases:
        return "it was zero, empty or not finite in every case that was drawn"
    caught = "nothing was" if math.isinf(c.smallest) else f"the smallest was {c.smallest:.1e}"
    return (
        f"an error of {sight(c.dtype):.1g} would have to be caught, and of what was tried in {c.cases} cases {caught}"
    )


def result_as_dict(result: Result) -> dict[str, Any]:
    """JSON's types only; an infinite or missing number is a string."""
    coverage = {"coverage": result.coverage.as_dict()} if result.coverage else {}
    return coverage | {
        "layer": result.layer,
        "contract": result.contract,
        "passed": result.passed,
        "skipped": result.skipped,
        "laws": [
            {
                "law": law.law,
                "passed": law.passed,
                "vacuous": law.vacuous,
                "examples": law.examples,
                "cases": law.cases,
                "elements": law.elements,
                "excluded": law.excluded,
                "worst_in_budgets": _plain(law.worst),
                "median_in_ulps": _plain(law.ulps),
                "points": dict(law.kinds),
                "seconds": round(law.seconds, 4),
                "failure": _failure_as_dict(law.failure) if law.failure else None,
                "certificates": [
                    {"gradient": c.name, "dtype": c.dtype, "smallest": _plain(c.smallest), "cases": c.cases}
                    for c in law.certificates
                ],
                "unseen": explain_vacuity(law),
            }
            for law in result.laws
        ],
    }


def _failure_as_dict(failure: Failure) -> dict[str, Any]:
    c = failure.comparison
    return {
        "what": failure.what,
        "finding": failure.finding,
        "verdict": failure.verdict and {
            "fault": failure.verdict.fault.value,
            "sentence": failure.verdict.sentence,
            "votes": [
                {"claim": whose, "juror": vote.juror, "opinion": vote.opinion.value, "reason": vote.reason}
                for whose, vote in failure.verdict.votes
            ],
        },
        "diagnosis": failure.diagnosis
        and {"pattern": failure.diagnosis.pattern.value, "sentence": failure.diagnosis.sentence},
        "matters": failure.matters,
        "worst": c and {
            "index": list(c.index),
            "got": _plain(c.got),
            "expected": _plain(c.expected),
            "budget": _plain(c.budget),
            "ratio": _plain(c.ratio),
            "wrong": c.wrong,
            "elements": c.elements,
        },
        "config": call_arguments(failure.case.config),
        "shapes": {name: list(np.shape(a)) for name, a in failure.case.inputs.items()},
        "dtypes": {name: a.dtype.name for name, a in failure.case.inputs.items()},
        "script": str(failure.script) if failure.script else None,
        "kept": str(failure.kept) if failure.kept else None,
        "replayed": failure.replayed,
        "seed": failure.seed,
        "found_after": failure.found_after,
        "repeatable": failure.repeatable,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
