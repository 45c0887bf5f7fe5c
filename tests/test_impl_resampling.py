"""Facts about resampling and sampling that were worked out by hand, and what is refused."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from gradjury import impl
from gradjury.impl import _resampling
from gradjury.impl._resampling import Taps


def line(*values, dtype="float64"):
    return np.array([[values]], dtype)


def image(*rows):
    return np.array([[rows]], float)


def grid(*positions):
    return np.array([[positions]], float)


def resampled(x, **options):
    return impl.Interpolate(**options)(x)[0].ravel()


def test_known_answers():
    x = line(0.0, 4.0)
    np.testing.assert_allclose(resampled(x, size=4, mode="linear"), [0, 1, 3, 4])
    np.testing.assert_allclose(resampled(x, size=4, mode="linear", align_corners=True), [0, 4 / 3, 8 / 3, 4])
    np.testing.assert_allclose(resampled(x, size=1, mode="linear", align_corners=True), [0])
    np.testing.assert_allclose(resampled(x, size=1, mode="area"), [2])
    np.testing.assert_allclose(resampled(line(1.0, 2.0, 6.0), size=2, mode="area"), [1.5, 4])
    np.testing.assert_allclose(resampled(line(1.0, 2.0, 6.0), size=2), [1, 2])
    np.testing.assert_allclose(resampled(line(1.0, 2.0, 6.0), size=2, mode="nearest-exact"), [1, 6])


def test_a_scale_factor_is_the_step_unless_it_is_recomputed():
    x = line(0.0, 1.0, 2.0)  # 3 · 1.5 = 4.5 cells: 4
    np.testing.assert_allclose(resampled(x, scale_factor=1.5, mode="linear")[1], 0.5)
    recomputed = resampled(x, scale_factor=1.5, mode="linear", recompute_scale_factor=True)
    np.testing.assert_allclose(recomputed[1], 3 / 4 * 1.5 - 0.5)


def test_nearest_sends_the_gradient_to_the_cell_that_it_took():
    y, backward = impl.Upsample(scale_factor=1.1)(line(1.0, 2.0))
    np.testing.assert_array_equal(y, line(1, 1))
    np.testing.assert_array_equal(backward(line(3.0, 4.0))["x"], line(7, 0))


def test_antialiasing_resamples_images_of_one_column():
    y, _ = impl.Interpolate((4, 1), mode="bilinear", antialias=True)(image([1.0], [2.0]))
    np.testing.assert_allclose(y.ravel(), [1, 1.25, 1.75, 2])


@pytest.mark.parametrize("mode", ["nearest", "linear", "area"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_axes_without_a_dense_matrix_agree_with_torch(mode, dtype):
    x = np.random.default_rng(0).standard_normal((2, 3, 700)).astype(dtype)
    theirs = torch.tensor(x, requires_grad=True)
    out = torch.nn.functional.interpolate(theirs, size=900, mode=mode)
    y, backward = impl.Interpolate(900, mode=mode)(x)
    np.testing.assert_allclose(y, out.detach(), rtol=1e-4, atol=1e-4)
    (dx,) = torch.autograd.grad(out, theirs, torch.tensor(y))
    np.testing.assert_allclose(backward(y)["x"], dx, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("axis", [-1, -2])
def test_both_ways_of_applying_taps_are_the_same_matrix(axis, monkeypatch):
    taps = _resampling.antialiased(7, 3, None, False, np.float64, _resampling.triangle, 1)
    assert len(set(taps.count)) > 1
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 7, 7)), rng.standard_normal((2, 3, 3))
    dense = taps.apply(x, axis), taps.adjoint(dy, axis)
    monkeypatch.setattr(Taps, "_dense", lambda *_: False)
    np.testing.assert_allclose(taps.apply(x, axis), dense[0])
    np.testing.assert_allclose(taps.adjoint(dy, axis), dense[1])


def test_infinity_stays_within_its_taps():
    y, backward = impl.Upsample(6, mode="linear")(line(np.inf, 0.0, 0.0))
    assert not np.isfinite(y[..., :3]).any()
    assert np.isfinite(y[..., 4:]).all()
    assert np.isfinite(backward(line(np.nan, 0, 0, 0, 0, 0))["x"][..., 2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("rank", [1, 2])
def test_nearest_cells_are_torchs_at_any_size(mode, dtype, rank):
    sizes = [{"size": (n,) * rank} for n in (1, 2, 3, 7, 10, 31, 64, 65, 99, 130, 1001)]
    factors = [{"scale_factor": factor} for factor in (1.0, 1.1, 1.7, 2.0, 2.3, 3.3, 10.1)]
    for cells in (1, 2, 3, 5, 9, 17, 32, 39, 100, 127, 1000):
        x = np.arange(cells, dtype=dtype).reshape(1, 1, cells, *[1] * (rank - 1))
        for options in (*sizes, *factors):
            y = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **options)
            np.testing.assert_array_equal(impl.Interpolate(mode=mode, **options)(x)[0], y.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("mode", ["linear", "bicubic"])
def test_taps_are_torchs_as_infinities_show(mode, align, dtype):
    flat = [1] if mode == "bicubic" else []
    sizes = [{"size": (n, *flat)} for n in range(1, 16)]
    factors = [{"scale_factor": (factor, *map(float, flat))} for factor in (1.1, 1.3, 1.7, 2.3, 3.3)]
    for cells in range(1, 16):
        # Each sample has one infinity: with a tap of weight 0 it makes NaN.
        x = np.where(np.eye(cells), np.inf, 0).astype(dtype).reshape(cells, 1, cells, *flat)
        for options in (*sizes, *factors):
            y = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, align_corners=align, **options)
            np.testing.assert_array_equal(impl.Interpolate(mode=mode, align_corners=align, **options)(x)[0], y.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_antialiased_taps_are_torchs_as_infinities_show(mode, dtype):
    sizes = [{"size": (n, 2)} for n in (*range(1, 16), 37, 99)]
    factors = [{"scale_factor": (factor, 1.0)} for factor in (1.3, 2.3, 3.3, 0.7, 0.31)]
    for cells in (*range(4, 16), 40, 100):
        # An output of width 1 would repeat its first row.
        x = np.where(np.eye(cells), np.inf, 0).astype(dtype).reshape(cells, 1, cells, 1).repeat(2, axis=3)
        for options in (*sizes, *factors):
            y = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, antialias=True, **options)
            np.testing.assert_array_equal(impl.Interpolate(mode=mode, antialias=True, **options)(x)[0], y.numpy())


def test_an_axis_that_keeps_its_length_is_weighted_by_its_length_not_by_the_factor():
    layer = impl.Interpolate(scale_factor=1.1, mode="bilinear", antialias=True)
    y, backward = layer(np.arange(9.0).reshape(1, 1, 3, 3))  # 3.3 is cut to 3
    np.testing.assert_array_equal(backward(y)["x"], y)


def test_bicubic_copies_the_cotangent_where_one_cell_stays_one_whatever_the_factor():
    options = {"scale_factor": (1.5, 1.0), "mode": "bicubic"}
    x, dy = np.ones((1, 1, 1, 2)), image([1.0, np.inf])
    tensor = torch.tensor(x, requires_grad=True)
    torch.nn.functional.interpolate(tensor, **options).backward(torch.tensor(dy))
    np.testing.assert_array_equal(tensor.grad.numpy(), dy)
    np.testing.assert_array_equal(impl.Interpolate(**options)(x)[1](dy)["x"], dy)


def test_fused_rounds_once():
    third = np.array([1 / 3])
    assert third * 1.5 - 0.5 == 0
    assert _resampling.fused(third, 1.5, -0.5) == -(2.0**-55)
    for a, b, c in np.random.default_rng(0).uniform(-1, 1, (1000, 3)):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        assert _resampling.fused(np.array([a]), b, c) == float(exact)


@pytest.mark.parametrize(("rank", "slope"), [(2, 4 - 1), (3, 9 - 4)])
def test_positions_are_rounded_as_torch_rounds_them(rank, slope):
    # Position 2 of 11 cells; in two dimensions torch's is a digit below it.
    x = np.square(np.arange(11, dtype=np.float32)).reshape(*[1] * (rank + 1), 11)
    at = np.zeros((*[1] * (rank + 1), rank), np.float32)
    at[..., 0] = -6 / 11
    tensors = torch.tensor(x), torch.tensor(at, requires_grad=True)
    torch.nn.functional.grid_sample(*tensors, align_corners=False).sum().backward()
    assert tensors[1].grad[..., 0].item() == slope * 5.5
    y, backward = impl.GridSample()(x, at)
    assert backward(np.ones_like(y))["grid"][..., 0].item() == slope * 5.5


X = image([1.0, 2.0], [3.0, 5.0])


@pytest.mark.parametrize(
    ("mode", "padding", "position", "value"),
    [
        ("bilinear", "zeros", (0, 0), 11 / 4),
        ("bilinear", "zeros", (-1, -1), 1),
        ("bilinear", "zeros", (-3, 0), 0),
        ("bilinear", "border", (-9, -9), 1),
        ("bilinear", "reflection", (3, -1), 1),
        ("nearest", "zeros", (0, 0), 1),
        ("nearest", "border", (9, -9), 2),
        ("bicubic", "border", (-1, -1), 1),
    ],
)
def test_samples_are_taken_where_the_grid_says(mode, padding, position, value):
    y, _ = impl.GridSample(mode, padding, align_corners=True)(X, grid(position))
    np.testing.assert_allclose(y, [[[[value]]]])


def test_the_corners_of_an_image_are_its_edges_unless_aligned():
    np.testing.assert_allclose(impl.GridSample()(X, grid((-1.0, -0.5)))[0], [[[[0.5]]]])


@pytest.mark.parametrize(
    ("padding", "position", "slope"),
    [
        ("zeros", (1, -1), -2 / 2),  # on the last column of the first row, towards 0: half of 0 - 2
        ("zeros", (-1, -1), 1 / 2),
        ("border", (1, -1), 0),
        ("border", (-1, -1), 0),
        ("border", (0, -1), 1 / 2),
        ("reflection", (2, -1), -1 / 2),
    ],
)
def test_positions_that_are_clipped_have_no_gradient(padding, position, slope):
    _, backward = impl.GridSample(padding_mode=padding, align_corners=True)(X, grid(position))
    np.testing.assert_allclose(backward(np.ones((1, 1, 1, 1)))["grid"].ravel()[0], slope)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_nan_in_the_grid_is_nan(mode, padding):
    y, backward = impl.GridSample(mode, padding)(X, grid((np.nan, 0.0), (0.0, 0.0)))
    assert np.isnan(y[..., 0]).all()
    assert np.isfinite(y[..., 1]).all()
    assert backward(np.ones_like(y))["grid"].shape == (1, 1, 2, 2)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_nan_in_the_grid_finds_nothing_in_a_volume(mode):
    y, backward = impl.GridSample(mode)(np.ones((1, 1, 2, 2, 2)), np.full((1, 1, 1, 1, 3), np.nan))
    assert not y.any()
    assert not backward(np.ones_like(y))["x"].any()


def test_infinite_positions_are_clipped_to_the_border():
    y, _ = impl.GridSample(padding_mode="border")(X, grid((np.inf, -np.inf)))
    assert y.item() == 2


def test_the_identity_samples_every_cell_at_its_centre():
    points, _ = impl.AffineGrid((1, 1, 2, 2))(np.eye(2, 3)[None])
    np.testing.assert_allclose(points[0, 0], [[-0.5, -0.5], [0.5, -0.5]])
    np.testing.assert_allclose(impl.GridSample()(X, points)[0], X)


REFUSED = [
    (lambda: impl.Interpolate(), ValueError, "size"),
    (lambda: impl.Interpolate(2, 2.0), ValueError, "size"),
    (lambda: impl.Interpolate(0), ValueError, "size"),
    (lambda: impl.Interpolate(2.5), TypeError, "size"),
    (lambda: impl.Interpolate((2, "3")), TypeError, "size"),
    (lambda: impl.Interpolate((2, 3))(line(1.0)), ValueError, "size"),
    (lambda: impl.Interpolate(scale_factor=-1), ValueError, "scale_factor"),
    (lambda: impl.Interpolate(scale_factor=np.inf), ValueError, "scale_factor"),
    (lambda: impl.Interpolate(scale_factor=(2, None)), TypeError, "scale_factor"),
    (lambda: impl.Interpolate(scale_factor=(2, 3))(line(1.0)), ValueError, "scale_factor"),
    (lambda: impl.Interpolate(scale_factor=0.5)(line(1.0)), ValueError, "scale_factor"),
    (lambda: impl.Interpolate(2, mode="cubic"), ValueError, "mode"),
    (lambda: impl.Interpolate(2, mode="lanczos"), ValueError, "antialias"),
    (lambda: impl.Interpolate(2, mode="lanczos", align_corners=True, antialias=True), ValueError, "align_corners"),
    (lambda: impl.Interpolate(2, antialias=True), ValueError, "antialias"),
    (lambda: impl.Interpolate(2, align_corners=False), ValueError, "align_corners"),
    (lambda: impl.Interpolate(2, mode="linear", align_corners=1), TypeError, "align_corners"),
    (lambda: impl.Interpolate(2, recompute_scale_factor=True), ValueError, "recompute_scale_factor"),
    (lambda: impl.Interpolate(2, mode="bilinear")(line(1.0)), ValueError, "x"),
    (lambda: impl.Interpolate(2)(np.ones((2, 2))), ValueError, "x"),
    (lambda: impl.Interpolate(2)(np.ones((1, 0, 2))), ValueError, "x"),
    (lambda: impl.Upsample(2, mode="lanczos"), ValueError, "mode"),
    (lambda: impl.Upsample(scale_factor=[2, 2]), TypeError, "scale_factor"),
    (lambda: impl.Upsample(scale_factor=0), ValueError, "size"),
    (lambda: impl.UpsamplingBilinear2d(2)(line(1.0)), ValueError, "x"),
    (lambda: impl.UpsamplingNearest2d(), ValueError, "size"),
    (lambda: impl.UpsamplingNearest2d(scale_factor=[2, 2]), TypeError, "scale_factor"),
    (lambda: impl.GridSample("linear"), ValueError, "mode"),
    (lambda: impl.GridSample(padding_mode="edge"), ValueError, "padding_mode"),
    (lambda: impl.GridSample(align_corners=1), TypeError, "align_corners"),
    (lambda: impl.GridSample("bicubic")(np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 1, 1, 3))), ValueError, "x"),
    (lambda: impl.GridSample()(np.ones((1, 1, 0, 2)), np.ones((1, 1, 1, 2))), ValueError, "x"),
    (lambda: impl.GridSample()(X, np.ones((2, 1, 1, 2))), ValueError, "grid"),
    (lambda: impl.GridSample()(X, np.ones((1, 1, 1, 3))), ValueError, "grid"),
    (lambda: impl.AffineGrid((1, 2, 3)), ValueError, "size"),
    (lambda: impl.AffineGrid((1, 1, 2, 0)), ValueError, "size"),
    (lambda: impl.AffineGrid((0, 1, 2, 1)), ValueError, "size"),
    (lambda: impl.AffineGrid((1, 1, 2, 2.0)), TypeError, "size"),
    (lambda: impl.AffineGrid((1, 1, 2, 2))(np.ones((1, 3, 4))), ValueError, "theta"),
]


@pytest.mark.parametrize(("call", "error", "word"), REFUSED)
def test_refusals(call, error, word):
    with pytest.raises(error, match=rf"^\w+: .*\b{re.escape(word)}\b"):
        call()


def test_a_scale_factor_of_zero_counts_as_none_beside_a_size():
    assert impl.Upsample(3, 0)(line(1.0))[0].shape == (1, 1, 3)
