"""Contracts of the padding layers."""

import inspect
from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Function, Module
from ..values import Real, Shape, Spec

SIZES = st.sampled_from((1, 2, 0, 3, 1, -1, 2, -2, 4, -3))
# What other NumPy code computed is no Python number, and does not make float32 float64.
VALUES = st.sampled_from((1.5, 0.0, -2.0, np.float64(0.25), 3, None))


def _length(d: Draft, before: int, after: int, mode: str) -> int:
    """The length of an axis for which torch takes these two widths."""
    cut = -min(before, 0) - min(after, 0)
    if mode == "constant":
        # Seldom is nothing left.
        left: int = d(st.sampled_from((1, 2, 3, 4, 5) * 3 + (0,)))
        return cut + left
    # A mirror shows cells that are cut off on the other side. Where y is empty, torch's backward of a reflection along
    # three axes answers memory that it never wrote (docs/discrepancies).
    least = max(1, 1 - before - after, max(before, after) + 1 if mode == "reflect" else 1)
    if mode == "circular":
        # A circle repeats what is left. torch looks at the uncut length: where more than what is left is to be
        # repeated, it refuses or answers memory that it never wrote (docs/discrepancies).
        least = cut + max(before, after, 1)
    return least + d(st.integers(0, 3))


def _shape(d: Draft, sizes: Sequence[int], mode: str) -> Shape:
    """A shape for padding by these sizes, which begin with the last axis."""
    axes = tuple(_length(d, before, after, mode) for before, after in zip(sizes[::2], sizes[1::2], strict=True))[::-1]
    return (*d.shape(most=2), *axes) if mode == "constant" else (*d.batch(), d.size(3), *axes)


def _borders(axes: int, mode: str) -> Domain:
    """The domain of a layer for that many axes."""

    def domain(d: Draft) -> dict[str, Spec]:
        sizes = d.option("padding", st.integers(-1, 3) | st.tuples(*(SIZES for _ in range(2 * axes))))
        return {"x": Real(_shape(d, (sizes,) * (2 * axes) if isinstance(sizes, int) else sizes, mode))}

    return domain


def _constant(axes: int) -> Domain:
    """The same with a constant."""

    def domain(d: Draft) -> dict[str, Spec]:
        d.option("value", VALUES)
        return _borders(axes, "constant")(d)

    return domain


def _pad(d: Draft) -> dict[str, Spec]:
    mode = d.option("mode", st.sampled_from(("constant", "reflect", "replicate", "circular")))
    axes = d(st.sampled_from((1, 2, 3) if mode != "constant" else (2, 1, 3, 4, 5, 0)))
    d.option("value", VALUES if mode == "constant" else st.sampled_from((None, 0.0)))
    sizes = d.option("pad", st.tuples(*(SIZES for _ in range(2 * axes))))
    return {"x": Real(_shape(d, sizes, mode))}


Pad = Contract(
    "Pad",
    Function(torch.nn.functional.pad, ("x",), {"pad": inspect.Parameter.empty, "mode": "constant", "value": None}),
    _pad,
)
ReflectionPad1d = Contract("ReflectionPad1d", Module(torch.nn.ReflectionPad1d), _borders(1, "reflect"))
ReflectionPad2d = Contract("ReflectionPad2d", Module(torch.nn.ReflectionPad2d), _borders(2, "reflect"))
ReflectionPad3d = Contract("ReflectionPad3d", Module(torch.nn.ReflectionPad3d), _borders(3, "reflect"))
ReplicationPad1d = Contract("ReplicationPad1d", Module(torch.nn.ReplicationPad1d), _borders(1, "replicate"))
ReplicationPad2d = Contract("ReplicationPad2d", Module(torch.nn.ReplicationPad2d), _borders(2, "replicate"))
ReplicationPad3d = Contract("ReplicationPad3d", Module(torch.nn.ReplicationPad3d), _borders(3, "replicate"))
ZeroPad1d = Contract("ZeroPad1d", Module(torch.nn.ZeroPad1d), _borders(1, "constant"))
ZeroPad2d = Contract("ZeroPad2d", Module(torch.nn.ZeroPad2d), _borders(2, "constant"))
ZeroPad3d = Contract("ZeroPad3d", Module(torch.nn.ZeroPad3d), _borders(3, "constant"))
ConstantPad1d = Contract("ConstantPad1d", Module(torch.nn.ConstantPad1d), _constant(1))
ConstantPad2d = Contract("ConstantPad2d", Module(torch.nn.ConstantPad2d), _constant(2))
ConstantPad3d = Contract("ConstantPad3d", Module(torch.nn.ConstantPad3d), _constant(3))
CircularPad1d = Contract("CircularPad1d", Module(torch.nn.CircularPad1d), _borders(1, "circular"))
CircularPad2d = Contract("CircularPad2d", Module(torch.nn.CircularPad2d), _borders(2, "circular"))
CircularPad3d = Contract("CircularPad3d", Module(torch.nn.CircularPad3d), _borders(3, "circular"))
