"""Contracts of your own, for layers that torch.nn has not: a function as reference, and the shapes it takes by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from .contract import Contract
from .domain import LENGTHS, Draft
from .formula import taken_names, torch_path, unprintable
from .inputs import Input, Lengths, real
from .literals import is_word
from .tryout import try_out
from .twins import Function, call_arguments
from .values import Spec

# A named axis is never empty: too many functions have no answer then. Those of "..." are now and then.
LENGTH = LENGTHS.filter(bool)
MOST_LEADING = 2

Options = Mapping[str, "tuple[Any, ...] | list[Any] | st.SearchStrategy[Any]"]


def contract(
    name: str,
    reference: Callable[..., Any],
    shapes: Mapping[str, str | Input],
    *,
    options: Options | None = None,
    where: Callable[..., bool] | None = None,
) -> Contract:
    """A contract for a layer that torch.nn has not; `check_layer(layer, to=...)` takes it instead of a name.

    - `name`: what to call the contract in reports.
    - `reference`: what the layer must be, a function of torch's or one written in torch with `def`. It takes the inputs
      in the order of `shapes`, the options by name, and answers a tensor or a tuple of them. Scripts print its source.
    - `shapes`: the axes of each input, {"x": "N C H W", "weight": "K C kh kw"}, as `gradjury.properties.inputs` says,
      where inputs that do not hold any real numbers are found, too. An input whose name ends in "?" may be missing,
      and those after it with it: {"x": "N C", "bias?": "C"}. Inputs that begin with the same axis as the first are
      arguments of the layer; the others are parameters, which an object keeps as attributes.
    - `options`: what each option of the layer is drawn from, {"stride": (1, 2, 3)}, or a Hypothesis strategy. The
      reference's default is the layer's; an option without one is always given.
    - `where`: which lengths and options belong together: a function that takes those it asks for by name,
      `lambda H, kh: kh <= H`. What it answers no to is drawn again.

    A few configurations are tried at once. Raises ValueError or TypeError where something is wrong, and says what to
    write instead.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"a contract's name is text, not {name!r}")
    if not isinstance(shapes, Mapping) or not shapes:
        raise TypeError(f'{name}: shapes says the axes of each input, {{"x": "N C"}}; it is {shapes!r}')
    _check_reference(name, reference)
    inputs = {key.removesuffix("?"): _input(name, key, shape) for key, shape in shapes.items()}
    strategies = {option: _strategy(name, option, values) for option, values in (options or {}).items()}
    required = _required(name, tuple(shapes))
    _check_names(name, reference, inputs, strategies)
    defaults = _defaults(name, reference, tuple(inputs), required, tuple(strategies))
    domain = _OwnDomain(name, inputs, required, strategies, where)
    domain.check_where()
    made = Contract(name, Function(reference, tuple(inputs), defaults, parameters=_parameters(inputs)), domain)
    try_out(made)
    return made


