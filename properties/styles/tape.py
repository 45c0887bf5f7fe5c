"""Layers on a tape: tensors that know where they come from, with `.backward()` and `.grad`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...oracle.vjp import Array, Backward, Outputs
from ..literals import script_name
from .base import Adapted, StyleError, accepted, positional
from .slots import NAMES, Slot, follow, missing

if TYPE_CHECKING:
    from ..adapt import Layer


class Tape(Adapted):
    """x = Tensor(x); y = layer(x); y.backward(dy); x.grad, layer.weight.grad.

    `layer.tensor` makes a tensor of an array. Where backward takes no cotangent, (y · dy).sum() is differentiated.
    Each backward runs the forward again, for a tape may be used up.
    """

    reentrant = False

    def __init__(self, layer: Layer, config: Mapping[str, Any], made: Any) -> None:
        super().__init__(layer, config)
        self._made = made
        takes = accepted(layer.tensor)
        self._options: dict[str, Any] = {"requires_grad": True} if takes is None or "requires_grad" in takes else {}
        self._gradients_are_arrays = True
        self._seeded = True
        self._several = False
        self._plain: set[str] = set()
        # The shapes of parameters that are kept in another than torch's: a bias as a row or a column.
        self._kept: dict[str, tuple[int, ...]] = {}

    def _tensor(self, a: Array) -> Any:
        if a.dtype.kind != "f":
            return a
        return self.layer.tensor(a, **self._options)

    def _split(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        arguments = [n for n in names if n in self.layer.contract.reference.inputs]
        if len(positional(self._call)) >= len(names):
            arguments = list(names)
        return arguments, [n for n in names if n not in arguments]

    @property
    def _call(self) -> Callable[..., Any]:
        return getattr(self._made, self.layer.methods[0]) if self.layer.methods else self._made  # type: ignore[no-any-return]

    def _slot(self, name: str) -> Slot:
        path = self.layer.parameters.get(name)
        if path is not None:
            return follow(self._made, path if isinstance(path, str) else path[0])
        for candidate in NAMES.get(name, (name,)):
            if hasattr(self._made, candidate):
                return follow(self._made, candidate)
        raise missing(self._made, self.layer.name, name)

    def _run(self, inputs: Mapping[str, Array]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The output tensors, and those that were given."""
        arguments, attributes = self._split(tuple(inputs))
        tensors = {name: self._tensor(a) for name, a in inputs.items()}
        self._plain = {name for name, a in inputs.items() if a.dtype.kind != "f"}
        for name in attributes:
            slot = self._slot(name)
            old: Any = getattr(slot.get(), "data", None)
            own, shape = inputs[name], np.shape(old)
            if shape != own.shape and math.prod(shape) == own.size:
                self._kept[name] = shape
                tensors[name] = self._tensor(own.reshape(shape))
            slot.put(tensors[name])
        y = self._call(*(tensors[n] for n in arguments))
        self._several = isinstance(y, tuple)
        return (y if isinstance(y, tuple) else (y,)), tensors

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """The layer's outputs as arrays, and a backward that starts from their tensors."""

        def backward(*dy: Array) -> Mapping[str, Any]:
            outputs, tensors = self._run(inputs)
            self._start(outputs, dy)
            found = {}
            for name, tensor in tensors.items():
                gradient = getattr(tensor, "grad", None)
                self._gradients_are_arrays &= gradient is None or isinstance(gradient, np.ndarray)
                if gradient is not None:
                    found[name] = np.array(_array(gradient)).reshape(inputs[name].shape)
            return found

        outputs = tuple(_array(y) for y in self._run(inputs)[0])
        return (outputs if self._several else outputs[0]), backward

    def _start(self, outputs: Sequence[Any], dy: Sequence[Array]) -> None:
        first = outputs[0]
        if not hasattr(first, "backward"):
            raise StyleError(
                f"{self.layer.name} answers a {type(first).__name__} without backward(): what does tensor=… make?"
            )
        takes = accepted(first.backward) or ()
        self._seeded = len(outputs) == 1 and any("grad" in name or name == "dy" for name in takes)
        if self._seeded:
            first.backward(dy[0])
        else:
            products = [(y * self.layer.tensor(part)).sum() for y, part in zip(outputs, dy, strict=False)]
            sum(products[1:], products[0]).backward()

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """Tensors in, forward, backward, gradients out."""
        arguments, attributes = self._split(tuple(names))
        options = "".join(f", {name}={value}" for name, value in self._options.items())
        own = {name: script_name(name) if name in self._plain else f"t_{script_name(name)}" for name in names}
        arrays = {n: script_name(n) for n in names}
        arrays |= {n: f"{arrays[n]}.reshape({shape})" for n, shape in self._kept.items()}
        lines = [f"{own[n]} = Tensor({arrays[n]}{options})" for n in names if n not in self._plain]
        lines += [f"{self._slot(n).spelled} = {own[n]}" for n in attributes]
        call = f"layer.{self.layer.methods[0]}" if self.layer.methods else "layer"
        lines.append(f"t = {call}({', '.join(own[n] for n in arguments)})")
        lines.append("y = tuple(part.data for part in t)" if self._several else "y = t.data")
        gradient = "{}.grad" if self._gradients_are_arrays else "{}.grad.data"
        places = {n: gradient.format(own[n]) for n in names if n not in self._plain}
        places |= {n: f"{places[n]}.reshape({script_name(n)}.shape)" for n in self._kept if n in places}
        if self._seeded:
            return lines, f"t.backward({cotangents[0]})", places
        outputs = [f"t[{n}]" for n in range(len(cotangents))] if self._several else ["t"]
        products = [f"({y} * Tensor({dy})).sum()" for y, dy in zip(outputs, cotangents, strict=True)]
        return lines, f"({' + '.join(products)}).backward()", places


def _array(tensor: Any) -> Array:
    """What is in a tensor."""
    return np.asarray(tensor if isinstance(tensor, np.ndarray | np.generic) else tensor.data)
