"""The textbook theorem: both gradients of a convolution at stride 1 are convolutions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ...oracle.budget import Expected
from ...oracle.vjp import Array, Case
from ..contract import Contract
from ..domain import Situation
from ..script import decide
from .law import Bench, Law, allowance, answered, in_script, named

PLAIN: Mapping[str, Any] = {"stride": 1, "dilation": 1, "groups": 1, "padding_mode": "zeros"}


def judge_theorem(bench: Bench, case: Case) -> None:
    """At stride 1, dL/dF is the convolution of the input with dL/dO, and dL/dX the full convolution of dL/dO
    with the filter rotated by 180°.

    The sums over the batch and over the output channels are convolutions' sums over channels, once the axes are
    exchanged. Only torch's forward convolution is used here, no autograd.
    """
    gradients = bench.ask(case).gradients
    reference = bench.reference(case)
    values = dict(zip(("weight", "x"), theorem(case), strict=True))
    for name in answered(gradients, case):
        if name not in values:
            continue  # the bias
        expected = reference.expected(name).replaced(values[name])
        bench.compare(
            gradients[name],
            expected,
            named(name),
            case,
            script=partial(_script, name, widths(case.config, case.inputs["weight"].shape[2:]), expected),
        )


def theorem(case: Case) -> tuple[Array, Array]:
    """(dL/dF, dL/dX) by two convolutions."""
    x, weight, dy = (a.astype(np.float64) for a in (case.inputs["x"], case.inputs["weight"], case.cotangents[0]))
    kernel = weight.shape[2:]
    pad = widths(case.config, kernel)
    image = x if x.ndim == weight.ndim else x[None]
    error = dy if dy.ndim == weight.ndim else dy[None]
    padded = np.pad(image, ((0, 0), (0, 0), *pad))
    dweight = _convolve(padded.swapaxes(0, 1), error.swapaxes(0, 1)).swapaxes(0, 1)
    border = tuple((k - 1, k - 1) for k in kernel)
    rotated = np.flip(weight, tuple(range(2, weight.ndim))).swapaxes(0, 1)
    full = _convolve(np.pad(error, ((0, 0), (0, 0), *border)), rotated)
    inner = (slice(before, size - after) for (before, after), size in zip(pad, full.shape[2:], strict=True))
    return dweight, full[:, :, *inner].reshape(x.shape)


def _convolve(image: Array, filters: Array) -> Array:
    """torch's convolution of (N, C, *) with (K, C, *): no padding, stride 1; empty sums are zero."""
    if 0 in image.shape[:2] or 0 in filters.shape[:2]:
        sizes = (i - f + 1 for i, f in zip(image.shape[2:], filters.shape[2:], strict=True))
        return np.zeros((image.shape[0], filters.shape[0], *sizes))
    function = getattr(torch.nn.functional, f"conv{image.ndim - 2}d")
    return np.asarray(function(torch.from_numpy(image.copy()), torch.from_numpy(filters.copy())).numpy())


def widths(config: Mapping[str, Any], kernel: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(before, after) of each spatial axis under the configuration's padding."""
    padding = config.get("padding", 0)
    if padding == "same":
        return tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel)
    if padding == "valid":
        padding = 0
    sizes = _sequence(padding)
    return tuple((p, p) for p in (sizes * len(kernel) if len(sizes) == 1 else sizes))


# The same two convolutions in NumPy alone, for scripts: a loop over the filter's offsets.
_SOURCE = {
    "weight": [
        "error = dy.reshape(-1, *dy.shape[1 - weight.ndim :])",
        "image = np.pad(x.reshape(-1, *x.shape[1 - weight.ndim :]), ((0, 0), (0, 0), *widths))",
        "axes = [0, *range(2, weight.ndim)]",
        "expected = np.zeros(weight.shape)",
        "for u in np.ndindex(*weight.shape[2:]):",
        "    cells = tuple(slice(i, i + n) for i, n in zip(u, dy.shape[2 - weight.ndim :]))",
        "    expected[:, :, *u] = np.einsum('nc...,nk...->kc', image[:, :, *cells], error)",
    ],
    "x": [
        "error = dy.reshape(-1, *dy.shape[1 - weight.ndim :])",
        "wide = [n + k - 1 for n, k in zip(error.shape[2:], weight.shape[2:])]",
        "expected = np.zeros((len(error), weight.shape[1], *wide))",
        "for u in np.ndindex(*weight.shape[2:]):",
        "    cells = tuple(slice(i, i + n) for i, n in zip(u, error.shape[2:]))",
        "    expected[:, :, *cells] += np.einsum('kc,nk...->nc...', weight[:, :, *u], error)",
        "expected = expected[:, :, *(slice(a, n - b) for (a, b), n in zip(widths, wide))]",
    ],
}


def _script(name: str, pad: tuple[tuple[int, int], ...], expected: Expected) -> list[str]:
    return [
        f"widths = {pad!r}",
        *_SOURCE[name],
        f"got = ask(layer, *case){in_script(name)}",
        f"expected = expected.reshape({name}.shape)",
        *decide(allowance(expected)),
    ]


def _sequence(value: Any) -> tuple[Any, ...]:
    """The numbers of an option that has one for all axes or one each."""
    return value if isinstance(value, tuple) else (value,)


def _strategy(contract: Contract, fixed: Mapping[str, Any]) -> st.SearchStrategy[Situation]:
    return contract.situations(fixed={**fixed, **PLAIN})


THEOREM = Law(
    "convolution_theorem",
    "at stride 1, dL/dF is x convolved with dL/dO, and dL/dX the full convolution of dL/dO with F rotated by 180°",
    judge_theorem,
    strategy=_strategy,
    applies=lambda fixed: all(set(_sequence(fixed.get(name, value))) == {value} for name, value in PLAIN.items()),
)
