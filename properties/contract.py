"""A contract: what a layer must be (the torch reference) and for which configurations, shapes and values."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st

from ..oracle.autograd import torch_vjp
from ..oracle.jurors import Scalar
from ..oracle.vjp import Case
from .domain import SUB_CASES, Domain, Draft, Situation
from .twins import Twin, call_arguments
from .values import EDITS, Edit, Spec

if TYPE_CHECKING:
    from .laws.law import Law


# So many draws show every input that there is.
SOME = 50

DTYPES = ("float64", "float32")


class WhereError(ValueError):
    """The function that says what a layer takes raised."""


# Whether a layer takes a configuration and the shapes of its inputs, both by name.
Where = Callable[[Mapping[str, Any], Mapping[str, tuple[int, ...]]], bool]


@dataclass(frozen=True)
class Narrowing:
    """What a layer asks to be left out: all dtypes but one, cases it does not take, gradients it does not have."""

    dtype: str | None = None
    where: Where | None = None
    no_grad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What a layer must be, and for which inputs.

    `reference` is the torch side, `domain` draws options and says what each input holds, `laws` are those that hold for
    this layer beside the common ones. `scalar` is, for a layer that works on each element by itself, the function of
    that one number (and the configuration) in mpmath: a juror who knows every digit.

    Two kinds of exception, each with its reason. `conventions`: cases in which torch's gradient is on purpose not the
    derivative of its forward (a clamp that lets the gradient pass); there the gradient is held against torch's alone.
    `finite`: inputs of a configuration that are never made NaN or infinite. `narrowing` is not the contract's but the
    layer's.
    """

    name: str
    reference: Twin
    domain: Domain
    laws: tuple[Law, ...] = field(default=())
    scalar: Scalar | None = None
    conventions: Mapping[str, Callable[[Case], bool]] = field(default_factory=dict)
    finite: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda config: {}  # noqa: ARG005
    narrowing: Narrowing = field(default_factory=Narrowing)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The floating dtypes that are drawn."""
        return DTYPES if self.narrowing.dtype is None else (self.narrowing.dtype,)

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

    def narrowed(self, *, dtype: str | None, where: Where | None, no_grad: tuple[str, ...]) -> Contract:
        """The contract of a layer that knows one dtype only, does not take every case, or has not every gradient."""
        if dtype not in (None, *DTYPES):
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        narrowing = Narrowing(dtype, where, no_grad)
        return self if narrowing == self.narrowing else replace(self, narrowing=narrowing)

    def takes(self, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether the layer takes this configuration, defaults left out, and these shapes; may raise WhereError."""
        if self.narrowing.where is None:
            return True
        defaults = {n: v for n, v in self.reference.defaults.items() if v is not inspect.Parameter.empty}
        try:
            return self.narrowing.where({**defaults, **config}, shapes)
        except Exception as error:
            raise WhereError(
                f"where=… raised {type(error).__name__}: {error}; it was given the options "
                f"{ {**defaults, **config} } and the shapes {dict(shapes)} of {self.name}"
            ) from error

    def situations(
        self,
        *,
        fixed: Mapping[str, Any] | None = None,
        dtypes: tuple[str, ...] = DTYPES,
        edits: Mapping[str, Edit] = EDITS,
        generic: bool = False,
    ) -> st.SearchStrategy[Situation]:
        """What the laws draw from: the domain, with some options fixed; `generic` values are seldom whole numbers."""
        fixed = dict(fixed or {})
        self.check_fixed(fixed)
        return _situations(self, fixed, dtypes, edits, generic)

    def input_names(self, fixed: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of all inputs that are drawn, parameters and buffers too, in some configuration or other."""
        found: dict[str, None] = {}

        @seed(0)
        @settings(
            max_examples=SOME,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(self.situations(fixed=fixed))
        def look(situation: Situation) -> None:
            found.update(dict.fromkeys(situation.specs))

        look()
        return tuple(found)

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
    specs = _narrowed(contract, draft.config, contract.domain(draft))
    dtype = np.dtype(draw(st.sampled_from([name for name in dtypes if name in contract.dtypes] or contract.dtypes)))
    chosen = draw(st.lists(st.sampled_from(tuple(edits)), max_size=3)) if edits else []
    number = draw(st.integers(0, 2**32 - 1))
    situation = Situation(draft.config, specs, dtype, number, [edits[name] for name in chosen], generic)
    return replace(situation, outputs=_output_shapes(contract, situation, bool(fixed)))


def _narrowed(contract: Contract, config: Mapping[str, Any], specs: Mapping[str, Spec]) -> dict[str, Spec]:
    """The inputs without the gradients that the layer has not; cases that it does not take are drawn again."""
    if not contract.takes(config, {name: spec.shape for name, spec in specs.items()}):
        reject()
    without = contract.narrowing.no_grad
    return {n: replace(s, grad=False) if n in without and s.grad else s for n, s in specs.items()}  # type: ignore[type-var]


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
    except (RuntimeError, ValueError, IndexError) as error:
        if narrowed:
            reject()
        shapes = ", ".join(f"{name} {spec.shape}" for name, spec in situation.specs.items())
        options = f" with {call_arguments(situation.config)}" if situation.config else ""
        raise ValueError(
            f"{contract.name}: the reference refuses what its contract draws, {shapes}{options}: {error}"
        ) from error
