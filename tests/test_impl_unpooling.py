"""Max unpooling and fractional max pooling: answers worked out by hand, and what is refused."""

import numpy as np
import pytest
import torch

from gradjury.impl import FractionalMaxPool2d, FractionalMaxPool3d, MaxPool2d, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d


def ones(*shape):
    return np.ones(shape)


def test_unpooling_undoes_pooling_but_for_what_was_lost():
    x = np.array([[[1.0, 5.0, 2.0], [7.0, 3.0, 8.0]]])
    (y, indices), _ = MaxPool2d((1, 2), return_indices=True, ceil_mode=True)(x)
    back, backward = MaxUnpool2d((1, 2))(y, indices, x.shape[1:])
    np.testing.assert_array_equal(back, [[[0, 5, 2], [7, 0, 8]]])
    np.testing.assert_array_equal(backward(np.arange(6.0).reshape(1, 2, 3))["x"], [[[1, 2], [3, 5]]])


def test_of_repeated_indices_the_last_value_stays():
    y, backward = MaxUnpool1d(2)(np.array([[1.0, 2.0]]), np.array([[3, 3]]))
    np.testing.assert_array_equal(y, [[0, 0, 0, 2]])
    np.testing.assert_array_equal(backward(np.array([[5.0, 6.0, 7.0, 8.0]]))["x"], [[8, 8]])


