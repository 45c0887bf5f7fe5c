"""The comparison and autograd on cases whose answers are known."""

import numpy as np
import pytest
import torch
from known import case, in_torch

from gradjury.oracle.autograd import deterministic_torch, torch_vjp
from gradjury.oracle.budget import ALLOWED, Expected
from gradjury.oracle.compare import compare
from gradjury.oracle.vjp import ask

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
