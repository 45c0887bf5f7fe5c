"""Distances, and the layers that rearrange: conventions, ties and refusals."""

import numpy as np
import pytest

from gradjury import impl


def slopes(layer, *xs):
    y, backward = layer(*map(np.array, xs))
    return y.tolist(), {name: dx.tolist() for name, dx in backward(np.ones_like(y)).items()}


def test_equal_largest_differences_share_in_pairwise_distance_and_do_not_in_pdist():
    far, origin = [2.0, -2.0, 1.0], [0.0, 0.0, 0.0]
    y, grads = slopes(impl.PairwiseDistance(np.inf, eps=0.0), far, origin)
    assert (y, grads["x1"]) == (2, [0.5, -0.5, 0])
    y, grads = slopes(impl.Pdist(np.inf), [far, origin])
    assert (y, grads["x"][0]) == ([2], [1, -1, 0])


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, np.inf, -1, -np.inf])
def test_a_distance_of_zero_has_no_gradient(p):
    y, grads = slopes(impl.PairwiseDistance(p, eps=0.0), [1.0, 2.0], [1.0, 2.0])
    assert y == 0
    np.testing.assert_array_equal(grads["x1"], [0, 0])
    if p >= 0:
        y, grads = slopes(impl.Pdist(p), [[1.0, 2.0], [1.0, 2.0]])
        assert y == [0]
        np.testing.assert_array_equal(grads["x"], np.zeros((2, 2)))


def test_nan_has_no_sign_in_pairwise_distance_and_is_a_difference_without_size():
    y, grads = slopes(impl.PairwiseDistance(1, eps=0.0), [np.nan, 1.0], [0.0, 0.0])
    assert np.isnan(y)
    assert grads["x1"] == [0, 1]
    assert slopes(impl.PairwiseDistance(0, eps=0.0), [np.nan, 1.0], [0.0, 0.0])[0] == 2
    assert np.isnan(slopes(impl.Pdist(0), [[np.nan, 1.0], [0.0, 0.0]])[0])


def test_eps_is_added_to_the_difference_not_to_the_distance():
    assert slopes(impl.PairwiseDistance(1, eps=0.5), [3.0, 0.0], [1.0, 2.0])[0] == 4


def test_pdist_of_one_row_or_none_has_no_pair():
    for rows in (0, 1):
        y, backward = impl.Pdist()(np.ones((rows, 3)))
        assert y.shape == (0,)
        np.testing.assert_array_equal(backward(y)["x"], np.zeros((rows, 3)))


def test_a_vector_below_eps_has_the_gradient_of_its_norm():
    # x1 is 0.6 long, eps is 1: y = x1·(1, 0), whose derivative is (1, 0); the norm's part is taken off all the same.
    y, grads = slopes(impl.CosineSimilarity(0, eps=1.0), [0.6, 0.0], [1.0, 0.0])
    assert y == 0.6
    np.testing.assert_allclose(grads["x1"], [1 - 0.6, 0], rtol=1e-15)


def test_cosine_of_a_zero_vector_is_zero_and_its_gradient_the_other_direction_over_eps():
    y, grads = slopes(impl.CosineSimilarity(0, eps=0.5), [0.0, 0.0], [3.0, 4.0])
    assert y == 0
    np.testing.assert_allclose(grads["x1"], [1.2, 1.6], rtol=1e-15)
    assert grads["x2"] == [0, 0]


def test_shuffles_put_these_channels_there():
    x = np.arange(8.0).reshape(8, 1, 1)
    np.testing.assert_array_equal(impl.PixelShuffle(2)(x)[0], [[[0, 1], [2, 3]], [[4, 5], [6, 7]]])
    np.testing.assert_array_equal(impl.PixelUnshuffle(2)(impl.PixelShuffle(2)(x)[0])[0], x)
    turns, backward = impl.ChannelShuffle(2)(x.reshape(1, 8, 1))
    np.testing.assert_array_equal(turns.ravel(), [0, 4, 1, 5, 2, 6, 3, 7])
    np.testing.assert_array_equal(backward(turns)["x"].ravel(), range(8))


