"""Pooling of one to three axes: traps, worked out by hand, and what is refused in which words."""

import numpy as np
import pytest
import torch

from gradjury import impl

NAN, INF = np.nan, np.inf


def ask(layer, x, dy=None):
    """The outputs, and the gradient of x for dy, or for ones."""
    answer, backward = layer(np.array(x, np.float64))
    y = answer[0] if isinstance(answer, tuple) else answer
    return answer, backward(np.ones_like(y) if dy is None else np.array(dy, np.float64))["x"]


def refused(error, word, call):
    with pytest.raises(error, match=rf"^\w+: .*{word}"):
        call()


def test_max_pool3d_indices_are_flat_in_the_whole_block():
    x = np.zeros((1, 2, 2, 2))
    x[0, 1, 0, 1] = 5
    (y, index), dx = ask(impl.MaxPool3d(2, return_indices=True), x, [[[[3]]]])
    assert (y.item(), index.item(), index.dtype) == (5, 5, np.int64)
    assert dx[0, 1, 0, 1] == 3
    assert dx.sum() == 3


def test_max_pool_of_overlapping_windows_gives_ties_to_the_first_and_nan_to_the_last():
    layer = impl.MaxPool1d(3, stride=1, return_indices=True)
    (y, index), dx = ask(layer, [[7, 7, NAN, NAN, 7]])
    np.testing.assert_array_equal(y, [[NAN, NAN, NAN]])
    np.testing.assert_array_equal(index, [[2, 3, 3]])
    np.testing.assert_array_equal(dx, [[0, 0, 1, 2, 0]])


def test_max_pool_never_picks_padding_and_looks_between_its_dilated_cells():
    layer = impl.MaxPool1d(3, stride=1, padding=1, dilation=2, return_indices=True)
    (y, index), _ = ask(layer, [[-INF, -INF, -INF, -INF]])
    np.testing.assert_array_equal(y, [[-INF, -INF]])
    np.testing.assert_array_equal(index, [[1, 0]])


def test_max_pool_counts_more_places_than_a_byte_holds():
    x = np.arange(600.0).reshape(1, 20, 30)
    for cell in (0, 255, 256, 599):
        x[0].flat[cell] = 1000
        (_, index), dx = ask(impl.MaxPool2d((20, 30), return_indices=True), x)
        assert index.item() == cell
        assert dx[0].flat[cell] == 1
        x[0].flat[cell] = 0


def test_average_and_its_gradient_keep_infinities_inside_their_windows():
    x = [[INF, 1, 2, -INF, INF, 3]]
    y, _ = ask(impl.AvgPool1d(2), x)
    np.testing.assert_array_equal(y, [[INF, -INF, INF]])
    y, _ = ask(impl.AdaptiveAvgPool1d(4), x)
    np.testing.assert_array_equal(y, [[INF, 1.5, NAN, INF]])
    _, dx = ask(impl.AdaptiveAvgPool1d(4), np.ones((1, 6)), [[INF, 1, 2, NAN]])
    np.testing.assert_array_equal(dx, [[INF, INF, 0.5, 1, NAN, NAN]])


def test_average_pool_without_padding_in_the_count_divides_by_the_cells_of_each_axis():
    x = np.ones((1, 2, 2, 2))
    layer = impl.AvgPool3d(2, padding=1, count_include_pad=False)
    y, dx = ask(layer, x, np.full((1, 2, 2, 2), 8))
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dx, 8 * x)
    np.testing.assert_array_equal(impl.AvgPool3d(2, padding=1)(x)[0], x / 8)


def test_adaptive_windows_overlap_where_sizes_do_not_divide():
    # Five cells on three windows: [0, 2), [1, 4), [3, 5).
    y, dx = ask(impl.AdaptiveAvgPool1d(3), [[0, 6, 12, 18, 30]], [[2, 3, 4]])
    np.testing.assert_array_equal(y, [[3, 12, 24]])
    np.testing.assert_array_equal(dx, [[1, 2, 1, 3, 2]])
    (y, index), dx = ask(impl.AdaptiveMaxPool1d(3, return_indices=True), [[0, 9, 1, 9, 2]], [[1, 10, 100]])
    np.testing.assert_array_equal(index, [[1, 1, 3]])
    np.testing.assert_array_equal(dx, [[0, 11, 0, 100, 0]])


def test_adaptive_windows_repeat_cells_where_there_are_more_windows():
    y, dx = ask(impl.AdaptiveAvgPool1d(3), [[2, 4]], [[1, 10, 100]])
    np.testing.assert_array_equal(y, [[2, 3, 4]])
    np.testing.assert_array_equal(dx, [[6, 105]])


