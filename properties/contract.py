"""A contract: what a layer must be (the torch reference) and for which configurations, shapes and values."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from hypothesis import reject
from hypothesis import strategies as st

from ..oracle.autograd import torch_vjp
from ..oracle.jurors import Scalar
from ..oracle.vjp import Case, differentiable_outputs, outputs_of
from .domain import SUB_CASES, Domain, Draft, Situation
from .values import EDITS, Edit

if TYPE_CHECKING:
    from .laws.law import Law

TensorFunction = Callable[..., Any]

# Constructor arguments that do not change the mathematics.
NOT_OPTIONS = ("self", "device", "dtype", "inplace", "sparse", "size_average", "reduce")


class Twin(Protocol):
    """A torch reference, in any configuration."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The options with their defaults; `inspect.Parameter.empty` for those that have none."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs that are not parameters or buffers."""

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """The reference in one configuration, a function of tensors by name."""

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """The same as an expression over tensors of those names, for scripts."""


class Module:
    """A class of torch.nn, called with its inputs, parameters and buffers by name; `x` stands for torch's `input`.

    Tensors that torch takes in the constructor but keeps as buffers (class weights) are inputs here: name them in
    `buffers`.
    """

    def __init__(self, cls: type[torch.nn.Module], *, buffers: tuple[str, ...] = ()) -> None:
        self._cls = cls
        self._buffers = buffers

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The constructor's options."""
        parameters = inspect.signature(self._cls).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        return {p.name: p.default for p in named if p.name not in (*NOT_OPTIONS, *self._buffers)}

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The arguments of the module's forward."""
        names = list(inspect.signature(self._cls.forward).parameters)[1:]
        return tuple("x" if name == "input" else name for name in names)

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """A module whose parameters and buffers are set anew at each call.

        torch.func.functional_call does the same at ten times the cost.
        """
        module = self._cls(**config)

        def call(**tensors: torch.Tensor) -> Any:
            state = [name for name in tensors if name not in self.inputs]
            for name in state:
                path, _, leaf = name.rpartition(".")
                owner = module.get_submodule(path)
                owner._parameters.pop(leaf, None)
                owner._buffers.pop(leaf, None)
                owner.__dict__[leaf] = tensors[name]
            return module(*(tensors[name] for name in self.inputs))

        return call

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A call of torch.func.functional_call."""
        state = ", ".join(f'"{n}": {n}' for n in names if n not in self.inputs)
        module = f"torch.nn.{self._cls.__name__}({call_arguments(config)})"
        inputs = ", ".join(self.inputs) + ("," if len(self.inputs) == 1 else "")
        return f"torch.func.functional_call({module}, {{{state}}}, ({inputs}))"


@dataclass(frozen=True)
class Function:
    """A function of tensors, such as torch.add, with the names of its inputs; it has no options."""

    function: TensorFunction
    inputs: tuple[str, ...]

    @property
    def defaults(self) -> Mapping[str, Any]:
        """No options."""
        return {}

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """The function, its inputs taken by name."""
        return lambda **tensors: self.function(*(tensors[name] for name in self.inputs), **config)

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:  # noqa: ARG002
        """A plain call."""
        return f"torch.{self.function.__name__}({', '.join(self.inputs)})"


@dataclass(frozen=True)
class Contract:
    """What a layer must be, and for which inputs.

    `reference` is the torch side, `domain` draws options and says what each input holds, `laws` are those that hold for
    this layer beside the common ones. `scalar` is, for a layer that works on each element by itself, the function of
    that one number (and the configuration) in mpmath: a juror who knows every digit.
    """

    name: str
    reference: Twin
    domain: Domain
    laws: tuple[Law, ...] = field(default=())
    scalar: Scalar | None = None

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
            y, _ = torch_vjp(contract.reference.bind(case.config), case.differentiable)(**case.inputs)
    except (RuntimeError, ValueError, IndexError):
        if narrowed:
            reject()
        raise
    return [a.shape for a in differentiable_outputs(outputs_of(y))]


def call_arguments(config: Mapping[str, Any]) -> str:
    """A configuration as the arguments of a call."""
    return ", ".join(f"{name}={value!r}" for name, value in config.items())