@pytest.mark.parametrize(
    ("layer", "shape", "out"),
    [
        (impl.PixelShuffle(2), (0, 4, 2, 3), (0, 1, 4, 6)),
        (impl.PixelUnshuffle(2), (0, 4, 2, 4), (0, 16, 1, 2)),
        (impl.PixelUnshuffle(2), (0, 2, 4), (0, 1, 2)),
        (impl.ChannelShuffle(2), (3, 0, 2), (3, 0, 2)),
    ],
    ids=repr,
)
def test_an_empty_array_has_an_empty_gradient_in_its_own_shape(layer, shape, out):
    y, backward = layer(np.ones(shape))
    assert y.shape == out
    assert backward(y)["x"].shape == shape


def test_identity_ignores_its_arguments():
    x = np.ones(3)
    y, backward = impl.Identity(54, bias=True)(x)
    assert y is x
    assert backward(x)["x"] is x
    assert impl.Identity(1) == impl.Identity()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: impl.PairwiseDistance("2"), TypeError, "PairwiseDistance: p must be a number"),
        (lambda: impl.PairwiseDistance(eps=None), TypeError, "PairwiseDistance: eps must be a number"),
        (lambda: impl.PairwiseDistance(keepdim=1), TypeError, "PairwiseDistance: keepdim must be a truth value"),
        (
            lambda: impl.PairwiseDistance(-1)(np.ones((2, 0)), np.ones((2, 0))),
            ValueError,
            "PairwiseDistance: x1 and x2 must not be empty",
        ),
        (lambda: impl.PairwiseDistance()(np.ones(2), np.ones(3)), ValueError, "do not broadcast"),
        (lambda: impl.CosineSimilarity(True), TypeError, "CosineSimilarity: dim must be an integer"),
        (lambda: impl.CosineSimilarity(eps=-1), ValueError, "CosineSimilarity: eps must not be negative"),
        (lambda: impl.CosineSimilarity()(np.ones(2), np.ones(2)), IndexError, "CosineSimilarity: dim"),
        (
            lambda: impl.CosineSimilarity(0, 1e300)(np.ones(2, "f4"), np.ones(2, "f4")),
            ValueError,
            "CosineSimilarity: eps must not overflow float32",
        ),
        (lambda: impl.Pdist(-1), ValueError, "Pdist: p must not be negative"),
        (lambda: impl.Pdist(np.nan), ValueError, "Pdist: p must not be negative"),
        (lambda: impl.Pdist()(np.ones(2)), ValueError, "Pdist: x must have 2 dimensions"),
        (lambda: impl.PixelShuffle(0), ValueError, "PixelShuffle: upscale_factor must be at least 1"),
        (lambda: impl.PixelShuffle(2)(np.ones((2, 2, 2))), ValueError, "PixelShuffle: the channels of x"),
        (lambda: impl.PixelUnshuffle(2)(np.ones((4, 4))), ValueError, "PixelUnshuffle: x must have at least 3"),
        (lambda: impl.PixelUnshuffle(2)(np.ones((1, 4, 3))), ValueError, "PixelUnshuffle: height and width"),
        (lambda: impl.ChannelShuffle(2)(np.ones((1, 3, 2))), ValueError, "ChannelShuffle: x must have a multiple of 2"),
        (lambda: impl.Unflatten("C", (("a", 2),)), TypeError, "Unflatten: dim must be an integer"),
        (lambda: impl.Unflatten(1, (("a", 2), ("b", 3))), TypeError, "Unflatten: unflattened_size must be a tuple"),
        (lambda: impl.Unflatten(1, ()), ValueError, "Unflatten: unflattened_size must hold sizes"),
        (lambda: impl.Unflatten(1, (-1, -1)), ValueError, "Unflatten: unflattened_size must hold sizes"),
        (lambda: impl.Unflatten(1, (0, -1))(np.ones((2, 0))), ValueError, "Unflatten: unflattened_size (0, -1)"),
        (lambda: impl.Unflatten(1, (2, 2))(np.ones((2, 6))), ValueError, "Unflatten: unflattened_size (2, 2)"),
        (lambda: impl.Unflatten(0, (1,))(np.ones(())), ValueError, "Unflatten: x must have at least one dimension"),
        (lambda: impl.Unflatten(2, (1,))(np.ones((2, 6))), IndexError, "Unflatten: dim"),
    ],
)
def test_refused_in_these_words(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
