"""The oracle's parts on cases whose answers are known: finite differences, budgets, comparison, autograd, referee."""

import numpy as np
import pytest
import torch

from gradjury.oracle.autograd import RoundingErrors, deterministic_torch, torch_vjp
from gradjury.oracle.budget import ALLOWED, STEP, Expected, Reference, unit_roundoff
from gradjury.oracle.compare import compare
from gradjury.oracle.finite import along, gaussian_direction, slope, unit_direction
from gradjury.oracle.referee import Fault, judge_gradient, judge_output
from gradjury.oracle.vjp import Case, ask

DTYPES = [np.float32, np.float64]


def case(dtype=np.float64, *, dy=None, **inputs):
    """A case of these inputs, all differentiable; the cotangent is ones in the shape of the first unless given."""
    arrays = {name: np.asarray(a, dtype) for name, a in inputs.items()}
    dy = np.ones_like(next(iter(arrays.values()))) if dy is None else np.asarray(dy, dtype)
    return Case({}, arrays, (dy,), tuple(arrays))


def elementwise(function, derivative):
    """A layer in NumPy: y = function(x), dx = dy·derivative(x)."""

    def layer(x):
        return np.asarray(function(x)), lambda dy: {"x": np.asarray(dy * derivative(x))}

    return layer


def in_torch(function):
    return torch_vjp(function, ("x",))


def dtanh(x):
    return 1 - np.tanh(x) ** 2


EXP = elementwise(np.exp, np.exp)
TANH = elementwise(np.tanh, dtanh)
RELU = elementwise(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype))
ABS = elementwise(np.abs, np.sign)
ROUND = elementwise(np.round, np.zeros_like)

TORCH_TANH = in_torch(lambda x: torch.tanh(x))
TORCH_RELU = in_torch(lambda x: torch.relu(x))


def product(x, other):
    return x @ other, lambda dy: {"x": dy @ other.T, "other": x.T @ dy}


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
    assert not slope(layer, c, {"x": np.ones(2)}).seen.any()
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


# The error budget.


@pytest.mark.parametrize("dtype", DTYPES)
def test_budget_of_a_well_conditioned_function_is_a_few_roundoffs(dtype):
    c = case(dtype, x=[0.5, -1.0, 2.0])
    for expected in (Reference(TORCH_TANH, c).output(0), Reference(TORCH_TANH, c).gradient("x")):
        relative = expected.budget / np.abs(expected.value).max()
        assert (relative >= unit_roundoff(dtype)).all()
        assert (relative <= 16 * unit_roundoff(dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_budget_grows_where_the_reference_loses_digits(dtype):
    # (1e8 + x) - 1e8 has lost eight digits of x; to answer x itself is more accurate, and no fault.
    cancelling = in_torch(lambda x: (1e8 + x) - 1e8)
    c = case(dtype, x=[1.0, 0.3, -0.7])
    expected = Reference(cancelling, c).output(0)
    assert (expected.budget > 1e7 * unit_roundoff(dtype)).all()
    assert compare(c.inputs["x"], expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", [[300.0, 301.0, 302.0], [36.0, 37.0, 38.0], [15.0, 16.0, 20.0]])
def test_more_accurate_answer_than_a_saturated_sigmoid_is_not_accused(dtype, values):
    # torch computes dy·y·(1 - y), where 1 - y has few digits left, or none; e/(1 + e)² with e = e⁻ˣ has them all.
    c = case(dtype, x=values, dy=[1.0, 2.0, 3.0])
    e = np.exp(-c.inputs["x"])
    accurate = c.cotangents[0] * (e / (1 + e) ** 2)
    assert compare(accurate, Reference(in_torch(lambda x: torch.sigmoid(x)), c).gradient("x")).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [torch.relu, torch.tanh])
def test_budget_does_not_grow_with_the_array(dtype, function):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 16))
    vjp = in_torch(lambda x: function(x))
    small = Reference(vjp, case(dtype, x=x, dy=dy))
    large = Reference(vjp, case(dtype, x=np.tile(x, 256), dy=np.tile(dy, 256)))
    assert large.output(0).budget.max() <= 2 * small.output(0).budget.max()
    assert large.gradient("x").budget.max() <= 2 * small.gradient("x").budget.max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [lambda x: torch.relu(x), lambda x: torch.softmax(x, 0)], ids=["relu", "softmax"])
