"""Conventions that a layer follows on purpose, declared: another order of axes, gradients averaged over the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.vjp import Array, Backward, Outputs
from .literals import script_name
from .styles.base import Adapted, StyleError

AVERAGES = ("batch", "rows")
SPATIAL = "DHWLT"

Order = str | Sequence[int] | Mapping[str, str | Sequence[int]]


@dataclass(frozen=True)
class Conventions:
    """What a layer means by the same call as torch.

    - `layout`: the order of the axes of inputs and outputs in letters, "NHWC" where torch has NCHW; an input of one
      axis less has no N.
    - `weight`: the order in which weights are stored: "(in, out)", "(kernel, in, out)", "(out, in, rotated kernel)", or
      the axes of torch's weight as they stand in the layer, (1, 0); or a dict of these by the names of the parameters.
    - `columns`: samples stand in columns, (features, N), and vectors are columns, (K, 1).
    - `averaged_over`: "batch" or "rows": the gradients of parameters are means where torch has sums, over the first
      axis of the first input, or over all but its last.
    """

    layout: str | None = None
    weight: Order | None = None
    columns: bool = False
    averaged_over: str | None = None

    def __post_init__(self) -> None:
        if self.layout is not None:
            _check_layout(self.layout)
        if self.layout is not None and self.columns:
            raise ValueError(f"layout={self.layout!r} and columns=True are two orders of the same axes: declare one")
        orders = self.weight.values() if isinstance(self.weight, Mapping) else [self.weight]
        for order in (order for order in orders if order is not None):
            if isinstance(order, str):
                _tokens(order)
            elif not isinstance(order, Sequence) or sorted(order) != list(range(len(order))):
                raise ValueError(f"weight={order!r} is no order of axes, such as (1, 0)")
        if self.averaged_over not in (None, *AVERAGES):
            raise ValueError(f"averaged_over must be one of {', '.join(AVERAGES)}, got {self.averaged_over!r}")

    def __bool__(self) -> bool:
        return self != Conventions()

    def turn(self, name: str, rank: int, first: int, *, parameter: bool, transposed: bool) -> Turn:
        """How an input of this name stands in the layer, where the first has the rank `first`.

        `transposed`: torch's weight is (in, out, kernel).
        """
        if not parameter:
            return self.data(rank, first)
        order = self.weight.get(name) if isinstance(self.weight, Mapping) else self.weight if "weight" in name else None
        if order is not None and rank > 1:
            return _stored(name, order, rank, transposed)
        return Turn(column=self.columns and rank == 1)

    def data(self, rank: int, first: int) -> Turn:
        """How an argument or output of this rank stands in the layer: as torch's, if it is not of the first's rank."""
        if rank != first:
            return Turn()
        if self.columns and rank == 2:
            return Turn((1, 0))
        if self.layout is not None:
            for letters in (self.layout, self.layout.replace("N", "")):
                if len(letters) == rank:
                    spatial = [letter for letter in letters if letter in SPATIAL]
                    theirs = [*(["N"] if "N" in letters else []), "C", *spatial]
                    return Turn(tuple(theirs.index(letter) for letter in letters))
        return Turn()

    def times(self, x: Array) -> int:
        """By how much a mean is multiplied for the sum."""
        if self.averaged_over is None or not x.ndim:
            return 1
        return x.shape[0] if self.averaged_over == "batch" else math.prod(x.shape[:-1])


@dataclass(frozen=True)
class Turn:
    """How an array stands in the layer: its axes in another order, its kernel rotated, a vector as a column."""

    axes: tuple[int, ...] = ()
    rotated: bool = False
    column: bool = False

    def there(self, a: Array) -> Array:
        """From torch's order into the layer's. A plain array stays plain, another stays a view."""
        turned = np.flip(a, self._kernel(a)) if self.rotated else a
        turned = turned.transpose(self.axes) if self.axes else turned
        turned = turned.reshape(-1, 1) if self.column else turned
        if turned is a or not a.flags.c_contiguous:
            return turned
        own = turned.copy()
        own.flags.writeable = a.flags.writeable
        return own

    def back(self, a: Array) -> Array:
        """From the layer's order into torch's; an array of another rank is left as it is, for the laws to report."""
        if self.column:
            return a.reshape(-1) if a.ndim == 2 and 1 in a.shape else a
        if self.axes and a.ndim != len(self.axes):
            return a
        a = a.transpose(np.argsort(self.axes)) if self.axes else a
        return np.flip(a, self._kernel(a)) if self.rotated else a

    def spell_there(self, name: str) -> str:
        """The same as `there` in a script."""
        flipped = f"np.flip({name}, {self._kernel_of(len(self.axes))})" if self.rotated else name
        turned = f"np.transpose({flipped}, {self.axes})" if self.axes else flipped
        turned = f"np.reshape({turned}, (-1, 1))" if self.column else turned
        return turned if turned == name else f"np.ascontiguousarray({turned})"

    def spell_back(self, place: str) -> str:
        """The same as `back` in a script."""
        if self.column:
            return f"np.reshape({place}, -1)"
        turned = f"np.transpose({place}, {tuple(map(int, np.argsort(self.axes)))})" if self.axes else place
        return f"np.flip({turned}, {self._kernel_of(len(self.axes))})" if self.rotated else turned

    def _kernel(self, a: Array) -> tuple[int, ...]:
        return self._kernel_of(a.ndim)

    @staticmethod
    def _kernel_of(rank: int) -> tuple[int, ...]:
        return tuple(range(2, rank))


def _check_layout(layout: str) -> None:
    known = set("NC" + SPATIAL)
    written = isinstance(layout, str) and set(layout) <= known and len(set(layout)) == len(layout)
    if not written or "C" not in layout:
        raise ValueError(
            f"layout={layout!r} names no order of axes; write letters of N, C and {', '.join(SPATIAL)}, such as 'NHWC'"
        )


def _tokens(order: str) -> list[str]:
    """The axes of a weight in words; ValueError where they are no order."""
    tokens = [token.strip() for token in order.strip().removeprefix("(").removesuffix(")").split(",")]
    plain = sorted("kernel" if token == "rotated kernel" else token for token in tokens)
    if plain not in (["in", "out"], ["in", "kernel", "out"]):
        raise ValueError(
            f"weight={order!r} is no order of a weight's axes; write '(in, out)', '(kernel, in, out)', "
            "'(out, in, rotated kernel)', or torch's axes as they stand in the layer, such as (1, 0)"
        )
    return tokens


def _stored(name: str, order: str | Sequence[int], rank: int, transposed: bool) -> Turn:
    if not isinstance(order, str):
        if len(order) != rank:
            raise StyleError(f"weight={tuple(order)} orders {len(order)} axes, but torch's {name} has {rank}")
        return Turn(tuple(order))
    kernel = tuple(range(2, rank))
    first, second = ("in", "out") if transposed else ("out", "in")
    places = {first: (0,), second: (1,), "kernel": kernel, "rotated kernel": kernel}
    tokens = _tokens(order)
    axes = tuple(axis for token in tokens for axis in places[token])
    if len(axes) != rank:
        raise StyleError(f"weight={order!r} has no kernel, but torch's {name} has {rank} axes")
    return Turn(axes, rotated="rotated kernel" in tokens)


class Translated(Adapted):
    """A layer of any style that follows declared conventions, called and answering in torch's."""

    def __init__(self, inner: Adapted, conventions: Conventions) -> None:
        super().__init__(inner.layer, inner.config)
        self.reentrant = inner.reentrant
        self._inner = inner
        self._conventions = conventions
        self._turns: dict[str, Turn] = {}
        self._outputs: list[Turn] = []
        self._averaged: list[str] = []
        self._times = 1

    def unanswered(self, name: str) -> str | None:
        """What the layer's own style says."""
        return self._inner.unanswered(name)

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """The layer on arrays in its own order, what it answers brought back."""
        arguments = self.layer.contract.reference.inputs
        first = next(iter(inputs.values()))
        transposed = self.layer.contract.name.startswith("ConvTranspose")
        self._turns = {
            n: self._conventions.turn(n, a.ndim, first.ndim, parameter=n not in arguments, transposed=transposed)
            for n, a in inputs.items()
        }
        self._averaged = [n for n in inputs if n not in arguments] if self._conventions.averaged_over else []
        times = self._times = self._conventions.times(first)
        own = {n: self._turns[n].there(a) for n, a in inputs.items()}
        y, backward = self._inner(**own)
        _reflect(own, inputs, self._turns)
        outputs = y if isinstance(y, tuple) else (y,)
        turns, averaged = self._turns, self._averaged
        orders = self._outputs = [self._conventions.data(np.ndim(part), first.ndim) for part in outputs]
        turned = tuple(order.back(np.asarray(part)) for order, part in zip(orders, outputs, strict=True))

        def turned_backward(*dy: Array) -> Mapping[str, Any]:
            there = [self._conventions.data(part.ndim, first.ndim).there(part) for part in dy]
            answer = backward(*there)
            _reflect(own, inputs, turns)
            for mine, theirs in zip(there, dy, strict=True):
                _copy_back(mine, theirs, self._conventions.data(theirs.ndim, first.ndim))
            gradients = {n: None if g is None else turns[n].back(np.asarray(g)) for n, g in answer.items()}
            return gradients | {n: _summed(gradients[n], times) for n in averaged if gradients.get(n) is not None}

        return (turned if isinstance(y, tuple) else turned[0]), turned_backward

    def spell(self, names: Sequence[str], cotangents: Sequence[str]) -> tuple[list[str], str, dict[str, str]]:
        """The same in the words of a script."""
        turns = {n: turn for n, turn in self._turns.items() if turn != Turn()}
        before = [f"{script_name(n)} = {turn.spell_there(script_name(n))}" for n, turn in turns.items()]
        # Where the forward raised, nothing is known of its outputs.
        orders = [*self._outputs, *[Turn()] * len(cotangents)]
        dys = [turn.spell_there(dy) for turn, dy in zip(orders, cotangents, strict=False)]
        lines, backward, places = self._inner.spell(names, dys)
        if any(turn != Turn() for turn in self._outputs):
            if len(self._outputs) == 1:
                lines.append(f"y = {self._outputs[0].spell_back('y')}")
            else:
                parts = [turn.spell_back(f"y[{n}]") for n, turn in enumerate(self._outputs)]
                lines.append(f"y = ({', '.join(parts)})")
        places = {n: turns[n].spell_back(place) if n in turns else place for n, place in places.items()}
        sums = "{} * {}" if self._times else "{} * np.zeros_like({})"
        places |= {n: sums.format(self._times, places[n]) for n in self._averaged if n in places}
        return [*before, *lines], backward, places


def _summed(mean: Array, times: int) -> Array:
    """The sum of so many numbers with this mean; of none it is zero, whatever their mean was called."""
    return mean * mean.dtype.type(times) if times else np.zeros_like(mean)


def _reflect(own: Mapping[str, Array], inputs: Mapping[str, Array], turns: Mapping[str, Turn]) -> None:
    """What the layer did to its copies is done to the arguments, where the law of purity looks for it."""
    for name, mine in own.items():
        _copy_back(mine, inputs[name], turns[name])


def _copy_back(mine: Array, theirs: Array, turn: Turn) -> None:
    if mine is not theirs and mine.flags.writeable and mine.tobytes() != turn.there(theirs).tobytes():
        theirs[...] = turn.back(mine)
