"""What a contract's domain is written in: options recorded as they are drawn, and the shapes that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from ..oracle.vjp import Case
from .values import Array, Between, Brush, Edit, Given, Shape, Spec

T = TypeVar("T")

SUB_CASES = 8

# Mostly short axes, for failures to be seen; an empty one and a long one now and then.
LENGTHS = st.sampled_from((1, 2, 3, 4, 5) * 3 + (0, 17))


class Draft:
    """A configuration in the making.

    `option` draws an option and records it unless it is torch's default, so that a drawn configuration names just what
    is special about it; an option that the user has fixed is not drawn, or from the user's own strategy.
    """

    def __init__(
        self, draw: Callable[[st.SearchStrategy[Any]], Any], defaults: Mapping[str, Any], fixed: Mapping[str, Any]
    ) -> None:
        self._draw = draw
        self._defaults = defaults
        self._fixed = fixed
        self.config: dict[str, Any] = {}

    def option(self, name: str, strategy: st.SearchStrategy[T]) -> T:
        """The value of a constructor option."""
        chosen = self._fixed.get(name, strategy)
        value = self._draw(chosen) if isinstance(chosen, st.SearchStrategy) else chosen
        default = self._defaults[name]
        if name in self._fixed or type(value) is not type(default) or value != default:
            self.config[name] = value
        return value  # type: ignore[no-any-return]

    def __call__(self, strategy: st.SearchStrategy[T]) -> T:
        """Anything else that the shapes depend on."""
        return self._draw(strategy)  # type: ignore[no-any-return]

    def size(self, most: int = 5) -> int:
        """The length of an axis, from 1."""
        return self(st.integers(1, most))

    def batch(self) -> Shape:
        """(N,), which may be empty, or () for unbatched input."""
        return self(st.sampled_from(((1,), (2,), (3,), (), (4,), (2,), (0,))))

    def shape(self, least: int = 0, most: int = 4) -> Shape:
        """A shape of `least` to `most` axes, seldom the least; now and then an axis is empty or long."""
        # A list of free length would mostly be short, and then there is little to tell axes apart by.
        rank = self(st.sampled_from((least, *(2 * [*range(least + 1, most + 1)]))))
        return tuple(self(LENGTHS) for _ in range(rank))


Domain = Callable[[Draft], dict[str, Spec]]


@dataclass(frozen=True)
class Situation:
    """One Hypothesis draw: a configuration, what its inputs hold, and the seed and edits that make the values.

    It stands for several value sub-cases, from plain to wild: even ones are small integers (only the first where
    `generic`), the others normal numbers; the first two have no edits.
    """

    config: Mapping[str, Any]
    specs: Mapping[str, Spec]
    dtype: np.dtype[Any]
    seed: int
    edits: Sequence[Edit] = ()
    generic: bool = False
    outputs: Sequence[Shape] = field(default=())

    def brush(self, number: int) -> Brush:
        """The brush of one sub-case."""
        edits = self.edits if number >= 2 else ()
        whole = number == 0 if self.generic else number % 2 == 0
        return Brush(np.random.default_rng([self.seed, number]), whole, edits)

    def case(self, number: int) -> Case:
        """One sub-case."""
        brush = self.brush(number)
        inputs = {name: self._typed(spec.make(brush)) for name, spec in self.specs.items()}
        cotangents = tuple(self._typed(brush.cotangent(shape)) for shape in self.outputs)
        grads = tuple(name for name, spec in self.specs.items() if spec.grad)
        kept = tuple(name for name, spec in self.specs.items() if isinstance(spec, Between | Given))
        return Case(self.config, inputs, cotangents, grads, kept)

    def cases(self) -> Iterator[Case]:
        """All sub-cases."""
        return map(self.case, range(SUB_CASES))

    def _typed(self, a: Array) -> Array:
        a = np.asarray(a)  # arithmetic on rank 0 answers NumPy scalars
        return a.astype(self.dtype) if a.dtype.kind == "f" else a
