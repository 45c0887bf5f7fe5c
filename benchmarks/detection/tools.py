"""Checks of gradients, each a function that answers whether it alarms on a layer, a reference and a case."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from gradjury.oracle.vjp import Array, Case, Vjp, arrays_of, ask, differentiable_outputs, outputs_of
from gradjury.properties.laws import COMMON
from gradjury.properties.laws.law import Bench, Broken

Tool = Callable[[Bench, Case], bool]


class _Wrapped(torch.autograd.Function):
    """A NumPy layer inside torch."""

    @staticmethod
    def forward(ctx: Any, layer: Vjp, case: Case, *tensors: torch.Tensor) -> Any:
        arrays = {name: t.detach().numpy().copy() for name, t in zip(case.inputs, tensors, strict=True)}
        y, backward = layer(**arrays)
        ctx.backward_pass, ctx.case = backward, case
        outputs = tuple(torch.from_numpy(np.array(a)) for a in outputs_of(y))
        count = len(case.cotangents)  # updated buffers, which come last, take none
        real = [n for n, t in enumerate(outputs) if t.is_floating_point()][:count]
        ctx.real = [n in real for n in range(len(outputs))]
        ctx.mark_non_differentiable(*(t for n, t in enumerate(outputs) if n not in real))
        return outputs if isinstance(y, tuple) else outputs[0]

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        real = [dy.numpy().copy() for dy, is_real in zip(cotangents, ctx.real, strict=True) if is_real]
        gradients = arrays_of(ctx.backward_pass(*real))
        wanted = (gradients.get(n) if n in ctx.case.differentiable else None for n in ctx.case.inputs)
        return None, None, *(None if g is None else torch.from_numpy(np.array(g)) for g in wanted)


def _gradcheck(bench: Bench, case: Case, fast: bool) -> bool:
    tensors = [torch.from_numpy(a.copy()).requires_grad_(n in case.differentiable) for n, a in case.inputs.items()]

    def function(*given: torch.Tensor) -> Any:
        return _Wrapped.apply(bench.layer, case, *given)  # type: ignore[no-untyped-call]

    return not torch.autograd.gradcheck(function, tensors, fast_mode=fast, raise_exception=False)


def gradcheck_slow(bench: Bench, case: Case) -> bool:
    """torch.autograd.gradcheck, the whole Jacobian."""
    return _gradcheck(bench, case, fast=False)


def gradcheck_fast(bench: Bench, case: Case) -> bool:
    """torch.autograd.gradcheck in fast mode."""
    return _gradcheck(bench, case, fast=True)


def _projections(bench: Bench, case: Case, step: float) -> tuple[float, float]:
    """<direction, backward(cotangent)> and <cotangent, (y(x + step·direction) - y(x - step·direction)) / (2·step)>."""
    rng = np.random.default_rng(0)
    direction = {n: rng.standard_normal(case.inputs[n].shape) for n in case.differentiable}

    def outputs(sign: int) -> tuple[Array, ...]:
        moved = {n: a + sign * step * direction[n] if n in direction else a.copy() for n, a in case.inputs.items()}
        return differentiable_outputs(outputs_of(bench.layer(**{n: np.asarray(a) for n, a in moved.items()})[0]), case)

    y, backward = bench.layer(**case.copies().inputs)
    cotangents = [np.asarray(rng.standard_normal(a.shape)) for a in differentiable_outputs(outputs_of(y), case)]
    gradients = arrays_of(backward(*(dy.copy() for dy in cotangents)))
    for name, v in direction.items():
        if gradients[name].shape != v.shape or gradients[name].dtype != v.dtype:
            raise TypeError(f"the gradient of {name} is not of its input's kind")
    slopes = [(a - b) / (2 * step) for a, b in zip(outputs(1), outputs(-1), strict=True)]
    claimed = sum(float((v * gradients[n]).sum()) for n, v in direction.items())
    return claimed, sum(float((dy * s).sum()) for dy, s in zip(cotangents, slopes, strict=True))


def jax_style(bench: Bench, case: Case) -> bool:
    """The reverse mode of jax.test_util.check_grads: step 1e-4, and for float64 rtol and atol 1e-5."""
    claimed, measured = _projections(bench, case, 1e-4)
    return not np.isclose(claimed, measured, rtol=1e-5, atol=1e-5, equal_nan=True)


def hips_style(bench: Bench, case: Case) -> bool:
    """check_vjp of HIPS autograd: a step of 1e-6 in all; close by 1e-6, or by 1e-6 of |a + b|."""
    claimed, measured = _projections(bench, case, 0.5e-6)
    apart = abs(claimed - measured)
    return not (apart < 1e-6 or apart < 1e-6 * abs(claimed + measured))


def ones(bench: Bench, case: Case) -> bool:
    """Outputs and gradients against torch for y.sum(), by numpy.allclose as its defaults are."""
    case = Case(case.config, case.inputs, tuple(np.ones_like(dy) for dy in case.cotangents), case.differentiable)
    got, want = ask(bench.layer, case), ask(bench.torch(case), case)
    pairs = [*zip(got.outputs, want.outputs, strict=True)]
    pairs += [(got.gradients[n], g) for n, g in want.gradients.items()]
    return not all(np.allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=True) for a, b in pairs)


def gradjury(bench: Bench, case: Case) -> bool:
    """The laws for every layer, strict ones included."""
    try:
        for law in COMMON:
            law.judge(bench, case)
    except Broken:
        return True
    return False


TOOLS: Mapping[str, Tool] = {
    "gradjury": gradjury,
    "gradcheck": gradcheck_slow,
    "fast": gradcheck_fast,
    "jax style": jax_style,
    "hips style": hips_style,
    "ones": ones,
}


def alarms(tool: Tool, bench: Bench, case: Case) -> bool:
    """Whether a check alarms; an exception is one too."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return tool(bench, case)
    except Exception:
        return True
