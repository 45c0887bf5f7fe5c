"""Finite differences of functions whose derivatives are known."""

import numpy as np
import pytest
import torch
from known import (
    ABS,
    EXP,
    RELU,
    ROUND,
    TANH,
    case,
    elementwise,
    in_torch,
    product,
)

from gradjury.oracle.budget import ALLOWED
from gradjury.oracle.finite import along, gaussian_direction, slope, unit_direction
from gradjury.oracle.vjp import ask


def smooth_cases(seed):
    rng = np.random.default_rng(seed)
    yield EXP, case(x=rng.standard_normal(6))
    yield TANH, case(x=rng.standard_normal(6), dy=rng.standard_normal(6))
    x, other, dy = (rng.standard_normal(shape) for shape in ((3, 4), (4, 2), (3, 2)))
    yield product, case(x=x, other=other, dy=dy)


# Finite differences.


@pytest.mark.parametrize("seed", range(10))
def test_slope_of_a_smooth_function_is_right_and_its_error_estimate_covers_the_error(seed):
    for layer, c in smooth_cases(seed):
        direction = gaussian_direction(c, np.random.default_rng(seed), c.differentiable)
        found = slope(layer, c, direction)
        if layer is product:
            (x, other), (v, w) = c.inputs.values(), direction.values()
            true = np.ravel(v @ other + x @ w)
        else:
            true = ask(layer, case(x=c.inputs["x"])).gradients["x"] * direction["x"]
        assert found.seen.all()
        assert (np.abs(found.value - true) <= 1e-10 * found.size).all()
        assert (np.abs(found.value - true) <= found.error).all()


@pytest.mark.parametrize("seed", range(10))
def test_gradient_wrong_by_one_part_in_a_million_is_contradicted_where_the_function_is_smooth(seed):
    for layer, c in smooth_cases(seed):
        direction = gaussian_direction(c, np.random.default_rng(seed), c.differentiable)
        right = ask(layer, c).gradients
        # One element is off, so that the claimed slope is off by one part in a million of all its terms.
        size = sum(np.abs(right[name] * v).sum() for name, v in direction.items())
        name = c.differentiable[0]
        shift = np.zeros_like(right[name])
        shift.flat[0] = 1e-6 * size / direction[name].flat[0]
        assert along(layer, c, direction, right).sees
        assert along(layer, c, direction, right).agrees
        assert not along(layer, c, direction, {**right, name: right[name] + shift}).agrees


@pytest.mark.parametrize(("layer", "kink"), [(RELU, 0.0), (ABS, 0.0), (ROUND, 0.5)], ids=["relu", "abs", "jump"])
@pytest.mark.parametrize("claim", [-1.0, 0.0, 0.5, 1.0])
def test_finite_differences_abstain_at_a_kink(layer, kink, claim):
    c = case(x=[kink, 2.0])
    direction = unit_direction(c, "x", (0,))
    found = slope(layer, c, direction)
    assert found.seen.tolist() == [False, True]
    witness = along(layer, c, direction, {"x": np.array([claim, 1.0])})
    assert not witness.sees
    assert witness.agrees


def test_finite_differences_abstain_at_a_tie_except_along_it():
    layer = in_torch(lambda x: x.max())
    c = case(x=[1.0, 1.0, 0.0], dy=1.0)
    assert not slope(layer, c, {"x": np.array([1.0, 0.0, 0.0])}).seen.any()
    both = slope(layer, c, {"x": np.array([1.0, 1.0, 0.0])})
    assert both.seen.all()
    np.testing.assert_allclose(both.value, 1, rtol=1e-10)


@pytest.mark.parametrize(("layer", "kink"), [(RELU, 0.0), (ABS, 0.0), (ROUND, 0.5)], ids=["relu", "abs", "jump"])
@pytest.mark.parametrize("side", [-1, 1])
def test_finite_differences_never_contradict_a_right_gradient_near_a_kink(layer, kink, side):
    rng = np.random.default_rng(0)
    unseen = 0
    for distance in np.logspace(-16, 0, 50):
        c = case(x=[kink + side * distance, 1.0, -2.0])
        right = ask(layer, c).gradients
        for direction in (unit_direction(c, "x", (0,)), gaussian_direction(c, rng, ("x",))):
            found = slope(layer, c, direction)
            wrong = np.abs(found.value - right["x"] * direction["x"]) > ALLOWED * found.error
            assert not wrong.any(), (distance, found)
            assert along(layer, c, direction, right).agrees
            unseen += int(not found.seen.all())
    assert 0 < unseen < 100


def test_kink_of_an_output_whose_cotangent_is_zero_does_not_count():
    c = case(x=[0.0, 2.0], dy=[0.0, 1.0])
    witness = along(RELU, c, {"x": np.ones(2)}, {"x": np.array([0.0, 1.0])})
    assert witness.sees
    assert witness.agrees


def test_finite_differences_abstain_where_the_output_is_nan():
    layer = in_torch(lambda x: torch.log(x))
    c = case(x=[-1.0, 2.0])
    assert slope(layer, c, {"x": np.ones(2)}).seen.tolist() == [False, True]
    witness = along(layer, c, {"x": np.ones(2)}, {"x": np.array([7.0, 7.0])})
    assert not witness.sees
    assert witness.agrees


@pytest.mark.parametrize("size", [1e3, 1e5, 1e7])
def test_finite_differences_never_contradict_a_right_gradient_where_the_forward_loses_digits(size):
    # (size + x) - size rounds x to multiples of size·2⁻⁵², which the outputs do not show.
    layer = elementwise(lambda x: (size + x) - size, np.ones_like)
    rng = np.random.default_rng(0)
    for _ in range(100):
        c = case(x=rng.standard_normal(3))
        for direction in (unit_direction(c, "x", (0,)), gaussian_direction(c, rng, ("x",))):
            witness = along(layer, c, direction, {"x": np.ones(3)})
            assert witness.agrees, witness
