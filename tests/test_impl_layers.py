"""Facts about our layers that were worked out by hand, where comparing with torch alone is not enough."""

import ast
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from configurations import LAYERS

from gradjury import contracts, impl
from gradjury.impl import (
    AvgPool2d,
    Conv2d,
    CrossEntropyLoss,
    LogSoftmax,
    MaxPool2d,
    Sigmoid,
    Softmax,
)


def test_every_layer_is_in_the_list():
    assert {type(layer).__name__ for layer in LAYERS} == set(impl.__all__) - {"Sequential"}
    assert set(contracts.ALL) < set(impl.__all__)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_repr_is_code_that_builds_an_equal_layer(layer):
    assert eval(repr(layer), vars(impl).copy()) == layer


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layer_is_frozen(layer):
    fields = dataclasses.fields(layer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(layer, fields[0].name if fields else "anything", 1)


def test_impl_imports_numpy_and_the_standard_library_only():
    allowed = {"numpy", *sys.stdlib_module_names}
    files = list(Path(impl.__file__).parent.glob("**/*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, file.name
            elif isinstance(node, ast.ImportFrom):
                # One dot is impl itself; two would be the house around it.
                assert node.level == 1 or (not node.level and node.module.partition(".")[0] in allowed), file.name


def test_max_pool_gives_a_tie_to_the_first_cell():
    (y, index), backward = MaxPool2d(2, return_indices=True)(np.array([[[1.0, 5.0], [5.0, 5.0]]]))
    assert (y.item(), index.item()) == (5, 1)
    np.testing.assert_array_equal(backward(np.array([[[3.0]]]))["x"], [[[0, 3], [0, 0]]])


def test_max_pool_lets_the_last_nan_win():
    (y, index), backward = MaxPool2d(2, return_indices=True)(np.array([[[np.nan, np.inf], [np.nan, 2.0]]]))
    assert np.isnan(y.item())
    assert index.item() == 2
    np.testing.assert_array_equal(backward(np.array([[[3.0]]]))["x"], [[[0, 0], [3, 0]]])


def test_max_pool_of_minus_infinities_picks_the_first_cell_that_is_not_padding():
    (y, index), backward = MaxPool2d(2, padding=1, return_indices=True)(np.full((1, 2, 2), -np.inf))
    np.testing.assert_array_equal(y, np.full((1, 2, 2), -np.inf))
    np.testing.assert_array_equal(index, [[[0, 1], [2, 3]]])
    np.testing.assert_array_equal(backward(np.array([[[1.0, 2.0], [3.0, 4.0]]]))["x"], [[[1, 2], [3, 4]]])


def test_max_pool_adds_up_where_windows_overlap():
    _, backward = MaxPool2d((1, 2), stride=1)(np.array([[[1.0, 7.0, 2.0]]]))
    np.testing.assert_array_equal(backward(np.array([[[10.0, 100.0]]]))["x"], [[[0, 110, 0]]])


# Dilated by 2, the four cells of the only window all lie in the padding around the single cell.
HOLLOW = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2, "return_indices": True}


def test_max_pool_window_without_any_cell_gives_minus_infinity_and_no_gradient():
    (y, index), backward = MaxPool2d(**HOLLOW)(np.ones((1, 1, 1)))
    assert (y.item(), index.item()) == (-np.inf, -1)
    np.testing.assert_array_equal(backward(np.ones((1, 1, 1)))["x"], [[[0]]])


def test_torch_still_answers_an_index_outside_the_plane_for_a_window_without_any_cell():
    # If this fails, torch has been repaired: the contract of MaxPool2d may draw such windows, and our index -1 is news.
    y, index = torch.nn.MaxPool2d(**HOLLOW)(torch.ones(1, 1, 1))
    assert y.item() == -np.inf
    assert not 0 <= index.item() < 1


def test_avg_pool_divides_by_the_cells_it_is_told_to_count():
    x = np.array([[[1.0, 2.0, 3.0]]])
    window = {"kernel_size": (1, 2), "padding": (0, 1), "ceil_mode": True}
    np.testing.assert_array_equal(AvgPool2d(**window)(x)[0], [[[0.5, 2.5]]])
    np.testing.assert_array_equal(AvgPool2d(**window, count_include_pad=False)(x)[0], [[[1, 2.5]]])
    np.testing.assert_array_equal(AvgPool2d(**window, divisor_override=-1)(x)[0], [[[-1, -5]]])


def test_avg_pool_does_not_count_the_overhang():
    # Two windows of 2 over 3 cells: the second holds one cell, and what hangs over the edge is not padding.
    y, backward = AvgPool2d((1, 2), ceil_mode=True)(np.array([[[1.0, 3.0, 5.0]]]))
    np.testing.assert_array_equal(y, [[[2, 5]]])
    np.testing.assert_array_equal(backward(np.array([[[2.0, 7.0]]]))["x"], [[[1, 1, 7]]])


def test_conv_same_padding_puts_the_odd_cell_behind():
    layer = Conv2d(1, 1, (1, 2), padding="same", bias=False)
    y, backward = layer(np.array([[[1.0, 2.0, 3.0]]]), np.array([[[[1.0, 10.0]]]]))
    np.testing.assert_array_equal(y, [[[21, 32, 3]]])
    grads = backward(np.array([[[1.0, 100.0, 10000.0]]]))
    np.testing.assert_array_equal(grads["x"], [[[1, 110, 11000]]])
    np.testing.assert_array_equal(grads["weight"], [[[[30201, 302]]]])


def test_conv_same_padding_with_a_kernel_of_four_is_one_before_and_two_behind():
    layer = Conv2d(1, 1, (4, 1), padding="same", bias=False)
    y, _ = layer(np.array([[[1.0], [2.0], [3.0]]]), np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 4, 1))
    np.testing.assert_array_equal(y, [[[3210], [321], [32]]])


def test_conv_does_not_rotate_its_filter():
    layer = Conv2d(1, 1, 2, bias=False)
    y, _ = layer(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    assert y.item() == 4321


@pytest.mark.parametrize(("reduction", "loss"), [("mean", np.nan), ("sum", 0.0), ("none", [0.0, 0.0])])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.5])
def test_cross_entropy_with_everything_ignored_has_no_gradient(reduction, loss, label_smoothing):
    layer = CrossEntropyLoss(reduction=reduction, label_smoothing=label_smoothing)
    y, backward = layer(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([-100, -100]))
    np.testing.assert_array_equal(y, loss)
    np.testing.assert_array_equal(backward(np.ones_like(y))["x"], np.zeros((2, 2)))


