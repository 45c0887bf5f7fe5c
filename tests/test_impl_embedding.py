"""Embeddings: answers worked out by hand, and what is refused."""

import numpy as np
import pytest
import torch

from gradjury.impl import Embedding, EmbeddingBag

TABLE = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, -2.0]])
ROWS = np.array([0, 2, 2, 1])


def bag(*, x=ROWS, offsets=(0, 1), weights=None, table=TABLE, dy=None, **options):
    """y and the gradients of a bag; dy is all ones."""
    offsets = None if offsets is None else np.array(offsets, np.int64)
    y, backward = EmbeddingBag(*table.shape, **options)(np.asarray(x), table, offsets, weights)
    first = y[0] if isinstance(y, tuple) else y
    return y, backward(np.ones_like(first) if dy is None else dy)


def test_repeated_rows_add_up_and_padding_gets_no_gradient():
    y, backward = Embedding(3, 2, padding_idx=-3)(ROWS, TABLE)
    np.testing.assert_array_equal(y, TABLE[ROWS])
    dy = np.arange(1.0, 9).reshape(4, 2)
    np.testing.assert_array_equal(backward(dy)["weight"], [[0, 0], [7, 8], [8, 10]])


def test_frequency_counts_what_is_looked_up_in_this_call():
    _, backward = Embedding(3, 2, scale_grad_by_freq=True)(ROWS, TABLE)
    np.testing.assert_array_equal(backward(np.ones((4, 2)))["weight"], np.ones((3, 2)))


def test_rank_0_looks_up_one_row_that_is_its_own():
    y, backward = Embedding(3, 2)(np.array(2), TABLE)
    assert not np.shares_memory(y, TABLE)
    np.testing.assert_array_equal(y, [0, -2])
    np.testing.assert_array_equal(backward(np.array([5.0, 6.0]))["weight"], [[0, 0], [0, 0], [5, 6]])


@pytest.mark.parametrize(("norm_type", "norm"), [(2.0, 5), (1, 7), (np.inf, 4), (0, 2), (-np.inf, 3)])
def test_max_norm_shortens_the_rows_looked_up_and_answers_the_table(norm_type, norm):
    (y, table), backward = Embedding(3, 2, max_norm=1.5, norm_type=norm_type)(np.array([0, 1, 0]), TABLE)
    expected = TABLE.copy()
    expected[0] *= 1.5 / (norm + 1e-7)
    np.testing.assert_allclose(table, expected, rtol=1e-15)
    np.testing.assert_array_equal(y, table[[0, 1, 0]])
    np.testing.assert_array_equal(TABLE[0], [3, 4])
    # The gradient is that of the shortened rows.
    np.testing.assert_array_equal(backward(np.ones((3, 2)))["weight"], [[2, 2], [1, 1], [0, 0]])


def test_a_row_of_exactly_max_norm_stays():
    (_, table), _ = Embedding(3, 2, max_norm=5)(ROWS, TABLE)
    np.testing.assert_array_equal(table, TABLE)


def test_the_norm_of_a_single_element_is_not_rounded():
    table = np.array([[-2.0]])
    (_, same), _ = Embedding(1, 1, max_norm=2.0, norm_type=0.5)(np.array([0]), table)
    np.testing.assert_array_equal(same, table)
    (_, shortened), _ = Embedding(1, 1, max_norm=0.5, norm_type=0)(np.array([0]), table)
    np.testing.assert_allclose(shortened, [[-1]], rtol=1e-6)


def test_infinite_and_nan_rows_are_shortened_as_in_torch():
    table = np.array([[np.inf, 1.0], [np.nan, 9.0], [3.0, 4.0]])
    theirs = torch.from_numpy(table.copy())
    torch.nn.functional.embedding(torch.tensor([0, 1, 2]), theirs, max_norm=1.0)
    (_, ours), _ = Embedding(3, 2, max_norm=1.0)(np.arange(3), table)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-15)


def test_rows_without_elements_have_no_largest_one():
    with pytest.raises(ValueError, match="Embedding: norm_type must be finite"):
        Embedding(3, 0, max_norm=1.0, norm_type=np.inf)(ROWS, np.ones((3, 0)))
    (y, _), _ = Embedding(3, 0, max_norm=1.0, norm_type=np.inf)(ROWS[:0], np.ones((3, 0)))
    assert y.shape == (0, 0)


def test_max_gives_a_tie_to_the_first_and_passes_over_a_nan_that_is_not_first():
    table = np.array([[1.0, np.nan], [1.0, 2.0], [-np.inf, 5.0]])
    y, grads = bag(x=[2, 0, 1, 1, 0, 0, 1], offsets=(0, 3, 5, 7), mode="max", table=table)
    np.testing.assert_array_equal(y, [[1, 5], [1, 2], [1, np.nan], [0, 0]])
    np.testing.assert_array_equal(grads["weight"], [[2, 1], [1, 1], [0, 1]])


def test_max_of_minus_infinities_is_one_of_them():
    y, grads = bag(x=[0, 1], offsets=(0,), mode="max", table=np.full((2, 1), -np.inf))
    assert y.item() == -np.inf
    np.testing.assert_array_equal(grads["weight"], [[1], [0]])


@pytest.mark.parametrize(
    ("mode", "y"), [("sum", [[0, -4], [0, 0]]), ("mean", [[0, -2], [0, 0]]), ("max", [[0, -2], [0, 0]])]
)
def test_padding_is_in_no_bag_and_an_empty_bag_is_zero(mode, y):
    got, grads = bag(x=[0, 2, 2, 0], offsets=(0, 3), mode=mode, padding_idx=0)
    np.testing.assert_array_equal(got, y)
    np.testing.assert_array_equal(grads["weight"], [[0, 0], [0, 0], [2, 2] if mode == "sum" else [1, 1]])


