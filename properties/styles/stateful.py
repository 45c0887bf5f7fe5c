"""Objects that keep their parameters and gradients, and those that update their parameters inside backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...oracle.vjp import Array, Backward, Outputs
from ..literals import script_name
from .base import Adapted, StyleError, positional
from .slots import (
    ABSENT,
    AmbiguousError,
    Found,
    Slot,
    beside,
    find_by_name,
    find_by_shape,
    follow,
    missing,
    no_gradient,
)

if TYPE_CHECKING:
    from ..adapt import Layer

# How often a layer was called: the one buffer that torch keeps only for itself, unless momentum is None.
COUNT = "num_batches_tracked"


class Object(Adapted):
    """layer.W = weight; y = layer.forward(x); dx = layer.backward(dy); layer.dW.

    Each backward runs the forward again first: such an object holds the cache of its last forward only, and may use
    it up.
    """

    reentrant = False
    # Whether the parameters are made by the first call, so that a script has to make one.
    _built_by_call = False
    # Whether a forward has been seen to leave the parameters as they were set.
    _settled = False
    _several = False

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Any, methods: tuple[str, str]) -> None:
        super().__init__(layer, config)
        self._made = made
        self._methods = methods
        self._shapes: dict[str, tuple[int, ...]] = {}
        # Looked for before the first call only: afterwards an object may keep other arrays of that shape.
        self._by_shape: dict[str, Found] = {}

    @property
    def _forward(self) -> Callable[..., Any]:
        return getattr(self._made, self._methods[0])  # type: ignore[no-any-return]

    @property
    def _backward(self) -> Callable[..., Any]:
        return getattr(self._made, self._methods[1])  # type: ignore[no-any-return]

    def _split(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Which inputs the forward takes as arguments, and which are attributes."""
        if len(positional(self._forward)) >= len(names):
            return list(names), []
        arguments = [n for n in names if n in self.layer.contract.reference.inputs]
        return arguments, [n for n in names if n not in arguments and not self._counts_for(n)]

    def _counts_for(self, name: str) -> bool:
        """Whether this is torch's count of calls, which few keep: it is kept here for those that do not."""
        return name == COUNT and self._given(name) is None and find_by_name(self._made, name) is None

    def _found(self, attributes: Sequence[str]) -> dict[str, Found]:
        """The places of all parameters; StyleError where one has none."""
        found: dict[str, Found] = {}
        for name in attributes:
            taken = [place.slot.spelled for place in found.values()]
            one = self._given(name) or find_by_name(self._made, name) or self._by_shape.get(name)
            if one is None and not self._built_by_call:
                one = find_by_shape(self._made, name, self._shapes[name], taken)
                self._by_shape |= {} if one is None else {name: one}
            if one is None:
                raise missing(self._made, self.layer.name, name)
            found[name] = one
        return found

    def _given(self, name: str) -> Found | None:
        """The place that the user has named."""
        paths = self.layer.parameters.get(name)
        if paths is None:
            return None
        if isinstance(paths, str):
            return beside(self._made, paths)
        return Found(follow(self._made, paths[0]), lambda: iter([follow(self._made, paths[1])]))

    def _places_in(self, attributes: Sequence[str], build: Callable[[], Any]) -> dict[str, Found]:
        """The places of all parameters; where there are none yet, the first call makes them."""
        found = {}
        try:
            found = self._found(attributes)
            if all(place.slot.get() is not None for place in found.values()):
                return found
        except AmbiguousError:
            raise
        except StyleError:
            if self._built_by_call:
                raise
        try:
            build()
        except Exception:
            if not found:
                raise
            return found  # what is None is not built by the call but wants to be set
        self._built_by_call = True
        self._reset()
        return self._found(attributes)

    def _reset(self) -> None:
        if self.layer.reset is None:
            return
        if not hasattr(self._made, self.layer.reset):
            raise StyleError(f"{self.layer.name} has no method {self.layer.reset}, which reset names")
        getattr(self._made, self.layer.reset)()

    def _run(self, inputs: Mapping[str, Array], names: Sequence[str], attributes: Sequence[str]) -> Outputs:
        """Set the parameters and run forward; updated buffers come behind the outputs."""
        self._reset()
        self._shapes = {n: a.shape for n, a in inputs.items()}
        arguments = [inputs[n] for n in names]
        places = self._places_in(attributes, lambda: self._forward(*arguments))
        for name, place in places.items():
            place.slot.write(inputs[name])
        y: Outputs = self._forward(*arguments)
        state = self._state()
        if not self._settled:
            self._settled = True
            if any(not _is(places[n].slot.get(), inputs[n]) for n in attributes if n not in state):
                self._built_by_call = True
                return self._run(inputs, names, attributes)
        self._several = isinstance(y, tuple)
        after = tuple(self._after(inputs, [n for n in state if n in places]).values())
        if COUNT in state and COUNT not in places:
            after = (*after, inputs[COUNT] + 1)
        return (*(y if isinstance(y, tuple) else (y,)), *after) if after else y

    def _after(self, inputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """Parameters and buffers as they are now, copied, in the shapes in which they were given."""
        found = self._found(names)
        return {n: _shaped(np.array(place.slot.get()), inputs[n].shape) for n, place in found.items()}

    def _state(self) -> tuple[str, ...]:
        """The buffers that a call changes in this configuration."""
        state = getattr(self.layer.contract.reference, "state", None)
        return state(self.config) if state else ()

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """Set the parameters, run forward; the backward does so again and reads the gradients off the object."""
        names, attributes = self._split(tuple(inputs))

        def backward(*dy: Array) -> Mapping[str, Array]:
            self._run(inputs, names, attributes)
            for name, place in self._found(attributes).items():
                for slot in place.gradients():
                    old = slot.get()
                    if isinstance(old, np.ndarray):  # objects that add to their gradients start from nothing
                        slot.put(np.zeros(old.shape, inputs[name].dtype))
            found = self._named(self._backward(*dy), [*names, *attributes], [*names, *attributes])
            kept = {n: slot.get() for n, slot in self._gradients([n for n in attributes if n not in found])}
            # Copies: that an object's own gradients change with its next backward is what such objects are for.
            shapes = self._shapes
            return found | {n: None if g is None else _shaped(np.array(g), shapes[n]) for n, g in kept.items()}

        return self._run(inputs, names, attributes), backward

    def _gradients(self, attributes: Sequence[str]) -> Iterator[tuple[str, Slot]]:
        """Where the gradient of each parameter is, after a backward."""
        for name, place in self._found(attributes).items():
            slot = next(place.gradients(), None)
            if slot is not None:
                yield name, slot

    def unanswered(self, name: str) -> str | None:
        """That the gradient is not where such objects keep it, and how to say where it is."""
        _, attributes = self._split(tuple(self._shapes))
        if name not in attributes:
            return None
        return no_gradient(self._made, self.layer.name, name, self._found(attributes)[name].slot)

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """Parameters in, forward, backward, gradients out."""
        arguments, attributes = self._split(tuple(names))
        call = f"layer.{self._methods[0]}({', '.join(map(script_name, arguments))})"
        reset = [] if self.layer.reset is None else [f"layer.{self.layer.reset}()"]
        lines = [*reset, *([f"{call}  # builds the parameters", *reset] if self._built_by_call else [])]
        lines += [f"{p.slot.spelled} = {self._spelled_value(n, p.slot)}" for n, p in self._found(attributes).items()]
        lines += [f"y = {call}", *self._spelled_state(attributes)]
        places = self._places(arguments, arguments) if arguments else {}
        for name, slot in self._gradients([n for n in attributes if n not in places]):
            places[name] = f"np.reshape({slot.spelled}, {script_name(name)}.shape)"
        return lines, f"layer.{self._methods[1]}({', '.join(cotangents)})", places

    def _spelled_state(self, attributes: Sequence[str]) -> list[str]:
        """The line that puts updated buffers behind the outputs, where there are any."""
        state = self._state()
        places = self._found([n for n in state if n in attributes])
        after = [f"np.reshape(np.array({p.slot.spelled}), {script_name(n)}.shape)" for n, p in places.items()]
        after += [f"{COUNT} + 1"] if COUNT in state and COUNT not in places else []
        return [f"y = ({', '.join(['*y' if self._several else 'y', *after])})"] if after else []

    def _spelled_value(self, name: str, slot: Slot) -> str:
        return script_name(name) + slot.like(np.empty(self._shapes[name]))


def _is(value: Any, given: Array) -> bool:
    """Whether a parameter is still the one that was given."""
    return isinstance(value, np.ndarray) and value.size == given.size and value.tobytes() == given.tobytes()


def _shaped(gradient: Array, shape: tuple[int, ...]) -> Array:
    """A gradient in the shape of its parameter, if they differ by axes of length one only."""
    squeezed = [n for n in gradient.shape if n != 1]
    return gradient.reshape(shape) if squeezed == [n for n in shape if n != 1] else gradient


# The gradient is recovered from the update as (before - after) / rate, where `before` would swallow its digits. So the
# cotangent, in which a backward is linear, is made larger by a power of two, which costs none: the first of these with
# which everything is finite.
SCALES = {"float64": (2.0**200, 1.0), "float32": (2.0**120, 2.0**100, 2.0**60, 2.0**20, 1.0)}
# The names of the second argument of a backward that updates.
RATES = ("lr", "learning_rate", "eta", "rate", "step_size", "alpha")


class Updating(Object):
    """layer.W = weight; y = layer.forward(x); dx = layer.backward(dy, rate), which does layer.W -= rate * dW.

    `rate`: the number the layer updates with; or where it keeps its rate, as a path, and then the rate is 1, as it is
    where the backward is given it.
    """

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Any, methods: tuple[str, str]) -> None:
        super().__init__(layer, config, made, methods)
        self._given_rate = len(positional(self._backward)) > 1
        given = layer.learning_rate
        self._path = given if isinstance(given, str) else None
        self._rate = 1.0 if given is None or isinstance(given, str) else float(given)
        self._scale = 1.0

    def _run(self, inputs: Mapping[str, Array], names: Sequence[str], attributes: Sequence[str]) -> Outputs:
        if self._path is not None:
            slot = follow(self._made, self._path)
            if slot.get() is ABSENT:
                has = ", ".join(vars(self._made))
                raise StyleError(f"{self.layer.name} has no {self._path}, which learning_rate names; it has {has}")
            slot.put(self._rate)
        # Copies: an update may be in place.
        own = {n: a.copy() if n in attributes else a for n, a in inputs.items()}
        return super()._run(own, names, attributes)

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """The backward is run as it is for the input's gradient, and once more for the parameters' updates."""
        names, attributes = self._split(tuple(inputs))
        rate = (self._rate,) if self._given_rate else ()

        def backward(*dy: Array) -> Mapping[str, Array]:
            self._run(inputs, names, attributes)
            found = self._named(self._backward(*dy, *rate), names, names)
            for self._scale in SCALES[dy[0].dtype.name]:
                self._run(inputs, names, attributes)
                with np.errstate(over="ignore", invalid="ignore"):
                    dx = self._backward(*(part * part.dtype.type(self._scale) for part in dy), *rate)
                updates = {n: inputs[n] - after for n, after in self._after(inputs, attributes).items()}
                if all(np.isfinite(a).all() for a in (*self._named(dx, names, names).values(), *updates.values())):
                    break
            return found | {n: update / self._scale / self._rate for n, update in updates.items()}

        return self._run(inputs, names, attributes), backward

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """One call with the larger cotangent for all gradients."""
        arguments, attributes = self._split(tuple(names))
        lines, _, places = super().spell(names, cotangents)
        if self._path is not None:
            lines.insert(0, f"{follow(self._made, self._path).spelled} = {self._rate!r}")
        places = {n: f"{places[n]} / {self._scale!r}" for n in arguments if n in places}
        for name, place in self._found(attributes).items():
            own = script_name(name)
            update = f"({own} - np.reshape({place.slot.spelled}, {own}.shape))"
            places[name] = f"{update} / {self._scale!r} / {self._rate!r}"
        scaled = [f"{dy} * {self._scale!r}" for dy in cotangents]
        rate = [repr(self._rate)] if self._given_rate else []
        return lines, f"layer.{self._methods[1]}({', '.join([*scaled, *rate])})", places

    def _spelled_value(self, name: str, slot: Slot) -> str:
        return f"{super()._spelled_value(name, slot)}.copy()"
