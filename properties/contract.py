"""A contract: what a layer must be (the torch reference) and for which configurations, shapes and values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from ..oracle.autograd import torch_vjp
from ..oracle.jurors import Scalar
from ..oracle.vjp import Case
from .domain import SUB_CASES, Domain, Draft, Situation
from .twins import Twin
from .values import EDITS, Edit

if TYPE_CHECKING:
    from .laws.law import Law


@dataclass(frozen=True)
class Contract:
    """What a layer must be, and for which inputs.

    `reference` is the torch side, `domain` draws options and says what each input holds, `laws` are those that hold for
    this layer beside the common ones. `scalar` is, for a layer that works on each element by itself, the function of
    that one number (and the configuration) in mpmath: a juror who knows every digit.

    Two kinds of exception, each with its reason. `conventions`: cases in which torch's gradient is on purpose not the
    derivative of its forward (a clamp that lets the gradient pass); there the gradient is held against torch's alone.
    `finite`: inputs that are never made NaN or infinite.
    """

    name: str
    reference: Twin
    domain: Domain
    laws: tuple[Law, ...] = field(default=())
    scalar: Scalar | None = None
    conventions: Mapping[str, Callable[[Case], bool]] = field(default_factory=dict)
    finite: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options, which are torch's."""
        return tuple(self.reference.defaults)

    def check_fixed(self, fixed: Mapping[str, Any]) -> None:
        """ValueError where an option that is to be fixed does not exist."""
        unknown = [name for name in fixed if name not in self.options]
        if unknown:
            known = ", ".join(self.options) or "none"
            raise ValueError(f"{self.name} has no option {', '.join(unknown)}; its options are: {known}")

    def situations(
        self,
        *,
        fixed: Mapping[str, Any] | None = None,
        dtypes: tuple[str, ...] = ("float64", "float32"),
        edits: Mapping[str, Edit] = EDITS,
        generic: bool = False,
    ) -> st.SearchStrategy[Situation]:
        """What the laws draw from: the domain, with some options fixed; `generic` values are seldom whole numbers."""
        fixed = dict(fixed or {})
        self.check_fixed(fixed)
        return _situations(self, fixed, dtypes, edits, generic)

    def cases(self, **fixed: Any) -> st.SearchStrategy[Case]:
        """An ordinary Hypothesis strategy of cases, for laws of your own; options given by name are fixed."""
        return st.builds(Situation.case, self.situations(fixed=fixed), st.integers(0, SUB_CASES - 1))


@st.composite
def _situations(
    draw: st.DrawFn,
    contract: Contract,
    fixed: Mapping[str, Any],
    dtypes: tuple[str, ...],
    edits: Mapping[str, Edit],
    generic: bool,
) -> Situation:
    draft = Draft(draw, contract.reference.defaults, fixed)
    specs = contract.domain(draft)
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    chosen = draw(st.lists(st.sampled_from(tuple(edits)), max_size=3)) if edits else []
    seed = draw(st.integers(0, 2**32 - 1))
    situation = Situation(draft.config, specs, dtype, seed, [edits[name] for name in chosen], generic)
    return replace(situation, outputs=_output_shapes(contract, situation, bool(fixed)))


def _output_shapes(contract: Contract, situation: Situation, narrowed: bool) -> list[tuple[int, ...]]:
    """The shapes of the outputs that take a cotangent.

    With fixed options a draw may be impossible (padding="same" with stride=2), and is then drawn again; without, a
    refusal by torch is a mistake in the contract.
    """
    try:
        case = situation.case(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of choices that the domain makes on purpose
            return torch_vjp(contract.reference.bind(case.config), case.differentiable).cotangent_shapes(case.inputs)
    except (RuntimeError, ValueError, IndexError):
        if narrowed:
            reject()
        raise
