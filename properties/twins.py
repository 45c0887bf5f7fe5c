"""The torch side of a contract: a class of torch.nn, a function of torch's, or a formula written in torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch

from .formula import formula_source, torch_path
from .literals import script_name

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
    switches: tuple[str, ...] = ()
    parts: Mapping[str, Module] = field(default_factory=dict)
    instead: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The constructor's options, those of the forward, and `training`."""
        parameters = inspect.signature(self.cls).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        options = {p.name: p.default for p in named if p.name not in (*NOT_OPTIONS, *self.buffers, *self.settled)}
        forward = inspect.signature(self.cls.forward).parameters
        options |= {name: forward[name].default for name in self.switches}
        options |= self.instead
        return {**options, "training": True} if self.modes else options

    @cached_property
    def _theirs(self) -> Mapping[str, str]:
        """What torch calls each argument of the module's forward, by our names."""
        names = list(inspect.signature(self.cls.forward).parameters)[1:]
        names = [name for name in names if name not in self.switches]
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
        others = (*self.switches, *(("training",) if self.modes else ()))
        return {name: value for name, value in config.items() if name not in others}

    def _switched(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What the forward takes of a configuration."""
        return {name: value for name, value in config.items() if name in self.switches}

    def build(self, config: Mapping[str, Any]) -> torch.nn.Module:
        """The module in one configuration, its parts too."""
        options = self._options(config)
        held = {name: self.parts[name].build(options[name]) for name in self._held(options)}
        return self.cls(**options | held)

    def construction(self, config: Mapping[str, Any]) -> str:
        """The same as an expression."""
        options = self._options(config)
        held = {name: self.parts[name].construction(options[name]) for name in self._held(options)}
        arguments = [f"{name}={held.get(name) or repr(value)}" for name, value in options.items()]
        return f"torch.nn.{self.cls.__name__}({', '.join(arguments)})"

    def _held(self, options: Mapping[str, Any]) -> list[str]:
        """The options that hold a layer, by its own options."""
        return [name for name in self.parts if isinstance(options.get(name), Mapping)]

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """A module whose parameters and buffers are set anew at each call.

        torch.func.functional_call does the same at ten times the cost.
        """
        module = self.build(config).train(config.get("training", True))
        changed, switched = self.state(config), self._switched(config)

        def call(**tensors: torch.Tensor) -> Any:
            for name in (name for name in tensors if name not in self.inputs):
                path, _, leaf = name.rpartition(".")
                try:
                    owner = module.get_submodule(path)
                except AttributeError as error:
                    raise ValueError(f"{name}: {error}") from None
                owner._parameters.pop(leaf, None)
                owner._buffers.pop(leaf, None)
                owner.__dict__[leaf] = tensors[name]
            y = module(**{self._theirs[n]: _argument(n, tensors[n]) for n in self.inputs if n in tensors}, **switched)
            after = tuple(tensors[name].detach().clone() for name in changed if name in tensors)
            if not after and not isinstance(y, tuple):
                return y
            # What a module may answer but does not (attention weights) is None.
            given = tuple(part for part in (y if isinstance(y, tuple) else (y,)) if part is not None)
            return (*given, *after) if len(given) + len(after) > 1 else given[0]

        return call

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A call of torch.func.functional_call."""
        state = ", ".join(f'"{n}": {script_name(n)}' for n in names if n not in self.inputs)
        module = self.construction(config)
        if not config.get("training", True):
            module += ".eval()"
        given = [n for n in self.inputs if n in names]
        inputs = ", ".join(_spelled(n) for n in given) + ("," if len(given) == 1 else "")
        call = f"torch.func.functional_call({module}, {{{state}}}, ({inputs}))"
        if self.switches:
            keywords = [f'"{self._theirs[n]}": {n}' for n in given]
            keywords += [f'"{name}": {value!r}' for name, value in self._switched(config).items()]
            call = f"torch.func.functional_call({module}, {{{state}}}, (), {{{', '.join(keywords)}}})"
        changed = self.state(config)
        return f"({', '.join([call, *changed])})" if changed else call


def _argument(name: str, tensor: torch.Tensor) -> Any:
    """A tensor of sizes as the list that torch takes."""
    return tensor.tolist() if name == "output_size" else tensor


def _spelled(name: str) -> str:
    return f"{name}.tolist()" if name == "output_size" else name


@dataclass(frozen=True)
class Function:
    """A function of tensors with the names of what it takes, and its options with their defaults.

    It takes the tensors in this order, the options by name; `parameters` are those that an object keeps. It is torch's
    own (torch.add, torch.nn.functional.pad), or a formula written in torch, for a layer that torch has not, or computes
    at random or wrongly. A formula is printed in scripts: what it uses from outside must be torch's or Python's own, or
    a plain number or text.
    """

    function: TensorFunction
    names: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names that are not those of parameters."""
        return tuple(name for name in self.names if name not in self.parameters)

    @cached_property
    def _path(self) -> str:
        """How torch's own function is spelled; empty for a formula."""
        return torch_path(self.function)

    @property
    def source(self) -> str:
        """The source of a formula; nothing for a function of torch."""
        if self._path or self.function.__name__ == "<lambda>":
            return ""
        return formula_source(self.function)

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """The function, its inputs taken by name."""
        return lambda **tensors: self.function(*(tensors[n] for n in self.names if n in tensors), **config)

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """A plain call."""
        given = [_spelled(n) for n in self.names if n in names]
        name = self._path or self.function.__name__
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


class Drawn(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, torch is given what it would draw of Bernoulli's distribution: these masks, in this order."""

    def __init__(self, *masks: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.masks = iter(masks)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to skip it the compiler would be imported

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is torch.ops.aten.bernoulli_.float:
            # Nothing is drawn for what is empty, so that its mask is passed over.
            mask = next((mask for mask in self.masks if mask.numel() == args[0].numel()), None)
            if mask is None:
                raise ValueError(f"no mask fits the shape {tuple(args[0].shape)} of what is dropped out")
            return args[0].copy_(mask.reshape(args[0].shape))
        return func(*args, **(kwargs or {}))


def with_noise(function, *masks):  # type: ignore[no-untyped-def]
    """What the function answers where torch draws these masks; attention by operations that gradients are made of.

    The kernels for inference, and those that compute attention in one operation, round in a way of their own and
    leave out NaN at masked places.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), Drawn(*masks):
            return function()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@dataclass(frozen=True)
class Noisy:
    """A reference that drops out at random, with its noise an input: masks that are true where something is kept.

    `noise` says the names of the masks in each configuration, in the order in which torch draws them. One that is not
    given is not drawn either.
    """

    twin: Twin
    noise: Callable[[Mapping[str, Any]], tuple[str, ...]]

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Those of the reference."""
        return self.twin.defaults

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those of the reference; masks go by name."""
        return self.twin.inputs

    @property
    def source(self) -> str:
        """The noise for torch, and what the reference needs."""
        return "\n\n".join([*map(inspect.getsource, (Drawn, with_noise)), self.twin.source])

    def bind(self, config: Mapping[str, Any]) -> TensorFunction:
        """The reference, its masks taken by name."""
        function, noise = self.twin.bind(config), self.noise(config)

        def call(**tensors: torch.Tensor) -> Any:
            masks = [tensors.pop(name) for name in noise if name in tensors]
            return with_noise(lambda: function(**tensors), *masks)  # type: ignore[no-untyped-call]

        return call

    def code(self, config: Mapping[str, Any], names: tuple[str, ...]) -> str:
        """The reference with its masks."""
        noise = self.noise(config)
        rest = tuple(name for name in names if name not in noise)
        masks = [script_name(name) for name in noise if name in names]
        return f"with_noise({', '.join([f'lambda: {self.twin.code(config, rest)}', *masks])})"


def call_arguments(config: Mapping[str, Any]) -> str:
    """A configuration as the arguments of a call."""
    return ", ".join(f"{name}={value!r}" for name, value in config.items())
