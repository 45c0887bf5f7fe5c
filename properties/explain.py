"""Results in words and as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..oracle.budget import ALLOWED
from ..oracle.compare import Comparison
from ..oracle.vjp import Case
from .contract import call_arguments

if TYPE_CHECKING:
    from .events import Failure, LawResult, Result

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
    lines.append(f"  found after {failure.found_after} examples (seed {failure.seed})")
    if failure.script is not None:
        lines.append(f"  script: {failure.script}")
    return "\n".join(lines)


def explain_result(result: Result) -> str:
    """A line a law, and the findings."""
    name = result.layer if result.layer == result.contract else f"{result.layer} as {result.contract}"
    lines = [f"{name}: {'all laws hold' if result.passed else 'guilty'}"]
    lines += [f"  {_law_line(law)}" for law in result.laws]
    return "\n".join([*lines, *(f"\n{explain_failure(f)}" for f in result.failures)])


def _law_line(law: LawResult) -> str:
    state = "holds" if law.passed else "NOTHING JUDGED" if law.vacuous else "BROKEN"
    excluded = f", {law.excluded} of {law.elements} excluded" if law.excluded else ""
    return (
        f"{law.law:<20} {state:<7} {law.examples} examples, {law.cases} cases{excluded}, worst {law.worst:.2f} budgets"
    )


def result_as_dict(result: Result) -> dict[str, Any]:
    """JSON's types only; an infinite or missing number is a string."""
    return {
        "layer": result.layer,
        "contract": result.contract,
        "passed": result.passed,
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
                "seconds": round(law.seconds, 4),
                "failure": _failure_as_dict(law.failure) if law.failure else None,
            }
            for law in result.laws
        ],
    }


def _failure_as_dict(failure: Failure) -> dict[str, Any]:
    c = failure.comparison
    return {
        "what": failure.what,
        "finding": failure.finding,
        "verdict": failure.verdict and {"fault": failure.verdict.fault.value, "sentence": failure.verdict.sentence},
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
        "seed": failure.seed,
        "found_after": failure.found_after,
        "repeatable": failure.repeatable,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