@pytest.mark.parametrize("size", [1, 2])
def test_adaptive_max_pool_gives_ties_to_the_first_and_nan_to_the_last(size):
    layer = impl.AdaptiveMaxPool2d(size, return_indices=True)
    (_, index), _ = ask(layer, np.zeros((1, 3, 3)))
    np.testing.assert_array_equal(index.ravel()[-1:], [0] if size == 1 else [4])
    (y, index), _ = ask(layer, [[[NAN, 1, 1], [1, NAN, INF], [1, 1, 1]]])
    assert np.isnan(y).all()
    np.testing.assert_array_equal(index, np.full((1, size, size), 4))
    (y, index), _ = ask(layer, np.full((1, 3, 3), -INF))
    assert (y == -INF).all()
    np.testing.assert_array_equal(index.ravel()[:2], [0] if size == 1 else [0, 1])


def test_adaptive_pool_of_nothing_is_accepted_as_in_torch_but_has_no_gradient():
    for layer, x in (
        (impl.AdaptiveAvgPool2d(0), np.ones((1, 2, 3, 3))),
        (impl.AdaptiveMaxPool2d((2, 0)), np.ones((2, 3, 3))),
        (impl.AdaptiveAvgPool1d(2), np.ones((1, 0, 3))),
    ):
        y, backward = layer(x)
        assert y.size == 0
        refused(ValueError, r"dy must not have an empty axis", lambda y=y, backward=backward: backward(y))


def test_adaptive_mean_of_everything_takes_any_axes_in_front_as_in_torch():
    for shape in ((4, 6), (1, 2, 3, 4, 6)):
        y, dx = ask(impl.AdaptiveAvgPool2d(1), np.ones(shape))
        np.testing.assert_array_equal(y, np.ones((*shape[:-2], 1, 1)))
        np.testing.assert_array_equal(dx, np.full(shape, 1 / 24))
    y, dx = ask(impl.AdaptiveAvgPool2d(1), np.ones((2, 0, 3)))
    np.testing.assert_array_equal(y, np.full((2, 1, 1), NAN))
    assert dx.shape == (2, 0, 3)


def test_lp_pool_of_an_odd_power_has_no_root_of_a_negative_sum():
    y, dx = ask(impl.LPPool1d(3, 2), [[2, -1, -2, 1]])
    np.testing.assert_allclose(y, [[7 ** (1 / 3), NAN]], rtol=1e-15)
    np.testing.assert_allclose(dx, [[4 / 7 ** (2 / 3), 1 / 7 ** (2 / 3), NAN, NAN]], rtol=1e-15)


@pytest.mark.parametrize("norm", [1, 2, 3, 4.0, 1.5])
def test_lp_pool_gives_a_window_whose_sum_is_zero_no_gradient(norm):
    y, dx = ask(impl.LPPool2d(norm, 2), np.zeros((1, 2, 2)))
    assert y.item() == 0
    np.testing.assert_array_equal(dx, np.zeros((1, 2, 2)))


def test_lp_pool_of_infinite_order_picks_magnitudes():
    x = [[-3, 3, NAN, 1, 0, -2]]
    y, dx = ask(impl.LPPool1d(INF, 2), x)
    np.testing.assert_array_equal(y, [[3, NAN, 2]])
    np.testing.assert_array_equal(dx, [[-1, 0, 0, 0, 0, -1]])
    y, dx = ask(impl.LPPool1d(-INF, 2), x)
    np.testing.assert_array_equal(y, [[3, NAN, 0]])
    np.testing.assert_array_equal(dx, [[-1, 0, 0, 0, 0, 0]])


def test_lp_pool_in_ceil_mode_scales_the_sum_of_a_window_that_hangs_over():
    # Two of three cells are inside: the sum 3² + 4² counts one and a half times.
    y, dx = ask(impl.LPPool1d(2, 3, ceil_mode=True), [[0, 0, 5, 3, 4]])
    np.testing.assert_allclose(y, [[5, np.sqrt(37.5)]], rtol=1e-15)
    np.testing.assert_allclose(dx[0, 3:], np.array([4.5, 6]) / np.sqrt(37.5), rtol=1e-15)
    theirs = torch.nn.LPPool1d(2, 3, ceil_mode=True)(torch.tensor([[0, 0, 5, 3, 4.0]]))
    np.testing.assert_allclose(theirs, y, rtol=1e-6)


def test_lp_pool_takes_roots_as_torch_does():
    y, _ = ask(impl.LPPool1d(0.5, 1), [[4, -INF, 0.0]])
    np.testing.assert_array_equal(y, [[4, NAN, 0]])
    y, _ = ask(impl.LPPool1d(-2, 1), [[4, -0.5]])
    np.testing.assert_array_equal(y, [[4, 0.5]])


