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
from .law import Bench, Law, allowance, answered

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
        expected = reference.gradient(name).replaced(values[name])
        bench.compare(
            gradients[name],
            expected,
            f"gradient of {name}",
            case,
            script=partial(_script, name, widths(case.config, case.inputs["weight"].shape[2:]), expected),
        )


def theorem(case: Case) -> tuple[Array, Array]:
    """(dL/dF, dL/dX) by two convolutions."""
    x, weight, dy = (a.astype(np.float64) for a in (case.inputs["x"], case.inputs["weight"], case.cotangents[0]))
    kernel = weight.shape[2:]
    pad = widths(case.config, kernel)
    image = x if x.ndim == 4 else x[None]
    error = dy if x.ndim == 4 else dy[None]
    padded = np.pad(image, ((0, 0), (0, 0), *pad))
    dweight = _convolve(padded.swapaxes(0, 1), error.swapaxes(0, 1)).swapaxes(0, 1)
    border = tuple((k - 1, k - 1) for k in kernel)
    rotated = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
    full = _convolve(np.pad(error, ((0, 0), (0, 0), *border)), rotated)
    inner = tuple(slice(before, full.shape[i + 2] - after) for i, (before, after) in enumerate(pad))
    return dweight, full[:, :, inner[0], inner[1]].reshape(x.shape)


def _convolve(image: Array, filters: Array) -> Array:
    """torch's convolution of (N, C, H, W) with (K, C, h, w): no padding, stride 1; empty sums are zero."""
    if 0 in image.shape[:2] or 0 in filters.shape[:2]:
        sizes = (i - f + 1 for i, f in zip(image.shape[2:], filters.shape[2:], strict=True))
        return np.zeros((image.shape[0], filters.shape[0], *sizes))
    result = torch.nn.functional.conv2d(torch.from_numpy(image.copy()), torch.from_numpy(filters.copy()))
    return np.asarray(result.numpy())


def widths(config: Mapping[str, Any], kernel: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(before, after) of each spatial axis under the configuration's padding."""
    padding = config.get("padding", 0)
    if padding == "same":
        return tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel)
    if padding == "valid":
        padding = 0
    sizes = (padding, padding) if isinstance(padding, int) else padding
    return tuple((p, p) for p in sizes)


# The same two convolutions in NumPy alone, for scripts: a loop over the filter's offsets.
_SOURCE = {
    "weight": [
        "h, w = dy.shape[-2:]",
        "error = dy.reshape(-1, *dy.shape[-3:])",
        "image = np.pad(x.reshape(-1, *x.shape[-3:]), ((0, 0), (0, 0), *widths))",
        "expected = np.array([[np.einsum('nchw,nkhw->kc', image[:, :, i : i + h, j : j + w], error)",
        "    for j in range(weight.shape[3])] for i in range(weight.shape[2])]).transpose(2, 3, 0, 1)",
    ],
    "x": [
        "error = dy.reshape(-1, *dy.shape[-3:])",
        "(kh, kw), (h, w) = weight.shape[2:], dy.shape[-2:]",
        "expected = np.zeros((len(error), weight.shape[1], h + kh - 1, w + kw - 1))",
        "for i in range(kh):",
        "    for j in range(kw):",
        "        expected[:, :, i : i + h, j : j + w] += np.einsum('kc,nkhw->nchw', weight[:, :, i, j], error)",
        "(a, b), (c, d) = widths",
        "expected = expected[:, :, a : expected.shape[2] - b, c : expected.shape[3] - d]",
    ],
}


def _script(name: str, pad: tuple[tuple[int, int], ...], expected: Expected) -> list[str]:
    return [
        f"widths = {pad!r}",
        *_SOURCE[name],
        f'got = ask(layer, *case)[1]["{name}"]',
        f"expected = expected.reshape({name}.shape)",
        *decide(allowance(expected)),
    ]


def _strategy(contract: Contract, fixed: Mapping[str, Any]) -> st.SearchStrategy[Situation]:
    return contract.situations(fixed={**fixed, **PLAIN})


THEOREM = Law(
    "convolution_theorem",
    "at stride 1, dL/dF is x convolved with dL/dO, and dL/dX the full convolution of dL/dO with F rotated by 180°",
    judge_theorem,
    strategy=_strategy,
    applies=lambda fixed: all(fixed.get(name, value) in (value, (value, value)) for name, value in PLAIN.items()),
)