def test_cross_entropy_mean_divides_by_the_weights_of_the_classes_that_count():
    # Two equal scores: a loss of log 2 each, weights 3 and 5, the third sample ignored.
    x, target, weight = np.zeros((3, 2)), np.array([0, 1, -100]), np.array([3.0, 5.0])
    y, backward = CrossEntropyLoss()(x, target, weight)
    np.testing.assert_allclose(y, np.log(2), rtol=1e-15)
    expected = np.array([[-3, 3], [5, -5], [0, 0]]) / 16
    np.testing.assert_allclose(backward(np.array(1.0))["x"], expected, rtol=1e-15)


@pytest.mark.parametrize(("rank", "axis"), [(0, 0), (1, 0), (2, 1), (3, 0), (4, 1)])
def test_softmax_without_dim_takes_the_axis_of_that_rank(rank, axis):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)[:rank])
    for y in (Softmax()(x)[0], np.exp(LogSoftmax()(x)[0])):
        assert y.shape == x.shape
        np.testing.assert_allclose(np.atleast_1d(y).sum(axis=axis), 1, rtol=1e-14)


def test_sigmoid_does_not_overflow_and_keeps_the_digits_of_a_small_slope():
    with np.errstate(all="raise", under="ignore"):
        y, backward = Sigmoid()(np.array([-800.0, 0.0, 40.0]))
        np.testing.assert_array_equal(y, [0, 0.5, 1])
        np.testing.assert_allclose(backward(np.ones(3))["x"], [0, 0.25, np.exp(-40)], rtol=1e-15)
