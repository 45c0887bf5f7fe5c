"""Contracts of the piecewise activations.

Where x is NaN, several gradients of torch depend on where the element stands in memory: the vector loop answers 0 or
NaN, the loop over what remains lets the cotangent pass, as torch's definition of these gradients does
(docs/discrepancies/nan_lanes.py). For these layers the reference is torch's function with that definition in every
place.
"""

from typing import Any

import mpmath
import numpy as np
import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Between, Real, Spec
from .activation import any_shape


def _leaky_relu(d: Draft) -> dict[str, Spec]:
    # A slope that comes out of other NumPy code does not make float32 float64.
    d.option("negative_slope", st.sampled_from((0.01, 0.0, 1.0, np.float64(0.25), 2.0, -0.5)))
    return any_shape(d)


def _hardtanh(d: Draft) -> dict[str, Spec]:
    d.option("min_val", st.sampled_from((-1.0, 0.0, -2, -0.5, np.float64(0.25), -1.0, -float("inf"))))
    d.option("max_val", st.sampled_from((1.0, 0.5, 3, 2.0, np.float64(1.5), 1.0, float("inf"))))
    return any_shape(d)


def _threshold(d: Draft) -> dict[str, Spec]:
    d.option("threshold", st.sampled_from((0.0, 1, -0.5, np.float64(0.25), -2.0, 3.0)))
    d.option("value", st.sampled_from((0.0, 20, -1.5, np.float64(0.1), 3.0)))
    return any_shape(d)


def _prelu(d: Draft) -> dict[str, Spec]:
    n = d.option("num_parameters", st.sampled_from((1, 2, 3, 1, 4)))
    shape = d.shape() if n == 1 else (*(d.batch() or (5,)), n, *d.shape(most=2))
    return {"x": Real(shape), "weight": Real((n,))}


def _rrelu(d: Draft) -> dict[str, Spec]:
    lower = d.option("lower", st.sampled_from((1 / 8, 0.0, -1, np.float64(0.1), 0.25)))
    upper = d.option("upper", st.sampled_from((1 / 3, 0.25, 1, np.float64(0.5), 2.0)))
    shape = d.shape()
    if not d.option("training", st.sampled_from((True, False, True))):
        return {"x": Real(shape)}
    return {"x": Real(shape), "slopes": Between(shape, lower, upper)}


def _alpha(d: Draft) -> dict[str, Spec]:
    d.option("alpha", st.sampled_from((1.0, 0.5, 2, np.float64(0.3), 1.673, -0.5)))
    return any_shape(d)


def _softshrink(d: Draft) -> dict[str, Spec]:
    d.option("lambd", st.sampled_from((0.5, 0.0, 1, np.float64(0.25), 2.0)))
    return any_shape(d)


def _hardshrink(d: Draft) -> dict[str, Spec]:
    d.option("lambd", st.sampled_from((0.5, 0.0, 1, np.float64(0.25), 2.0, -1.0)))
    return any_shape(d)


def relu6(x: torch.Tensor) -> torch.Tensor:
    """torch's; NaN passes the cotangent."""
    missing = x.isnan()
    return torch.where(missing, x, torch.nn.functional.relu6(torch.where(missing, 1, x)))


def hardtanh(x: torch.Tensor, min_val: float = -1.0, max_val: float = 1.0) -> torch.Tensor:
    """torch's; NaN passes the cotangent."""
    missing = x.isnan()
    return torch.where(missing, x, torch.nn.functional.hardtanh(torch.where(missing, 1, x), min_val, max_val))


def elu(x: torch.Tensor, alpha: float = 1.0) -> torch.Tensor:
    """torch's; NaN passes the cotangent."""
    missing = x.isnan()
    return torch.where(missing, x, torch.nn.functional.elu(torch.where(missing, 1, x), alpha))


def celu(x: torch.Tensor, alpha: float = 1.0) -> torch.Tensor:
    """torch's; NaN passes the cotangent. torch's own gradient in float64 divides by alpha in float32."""
    missing = x.isnan()
    return torch.where(missing, x, torch.ops.aten.elu(torch.where(missing, 1, x), alpha, 1, 1 / alpha))


def selu(x: torch.Tensor) -> torch.Tensor:
    """torch's; NaN passes the cotangent times the slope above zero."""
    missing = x.isnan()
    return torch.where(missing, 1.0507009873554805 * x, torch.nn.functional.selu(torch.where(missing, 1, x)))


