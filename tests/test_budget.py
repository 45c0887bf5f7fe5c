"""Error budgets of cases whose answers are known."""

import math

import numpy as np
import pytest
import torch
from known import DTYPES, RELU, TORCH_RELU, TORCH_TANH, case, in_torch

from gradjury.oracle.autograd import RoundingErrors
from gradjury.oracle.budget import STEP, Expected, Reference, unit_roundoff
from gradjury.oracle.compare import compare
from gradjury.oracle.vjp import ask


@pytest.mark.parametrize("dtype", DTYPES)
def test_budget_of_a_well_conditioned_function_is_a_few_roundoffs(dtype):
    c = case(dtype, x=[0.5, -1.0, 2.0])
    for expected in (Reference(TORCH_TANH, c).expected(0), Reference(TORCH_TANH, c).expected("x")):
        relative = expected.budget / np.abs(expected.value).max()
        assert (relative >= unit_roundoff(dtype)).all()
        assert (relative <= 16 * unit_roundoff(dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_budget_grows_where_the_reference_loses_digits(dtype):
    # (1e8 + x) - 1e8 has lost eight digits of x; to answer x itself is more accurate, and no fault.
    cancelling = in_torch(lambda x: (1e8 + x) - 1e8)
    c = case(dtype, x=[1.0, 0.3, -0.7])
    expected = Reference(cancelling, c).expected(0)
    assert (expected.budget > 1e7 * unit_roundoff(dtype)).all()
    assert compare(c.inputs["x"], expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", [[300.0, 301.0, 302.0], [36.0, 37.0, 38.0], [15.0, 16.0, 20.0]])
def test_more_accurate_answer_than_a_saturated_sigmoid_is_not_accused(dtype, values):
    # torch computes dy·y·(1 - y), where 1 - y has few digits left, or none; e/(1 + e)² with e = e⁻ˣ has them all.
    c = case(dtype, x=values, dy=[1.0, 2.0, 3.0])
    e = np.exp(-c.inputs["x"])
    accurate = c.cotangents[0] * (e / (1 + e) ** 2)
    assert compare(accurate, Reference(in_torch(lambda x: torch.sigmoid(x)), c).expected("x")).agrees


def test_more_accurate_answer_is_not_accused_where_a_large_step_leads_away():
    # 1 + erf(-6) has no digit left; the factor is 500 where a and b are equal, and all but 0 where STEP has moved them.
    function = in_torch(lambda x, a, b: (1 + torch.erf(x)) * 500 / (1 + ((a - b) * 2**20).square().sum()))
    expected = Reference(function, case(x=[-6.0], a=np.ones(40), b=np.ones(40))).expected(0)
    assert expected.value == 0
    assert compare(np.array([500 * math.erfc(6)]), expected).agrees
    assert not compare(np.array([1e-11]), expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [torch.relu, torch.tanh])
def test_budget_does_not_grow_with_the_array(dtype, function):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 16))
    vjp = in_torch(lambda x: function(x))
    small = Reference(vjp, case(dtype, x=x, dy=dy))
    large = Reference(vjp, case(dtype, x=np.tile(x, 256), dy=np.tile(dy, 256)))
    assert large.expected(0).budget.max() <= 2 * small.expected(0).budget.max()
    assert large.expected("x").budget.max() <= 2 * small.expected("x").budget.max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [lambda x: torch.relu(x), lambda x: torch.softmax(x, 0)], ids=["relu", "softmax"])
def test_zeros_instead_of_the_gradient_of_a_large_array_are_caught(dtype, function):
    rng = np.random.default_rng(0)
    c = case(dtype, x=rng.standard_normal(4096), dy=rng.standard_normal(4096))
    assert not compare(np.zeros(4096, dtype), Reference(in_torch(function), c).expected("x")).agrees


