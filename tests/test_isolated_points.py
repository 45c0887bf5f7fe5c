"""Points that finite differences cannot judge; faults at them, and all around them, are still found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gradjury
from gradjury import impl
from gradjury.oracle.referee import Fault
from gradjury.oracle.vjp import Case
from gradjury.properties.adapt import Layer
from gradjury.properties.laws.calculus import judge_finite_differences
from gradjury.properties.laws.law import Bench, Broken


def above(x):
    """x - 2·max(x, 0) is -|x|, of which nothing is above 0; but at 0 torch's chain of conventions gives a slope."""
    return torch.clamp(x - 2 * torch.relu(x), min=0)


NOTHING = gradjury.contract("Nothing", above, {"x": "N"})
SQUARE = gradjury.contract("Square", torch.square, {"x": "N"})


def judged(layer, contract, config=None, **inputs):
    """What the law counted of one case."""
    inputs = {name: np.asarray(value, np.float64) for name, value in inputs.items()}
    made = Layer(layer, contract).build(config or {})
    y, _ = made(**inputs)
    case = Case(config or {}, inputs, (np.full(np.shape(y), -2.0),), tuple(inputs))
    bench = Bench(contract, made, config or {}, Layer(layer, contract).build)
    judge_finite_differences(bench, case)
    return bench.tally


def nothing(slope):
    return lambda: lambda x: (np.zeros_like(x), lambda dy: dy * slope(x))


def test_a_convention_at_an_isolated_point_is_no_fault():
    counted = judged(nothing(lambda x: x == 0), NOTHING, x=[1.0, 0.0, -2.0])
    assert counted.kinds["kink"] > 0
    assert counted.excluded == 0


@pytest.mark.parametrize("slope", [lambda x: 0.5 * (x == 0), lambda x: x >= 0, lambda x: np.full(x.shape, 1e-6)])
def test_another_convention_there_is_one_and_so_is_a_slope_beside_it(slope):
    with pytest.raises(Broken):
        judged(nothing(slope), NOTHING, x=[1.0, 0.0, -2.0])


def square(factor):
    return lambda: lambda x: (x * x, lambda dy: 2 * factor * x * dy)


@pytest.mark.parametrize("wrong", range(8))
def test_the_referee_judges_the_element_that_is_wrong_and_not_another_of_the_direction(wrong):
    def one_zero():
        return lambda x: (x * x, lambda dy: np.where(np.arange(x.size) == wrong, 0, 2 * x * dy))

    with pytest.raises(Broken) as found:
        judged(one_zero, SQUARE, x=[1.5, -0.3, 2.0, -1.0, 0.7, 1.1, -2.5, 0.4])
    verdict = found.value.verdict()
    assert verdict.fault is Fault.BACKWARD
    assert "torch's gradient is confirmed" in verdict.sentence


@pytest.mark.parametrize("off", [1e-3, 1e-6, 1e-9])
def test_a_wrong_factor_is_not_taken_for_an_isolated_point(off):
    assert judged(square(1.0), SQUARE, x=[1.5, -0.3]).excluded == 0
    with pytest.raises(Broken):
        judged(square(1 + off), SQUARE, x=[1.5, -0.3])


def test_rounding_of_terms_that_cancel_is_no_fault():
    # The loss is exactly 0 all around; its gradient is the difference of two slopes, each of them rounded.
    config = {"p": 0.5, "eps": 0.0}
    contract = gradjury.contracts.get("TripletMarginLoss")
    counted = judged(impl.TripletMarginLoss, contract, config, anchor=2.0, positive=1.0, negative=0.0)
    assert counted.excluded == 0


@pytest.mark.parametrize("factor", [1.0, 0.0, 1.1])
def test_a_slope_narrower_than_the_steps_is_held_against_torchs(factor):
    """Two cosines of one number x cancel but within 1e-6 of 0."""

    class Scaled(impl.CosineEmbeddingLoss):
        def __call__(self, input1, input2, target):
            y, backward = super().__call__(input1, input2, target)
            return y, lambda dy: {name: factor * dx for name, dx in backward(dy).items()}

    contract, config = gradjury.contracts.get("CosineEmbeddingLoss"), {"margin": -1}
    inputs = {"input1": [[0.0]], "input2": [[0.109, 0.0], [0.157, 0.0]]}
    arrays = {name: np.array(a) for name, a in inputs.items()} | {"target": np.array([-1, 1])}
    layer = Layer(Scaled, contract)
    case = Case(config, arrays, (np.array(-0.034),), tuple(inputs))
    bench = Bench(contract, layer.build(config), config, layer.build)
    if factor == 1:
        judge_finite_differences(bench, case)
        assert bench.tally.kinds["kink"] > 0
        return
    with pytest.raises(Broken):
        judge_finite_differences(bench, case)


def bent(x):
    """t + 8·t² for t = x - 1, and below 1e-11 another slope."""
    t = x - 1
    return t + 8 * t * t + 1e-11 * torch.tanh(t / 1e-11)


BENT = gradjury.contract("Bent", bent, {"x": "N"})


@pytest.mark.parametrize("factor", [1.0, 1.01, 0.9])
def test_the_slope_around_a_point_may_be_curved(factor):
    def layer(x):
        t = x - 1
        slope = 1 + 16 * t + 1 / np.cosh(np.clip(t / 1e-11, -99, 99)) ** 2
        return t + 8 * t * t + 1e-11 * np.tanh(t / 1e-11), lambda dy: factor * slope * dy

    if factor == 1:
        assert judged(lambda: layer, BENT, x=[1.0]).kinds["kink"] > 0
        return
    with pytest.raises(Broken):
        judged(lambda: layer, BENT, x=[1.0])
