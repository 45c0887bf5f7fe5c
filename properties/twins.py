"""The torch side of a contract: a class of torch.nn, a function of torch's, or a formula written in torch."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch

TensorFunction = Callable[..., Any]

# Constructor arguments that do not change the mathematics, or only what a parameter is at first.
NOT_OPTIONS = ("self", "device", "dtype", "inplace", "sparse", "size_average", "reduce", "init", "_weight", "_freeze")


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

    @property
    def source(self) -> str:
        """Definitions that the expression needs, if any."""


def _no_state(config: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001
    return ()


@dataclass(frozen=True)
class Module:
    """A class of torch.nn, called with its inputs, parameters and buffers by name; `x` stands for torch's `input`.

    Tensors that torch takes in the constructor but keeps as buffers (class weights) are inputs here: name them in
    `buffers`. A module that behaves differently in training has `modes`: then `training`, which torch sets by `train()`
    and `eval()`, is an option. `state` names the tensors that a configuration changes in place; they come out behind
    torch's outputs. `settled` names arguments of which torch takes no value but the default: they are no options.
    """

    cls: type[torch.nn.Module]
    buffers: tuple[str, ...] = ()
    modes: bool = False
    state: Callable[[Mapping[str, Any]], tuple[str, ...]] = _no_state
    settled: tuple[str, ...] = ()

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The constructor's options, and `training`."""
        parameters = inspect.signature(self.cls).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        options = {p.name: p.default for p in named if p.name not in (*NOT_OPTIONS, *self.buffers, *self.settled)}
        return {**options, "training": True} if self.modes else options

    @cached_property
    def _theirs(self) -> Mapping[str, str]:
        """What torch calls each argument of the module's forward, by our names."""
        names = list(inspect.signature(self.cls.forward).parameters)[1:]
        bare = {name.rstrip("_"): name for name in names}  # AdaptiveLogSoftmaxWithLoss has input_ and target_
        return {"x" if name == "input" else name: theirs for name, theirs in bare.items()}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The arguments of the module's forward."""
        return tuple(self._theirs)

    @property
    def source(self) -> str:
        """Nothing."""
        return ""

    def _options(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What the constructor takes of a configuration."""
        return {name: value for name, value in config.items() if name != "training" or not self.modes}

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """A module whose parameters and buffers are set anew at each call.

        torch.func.functional_call does the same at ten times the cost.
        """
        module = self.cls(**self._options(config)).train(config.get("training", True))
        changed = self.state(config)

        def call(**tensors: torch.Tensor) -> Any:
            for name in (name for name in tensors if name not in self.inputs):
                path, _, leaf = name.rpartition(".")
                owner = module.get_submodule(path)
                owner._parameters.pop(leaf, None)
                owner._buffers.pop(leaf, None)
                owner.__dict__[leaf] = tensors[name]
            y = module(**{self._theirs[n]: _argument(n, tensors[n]) for n in self.inputs if n in tensors})
            after = tuple(tensors[name].detach().clone() for name in changed if name in tensors)
            return (*(y if isinstance(y, tuple) else (y,)), *after) if after else y

        return call

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A call of torch.func.functional_call."""
        state = ", ".join(f'"{n}": {n}' for n in names if n not in self.inputs)
        module = f"torch.nn.{self.cls.__name__}({call_arguments(self._options(config))})"
        if not config.get("training", True):
            module += ".eval()"
        given = [n for n in self.inputs if n in names]
        inputs = ", ".join(_spelled(n) for n in given) + ("," if len(given) == 1 else "")
        call = f"torch.func.functional_call({module}, {{{state}}}, ({inputs}))"
        changed = self.state(config)
        return f"({', '.join([call, *changed])})" if changed else call


def _argument(name: str, tensor: torch.Tensor) -> Any:
    """A tensor of sizes as the list that torch takes."""
    return tensor.tolist() if name == "output_size" else tensor


def _spelled(name: str) -> str:
    return f"{name}.tolist()" if name == "output_size" else name


@dataclass(frozen=True)
class Function:
    """A function of tensors with the names of its inputs, and its options with their defaults.

    It takes the inputs in this order, the options by name. It is torch's own (torch.add, torch.nn.functional.pad), or a
    formula written in torch, for a layer that torch computes at random or wrongly. A formula is printed in scripts: it
    may use the name `torch` and nothing else from outside.
    """

    function: TensorFunction
    inputs: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def _home(self) -> str:
        """The module of torch that has the function; empty for a formula."""
        name = self.function.__name__
        places = {"torch": torch, "torch.nn.functional": torch.nn.functional}
        return next((place for place, module in places.items() if getattr(module, name, None) is self.function), "")

    @property
    def source(self) -> str:
        """The source of a formula; nothing for a function of torch."""
        if self._home or self.function.__name__ == "<lambda>":
            return ""
        return textwrap.dedent(inspect.getsource(self.function))

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """The function, its inputs taken by name."""
        return lambda **tensors: self.function(*(tensors[n] for n in self.inputs if n in tensors), **config)

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A plain call."""
        given = [_spelled(n) for n in self.inputs if n in names]
        name = ".".join(filter(None, (self._home, self.function.__name__)))
        return f"{name}({', '.join([*given, *([call_arguments(config)] if config else [])])})"


@dataclass(frozen=True)
class Formula(Function):
    """A formula that takes inputs, parameters and options by name: any of them may be missing, parameters be many.

    `fixed` is what it takes beside them, for a formula that several layers share.
    """

    fixed: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """The function itself, with everything but the tensors."""
        return lambda **tensors: self.function(**self.fixed, **tensors, **config)

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A plain call."""
        tensors = ", ".join(f"{name}={name}" for name in names)
        options = call_arguments({**self.fixed, **config})
        return f"{self.function.__name__}({tensors}, {options})"


def call_arguments(config: Mapping[str, Any]) -> str:
    """A configuration as the arguments of a call."""
    return ", ".join(f"{name}={value!r}" for name, value in config.items())
