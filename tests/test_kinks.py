"""Points are told apart: smooth, a kink, a tie, beyond the range of numbers."""

import numpy as np
import pytest
import torch
from known import ABS, RELU, ROUND, TANH, case, elementwise, in_torch

import gradjury
from gradjury import impl
from gradjury.oracle.finite import slope, unit_direction
from gradjury.oracle.kinks import classify, one_sided
from gradjury.oracle.vjp import Case

MAXIMUM = in_torch(lambda x: x.max())
L1 = elementwise(lambda x: np.abs(x[:1] - x[1:]), None)


def kinds(vjp, c, index=(0,)):
    direction = unit_direction(c, "x", index)
    return [kind.value for kind in classify(vjp, c, direction, slope(vjp, c, direction))]


@pytest.mark.parametrize(
    ("vjp", "x", "expected"),
    [
        (TANH, [0.0, 1.0], ["smooth", "smooth"]),
        (RELU, [0.0, 1.0], ["kink", "smooth"]),
        (RELU, [1e-9, 1.0], ["kink", "smooth"]),
        (RELU, [0.7, 1.0], ["smooth", "smooth"]),
        (ABS, [0.0, 1.0], ["kink", "smooth"]),
        (ROUND, [0.5, 1.0], ["kink", "smooth"]),
        (MAXIMUM, [1.0, 1.0], ["tie"]),
        (MAXIMUM, [1.0, 0.5], ["smooth"]),
        (L1, [2.0, 2.0], ["tie"]),
        (elementwise(np.square, None), [0.0, 0.0], ["smooth", "smooth"]),
        (elementwise(np.exp, None), [1000.0, 1.0], ["overflow", "smooth"]),
        (elementwise(np.log, None), [0.0, 1.0], ["overflow", "smooth"]),
    ],
)
def test_points_are_told_apart(vjp, x, expected):
    assert kinds(vjp, case(x=x)) == expected


def test_every_convention_lies_between_the_slopes_of_both_sides():
    c = case(x=[0.0, 1.0], dy=[-2.0, 1.0])
    low, high = one_sided(RELU, c, {"x": np.array([1.0, 0.0])})
    assert low == pytest.approx(-2, abs=1e-6)
    assert high == pytest.approx(0, abs=1e-6)
    low, high = one_sided(TANH, c, {"x": np.array([1.0, 0.0])})
    assert low == pytest.approx(-2, abs=1e-4)
    assert high == pytest.approx(-2, abs=1e-4)


class ReLUOneAtZero(impl.ReLU):
    def __call__(self, x):
        y, _ = super().__call__(x)
        return y, lambda dy: {"x": np.where(x >= 0, dy, 0)}


class ReLUThreeAtZero(impl.ReLU):
    def __call__(self, x):
        y, backward = super().__call__(x)
        return y, lambda dy: {"x": np.where(x == 0, 3 * dy, backward(dy)["x"])}


@pytest.mark.parametrize(("layer", "fault"), [(ReLUOneAtZero, "convention"), (ReLUThreeAtZero, "backward")])
def test_gradient_at_a_kink_is_a_convention_only_between_the_slopes(layer, fault, tmp_path):
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(layer, to="ReLU", examples=30, scripts=tmp_path)
    assert caught.value.result.verdict.fault.value == fault
    # The law of finite differences holds torch's convention at kinks too, where they say nothing themselves.
    assert {f.law for f in caught.value.result.failures} >= {"gradients", "finite_differences"}


def test_what_was_drawn_is_counted_and_next_to_nothing_excluded():
    for name, kind in (("ReLU", "kink"), ("MaxPool2d", "tie")):
        result = gradjury.check_layer(getattr(impl, name), to=name, examples=30)
        law = next(law for law in result.laws if law.law == "finite_differences")
        assert law.kinds["smooth"] > law.kinds[kind] > 0
        assert law.excluded < law.elements / 100
        assert sum(law.kinds.values()) == law.elements


def test_integer_outputs_have_no_kind():
    def pool(x):
        return torch.nn.functional.max_pool1d(x, 2, return_indices=True)

    c = Case({}, {"x": np.array([[1.0, 1.0, 3.0, 4.0]])}, (np.ones((1, 2)),), ("x",))
    assert kinds(in_torch(pool), c, (0, 0)) == ["tie", "smooth"]
