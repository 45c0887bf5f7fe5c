"""Bringing a stranger's layer to the one type: called with arrays by the contract's names, it answers outputs and a
backward.

The styles are told apart by what the layer is, once it is built with a configuration:
- the closure: `y, backward = layer(x, weight)`, `backward(dy)` a dict, a tuple in input order, or one array;
- the pair: `forward(x, weight) -> (y, cache)` and `backward(dy, cache)`, two functions or two methods;
- the derivative: `f(x)` and `df(x)`, two functions or two methods, for activations and losses;
- the value with its gradient: `y, dx = layer(x)`, as losses answer; this one has to be named;
- the object: `y = layer.forward(x)`, `dx = layer.backward(dy)`, parameters and gradients kept as attributes, in
  dicts or in lists; perhaps made by the first call;
- the updating object, whose backward changes the parameters and keeps no gradients;
- the tape: tensors with `.backward()` and `.grad`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from hypothesis import strategies as st

from . import contracts
from .contract import Contract, Where
from .declared import Conventions, Order, Translated
from .styles.base import Adapted, StyleError, accepted, positional
from .styles.functions import Closure, Derivative, Pair, ValueAndGrad
from .styles.stateful import RATES, Object, Updating
from .styles.tape import Tape
from .twins import call_arguments

__all__ = ["Declarations", "Layer", "Parameters", "StyleError", "adapt"]

# Where a parameter and its gradient are kept: two paths, or one, and the gradient is looked for beside it.
Parameters = Mapping[str, tuple[str, str] | str]

STYLES = ("closure", "pair", "derivative", "value_and_grad", "object", "updating", "tape")

# The names of methods, in the order in which they are looked for.
FORWARD = ("forward", "forward_pass", "propagate", "forward_propagation", "feedforward", "call", "fn", "__call__")
BACKWARD = ("backward", "backward_pass", "backprop", "backpropagate", "backward_propagation", "bprop")
DERIVATIVE = ("derivative", "deriv", "grad", "gradient", "prime")


class Declarations(TypedDict, total=False):
    """What may be said of a layer: the keyword arguments of `adapt`, which explains them."""

    fixed: Mapping[str, Any] | None
    parameters: Parameters | None
    style: str | None
    methods: tuple[str, str] | None
    tensor: Callable[..., Any] | None
    learning_rate: float | str | None
    reset: str | None
    layout: str | None
    weight: Order | None
    columns: bool
    averaged_over: str | None
    dtype: str | None
    where: Where | None
    no_grad: Sequence[str]


@dataclass(frozen=True)
class Layer:
    """A stranger's layer as it came: what builds it, and what was declared of it. `adapt` makes one.

    `source` is a class or function called with the configuration by torch's names, or a pair of functions.
    """

    source: Any
    contract: Contract
    fixed: Mapping[str, Any] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=dict)
    style: str | None = None
    methods: tuple[str, str] | None = None
    tensor: Any = None
    learning_rate: float | str | None = None
    reset: str | None = None
    conventions: Conventions = field(default_factory=Conventions)

    @property
    def name(self) -> str:
        """What to call it in reports."""
        if isinstance(self.source, tuple):
            return str(getattr(self.source[0], "__name__", "pair"))
        return str(getattr(self.source, "__qualname__", type(self.source).__name__))

    @property
    def settled(self) -> Mapping[str, Any]:
        """The options that are fixed to one value, and not to a strategy of values."""
        return {n: v for n, v in self.fixed.items() if not isinstance(v, st.SearchStrategy)}

    def check_options(self) -> None:
        """StyleError where the contract draws options that the layer does not take and that are not fixed.

        Options without a default (sizes) may be missing: the arrays tell them.
        """
        taken = accepted(self._taker)
        if taken is None:
            return
        defaults = self.contract.reference.defaults
        lacking = {
            name: default
            for name, default in defaults.items()
            if name not in taken and name not in self.fixed and default is not inspect.Parameter.empty
        }
        if lacking:
            raise StyleError(
                f"{self.name} does not take {', '.join(lacking)}, which {self.contract.name} has. "
                f"If it always behaves as with torch's defaults, say so: fixed={lacking!r}; else let it take them."
            )

    @property
    def _taker(self) -> Callable[..., Any]:
        """What takes the options: the layer itself, or the forward of a pair of functions."""
        return self.source[0] if isinstance(self.source, tuple) else self.source  # type: ignore[no-any-return]

    def arguments(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a configuration that the layer takes."""
        taken = accepted(self._taker)
        return {n: v for n, v in config.items() if taken is None or n in taken}

    def build(self, config: Mapping[str, Any]) -> Adapted:
        """The layer in one configuration, speaking torch's conventions."""
        adapted = self._build(config)
        return Translated(adapted, self.conventions) if self.conventions else adapted

    def _build(self, config: Mapping[str, Any]) -> Adapted:
        arguments = self.arguments(config)
        if isinstance(self.source, tuple):
            return self._two_functions(config, self.source, arguments)
        made = self.source(**arguments)
        if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
            return self._two_functions(config, made)
        if self.tensor is not None or self.style == "tape":
            return Tape(self, config, made)
        if self.style == "closure":
            return Closure(self, config, made)
        if self.style == "value_and_grad":
            return ValueAndGrad(self, config, made)
        forward, backward = self._method(made, 0, FORWARD), self._method(made, 1, BACKWARD)
        if forward and backward and self.style != "derivative":
            return self._with_methods(config, made, (forward, backward))
        derivative = self._method(made, 1, DERIVATIVE)
        if forward and derivative and self.style in (None, "derivative"):
            functions = getattr(made, forward), getattr(made, derivative)
            spelled = f"layer.{forward}", f"layer.{derivative}"
            return Derivative(self, config, functions, spelled)
        if callable(made) and self.style is None:
            return Closure(self, config, made)
        raise StyleError(
            f"{self.name}({call_arguments(arguments)}) is a {type(made).__name__}, which is none of the styles: "
            "a callable that answers (y, backward), functions (forward, backward), or an object with both as methods, "
            'whose names may be given: methods=("propagate", "backpropagate")'
        )

    def _method(self, made: Any, number: int, names: Sequence[str]) -> str | None:
        """The first of these methods that the object has, or the one that was given."""
        given = (self.methods[number],) if self.methods else names
        found = next((name for name in given if callable(getattr(made, name, None))), None)
        if self.methods and found is None:
            raise StyleError(f"{self.name} has no method {given[0]}, which methods names")
        return found

    def _with_methods(self, config: Mapping[str, Any], made: Any, names: tuple[str, str]) -> Adapted:
        """A pair where the backward takes a cache, an updating object where it takes a rate, or else an object."""
        second = positional(getattr(made, names[1]))[1:]
        rate = bool(second) and second[0] in RATES
        if self.style == "updating" or (self.style is None and (rate or self.learning_rate is not None)):
            return Updating(self, config, made, names)
        if self.style == "pair" or (self.style is None and second):
            functions = getattr(made, names[0]), getattr(made, names[1])
            return Pair(self, config, functions, (f"layer.{names[0]}", f"layer.{names[1]}"))
        return Object(self, config, made, names)

    def _two_functions(
        self, config: Mapping[str, Any], functions: tuple[Any, Any], options: Mapping[str, Any] | None = None
    ) -> Adapted:
        """A derivative takes what the function does, a backward a cotangent and a cache."""
        one = self.style is None and len(positional(functions[1])) == 1
        if one or self.style == "derivative":
            return Derivative(self, config, functions, options=options)
        return Pair(self, config, functions, options=options)