def test_long_sum_may_be_added_one_by_one_and_no_worse():
    # Which loses some hundred times the digits of torch's way.
    x = np.random.default_rng(0).standard_normal((100_000, 4))
    expected = Reference(in_torch(lambda x: x.sum(0)), case(x=x, dy=np.ones(4))).expected(0)
    one_by_one = x.cumsum(0)[-1]
    assert compare(one_by_one, expected).agrees
    assert not compare(one_by_one * (1 + 1e-11), expected).agrees


def test_whole_numbers_do_not_hide_what_torch_loses_inside_one_operation():
    # Float32 holds these numbers and their squares, so that its own error, from which float64's is estimated, is none.
    # What a bicubic sample at the border is made of cancels to 0, but for rounding.
    def sample(x):
        image = torch.tensor([[[[1.0], [0.0], [3.0]]]], dtype=x.dtype)
        return torch.nn.functional.grid_sample(image, x, mode="bicubic", padding_mode="border", align_corners=False)

    c = case(x=[[[[0.0, -1.6666666666666665]]]], dy=[[[[-1.0]]]])
    expected = Reference(in_torch(sample), c).expected("x")
    assert expected.parts[1]() == 0 < expected.nearby().max() < 1e-15
    assert compare(expected.value + 4e-16, expected).agrees
    assert not compare(expected.value + 1e-14, expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_kink_does_not_excuse_another_convention(dtype):
    c = case(dtype, x=[0.0, 1.0, -1.0, 2.0], dy=[0.5, 1.0, 2.0, 3.0])
    expected = Reference(TORCH_RELU, c).expected("x")
    passes = np.where(c.inputs["x"] >= 0, c.cotangents[0], 0)
    found = compare(passes, expected)
    assert not found.agrees
    assert (found.index, found.wrong) == ((0,), 1)
    assert compare(ask(RELU, c).gradients["x"], expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_tie_does_not_excuse_another_winner(dtype):
    c = case(dtype, x=[2.0, 2.0, 1.0], dy=3.0)
    expected = Reference(in_torch(lambda x: x.max(0)[0]), c).expected("x")
    assert compare(np.array([3, 0, 0], dtype), expected).agrees
    assert not compare(np.array([0, 3, 0], dtype), expected).agrees
    assert not compare(np.array([1.5, 1.5, 0], dtype), expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rounded", "x"), [(True, [0.1, 0.7, -0.8]), (False, [1.0, 7.0, -8.0])])
def test_kink_is_excused_where_one_rounding_decides_its_side_and_only_there(dtype, rounded, x):
    # Tenths are rounded, and so are their products with 0.9; of whole numbers the sum is 0, where torch has a rule.
    c = case(dtype, x=x, dy=1.0)
    factor = 0.9 if rounded else 2.0
    expected = Reference(in_torch(lambda x: torch.relu((x * factor).sum())), c).expected("x")
    for passed in (0.0, factor):
        assert compare(np.full(3, passed, dtype), expected).agrees == (rounded or passed == 0)
    assert not compare(np.full(3, 20 * factor, dtype), expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("before", range(0, 100, 4))
def test_kink_that_one_rounding_decides_is_seen_wherever_the_two_numbers_stand(dtype, before):
    c = case(dtype, x=[*[1.0] * before, 0.7, 0.7], dy=1.0)
    reference = Reference(in_torch(lambda x: torch.relu((x * 0.9).diff())[-1]), c)
    for passed in (0.0, 0.9):
        gradient = np.array([*[0.0] * before, -passed, passed], dtype)
        assert compare(gradient, reference.expected("x")).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [2, 3])
def test_a_root_of_a_whole_number_decides_a_kink_unless_it_is_a_square_root(dtype, p):
    # The third root of 27 is 3 to one program and 3 less a digit to another.
    c = case(dtype, x=[3.0, 0.0], dy=1.0)
    expected = Reference(in_torch(lambda x: torch.relu(torch.linalg.vector_norm(x, p) - 3)), c).expected("x")
    assert compare(np.array([0.0, 0.0], dtype), expected).agrees
    assert compare(np.array([1.0, 0.0], dtype), expected).agrees == (p == 3)


@pytest.mark.parametrize("x", [0.85, 1.43, 1.65, 1.7])
def test_a_gradient_that_one_rounding_in_fifty_lets_pass_is_excused_where_no_digit_is_known(x):
    def function(x):
        first, second = (x * 0.9 * 1.1 == x * (0.9 * 1.1)), (x * 0.8 * 1.2 == x * (0.8 * 1.2))
        return x.detach() + (0.001 * first + first * second) * (x - x.detach())

    expected = Reference(in_torch(function), case(np.float32, x=[x], dy=[1.0])).expected("x")
    assert expected.value == 0
    assert 0 < np.max(expected.jump()) < 0.01  # the first tries know of one equality, and not of both
    assert compare(np.array([1.001], np.float32), expected).agrees
    assert not compare(np.array([20.0], np.float32), expected).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_gradient_is_known_where_one_rounding_decides_which_of_two_values_an_output_has(dtype):
    # 0.9·x rounds, and times 1e30 a rounding is more than a sigmoid can tell: 0, 1 and seldom a number between.
    function = in_torch(lambda x: torch.sigmoid((x * 0.9).diff() * 1e30))
    torn = Reference(function, case(dtype, x=[0.7, 0.7], dy=[1.0])).expected("x")
    assert compare(np.array([-3e20, 3e20], dtype), torn).agrees
    # An output that cancels and does not jump has one.
    smooth = Reference(in_torch(lambda x: (x * 0.9).diff()), case(dtype, x=[0.7, 0.7], dy=[1.0])).expected("x")
    assert compare(np.array([-0.9, 0.9], dtype), smooth).agrees
    assert not compare(np.array([-0.8, 0.9], dtype), smooth).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_tie_that_torch_finds_again_in_its_backward_has_a_finite_budget(dtype):
    # amax shares the cotangent among the elements equal to its output, which it compares in the backward.
    c = case(dtype, x=[2.0, 2.0, 1.0], dy=3.0)
    expected = Reference(in_torch(lambda x: x.amax()), c).expected("x")
    assert compare(np.array([1.5, 1.5, 0], dtype), expected).agrees
    assert not compare(np.array([3, 0, 0], dtype), expected).agrees


def test_rounding_of_more_than_float32_can_hold_excuses_an_infinity():
    # The reference is finite, for it has more digits; a layer in float32 has not.
    function = in_torch(lambda x: (torch.exp(x.double()) - torch.exp(x.double().flip(0)))[0].to(x.dtype) + x[0])
    x = np.array([300.0, 300.0])
    overflown = Reference(function, case("float32", x=x, dy=1.0)).expected(0)
    assert compare(np.float32(np.inf), overflown).agrees
    held = Reference(function, case("float64", x=x, dy=1.0)).expected(0)
    assert not compare(np.float64(np.inf), held).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_inside_ctc_are_rounded_though_their_logarithms_are_all_but_zero(dtype):
    def loss(x):
        lengths = torch.tensor([2]), torch.tensor([0])
        return torch.nn.functional.ctc_loss(x, torch.zeros(0, dtype=torch.int64), *lengths)

    c = case(dtype, x=[[[1e-17]], [[-5e-17]]], dy=1.0)
    expected = Reference(in_torch(loss), c).expected("x")
    u = np.finfo(dtype).eps
    assert (expected.value == 0).all()  # e^x less a probability of 1
    assert compare(np.array([[[u]], [[-u]]], dtype), expected).agrees
    assert not compare(np.array([[[100 * u]], [[0]]], dtype), expected).agrees


# What a weight of ±1 and ±2 leaves of these is a thousandth, and float32 has half a digit of the largest left in it.
CANCELLING = [6007308.1, 6009596.1, 6018942.0, 6032963.6, 6003886.3, 6017997.3]
WEIGHT = np.array([[-1.0, 1, -1, 2, 1, -2]]).T


def test_sums_that_cancel_are_off_by_a_digit_of_what_they_add_each_by_itself():
    # Both ways of moving the reference leave equal columns almost equal, and the norm turns all else into a number.
    def function(x, w):
        return torch.nn.functional.layer_norm(x @ w + torch.arange(6).to(x), (6,))

    def agrees(x):
        expected = Reference(in_torch(function), case("float32", x=[x], w=WEIGHT.repeat(6, 1))).expected(0)
        h = x @ WEIGHT + np.arange(6) + 0.5 * np.array([1, 0, -1, 0, 1, 0])
        return compare(((h - h.mean()) / h.std()).astype(np.float32)[None], expected).agrees

    assert agrees(np.array(CANCELLING, np.float32).astype(float))
    assert not agrees(np.array([3.0, 5, 2, 8, 1, 4]))  # nothing is rounded


@pytest.mark.parametrize(("other", "known"), [(0.2, False), (1000.0, True)])
def test_scores_that_only_float32_takes_for_equal_leave_no_gradient_known(other, known):
    # In float64 a weight is 1 and the gradient 0; in float32 both are 1/2, and it is what rounding makes of the values.
    def function(x, z):
        values = sum(row @ torch.from_numpy(WEIGHT).to(z).repeat(1, 2) for row in z)
        return (torch.softmax((2.0**24 + x) * 1e20, 0) * values).sum()

    c = case("float32", x=[0.1, other], z=[CANCELLING] * 8, dy=1.0)
    expected = Reference(in_torch(function), c).expected("x")
    assert compare(np.float32([0.25e20, -0.25e20]), expected).agrees != known


def test_the_sign_of_what_is_small_beside_others_of_its_array_is_nobodys():
    def signs(*x):
        reference = Reference(in_torch(lambda x: (x - 1) * torch.inf), case(np.float32, x=x))
        return {float(answer.outputs[0][1]) for answer in reference.alternatives}

    assert signs(2.0**30, 3.0) == {np.inf, -np.inf}  # a digit of the first is 128
    assert signs(2.0**20, 3.0) == {np.inf}


def test_rounding_errors_move_what_is_new_and_nothing_else():
    x = torch.zeros(1000).index_fill(0, torch.arange(500), 3.0)
    with RoundingErrors(STEP, seed=0):
        view, new, whole = x[:500], 2 * x, torch.arange(3)
    assert (view == 3).all()
    assert (new[500:] == 0).all()
    assert whole.tolist() == [0, 1, 2]
    assert set(new[:500].tolist()) == {6 * (1 - STEP), 6 * (1 + STEP)}


def test_rounding_errors_leave_some_operations_alone_and_keep_so_many_bits():
    x = torch.full((100,), 1 / 3, dtype=torch.float64)
    with RoundingErrors(2.0**-23, seed=0, share=1 / 4, bits=24):
        made = [2 * x for _ in range(40)]
    assert all((y == y.float().double()).all() for y in made)
    left = [bool((y == y[0]).all()) for y in made]
    assert 20 <= sum(left) < 40


class TestCancelledArrays:
    def test_an_array_without_a_known_digit_is_judged_as_a_whole(self):
        expected = Expected(np.array([1e-10, -2e-11]), (lambda: np.array([1e-12, 3e-10]),))
        assert expected.budget.tolist() == [3e-10, 3e-10]

    def test_an_array_with_digits_is_judged_element_by_element(self):
        budgets = np.array([1e-12, 3e-10])
        expected = Expected(np.array([1e-9, -2e-11]), (lambda: budgets,))
        assert expected.budget.tolist() == budgets.tolist()

    def test_a_jump_of_one_element_is_every_others(self):
        def budget(*value):
            return Expected(np.array(value), (lambda: 1.0,), jump=lambda: np.array([3.0, 10.0])).budget.tolist()

        assert budget(0.0, -0.5) == [10, 10]
        assert budget(0.0, 2.0) == [1, 1]  # no jump of more than sixteen

    def test_an_infinite_budget_excuses_its_own_element_only(self):
        expected = Expected(np.array([1.0, 2.0]), (lambda: np.array([1e-16, np.inf]),))
        assert expected.budget.tolist() == [1e-16, np.inf]