def test_zeros_instead_of_the_gradient_of_a_large_array_are_caught(dtype, function):
    rng = np.random.default_rng(0)
    c = case(dtype, x=rng.standard_normal(4096), dy=rng.standard_normal(4096))
    assert not compare(np.zeros(4096, dtype), Reference(in_torch(function), c).gradient("x")).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_kink_does_not_excuse_another_convention(dtype):
    c = case(dtype, x=[0.0, 1.0, -1.0, 2.0], dy=[0.5, 1.0, 2.0, 3.0])
    expected = Reference(TORCH_RELU, c).gradient("x")
    passes = np.where(c.inputs["x"] >= 0, c.cotangents[0], 0)
    found = compare(passes, expected)
    assert not found.agrees
    assert (found.index, found.wrong) == ((0,), 1)
    assert compare(ask(RELU, c).gradients["x"], expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_tie_does_not_excuse_another_winner(dtype):
    c = case(dtype, x=[2.0, 2.0, 1.0], dy=3.0)
    expected = Reference(in_torch(lambda x: x.max(0)[0]), c).gradient("x")
    assert compare(np.array([3, 0, 0], dtype), expected).agrees
    assert not compare(np.array([0, 3, 0], dtype), expected).agrees
    assert not compare(np.array([1.5, 1.5, 0], dtype), expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_tie_that_torch_finds_again_in_its_backward_has_a_finite_budget(dtype):
    # amax shares the cotangent among the elements equal to its output, which it compares in the backward.
    c = case(dtype, x=[2.0, 2.0, 1.0], dy=3.0)
    expected = Reference(in_torch(lambda x: x.amax()), c).gradient("x")
    assert compare(np.array([1.5, 1.5, 0], dtype), expected).agrees
    assert not compare(np.array([3, 0, 0], dtype), expected).agrees


def test_rounding_errors_move_what_is_new_and_nothing_else():
    x = torch.zeros(1000).index_fill(0, torch.arange(500), 3.0)
    with RoundingErrors(STEP, seed=0):
        view, new, whole = x[:500], 2 * x, torch.arange(3)
    assert (view == 3).all()
    assert (new[500:] == 0).all()
    assert whole.tolist() == [0, 1, 2]
    assert set(new[:500].tolist()) == {6 * (1 - STEP), 6 * (1 + STEP)}


# The comparison.


def expected(value, budget=1.0):
    return Expected(np.asarray(value), (lambda: budget,))


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        (np.nan, np.nan, True),
        (np.nan, 0.0, False),
        (0.0, np.nan, False),
        (np.inf, np.inf, True),
        (-np.inf, -np.inf, True),
        (np.inf, -np.inf, False),
        (np.inf, 1e308, False),
        (1e308, np.inf, False),
        (np.nan, np.inf, False),
        (np.inf, np.nan, False),
        (0.0, -0.0, True),
    ],
)
def test_nan_and_infinities_agree_with_themselves_only(got, want, same):
    found = compare(np.array([1.0, got]), expected([1.0, want]))
    assert found.agrees == same
    assert found.ratio == (0 if same else np.inf)


def test_integers_agree_when_equal():
    large = 2**53
    assert compare(np.array([3, large]), expected([3, large], 0.0)).agrees
    assert not compare(np.array([3, 4]), expected([3, 5], 0.0)).agrees
    # As floating-point numbers these two are the same.
    assert not compare(np.array([large + 1]), expected([large], 0.0)).agrees


def test_comparison_reports_the_worst_element_and_counts():
    want = np.zeros((2, 3))
    got = np.array([[0.0, ALLOWED + 1, 1.0], [-ALLOWED, -100.0, 5000.0]])
    budget = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, np.inf]])
    found = compare(got, expected(want, budget))
    assert (found.ratio, found.index, found.got, found.expected, found.budget) == (100, (1, 1), -100, 0, 1)
    assert (found.elements, found.excluded, found.wrong) == (6, 1, 2)
    assert not found.agrees