@dataclass(frozen=True)
class _OwnDomain:
    """The domain: options, then lengths that go with them. The first `required` inputs are always there."""

    name: str
    inputs: Mapping[str, Input]
    required: int
    options: Mapping[str, st.SearchStrategy[Any]]
    where: Callable[..., bool] | None

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of all axes, in the order in which they are met."""
        return tuple(dict.fromkeys(name for one in self.inputs.values() for name in one.names))

    def __call__(self, d: Draft) -> dict[str, Spec]:
        """What each input holds in one configuration."""
        options = {option: d.option(option, strategy) for option, strategy in self.options.items()}
        drawn = st.fixed_dictionaries(dict.fromkeys(self.axes, LENGTH))
        lengths: Lengths = d(drawn.filter(lambda lengths: self._fits({**lengths, **options})))
        lead = d.shape(most=MOST_LEADING) if any(one.leading for one in self.inputs.values()) else ()
        count = d(st.integers(self.required, len(self.inputs)))
        return {name: one.spec(lead, lengths) for name, one in list(self.inputs.items())[:count]}

    def _fits(self, values: Mapping[str, Any]) -> bool:
        if self.where is None:
            return True
        asked = {name: values[name] for name in inspect.signature(self.where).parameters if name in values}
        try:
            return bool(self.where(**asked))
        except Exception as error:  # a user's function may raise anything
            raise ValueError(
                f"{self.name}: where raised {type(error).__name__} for {call_arguments(asked)}: {error}"
            ) from error

    def check_where(self) -> None:
        """TypeError or ValueError where the condition cannot be asked, or asks for what there is not."""
        if self.where is None:
            return
        if not callable(self.where):
            raise TypeError(f"{self.name}: where is a function, such as lambda H, kh: kh <= H, not {self.where!r}")
        known = (*self.axes, *self.options)
        parameters = inspect.signature(self.where).parameters.values()
        unknown = [p.name for p in parameters if p.name not in known and p.default is p.empty]
        if unknown:
            raise ValueError(
                f"{self.name}: where asks for {', '.join(unknown)}; it may ask for the axes and options by name: "
                f"{', '.join(known) or 'there are none'}"
            )


def _input(name: str, key: str, shape: str | Input) -> Input:
    try:
        return shape if isinstance(shape, Input) else real(shape)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {key}: {error}") from None


def _parameters(inputs: Mapping[str, Input]) -> tuple[str, ...]:
    """What has not the batch, the first axis of the first input, is kept by the layer."""
    batch = next(iter(inputs.values())).outermost
    return tuple(name for name, one in inputs.items() if one.outermost != batch)


def _strategy(name: str, option: str, values: Any) -> st.SearchStrategy[Any]:
    if isinstance(values, st.SearchStrategy):
        return values
    if not isinstance(values, tuple | list) or not values:
        raise TypeError(
            f"{name}: the option {option} is drawn from {values!r}; give it a tuple of values, (1, 2, 3), "
            "or a Hypothesis strategy"
        )
    return st.sampled_from(tuple(values))


def _required(name: str, keys: tuple[str, ...]) -> int:
    """How many inputs are always there."""
    optional = [key.endswith("?") for key in keys]
    required = optional.index(True) if any(optional) else len(keys)
    if not required:
        raise ValueError(f"{name}: the first input is always there: write {keys[0]} without the question mark")
    if not all(optional[required:]):
        late = next(key for key in keys[required:] if not key.endswith("?"))
        raise ValueError(f"{name}: {late} stands behind an input that may be missing; those come last")
    return required


def _check_names(
    name: str, reference: Callable[..., Any], inputs: Mapping[str, Input], options: Mapping[str, Any]
) -> None:
    """ValueError where two things have one name, an index is below no axis, or a script cannot use a name."""
    axes = {axis for one in inputs.values() for axis in one.names}
    for kind, others in (("input", inputs), ("axis", axes)):
        twice = [option for option in options if option in others]
        if twice:
            raise ValueError(f"{name}: {twice[0]} is an option and an {kind}; give one of them another name")
    for key, one in inputs.items():
        for axis in one.needs:
            if axis not in axes:
                raise ValueError(
                    f"{name}: {key} is below {axis}, which no input has; the axes are {', '.join(sorted(axes))}"
                )
    formula = set() if torch_path(reference) else taken_names(reference)
    for key in inputs:
        if not key.isidentifier() or is_word(key) or key in formula:
            raise ValueError(f"{name}: no input can be called {key!r}: a script could not; call it otherwise")
    words = sorted(filter(is_word, formula - {"np", "sys", "inf", "nan"}))  # these are the same here and there
    if words:
        raise ValueError(f"{name}: scripts use the name {words[0]} themselves; call it otherwise in the reference")


def _check_reference(name: str, reference: Any) -> None:
    """TypeError or ValueError where the reference is no function, or none that a script can have."""
    if not callable(reference):
        raise TypeError(f"{name}: the reference is a function of tensors, not {reference!r}")
    if torch_path(reference):
        return
    own = getattr(reference, "__name__", "")
    if not inspect.isfunction(reference) or own == "<lambda>":
        what = "a lambda" if own == "<lambda>" else repr(reference)
        raise TypeError(
            f"{name}: scripts print the reference, so it has to be a function of torch's or one written with def; "
            f"{what} is neither: write a function that calls it"
        )
    try:
        outside = unprintable(reference)
    except (OSError, TypeError, SyntaxError) as error:
        raise ValueError(
            f"{name}: scripts print the reference, and {own} has no source that can be read ({error}); "
            "write it in a file, on lines of its own"
        ) from error
    if outside:
        raise ValueError(
            f"{name}: scripts print the reference, and {own} takes {', '.join(outside)} from outside, which they do "
            "not have; define that inside it (torch, NumPy, Python's modules, plain numbers and text may be outside)"
        )


def _defaults(
    name: str, reference: Callable[..., Any], inputs: tuple[str, ...], required: int, options: tuple[str, ...]
) -> dict[str, Any]:
    """The options with the reference's defaults; ValueError where its parameters are not what was said."""
    empty = inspect.Parameter.empty
    try:
        parameters = inspect.signature(reference).parameters
    except ValueError:  # torch's compiled functions do not say what they take
        return dict.fromkeys(options, empty)
    own = reference.__name__
    kinds = {p.kind for p in parameters.values()}
    positional = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(positional) < len(inputs):
        raise ValueError(
            f"{name}: {own} takes {', '.join(positional) or 'nothing'} by position, shapes has {', '.join(inputs)}"
        )
    for at, key in enumerate(inputs):
        if key in parameters and positional[at : at + 1] != [key]:
            raise ValueError(
                f"{name}: shapes has {key} at another place than {own}, which takes {', '.join(positional)}"
            )
    taken, rest = positional[: len(inputs)], [n for n in parameters if n not in positional[: len(inputs)]]
    for key, theirs in list(zip(inputs, taken, strict=False))[required:]:
        if parameters[theirs].default is empty:
            raise ValueError(
                f"{name}: {key} may be missing, but {own} has no default for it; write {theirs}=None there"
            )
    unknown = [option for option in options if option not in rest]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise ValueError(
            f"{name}: {own} has no option {', '.join(unknown)}; its options are: {', '.join(rest) or 'none'}"
        )
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    lacking = [n for n in rest if parameters[n].kind in named and parameters[n].default is empty and n not in options]
    if lacking:
        raise ValueError(
            f"{name}: {own} needs {', '.join(lacking)}: name it in shapes if it is an input, or in options"
        )
    return {option: parameters[option].default if option in parameters else empty for option in options}