def test_weights_of_padding_get_no_gradient_even_from_infinite_rows():
    table = np.array([[np.inf, 1.0], [2.0, 3.0]])
    weights = np.array([[5.0, 7.0]])
    y, grads = bag(x=[[0, 1]], offsets=None, weights=weights, mode="sum", padding_idx=0, table=table)
    np.testing.assert_array_equal(y, [[14, 21]])
    np.testing.assert_array_equal(grads["per_sample_weights"], [[0, 5]])
    np.testing.assert_array_equal(grads["weight"], [[0, 0], [7, 7]])


def test_a_bag_divides_each_row_by_its_own_frequency():
    # Here torch divides row 1 by 3; see docs/discrepancies.
    _, grads = bag(x=[[0, 0, 0, 1]], offsets=None, mode="sum", scale_grad_by_freq=True)
    np.testing.assert_allclose(grads["weight"], [[1, 1], [1, 1], [0, 0]], rtol=1e-15)


def test_the_last_offset_ends_the_last_bag():
    # Here torch goes on, or divides by 3; see docs/discrepancies.
    weights = np.array([2.0, 3.0, 4.0])
    y, grads = bag(x=[0, 1, 2], offsets=(0, 1), include_last_offset=True, mode="sum", weights=weights)
    np.testing.assert_array_equal(y, [[6, 8]])
    np.testing.assert_array_equal(grads["weight"], [[2, 2], [0, 0], [0, 0]])
    np.testing.assert_array_equal(grads["per_sample_weights"], [7, 0, 0])


def test_two_dimensional_bags_ignore_include_last_offset():
    y, _ = bag(x=ROWS.reshape(2, 2), offsets=None, include_last_offset=True)
    np.testing.assert_array_equal(y, [[1.5, 1], [0.5, -1]])


@pytest.mark.parametrize(("offsets", "last"), [((), False), ((0,), True)])
def test_no_bags_are_none_where_there_is_nothing_to_hold(offsets, last):
    y, grads = bag(x=ROWS[:0], offsets=offsets, include_last_offset=last)
    assert y.shape == (0, 2)
    np.testing.assert_array_equal(grads["weight"], np.zeros((3, 2)))
    with pytest.raises(ValueError, match="EmbeddingBag: offsets must begin with 0"):
        bag(offsets=offsets, include_last_offset=last)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Embedding(-1, 2), ValueError, "num_embeddings must be at least 0"),
        (lambda: Embedding(1, 2.0), TypeError, "embedding_dim must be an integer"),
        (lambda: Embedding(3, 2, padding_idx=3), ValueError, r"padding_idx must be in \[-3, 2\]"),
        (lambda: Embedding(3, 2, max_norm="1"), TypeError, "max_norm must be a number"),
        (lambda: Embedding(3, 2, norm_type=None), TypeError, "norm_type must be a number"),
        (lambda: Embedding(3, 2)(np.array([3]), TABLE), IndexError, "x must hold numbers of 3 rows"),
        (lambda: Embedding(3, 2)(np.array([-1]), TABLE), IndexError, "x must hold numbers of 3 rows"),
        (lambda: Embedding(3, 2)(np.array([1], np.int16), TABLE), TypeError, "x must hold int64 or int32"),
        (lambda: Embedding(2, 3)(ROWS, TABLE), ValueError, "weight must have shape"),
        (lambda: EmbeddingBag(3, 2, mode="prod"), ValueError, "mode must be one of"),
        (lambda: bag(mode="max", scale_grad_by_freq=True), ValueError, "scale_grad_by_freq must be False"),
        (lambda: bag(weights=np.ones(4)), ValueError, "per_sample_weights must be None"),
        (lambda: bag(weights=np.ones(3), mode="sum"), ValueError, "per_sample_weights must have shape"),
        (lambda: bag(x=ROWS[None, None]), ValueError, "x must have 1 or 2 dimensions"),
        (lambda: bag(x=ROWS[None]), ValueError, "offsets must be None"),
        (lambda: bag(x=ROWS[None, :0], offsets=None), ValueError, "x must hold bags of at least 1"),
        (lambda: bag(offsets=None), ValueError, "offsets must say"),
        (lambda: bag(offsets=((0, 1),)), ValueError, "offsets must have 1 dimension"),
        (lambda: bag(offsets=(1, 2)), ValueError, "offsets must begin with 0"),
        (lambda: bag(offsets=(0, 3, 2)), ValueError, "offsets must begin with 0, not decrease"),
        (lambda: bag(offsets=(0, 5)), ValueError, "offsets must .* at most 4"),
        (lambda: EmbeddingBag(3, 2)(ROWS, TABLE, np.zeros(1)), TypeError, "offsets must hold int64 or int32"),
    ],
)
def test_bad_calls_are_refused(call, error, words):
    with pytest.raises(error, match=f"^Embedding(Bag)?: {words}"):
        call()


@pytest.mark.parametrize("layer", [Embedding(2000, 3, padding_idx=7), EmbeddingBag(2000, 3, padding_idx=-1)], ids=repr)
def test_init_is_standard_normal_with_a_row_of_zeros(layer):
    (weight,) = layer.initial_parameters(np.random.default_rng(0), np.float32).values()
    assert (weight.shape, weight.dtype) == ((2000, 3), np.float32)
    np.testing.assert_array_equal(weight[layer.padding_idx], 0)
    assert abs(weight.mean()) < 0.05
    assert abs(weight.std() - 1) < 0.05
    assert weight[:6].all()
    plain = type(layer)(4, 2).initial_parameters(np.random.default_rng(0))["weight"]
    assert plain.all()