def test_comparison_of_nothing_agrees():
    found = compare(np.zeros((2, 0)), expected(np.zeros((2, 0))))
    assert found.agrees
    assert found.elements == 0


def test_costly_budget_is_computed_only_where_the_cheap_one_does_not_suffice():
    asked = []

    def costly():
        asked.append(1)
        return 10.0

    two = Expected(np.zeros(1), (lambda: 1.0, costly))
    assert compare(np.array([0.5]), two).ratio == 0.5
    assert not asked
    assert compare(np.array([5.5]), two).ratio == 0.5
    assert asked


# Autograd.


def fail_inside():
    with deterministic_torch():
        assert (torch.get_num_threads(), torch.backends.mkldnn.enabled) == (1, False)
        raise ZeroDivisionError


@pytest.mark.parametrize("onednn", [True, False])
def test_deterministic_torch_restores_threads_and_onednn_even_after_an_exception(onednn):
    before = torch.get_num_threads(), torch.backends.mkldnn.enabled
    try:
        torch.set_num_threads(2)
        torch.backends.mkldnn.enabled = onednn
        with pytest.raises(ZeroDivisionError):
            fail_inside()
        assert (torch.get_num_threads(), torch.backends.mkldnn.enabled) == (2, onednn)
    finally:
        torch.set_num_threads(before[0])
        torch.backends.mkldnn.enabled = before[1]


def test_input_that_no_output_depends_on_has_gradient_zero():
    c = case(np.float32, x=[1.0, 2.0], other=[[3.0]])
    some = ask(torch_vjp(lambda x, other: 2 * x, ("x", "other")), c).gradients
    np.testing.assert_array_equal(some["x"], [2, 2])
    np.testing.assert_array_equal(some["other"], [[0]])
    assert some["other"].dtype == np.float32
    none = ask(torch_vjp(lambda x, other: torch.ones(2), ("x", "other")), c).gradients
    np.testing.assert_array_equal(none["x"], [0, 0])


def test_integer_outputs_take_no_cotangent():
    answer = ask(in_torch(lambda x: tuple(x.sort())), case(x=[3.0, 1.0, 2.0], dy=[10.0, 20.0, 30.0]))
    values, places = answer.outputs
    np.testing.assert_array_equal(values, [1, 2, 3])
    np.testing.assert_array_equal(places, [1, 2, 0])
    np.testing.assert_array_equal(answer.gradients["x"], [30, 10, 20])


def test_autograd_shares_no_memory_with_what_it_is_given_or_gives():
    x = np.array([1.0, 2.0])
    y, backward = in_torch(lambda x: x.reshape(2, 1))(x=x)
    y[:] = 7
    first = backward(np.ones((2, 1)))["x"]
    first[:] = 9
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(backward(np.ones((2, 1)))["x"], [1, 1])


# The referee.

X = case(x=[0.3, -0.7, 1.2], dy=[1.0, -2.0, 0.5])


def test_referee_finds_a_wrong_forward_with_the_right_derivative_of_it():
    verdict = judge_output(elementwise(np.sin, np.cos), TORCH_TANH, X, 0, (0,))
    assert verdict.fault is Fault.FORWARD
    assert "is the derivative of that forward" in verdict.sentence
    assert judge_gradient(elementwise(np.sin, np.cos), TORCH_TANH, X, "x", (2,)).fault is Fault.FORWARD


def test_referee_finds_a_wrong_forward_with_a_backward_that_is_not_its_own():
    verdict = judge_output(elementwise(np.sin, dtanh), TORCH_TANH, X, 0, (0,))
    assert verdict.fault is Fault.FORWARD
    assert "is not the derivative" in verdict.sentence


