"""What the law of NaN and infinities excuses, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known import case

import gradjury
from gradjury import impl
from gradjury.properties.adapt import Layer
from gradjury.properties.laws.agreement import judge_nonfinite
from gradjury.properties.laws.law import Bench, Broken


def zero(x):
    return torch.mul(x, 0)


MISH = gradjury.contracts.get("Mish")
ZERO = gradjury.contract("Zero", zero, {"x": "N"})


def broken(layer, contract, low, high, dtype="float64"):
    """How many of twenty cases with x between these bounds break the law."""
    made, count = Layer(layer, contract), 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = case(dtype, x=rng.uniform(low, high, 9), dy=rng.normal(size=9))
        try:
            with np.errstate(all="ignore"):  # as a trial does
                judge_nonfinite(Bench(contract, made.build({}), {}, made.build), drawn)
        except Broken:
            count += 1
    return count


class Turned(impl.Mish):
    """The gradient has the other sign."""

    def __call__(self, x):
        y, backward = super().__call__(x)
        return y, lambda dy: {"x": -backward(dy)["x"]}


@pytest.mark.parametrize(("dtype", "low", "high"), [("float64", -740, -710), ("float32", -100, -90)])
def test_the_sign_of_a_slope_that_is_no_normal_number_decides_no_infinity(dtype, low, high):
    assert broken(impl.Mish, MISH, low, high, dtype) == 0


@pytest.mark.parametrize(("dtype", "low", "high"), [("float64", -600, -500), ("float32", -60, -50)])
def test_the_sign_of_the_smallest_normal_slopes_does(dtype, low, high):
    assert broken(impl.Mish, MISH, low, high, dtype) == 0
    assert broken(Turned, MISH, low, high, dtype) > 5


def test_a_slope_of_zero_is_no_excuse():
    def layer(gradient):
        return lambda: lambda x: (0 * x, gradient)

    assert broken(layer(lambda dy: 0 * dy), ZERO, -1, 1) == 0
    assert broken(layer(np.zeros_like), ZERO, -1, 1) > 5
