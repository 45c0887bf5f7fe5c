"""A contract tried out when it is made: mistakes in it show where they are written, and not in somebody's trial."""

from __future__ import annotations

import warnings

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st

from ..oracle.autograd import deterministic_torch
from ..oracle.vjp import Case
from .contract import Contract
from .domain import Draft, Situation
from .twins import call_arguments

# How many configurations.
TRIED = 30


class _Refused(Exception):  # noqa: N818 - carried out of Hypothesis, and said as a ValueError
    """The reference cannot be used for a case."""


def try_out(contract: Contract) -> None:
    """Ask the reference in a few configurations; ValueError where it cannot be used, or where there is none."""

    @st.composite
    def situations(draw: st.DrawFn) -> Situation:
        draft = Draft(draw, contract.reference.defaults, {})
        specs = contract.domain(draft)
        return Situation(draft.config, specs, np.dtype(draw(st.sampled_from(("float64", "float32")))), seed=0)

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=TRIED,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @hypothesis.given(situations())
    def ask(situation: Situation) -> None:
        _ask(contract, situation)

    try:
        with deterministic_torch(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ask()
    except hypothesis.errors.Unsatisfiable as error:
        raise ValueError(f"{contract.name}: where answers no to all lengths and options that were drawn") from error
    except _Refused as refused:
        raise ValueError(str(refused)) from refused.__cause__


def _ask(contract: Contract, situation: Situation) -> None:
    """Ask the reference in one configuration; _Refused where it raises, or its answer has no gradient."""
    case = situation.case(0)
    if not case.differentiable:
        raise _Refused(f"{contract.name}: no input has a gradient, so there is no backward pass to try")
    shapes = ", ".join(f"{name} {a.shape}" for name, a in case.inputs.items())
    options = f" and {call_arguments(case.config)}" if case.config else ""
    asked = f"{contract.name}: for {shapes}{options} the reference"
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # if it draws, it draws the same when Hypothesis tries this again
            y, again = (contract.reference.bind(case.config)(**_tensors(case)) for _ in range(2))
    except Exception as error:  # a user's function may raise anything
        raise _Refused(
            f"{asked} raises {type(error).__name__}: {error}\n"
            "Correct the reference or the shapes, or say which lengths and options belong together: where=lambda …: …"
        ) from error
    parts, others = (outputs if isinstance(outputs, tuple) else (outputs,) for outputs in (y, again))
    if not parts or not all(isinstance(part, torch.Tensor) for part in parts):
        raise _Refused(f"{asked} answers {type(y).__name__}; it has to answer a tensor or a tuple of tensors")
    if not any(part.requires_grad for part in parts):
        raise _Refused(f"{asked} answers what torch cannot differentiate: compute it from the inputs, in torch alone")
    if not all(torch.equal(*map(torch.nan_to_num, pair)) for pair in zip(parts, others, strict=True)):
        raise _Refused(f"{asked} answers something else when it is called again; make what it draws an input")


def _tensors(case: Case) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(a).requires_grad_(name in case.differentiable) for name, a in case.inputs.items()}