@pytest.mark.parametrize("shape", [(1, 2, 4), (2, 1, 4, 2), (3, 2, 2)])
def test_a_window_that_falls_between_the_cells_holds_none(shape):
    # torch's index is then outside the plane, and so is where it writes the gradient.
    x = np.random.default_rng(0).standard_normal(shape)
    (y, indices), backward = impl.MaxPool2d(2, 1, 1, (3, 3), return_indices=True)(x)
    assert y.shape[-2:] == tuple({2: 1, 4: 3}[n] for n in shape[-2:])
    np.testing.assert_array_equal(y, np.full(y.shape, -INF))
    np.testing.assert_array_equal(indices, np.full(y.shape, -1))
    np.testing.assert_array_equal(backward(np.arange(1.0, y.size + 1).reshape(y.shape))["x"], np.zeros(shape))


BAD = [
    (lambda: impl.MaxPool1d((2, 2)), ValueError, "kernel_size must be an integer or 1 integers"),
    (lambda: impl.MaxPool3d(True), TypeError, "kernel_size must be an integer"),
    (lambda: impl.MaxPool2d((2, True)), TypeError, "kernel_size must be an integer"),
    (lambda: impl.AvgPool1d(()), ValueError, "kernel_size must be an integer"),
    (lambda: impl.AvgPool3d(2, (1, 1)), ValueError, "stride must be an integer or 3 integers"),
    (lambda: impl.AvgPool1d(2, padding=()), ValueError, "padding must be"),
    (lambda: impl.AvgPool1d(3, padding=2), ValueError, "padding must be at most half of the kernel size 3, got 2"),
    (lambda: impl.MaxPool1d(2, ceil_mode=1), TypeError, "ceil_mode must be True or False, got 1"),
    (lambda: impl.AvgPool2d(2, count_include_pad=None), TypeError, "count_include_pad must be True or False"),
    (lambda: impl.AvgPool3d(2, divisor_override=2**63), ValueError, "divisor_override must be a 64-bit integer"),
    (lambda: impl.AvgPool3d(2, divisor_override=True), TypeError, "divisor_override must be an integer"),
    (lambda: impl.AvgPool3d(3, 1, 1)(np.ones((1, 2, 3, 3))), ValueError, "at least as many cells as the kernel"),
    (lambda: impl.LPPool3d(2, 3, 2, True)(np.ones((1, 2, 3, 3))), ValueError, "at least as many cells as the kernel"),
    (lambda: impl.LPPool1d(2, (2,)), TypeError, "kernel_size must be an integer, got"),
    (lambda: impl.LPPool2d(2, (2,)), ValueError, "kernel_size must be an integer or 2 integers"),
    (lambda: impl.LPPool2d(INF, (2,)), ValueError, "kernel_size must be an integer or 2 integers"),
    (lambda: impl.LPPool1d(0, 2), ValueError, "norm_type must not be 0"),
    (lambda: impl.LPPool1d(None, 2), TypeError, "norm_type must be a number, got None"),
    (lambda: impl.LPPool1d("all", 2), TypeError, "norm_type must be a number, got 'all'"),
    (lambda: impl.AdaptiveAvgPool1d(None), TypeError, "output_size must be an integer"),
    (lambda: impl.AdaptiveMaxPool1d((None,)), TypeError, "output_size must be an integer"),
    (lambda: impl.AdaptiveAvgPool2d(None), TypeError, "output_size must be an integer"),
    (lambda: impl.AdaptiveAvgPool2d((None,)), ValueError, "output_size must be an integer or 2 integers or None"),
    (lambda: impl.AdaptiveMaxPool2d((2,)), ValueError, "output_size must be an integer or 2 integers"),
    (lambda: impl.AdaptiveMaxPool3d((2, None, -1)), ValueError, "output_size must be at least 0"),
    (lambda: impl.AdaptiveMaxPool3d((2, None, True)), TypeError, "output_size must be an integer"),
    (lambda: impl.AdaptiveAvgPool2d((1, 1))(np.ones((3, 3))), ValueError, "x must have 4 dimensions"),
    (lambda: impl.AdaptiveAvgPool2d(1)(np.ones(3)), ValueError, "x must have 4 dimensions"),
    (lambda: impl.AdaptiveAvgPool2d(2)(np.ones((1, 1, 1, 3, 3))), ValueError, "x must have 4 dimensions"),
    (lambda: impl.AdaptiveAvgPool1d(1)(np.ones((1, 1, 1, 3))), ValueError, "x must have 3 dimensions"),
    (lambda: impl.AdaptiveAvgPool2d(2)(np.ones((2, 0, 3))), ValueError, "x must not have an empty axis"),
    (lambda: impl.AdaptiveAvgPool3d(2)(np.ones((1, 0, 3, 3, 3))), ValueError, "x must not have an empty axis"),
    (lambda: impl.AdaptiveMaxPool1d(2)(np.ones((1, 0, 3))), ValueError, "x must not have an empty axis"),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[f"{n}-{words}" for n, (_, _, words) in enumerate(BAD)])
def test_what_torch_refuses_is_refused_in_our_words(call, error, words):
    refused(error, words, call)