def adapt(layer: Any, *, to: str | Contract, **declared: Unpack[Declarations]) -> Layer:
    """A layer and what is declared of it, to be given to `check_layer` and `parametrize`, or named on the command line.

    `layer` is a class or function that, called with the contract's options by torch's names, gives a layer of one of
    the styles; or a pair of functions. `to` is the contract, by torch's name of the layer, or one of your own.

    How it is called:
    - `style`: "closure", "pair", "derivative", "value_and_grad", "object", "updating", "tape", where it is not seen by
      itself.
    - `methods`: the names of an object's two methods, ("propagate", "backpropagate"), where they are not usual ones.
    - `parameters`: where an object keeps a parameter and its gradient, {"weight": ("W", "dW")}; paths may lead through
      attributes, keys and numbers, "gradients.W"; the gradient may be left out, {"weight": "weights.0"}.
    - `reset`: the name of a method to be called before each forward, such as "zero_grad".
    - `learning_rate`: for an object that updates its parameters inside backward: the rate it updates with, or the path
      of the attribute that holds it. A backward that takes the rate as its second argument is given it.
    - `tensor`: for a tape, what makes a tensor of an array.

    What it means (see `properties.declared.Conventions`): `layout`="NHWC", `weight`="(in, out)" or an order of axes,
    `columns`=True, `averaged_over`="batch".

    What it is tried on:
    - `fixed`: options it has no choice about, {"stride": 1}, or fewer choices, as a Hypothesis strategy.
    - `dtype`: "float32" or "float64", where it knows only one.
    - `where`: a function of the configuration and the shapes, both by name, that is true for what the layer takes:
      where=lambda config, shapes: len(shapes["x"]) == 2. All options are in the configuration, defaults too.
    - `no_grad`: the inputs it has no gradient for, such as a loss' target.

    Raises ValueError or TypeError, with what to do, where this makes no layer.
    """
    contract = contracts.get(to) if isinstance(to, str) else to
    unknown = [name for name in declared if name not in Declarations.__annotations__]
    if unknown:
        known = ", ".join(Declarations.__annotations__)
        raise TypeError(f"nothing is declared by {', '.join(unknown)}; there are {known}")
    style = declared.get("style")
    if style not in (None, *STYLES):
        raise ValueError(f"there is no style {style!r}; the styles are {', '.join(STYLES)}")
    if style == "tape" and declared.get("tensor") is None:
        raise ValueError('style="tape" needs tensor=…, what makes a tensor of an array')
    _check_form(declared)
    no_grad = declared.get("no_grad", ())
    no_grad = (no_grad,) if isinstance(no_grad, str) else tuple(no_grad)
    fixed = dict(declared.get("fixed") or {})
    contract.check_fixed(fixed)
    conventions = Conventions(
        declared.get("layout"),
        declared.get("weight"),
        declared.get("columns", False),
        declared.get("averaged_over"),
    )
    adapted = Layer(
        layer,
        contract.narrowed(dtype=declared.get("dtype"), where=declared.get("where"), no_grad=no_grad),
        fixed,
        dict(declared.get("parameters") or {}),
        style,
        declared.get("methods"),
        declared.get("tensor"),
        declared.get("learning_rate"),
        declared.get("reset"),
        conventions,
    )
    adapted.check_options()
    ordered = conventions.weight if isinstance(conventions.weight, Mapping) else ()
    _check_names(contract, fixed, [*no_grad, *adapted.parameters, *ordered])
    return adapted


def _check_form(declared: Declarations) -> None:
    """ValueError where what is said of methods, parameters or the rate has not the form that it needs."""
    methods = declared.get("methods")
    if methods is not None and (isinstance(methods, str) or len(methods) != 2):
        raise ValueError(f'methods must be two names, such as ("propagate", "backpropagate"), got {methods!r}')
    for name, place in (declared.get("parameters") or {}).items():
        if not isinstance(place, str) and len(place) != 2:
            raise ValueError(
                f'parameters must name places by input, {{"weight": ("W", "dW")}} or {{"weight": "W"}}, '
                f"got {place!r} for {name}"
            )
    if declared.get("learning_rate") == 0:
        raise ValueError("learning_rate must be a number other than 0, or the path of one, got 0")


def _check_names(contract: Contract, fixed: Mapping[str, Any], names: Sequence[str]) -> None:
    """ValueError where something is said of an input that the contract has not."""
    known = contract.input_names(fixed) if names else ()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{contract.name} has no input {', '.join(unknown)}; its inputs are {', '.join(known)}")