@pytest.mark.parametrize(
    "size", [(5,), [5], (9, 9, 5), np.array([5]), np.array([1, 1, 5], np.int32), torch.Size([5]), range(5, 6)], ids=str
)
def test_output_size_is_any_sequence_of_integers(size):
    y, _ = MaxUnpool1d(2)(ones(1, 2), np.array([[0, 4]]), size)
    np.testing.assert_array_equal(y, [[1, 0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("size", "error", "words"),
    [
        (5, TypeError, "a sequence of integers"),
        ((5.0,), TypeError, "an integer"),
        (np.array([5.0]), TypeError, "one row of integers"),
        (np.array([[5]]), TypeError, "one row of integers"),
        ((), ValueError, "1 or 3 numbers"),
        ((1, 5), ValueError, "1 or 3 numbers"),
        ((2,), ValueError, "between 2 and 6"),
        ((6,), ValueError, "between 2 and 6"),
    ],
)
def test_output_size_of_another_kind_is_refused(size, error, words):
    with pytest.raises(error, match=f"MaxUnpool1d: output_size must .*{words}"):
        MaxUnpool1d(2)(ones(1, 2), np.array([[0, 1]]), size)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: MaxUnpool2d(2.0), TypeError, "MaxUnpool2d: kernel_size"),
        (lambda: MaxUnpool2d((2, 2, 2)), ValueError, "MaxUnpool2d: kernel_size"),
        (lambda: MaxUnpool3d(2, 0), ValueError, "MaxUnpool3d: stride must be at least 1"),
        (lambda: MaxUnpool1d(2, padding=5)(ones(1, 2), np.array([[0, 1]])), ValueError, "padding 5 leaves -6 cells"),
        (lambda: MaxUnpool1d(2)(ones(2), np.array([0, 1])), ValueError, "MaxUnpool1d: x must have"),
        (lambda: MaxUnpool1d(2)(ones(1, 0, 2), np.zeros((1, 0, 2), int)), ValueError, "only the first axis"),
        (lambda: MaxUnpool1d(2)(ones(1, 2), np.array([0, 1])), ValueError, "indices must have shape"),
        (lambda: MaxUnpool1d(2)(ones(1, 2), np.array([[0, 1]], np.int32)), TypeError, "indices must be int64"),
        (lambda: MaxUnpool1d(2)(ones(1, 2), np.array([[0, 4]])), IndexError, "indices must be cells of a plane of 4"),
        (lambda: MaxUnpool1d(2)(ones(1, 2), np.array([[-1, 0]])), IndexError, "indices must be cells"),
    ],
)
def test_bad_unpooling_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_fractional_windows_start_where_the_samples_say():
    # Five cells, windows of one, three of them: steps of α = 2 from ⌊s·2⌋, here 0 and ⌊(1 + s)·2⌋ - ⌊s·2⌋ = 2.
    # Six rows: α = 5/2; s = 0.1 starts at 0, 2, 5 and s = 0.3 at 0, 3, 5.
    x = np.arange(30.0).reshape(1, 6, 5)
    (_, indices), _ = FractionalMaxPool2d(1, 3, return_indices=True)(x, np.array([[[0.9, 0.1]]]))
    np.testing.assert_array_equal(indices[0] % 5, [[0, 2, 4]] * 3)
    np.testing.assert_array_equal(indices[0, :, 0] // 5, [0, 2, 5])
    (_, indices), _ = FractionalMaxPool2d(1, 3, return_indices=True)(x, np.array([[[0.9, 0.3]]]))
    np.testing.assert_array_equal(indices[0, :, 0] // 5, [0, 3, 5])


def test_fractional_volumes_take_their_samples_in_the_order_of_the_axes():
    x = np.arange(6.0 * 3 * 3).reshape(1, 6, 3, 3)
    for sample, start in ((0.1, 2), (0.3, 3)):
        y, _ = FractionalMaxPool3d(1, (3, 1, 1))(x, np.array([[[sample, 0.0, 0.0]]]))
        np.testing.assert_array_equal(y.ravel() // 9, [0, start, 5])


def test_fractional_ties_nan_and_overlaps():
    x = np.array([[[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [np.nan, np.nan, -np.inf]]])
    (y, indices), backward = FractionalMaxPool2d(2, 2, return_indices=True)(x, np.zeros((1, 1, 2)))
    np.testing.assert_array_equal(y, [[[1, 1], [np.nan, np.nan]]])
    np.testing.assert_array_equal(indices, [[[0, 1], [7, 7]]])
    grads = backward(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    np.testing.assert_array_equal(grads["x"], [[[1, 2, 0], [0, 0, 0], [0, 7, 0]]])


@pytest.mark.parametrize("pool", [FractionalMaxPool2d, FractionalMaxPool3d])
def test_fractional_noise_fits_and_samples_of_more_images_are_not_looked_at(pool):
    layer, axes = pool(2, 2), (5,) * (2 if pool is FractionalMaxPool2d else 3)
    rng = np.random.default_rng(0)
    for lead, count in (((3,), 1), ((4, 3), 4), ((0, 3), 0)):
        noise = layer.noise(rng, (*lead, *axes), np.float32)
        assert noise["_random_samples"].dtype == np.float32
        assert noise["_random_samples"].shape == (count, 3, len(axes))
        x = rng.standard_normal((*lead, *axes)).astype(np.float32)
        y, _ = layer(x, **noise)
        more = np.concatenate([noise["_random_samples"], np.zeros((1, 3, len(axes)), np.float32)])
        np.testing.assert_array_equal(layer(x, more)[0], y)
        assert y.shape == (*lead, *(2 for _ in axes))


def test_a_volume_needs_one_cell_more_than_a_plane():
    assert FractionalMaxPool2d(2, 2)(ones(1, 3, 3), ones(1, 1, 2) / 2)[0].shape == (1, 2, 2)
    with pytest.raises(ValueError, match="FractionalMaxPool3d: 2 windows of 2 cells need 4 cells, got 3"):
        FractionalMaxPool3d(2, 2)(ones(1, 3, 3, 3), ones(1, 1, 3) / 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: FractionalMaxPool2d(0, 2), ValueError, "kernel_size must be at least 1"),
        (lambda: FractionalMaxPool2d((2,), 2), ValueError, "kernel_size must be an integer or 2 integers"),
        (lambda: FractionalMaxPool2d(2), ValueError, "one of output_size and output_ratio"),
        (lambda: FractionalMaxPool2d(2, 2, 0.5), ValueError, "one of output_size and output_ratio"),
        (lambda: FractionalMaxPool2d(2, -1), ValueError, "output_size must be at least 0"),
        (lambda: FractionalMaxPool2d(2, output_ratio=1), ValueError, "output_ratio must be between 0 and 1"),
        (lambda: FractionalMaxPool2d(2, output_ratio=(0.5,)), ValueError, "output_ratio must be a number or 2"),
        (lambda: FractionalMaxPool2d(2, output_ratio="half"), TypeError, "output_ratio must be a number"),
        (lambda: FractionalMaxPool2d(2, 2)(ones(3, 3), ones(1, 1, 2)), ValueError, "x must have 4 dimensions"),
        (lambda: FractionalMaxPool2d(2, 2)(ones(1, 0, 3, 3), ones(1, 0, 2)), ValueError, "only the first axis of x"),
        (lambda: FractionalMaxPool2d(2, 2)(ones(1, 3, 3), ones(1, 2)), ValueError, "_random_samples must have shape"),
        (lambda: FractionalMaxPool2d(2, 2)(ones(2, 1, 3, 3), ones(1, 1, 2)), ValueError, "_random_samples must have"),
        (
            lambda: FractionalMaxPool2d(2, 2)(ones(1, 3, 3), 2 * ones(1, 1, 2)),
            ValueError,
            "_random_samples must be num",
        ),
        (lambda: FractionalMaxPool2d(2, 2)(ones(1, 3, 3), np.nan * ones(1, 1, 2)), ValueError, "_random_samples must"),
    ],
)
def test_bad_fractional_pooling_is_refused(call, error, words):
    with pytest.raises(error, match=f"FractionalMaxPool2d: {words}"):
        call()
