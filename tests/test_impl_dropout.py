"""Dropout against torch.nn itself: the noise is the one that torch drew."""

import numpy as np
import pytest
import torch

from gradjury import contracts, impl

ALPHA = 1.7580993408473766
SHAPES = [
    ("Dropout", ()),
    ("Dropout", (4, 7)),
    ("Dropout1d", (5, 6)),
    ("Dropout1d", (3, 4, 5)),
    ("Dropout2d", (6, 5)),
    ("Dropout2d", (3, 4, 5)),
    ("Dropout2d", (3, 4, 2, 3)),
    ("Dropout2d", (2, 3, 2, 1, 3)),
    ("Dropout3d", (9,)),
    ("Dropout3d", (9, 4)),
    ("Dropout3d", (5, 4, 3)),
    ("Dropout3d", (5, 2, 3, 2)),
    ("Dropout3d", (3, 4, 2, 3, 2)),
    ("Dropout3d", (5, 2, 1, 2, 3, 2)),
    ("AlphaDropout", ()),
    ("AlphaDropout", (4, 7)),
    ("FeatureAlphaDropout", (6, 5)),
    ("FeatureAlphaDropout", (3, 4, 2, 3)),
]


def torch_with_noise(layer, x, dy, seed=0):
    """torch.nn's output and gradient, and the noise that made them: the gradient of what is dropped is zero."""
    module = getattr(torch.nn, type(layer).__name__)(p=layer.p).train(layer.training)
    x = torch.from_numpy(x).requires_grad_()
    torch.manual_seed(seed)
    y = module(x)
    (kept,) = torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
    (dx,) = torch.autograd.grad(y, x, torch.from_numpy(dy))
    return y.detach().numpy(), dx.numpy(), kept.numpy() != 0


def one_of_each(mask, shape):
    """The noise of channels from that of elements; within a channel all are the same."""
    small = np.asarray(mask[tuple(slice(0, n) for n in shape)])
    np.testing.assert_array_equal(np.broadcast_to(small, mask.shape), mask)
    return small


