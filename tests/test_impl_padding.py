"""Padding: where borders come from when the other side is cut off, and what is refused."""

import numpy as np
import pytest

from gradjury import impl

X = np.array([[1.0, 2.0, 3.0]])


def answer(layer, x=X):
    """y, and dx for the cotangent 1, 10, 100, ..."""
    y, backward = layer(x)
    return y[0].tolist(), backward(10.0 ** np.arange(y.size).reshape(y.shape))["x"][0].tolist()


@pytest.mark.parametrize(
    ("layer", "y", "dx"),
    [
        (impl.ReflectionPad1d((2, 1)), [3, 2, 1, 2, 3, 2], [100, 101010, 10001]),
        (impl.ReplicationPad1d((2, 1)), [1, 1, 1, 2, 3, 3], [111, 1000, 110000]),
        (impl.CircularPad1d((2, 1)), [2, 3, 1, 2, 3, 1], [100100, 1001, 10010]),
        (impl.CircularPad1d(3), [1, 2, 3] * 3, [1001001, 10010010, 100100100]),
        (impl.ZeroPad1d((2, 1)), [0, 0, 1, 2, 3, 0], [100, 1000, 10000]),
        (impl.ConstantPad1d((0, 1), 7), [1, 2, 3, 7], [1, 10, 100]),
        (impl.ConstantPad1d((0, 1), None), [1, 2, 3, 0], [1, 10, 100]),
        # A mirror shows the cells that are cut off on the other side ...
        (impl.ReflectionPad1d((2, -2)), [3, 2, 1], [100, 10, 1]),
        (impl.ReflectionPad1d((-3, 2)), [2, 1], [10, 1, 0]),
        (impl.ReplicationPad1d((-4, 3)), [3, 3], [0, 0, 11]),
        # ... a circle only those that are left.
        (impl.CircularPad1d((1, -2)), [1, 1], [11, 0, 0]),
        (impl.CircularPad1d((-1, 2)), [2, 3, 2, 3], [0, 101, 1010]),
        (impl.ConstantPad1d((-3, 1), 5), [5], [0, 0, 0]),
    ],
    ids=repr,
)
def test_border_is_made_of_these_cells(layer, y, dx):
    assert answer(layer) == (y, dx)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_corner_is_the_border_of_a_border(mode):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((1, 3, 4)), rng.standard_normal((1, 6, 7))
    y, backward = impl.Pad((2, 1, 1, 2), mode)(x)
    rows, back_rows = impl.Pad((1, 2), mode)(x.swapaxes(1, 2))
    expected, back_columns = impl.Pad((2, 1), mode)(rows.swapaxes(1, 2))
    np.testing.assert_array_equal(y, expected)
    both = back_rows(back_columns(dy)["x"].swapaxes(1, 2))["x"].swapaxes(1, 2)
    np.testing.assert_allclose(backward(dy)["x"], both, rtol=1e-14)


def test_padding_by_nothing_answers_a_copy():
    for layer in (impl.Pad(()), impl.ZeroPad1d(0), impl.ReflectionPad1d(0)):
        y, backward = layer(X)
        dy = np.ones_like(X)
        assert not np.shares_memory(y, X)
        assert not np.shares_memory(backward(dy)["x"], dy)


def test_an_integer_stands_for_all_sides_and_a_longer_tuple_for_more_axes_as_in_torch():
    x = np.ones((1, 3, 3))
    assert impl.ReplicationPad2d(1)(x)[0].shape == impl.ReplicationPad1d((1, 1, 1, 1))(x)[0].shape == (1, 5, 5)


def test_a_constant_may_be_no_number_or_negative_zero():
    y, backward = impl.Pad((1, 1), value=np.nan)(X)
    assert np.isnan(y[0, [0, -1]]).all()
    np.testing.assert_array_equal(backward(np.ones_like(y))["x"], np.ones_like(X))
    assert np.signbit(impl.Pad((1, 0), value=-0.0)(X)[0][0, 0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: impl.Pad(1), TypeError, "Pad: pad must be a tuple of integers"),
        (lambda: impl.Pad((1, 2, 3)), ValueError, "Pad: pad must hold two numbers for each axis"),
        (lambda: impl.Pad((True, 1)), TypeError, "Pad: pad must be an integer, got True"),
        (lambda: impl.Pad((1, 1), "edge"), ValueError, "Pad: mode must be one of"),
        (lambda: impl.Pad((1, 1), "reflect", 2.0), ValueError, "Pad: value must be None in mode 'reflect'"),
        (lambda: impl.Pad((1, 1), value="2"), TypeError, "Pad: value must be a number"),
        (lambda: impl.Pad((1, 1) * 3)(np.ones((2, 2))), ValueError, "Pad: pad has numbers for 3 axes"),
        (lambda: impl.Pad((), "reflect")(X), ValueError, "Pad: x must have a channel axis"),
        (lambda: impl.Pad((1, 1), value=1e39)(X.astype("f4")), ValueError, "Pad: value must not overflow float32"),
        (lambda: impl.Pad((-2, -2))(X), ValueError, "Pad: pad takes more cells off"),
        (lambda: impl.ReflectionPad1d(1)(np.ones(3)), ValueError, "ReflectionPad1d: x must have a channel axis"),
        (lambda: impl.ReflectionPad1d(3)(X), ValueError, "ReflectionPad1d: padding must be less than the axis"),
        (lambda: impl.ReflectionPad2d(1)(np.ones((1, 0, 3))), ValueError, "only the batch axis of x may be empty"),
        (lambda: impl.ReplicationPad1d((-2, -1))(X), ValueError, "ReplicationPad1d: padding takes more cells off"),
        (lambda: impl.ReplicationPad2d(2.5), TypeError, "ReplicationPad2d: padding must be an integer"),
        (lambda: impl.ConstantPad1d(1, "a"), TypeError, "ConstantPad1d: value must be a number"),
        (lambda: impl.CircularPad1d(4)(X), ValueError, "CircularPad1d: padding must not go around more than once"),
        # torch looks at the length before the cut; see docs/discrepancies.
        (
            lambda: impl.CircularPad1d((3, -1))(X),
            ValueError,
            "CircularPad1d: padding must not go around more than once",
        ),
        (lambda: impl.CircularPad2d((1, 1))(np.ones((1, 4))), ValueError, "CircularPad2d: x must have 4 dimensions"),
    ],
)
def test_refused_in_these_words(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_an_empty_circle_may_be_repeated_as_often_as_one_likes():
    assert impl.CircularPad1d((3, -1))(np.ones((0, 2, 3)))[0].shape == (0, 2, 5)