def softshrink(x: torch.Tensor, lambd: float = 0.5) -> torch.Tensor:
    """torch's; NaN passes the cotangent."""
    missing = x.isnan()
    return torch.where(missing, x, torch.nn.functional.softshrink(torch.where(missing, 1, x), lambd))


def hardshrink(x: torch.Tensor, lambd: float = 0.5) -> torch.Tensor:
    """torch's; NaN passes the cotangent."""
    missing = x.isnan()
    return torch.where(missing, x, torch.nn.functional.hardshrink(torch.where(missing, 1, x), lambd))


def hardswish(x: torch.Tensor) -> torch.Tensor:
    """torch's; NaN passes the cotangent."""
    missing = x.isnan()
    return torch.where(missing, x, torch.nn.functional.hardswish(torch.where(missing, 1, x)))


def hardsigmoid(x: torch.Tensor) -> torch.Tensor:
    """torch's formula; torch's own gradient in float64 is dy times 1/6 in float32."""
    return torch.where(x.abs() < 3, x / 6 + 0.5, torch.clamp(x.detach() + 3, 0, 6) / 6)


def rrelu(
    x: torch.Tensor,
    slopes: torch.Tensor | None = None,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = True,
) -> torch.Tensor:
    """torch's, in training with the slopes that are given."""
    if slopes is None:
        return torch.nn.functional.rrelu(x, lower, upper, training)
    return torch.where(x <= 0, slopes * x, x)


def _shrunk(x: Any, lambd: float = 0.5) -> Any:
    return x - lambd if x > lambd else x + lambd if x < -lambd else mpmath.mpf(0)


ReLU = Contract("ReLU", Module(torch.nn.ReLU), any_shape, scalar=lambda x: max(x, 0))
ReLU6 = Contract("ReLU6", Function(relu6, ("x",)), any_shape, scalar=lambda x: min(max(x, 0), 6))
Hardtanh = Contract(
    "Hardtanh",
    Function(hardtanh, ("x",), {"min_val": -1.0, "max_val": 1.0}),
    _hardtanh,
    scalar=lambda x, min_val=-1.0, max_val=1.0: min(max(x, min_val), max_val),
)
Threshold = Contract(
    "Threshold",
    Module(torch.nn.Threshold),
    _threshold,
    scalar=lambda x, threshold, value: x if x > threshold else mpmath.mpf(value),
)
LeakyReLU = Contract(
    "LeakyReLU",
    Module(torch.nn.LeakyReLU),
    _leaky_relu,
    scalar=lambda x, negative_slope=0.01: x if x > 0 else x * negative_slope,
)
PReLU = Contract("PReLU", Module(torch.nn.PReLU), _prelu)
RReLU = Contract("RReLU", Function(rrelu, ("x", "slopes"), Module(torch.nn.RReLU, modes=True).defaults), _rrelu)
ELU = Contract(
    "ELU",
    Function(elu, ("x",), {"alpha": 1.0}),
    _alpha,
    scalar=lambda x, alpha=1.0: x if x > 0 else alpha * mpmath.expm1(x),
)
CELU = Contract(
    "CELU",
    Function(celu, ("x",), {"alpha": 1.0}),
    _alpha,
    scalar=lambda x, alpha=1.0: x if x > 0 else alpha * mpmath.expm1(x / alpha),
)
SELU = Contract(
    "SELU",
    Function(selu, ("x",)),
    any_shape,
    scalar=lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * mpmath.expm1(x)),
)
# With lambd 0 both are y = x, but torch's gradient is 0 at 0: one of the |x| ≤ lambd.
ZERO = {
    "lambd is 0, and so is x somewhere": lambda case: case.config.get("lambd") == 0 and (case.inputs["x"] == 0).any()
}

Softshrink = Contract(
    "Softshrink", Function(softshrink, ("x",), {"lambd": 0.5}), _softshrink, scalar=_shrunk, conventions=ZERO
)
Hardshrink = Contract(
    "Hardshrink",
    Function(hardshrink, ("x",), {"lambd": 0.5}),
    _hardshrink,
    scalar=lambda x, lambd=0.5: mpmath.mpf(0) if -lambd <= x <= lambd else x,
    conventions=ZERO,
)
Hardsigmoid = Contract(
    "Hardsigmoid", Function(hardsigmoid, ("x",)), any_shape, scalar=lambda x: min(max(x + 3, 0), 6) / 6
)
Hardswish = Contract(
    "Hardswish", Function(hardswish, ("x",)), any_shape, scalar=lambda x: x * min(max(x + 3, 0), 6) / 6
)
