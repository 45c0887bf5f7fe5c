"""The one type that torch, a stranger's layer and ours share, and the case they are called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = Array | tuple[Array, ...]
Backward = Callable[..., Mapping[str, Array]]


# A layer in use: called with arrays by name it answers its outputs and its backward pass.
#
# `y, backward = vjp(x=x, weight=weight)`; `backward(dy)` takes one cotangent for each floating-point output and answers
# the gradients by the names of the inputs. Several outputs come as a tuple; updated buffers come last, without one.
Vjp = Callable[..., tuple[Outputs, Backward]]


@dataclass(frozen=True)
class Case:
    """What a layer is tried on: its configuration, its inputs by name in call order, and a cotangent an output.

    `differentiable` names the inputs whose gradient is asked for; `kept` those that only make sense as they are (sizes,
    offsets, samples from an interval), for a law that makes another case out of this one.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Array]
    cotangents: tuple[Array, ...]
    differentiable: tuple[str, ...]
    kept: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating dtype that all real inputs of a case share."""
        return next(a.dtype for a in self.inputs.values() if a.dtype.kind == "f")

    def astype(self, dtype: Any) -> Case:
        """The same case with its floating-point arrays in another precision."""
        return self.map(lambda a: a.astype(dtype) if a.dtype.kind == "f" else a)

    def map(self, change: Callable[[Array], Array]) -> Case:
        """The case with every array changed, cotangents too."""
        inputs = {name: np.asarray(change(a)) for name, a in self.inputs.items()}
        return replace(self, inputs=inputs, cotangents=tuple(np.asarray(change(dy)) for dy in self.cotangents))

    def copies(self) -> Case:
        """The case on writable copies of its arrays."""
        return self.map(lambda a: a.copy())


# Which array of an answer: the number of an output, or the name of the input that a gradient belongs to.
Place = int | str


@dataclass(frozen=True)
class Answer:
    """What a layer answered to a case."""

    outputs: tuple[Array, ...]
    gradients: Mapping[str, Array]

    def __getitem__(self, place: Place) -> Array:
        return self.outputs[place] if isinstance(place, int) else self.gradients[place]

    def __contains__(self, place: Place) -> bool:
        return self.get(place) is not None

    def get(self, place: Place) -> Array | None:
        """The array at this place; None where there is none."""
        try:
            return self[place]
        except (KeyError, IndexError):
            return None

    @property
    def places(self) -> list[Place]:
        """Of all its arrays, outputs first."""
        return [*range(len(self.outputs)), *self.gradients]


def outputs_of(y: Outputs) -> tuple[Array, ...]:
    """The outputs as a tuple of arrays, whether there is one or several."""
    return tuple(np.asarray(part) for part in y) if isinstance(y, tuple) else (np.asarray(y),)


def arrays_of(gradients: Mapping[str, Any]) -> dict[str, Array]:
    """The gradients that were answered, as arrays."""
    return {name: np.asarray(gradient) for name, gradient in gradients.items() if gradient is not None}


def differentiable_outputs(outputs: tuple[Array, ...], case: Case) -> tuple[Array, ...]:
    """Those outputs that take a cotangent: the floating-point ones, not pooling indices.

    Updated buffers (running statistics) come last and take none: there are no more than the case has cotangents.
    """
    return tuple(y for y in outputs if y.dtype.kind in "fc")[: len(case.cotangents)]


def ask(vjp: Vjp, case: Case) -> Answer:
    """Forward and backward on copies of the case, so that nothing the layer does to its arguments spreads."""
    own = case.copies()
    y, backward = vjp(**own.inputs)
    return Answer(outputs_of(y), arrays_of(backward(*own.cotangents)))