@pytest.mark.filterwarnings("ignore:dropout")
@pytest.mark.parametrize(("name", "shape"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layer_and_formula_are_torch_with_the_noise_that_torch_drew(name, shape, dtype):
    rng = np.random.default_rng(0)
    formula = contracts.get(name).reference.function
    for seed, p in enumerate((0.5, 0.1, 0.9, 0, 1)):
        for training in (True, False):
            layer = getattr(impl, name)(p, training=training)
            x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
            x, dy = np.asarray(x), np.asarray(dy)
            y, dx, kept = torch_with_noise(layer, x, dy, seed)
            mask = one_of_each(kept, layer.noise(rng, shape)["mask"].shape)
            ours, backward = layer(x, mask)
            close = {"rtol": 1e-6 if dtype == "float32" else 1e-15, "strict": True}
            np.testing.assert_allclose(ours, y, **close)
            np.testing.assert_allclose(backward(dy)["x"], dx, **close)
            theirs = formula(torch.from_numpy(x), torch.tensor(mask), p=p, training=training)
            np.testing.assert_allclose(theirs.numpy(), y, **close)


@pytest.mark.filterwarnings("ignore:dropout")
@pytest.mark.parametrize(("name", "shape"), SHAPES, ids=str)
@pytest.mark.parametrize("p", [0, 0.5, 1.0])
def test_infinities_and_nan_are_torchs(name, shape, p):
    layer = getattr(impl, name)(p)
    x = np.resize([np.inf, -np.inf, np.nan, -1.0, -0.0], shape)
    dy = np.resize([1.0, np.inf, -2.0, np.nan, 3.0, 0.0], shape)
    y, dx, kept = torch_with_noise(layer, x, dy)
    mask = one_of_each(kept, layer.noise(np.random.default_rng(0), shape)["mask"].shape)
    ours, backward = layer(x, mask)
    np.testing.assert_allclose(ours, y, rtol=1e-15)
    np.testing.assert_allclose(backward(dy)["x"], dx, rtol=1e-15)


def test_dropped_infinity_is_nan():
    mask = np.array([True, False])
    for layer in (impl.Dropout(), impl.AlphaDropout()):
        y, backward = layer(np.array([np.inf, np.inf]), mask)
        np.testing.assert_array_equal(y, [np.inf, np.nan])
        np.testing.assert_array_equal(backward(np.array([np.inf, np.inf]))["x"], [np.inf, np.nan])


def test_alpha_dropout_keeps_mean_and_variance():
    # Of standard normal numbers, in expectation over the mask: E y = a·((1 - p)·0 - αp) + b, and so on.
    p, one = 0.3, np.array([1.0])
    layer = impl.AlphaDropout(p)
    a = layer(one, np.array([True]))[1](one)["x"].item()
    b = layer(0 * one, np.array([True]))[0].item()
    dropped = layer(one, np.array([False]))[0].item()
    mean = (1 - p) * b + p * dropped
    square = (1 - p) * (a * a + b * b) + p * dropped**2
    np.testing.assert_allclose([mean, square], [0, 1], atol=1e-15)
    np.testing.assert_allclose(dropped, b - ALPHA * a, rtol=1e-15)


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, shape in SHAPES if len(shape) > 1], ids=str)
def test_noise_keeps_the_share_it_is_asked_for(name, shape):
    layer = getattr(impl, name)(0.2)
    large = (200, *shape[1:-1], 50) if name in ("Dropout", "AlphaDropout") else (2000, *shape[1:])
    (mask,) = layer.noise(np.random.default_rng(0), large, np.float32).values()
    assert mask.dtype == np.bool_
    assert abs(mask.mean() - 0.8) < 0.05
    layer(np.zeros(large), mask)


@pytest.mark.filterwarnings("ignore:dropout")
@pytest.mark.parametrize("name", ["Dropout2d", "Dropout3d", "FeatureAlphaDropout"])
def test_ranks_without_channels_are_refused_only_where_there_is_something_to_draw(name):
    shape = () if name == "Dropout3d" else (3,)
    x = np.ones(shape)
    with pytest.raises(ValueError, match=f"{name}: x must have at least"):
        getattr(impl, name)()(x)
    for p, training in ((0, True), (1, True), (0.5, False)):
        layer = getattr(impl, name)(p, training=training)
        assert layer(x)[0].shape == torch_with_noise(layer, x, x)[0].shape == shape


def test_dropout1d_takes_two_and_three_dimensions_only():
    for shape in ((), (3,), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="Dropout1d: x must have 3"):
            impl.Dropout1d(training=False)(np.ones(shape))


def test_training_without_a_mask_says_how_to_draw_one():
    with pytest.raises(ValueError, match=r"Dropout: mask is missing.*noise\(rng, x\.shape\)"):
        impl.Dropout()(np.ones(3))
    impl.Dropout(training=False)(np.ones(3))
    impl.Dropout()(np.ones((0, 3)))


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (np.ones(3), TypeError, "truth values"),
        (np.ones(3, np.int64), TypeError, "truth values"),
        (np.ones(1, np.bool_), ValueError, "shape"),
        (np.ones((1, 3), np.bool_), ValueError, "shape"),
    ],
)
def test_mask_of_another_kind_is_refused(mask, error, words):
    with pytest.raises(error, match=f"Dropout: mask must .*{words}"):
        impl.Dropout()(np.ones(3), mask)


@pytest.mark.parametrize(
    ("p", "error"), [(-0.1, ValueError), (1.1, ValueError), (np.nan, ValueError), ("x", TypeError)]
)
def test_p_is_a_probability(p, error):
    with pytest.raises(error, match="Dropout2d: p must"):
        impl.Dropout2d(p)
