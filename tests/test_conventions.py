"""Conventions are recognised, and nothing else is taken for one."""

from dataclasses import dataclass

import numpy as np
import pytest

import gradjury
from gradjury import impl
from gradjury.oracle.referee import Fault


def closure(forward):
    """A layer class from a function of (config, arrays) that answers y, backward."""

    class Layer:
        def __init__(self, **config):
            self.config = config

        def __call__(self, *arrays):
            return forward(self.config, *arrays)

    Layer.__name__ = Layer.__qualname__ = forward.__name__
    return Layer


@closure
def linear_in_out(config, x, weight, bias=None):
    y, backward = impl.Linear(weight.shape[0], weight.shape[1], bias is not None)(x, weight.T, bias)

    def turned(dy):
        g = backward(dy)
        return {**g, "weight": g["weight"].T}

    return y, turned


@closure
def linear_in_columns(config, x, weight, bias=None):
    if x.ndim != 2:
        x.shape[0] / 0
    y, backward = impl.Linear(weight.shape[1], weight.shape[0], bias is not None)(x.T, weight, bias)
    return y.T, lambda dy: {n: g.T if n == "x" else g for n, g in backward(dy.T).items()}


@closure
def linear_averaged(config, x, weight, bias=None):
    y, backward = impl.Linear(weight.shape[1], weight.shape[0], bias is not None)(x, weight, bias)
    rows = max(x.size // max(x.shape[-1], 1), 1)
    return y, lambda dy: {n: g if n == "x" else g / g.dtype.type(rows) for n, g in backward(dy).items()}


@closure
def pool_channels_last(config, x):
    y, backward = impl.AvgPool2d(**config)(np.moveaxis(x, -1, 1) if x.ndim == 4 else np.moveaxis(x, -1, 0))
    to, back = ((1, -1), (-1, 1)) if x.ndim == 4 else ((0, -1), (-1, 0))
    return np.moveaxis(y, *to), lambda dy: {"x": np.moveaxis(backward(np.moveaxis(dy, *back))["x"], *to)}


@closure
def conv_channels_last(config, x, weight, bias=None):
    first = 1 if x.ndim == 4 else 0
    y, backward = impl.Conv2d(**config)(np.moveaxis(x, -1, first), weight.transpose(3, 2, 0, 1), bias)

    def turned(dy):
        g = backward(np.moveaxis(dy, -1, first))
        g["x"], g["weight"] = np.moveaxis(g["x"], first, -1), g["weight"].transpose(2, 3, 1, 0)
        return g

    return np.moveaxis(y, first, -1), turned


@closure
def mse_summed(config, x, target):
    return impl.MSELoss(reduction={"mean": "sum"}.get(config.get("reduction", "mean"), config.get("reduction")))(
        x, target
    )


@closure
def linear_averaged_bias_only(config, x, weight, bias=None):
    y, backward = impl.Linear(weight.shape[1], weight.shape[0], bias is not None)(x, weight, bias)
    rows = max(x.size // max(x.shape[-1], 1), 1)
    return y, lambda dy: {n: g / g.dtype.type(rows) if n == "bias" else g for n, g in backward(dy).items()}


@closure
def linear_wrong(config, x, weight, bias=None):
    y, backward = impl.Linear(weight.shape[1], weight.shape[0], bias is not None)(x, weight, bias)
    return y * y, backward


@dataclass(frozen=True)
class Expected:
    layer: object
    to: str
    fault: Fault
    words: str


@pytest.mark.parametrize(
    "expected",
    [
        Expected(linear_in_out, "Linear", Fault.CONVENTION, "transposed, (in, out)"),
        Expected(linear_averaged, "Linear", Fault.CONVENTION, "averaged over"),
        Expected(pool_channels_last, "AvgPool2d", Fault.CONVENTION, "channels come last"),
        Expected(conv_channels_last, "Conv2d", Fault.CONVENTION, "channels come last"),
        Expected(mse_summed, "MSELoss", Fault.CONVENTION, "summed over"),
        Expected(linear_averaged_bias_only, "Linear", Fault.BACKWARD, "not the derivative"),
        Expected(linear_wrong, "Linear", Fault.FORWARD, "forward"),
    ],
    ids=lambda e: e.layer.__name__,
)
def test_verdict(expected, tmp_path):
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(expected.layer, to=expected.to, examples=30, scripts=tmp_path)
    verdict = caught.value.result.verdict
    assert verdict.fault is expected.fault, verdict
    assert expected.words in verdict.sentence