@pytest.mark.parametrize(
    ("layer", "torch_side", "x"),
    [
        (elementwise(np.sin, np.cos), TORCH_TANH, 0.7),
        (elementwise(np.square, lambda x: 2 * x), in_torch(lambda x: x**3), 2.0),
    ],
    ids=["sin for tanh", "square for cube"],
)
def test_wrong_forward_of_a_single_element_is_no_convention(layer, torch_side, x):
    # One element is always some multiple of another.
    assert judge_output(layer, torch_side, case(x=[x]), 0, (0,)).fault is Fault.FORWARD


def test_zeros_for_output_and_gradient_are_no_convention():
    assert judge_output(elementwise(np.zeros_like, np.zeros_like), TORCH_TANH, X, 0, (0,)).fault is Fault.FORWARD


@pytest.mark.parametrize("gradients", [{}, {"x": None}, {"x": 1.0}], ids=["missing", "None", "a float"])
def test_referee_bears_a_backward_that_answers_no_array(gradients):
    def layer(x):
        return np.sin(x), lambda dy: gradients

    assert judge_output(layer, TORCH_TANH, X, 0, (0,)).fault is Fault.FORWARD


def test_referee_finds_a_wrong_backward():
    verdict = judge_gradient(elementwise(np.tanh, lambda x: 1 - np.tanh(x)), TORCH_TANH, X, "x", (1,))
    assert verdict.fault is Fault.BACKWARD
    assert "torch's gradient is confirmed" in verdict.sentence


@pytest.mark.parametrize(("factor", "shown"), [(2, "2"), (-1 / 3, "-1/3"), (1 / 12, "1/12")])
def test_referee_names_the_factor_of_another_convention(factor, shown):
    layer = elementwise(lambda x: factor * np.tanh(x), lambda x: factor * dtanh(x))
    verdict = judge_output(layer, TORCH_TANH, X, 0, (0,))
    assert verdict.fault is Fault.CONVENTION
    assert f" {shown} times torch's" in verdict.sentence


class MistakenTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * (1 - y)


def test_referee_finds_torch_wrong():
    verdict = judge_gradient(TANH, in_torch(lambda x: MistakenTanh.apply(x)), X, "x", (1,))
    assert verdict.fault is Fault.TORCH


def test_referee_calls_another_gradient_at_a_kink_a_convention():
    passes = elementwise(lambda x: np.maximum(x, 0), lambda x: (x >= 0).astype(x.dtype))
    assert judge_gradient(passes, TORCH_RELU, case(x=[0.0, 1.0]), "x", (0,)).fault is Fault.CONVENTION


def test_referee_finds_digits_lost_in_single_precision():
    def variance(x):  # E[x²] - (E x)²
        mean = x.mean()
        return np.asarray((x * x).mean() - mean * mean), lambda dy: {"x": 2 / x.dtype.type(x.size) * (x - mean) * dy}

    c = case(np.float32, x=1000 + np.random.default_rng(0).standard_normal(8), dy=1.0)
    reference = in_torch(lambda x: x.var(unbiased=False))
    assert not compare(ask(variance, c).outputs[0], Reference(reference, c).output(0)).agrees
    assert judge_output(variance, reference, c, 0, ()).fault is Fault.PRECISION


def test_referee_finds_digits_lost_by_the_backward_in_single_precision():
    def rounded(x):
        return np.tanh(x), lambda dy: {"x": dy * dtanh(x.astype("f2") if x.dtype == "f4" else x).astype(x.dtype)}

    c = X.astype(np.float32)
    found = compare(ask(rounded, c).gradients["x"], Reference(TORCH_TANH, c).gradient("x"))
    assert not found.agrees
    assert judge_gradient(rounded, TORCH_TANH, c, "x", found.index).fault is Fault.PRECISION


def test_referee_does_not_decide_without_a_second_opinion():
    def single_only(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.sin(x), lambda dy: {"x": dy * np.cos(x)}

    c = X.astype(np.float32)
    assert judge_output(single_only, TORCH_TANH, c, 0, (0,)).fault is Fault.UNDECIDED
    assert judge_gradient(single_only, TORCH_TANH, c, "x", (0,)).fault is Fault.UNDECIDED
