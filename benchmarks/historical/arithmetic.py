"""Bugs in products, reductions and broadcasting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradjury import impl
from gradjury.impl.arithmetic import unbroadcast
from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


class AddNotReduced(impl.Add):
    """The gradient of a repeated operand keeps the shape of the sum."""

    def __call__(self, x: Array, other: Array) -> tuple[Array, Any]:
        """The right outputs with the wrong backward."""
        y, _ = super().__call__(x, other)
        return y, lambda dy: {"x": dy.copy(), "other": dy.copy()}


@dataclass(frozen=True)
class Prod:
    """The product along an axis; dx is dy times the product of the others, from the left and from the right."""

    dim: int

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        y = x.prod(axis=self.dim)
        return np.asarray(y), lambda dy: {
            "x": np.expand_dims(dy, self.dim) * self._others(x, np.expand_dims(y, self.dim))
        }

    def _others(self, x: Array, y: Array) -> Array:  # noqa: ARG002
        rows = np.moveaxis(x, self.dim, 0)
        left, right = np.ones_like(rows), np.ones_like(rows)
        left[1:] = rows[:-1].cumprod(axis=0)
        right[:-1] = rows[:0:-1].cumprod(axis=0)[::-1]
        return np.moveaxis(left * right, 0, self.dim)


class ProdDivides(Prod):
    """The product of the others is y/x."""

    def _others(self, x: Array, y: Array) -> Array:
        return y / x


@dataclass(frozen=True)
class CumProd:
    """y_i = x_0·…·x_i along an axis; dx_i = x_0·…·x_(i-1)·R_i with R_i = dy_i + x_(i+1)·R_(i+1)."""

    dim: int

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        y = x.cumprod(axis=self.dim)

        def backward(dy: Array) -> dict[str, Array]:
            parts = (np.moveaxis(a, self.dim, 0) for a in (x, y, dy))
            return {"x": np.moveaxis(self._gradient(*parts), 0, self.dim)}

        return y, backward

    def _gradient(self, x: Array, y: Array, dy: Array) -> Array:
        rest = dy.copy()
        for i in reversed(range(len(x) - 1)):
            rest[i] += x[i + 1] * rest[i + 1]
        rest[1:] *= y[:-1]
        return rest


class CumProdDivides(CumProd):
    """dx_i = Σ dy_j·y_j/x_i over j ≥ i."""

    def _gradient(self, x: Array, y: Array, dy: Array) -> Array:
        return np.asarray((dy * y)[::-1].cumsum(axis=0)[::-1] / x)


@dataclass(frozen=True)
class Amax:
    """The largest along an axis; equal ones share dy."""

    dim: int

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        y = x.max(axis=self.dim, keepdims=True)
        share = self._share(np.asarray(x == y, x.dtype))
        return y.squeeze(self.dim), lambda dy: {"x": np.expand_dims(dy, self.dim) * share}

    def _share(self, largest: Array) -> Array:
        return np.asarray(largest / largest.sum(axis=self.dim, keepdims=True))


class AmaxToEach(Amax):
    """Each of several equal ones gets the whole dy."""

    def _share(self, largest: Array) -> Array:
        return largest


@dataclass(frozen=True)
class Pow:
    """y = x to a fixed exponent e; dx = dy·e·x^(e-1), and 0 for e = 0."""

    exponent: float

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        slope = self._slope(x) if self.exponent else np.zeros_like(x)
        return np.asarray(x**self.exponent), lambda dy: {"x": np.asarray(dy * slope)}

    def _slope(self, x: Array) -> Array:
        if self.exponent == 0.5:  # torch takes a root: the inverse of that of -0 is -∞, and (-0)^(-1/2) is ∞
            return np.asarray(0.5 / np.sqrt(x))
        return np.asarray(self.exponent * x ** (self.exponent - 1))


class PowNegativeBase(Pow):
    """exp((e-1)·log x), and infinity where the logarithm has no answer."""

    def _slope(self, x: Array) -> Array:
        return np.where(x <= 0, np.asarray(np.inf, x.dtype), super()._slope(np.abs(x)))


class Matmul:
    """torch.matmul: matrices in the last two axes, vectors as a row on the left and a column on the right."""

    def __call__(self, x: Array, other: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        a = x[None] if x.ndim == 1 else x
        b = other[:, None] if other.ndim == 1 else other

        def backward(dy: Array) -> dict[str, Array]:
            d = dy[..., None] if other.ndim == 1 else dy
            d = d[..., None, :] if x.ndim == 1 else d
            da = unbroadcast(d @ b.swapaxes(-1, -2), a.shape)
            db = unbroadcast(a.swapaxes(-1, -2) @ d, b.shape)
            return {"x": da.reshape(x.shape), "other": db.reshape(other.shape)}

        return np.asarray(x @ other), backward


class MatmulTransposedVector(Matmul):
    """For a matrix times a vector: the transpose of a vector is that vector, so dy·bᵀ is no outer product."""

    def __call__(self, x: Array, other: Array) -> tuple[Array, Backward]:
        """The right outputs with the wrong backward."""
        y, right = super().__call__(x, other)
        if x.ndim == 2 and other.ndim == 1:
            return y, lambda dy: {"x": np.asarray(dy @ other.T), "other": x.T @ dy}
        return y, right


BUGS = [
    Bug(
        "add: broadcast gradient not reduced",
        "ND4J (SameDiff)",
        "https://github.com/deeplearning4j/nd4j/issues/2424",
        "The gradient of an operand that was repeated along an axis was not summed over that axis.",
        impl.Add,
        AddNotReduced,
        "Add",
    ),
    Bug(
        "prod: zeros",
        "tinygrad",
        "https://github.com/tinygrad/tinygrad/pull/17404",
        "The product of the other factors was computed as y/x, which is 0/0 at a zero.",
        Prod,
        ProdDivides,
        contracts.Prod,
    ),
    Bug(
        "cumprod: zeros",
        "Burn",
        "https://github.com/tracel-ai/burn/issues/3864",
        "The backward divided by the input, which is 0/0 at a zero and wrong behind it.",
        CumProd,
        CumProdDivides,
        contracts.CumProd,
    ),
    Bug(
        "max: ties counted in full",
        "CNTK",
        "https://github.com/microsoft/CNTK/issues/3855",
        "Each of several equal maxima got the whole gradient, so more came out than went in.",
        Amax,
        AmaxToEach,
        contracts.Amax,
    ),
    Bug(
        "pow: negative base",
        "tt-metal",
        "https://github.com/tenstorrent/tt-metal/pull/54440",
        "The power was formed through a logarithm, and a guard answered infinity for every base it cannot take.",
        Pow,
        PowNegativeBase,
        contracts.Pow,
    ),
    Bug(
        "matmul: transposed vector",
        "TinyTorch (cs249r)",
        "https://github.com/harvard-edge/cs249r_book/pull/1781",
        "For a vector on the right the backward used its transpose, which NumPy leaves as it is: no outer product.",
        Matmul,
        MatmulTransposedVector,
        contracts.Matmul,
    ),
]
