"""Activations where a plain implementation goes wrong: digits lost, overflow, kinks, NaN, and what is refused."""

import mpmath
import numpy as np
import pytest

from gradjury import impl

INF, NAN = np.inf, np.nan


def slope(layer, x, **inputs):
    """The outputs and the gradients for a cotangent of twos, with no warning raised."""
    with np.errstate(all="raise", under="ignore"):
        y, backward = layer(np.asarray(x, np.float64), **inputs)
        return y, backward(np.full_like(y, 2.0))["x"]


def same(answer, y, dx):
    np.testing.assert_array_equal(answer[0], y)
    np.testing.assert_array_equal(answer[1], dx)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gelu_keeps_its_digits_in_the_far_tail(dtype):
    # x·(1 + erf(x/√2))/2 has none left below -8; the pieces of the approximation meet at 0.66 and 5.66.
    x = np.array([-12.5, -8.5, -5.7, -5.6, -3.0, -0.7, -0.6, 0.6, 0.7, 5.6, 5.7, 30.0], dtype)
    y, backward = impl.GELU()(x)
    dx = backward(np.ones_like(x))["x"]
    assert y.dtype == dx.dtype == dtype
    exact = [mpmath.mpf(float(a)) * mpmath.ncdf(float(a)) for a in x]
    steep = [mpmath.ncdf(float(a)) + mpmath.mpf(float(a)) * mpmath.npdf(float(a)) for a in x]
    rounding = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, np.array(exact, dtype), rtol=rounding)
    np.testing.assert_allclose(dx, np.array(steep, dtype), rtol=16 * rounding)


def test_gelu_by_tanh_keeps_its_digits_where_one_plus_tanh_is_zero():
    x = mpmath.mpf(-6)
    u = mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)
    y, _ = slope(impl.GELU("tanh"), -6.0)
    with mpmath.workdps(50):
        np.testing.assert_allclose(y, float(x * (1 + mpmath.tanh(u)) / 2), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("layer", "y", "dx"),
    [
        (impl.GELU(), [0, 1e30], [0, 2]),
        (impl.GELU("tanh"), [0, 1e30], [0, 2]),
        (impl.SiLU(), [0, 1e30], [0, 2]),
        (impl.Mish(), [0, 1e30], [0, 2]),
        (impl.LogSigmoid(), [-1e30, 0], [2, 0]),
        (impl.Softplus(), [0, 1e30], [0, 2]),
        (impl.Softplus(1.0, np.inf), [0, 1e30], [0, 2]),
        (impl.Tanhshrink(), [-1e30, 1e30], [2, 2]),
        (impl.Softsign(), [-1, 1], [0, 0]),
        (impl.ELU(), [-1, 1e30], [0, 2]),
        (impl.Hardswish(), [0, 1e30], [0, 2]),
    ],
    ids=repr,
)
def test_huge_numbers_do_not_overflow(layer, y, dx, dtype):
    x = np.array([-1e30, 1e30], dtype)
    with np.errstate(all="raise", under="ignore"):
        got, backward = layer(x)
        grad = backward(np.full_like(x, 2))["x"]
    np.testing.assert_allclose(got, np.array(y, dtype), rtol=1e-6)
    np.testing.assert_allclose(grad, np.array(dx, dtype), atol=1e-25)


def test_softplus_below_a_large_threshold_is_the_identity():
    same(slope(impl.Softplus(0.5, 1000), 1637.44), 1637.44, 2)


def test_softplus_at_its_threshold_is_on_the_soft_side():
    y, dx = slope(impl.Softplus(2.0, 1.0), [0.5, 0.5000001])
    np.testing.assert_allclose(y, [np.log1p(np.e) / 2, 0.5000001], rtol=1e-15)
    np.testing.assert_allclose(dx, [2 / (1 + np.exp(-1)), 2], rtol=1e-15)


def test_slopes_of_mish_and_silu_keep_their_digits_far_below_zero():
    for layer in (impl.Mish(), impl.SiLU()):
        y, dx = slope(layer, -50.0)
        np.testing.assert_allclose(y, -50 * np.exp(-50), rtol=1e-14)
        np.testing.assert_allclose(dx, 2 * -49 * np.exp(-50), rtol=1e-14)


@pytest.mark.parametrize(
    ("layer", "x", "y", "dx"),
    [
        (impl.ReLU6(), [0, 6, NAN], [0, 6, NAN], [0, 0, 2]),
        (impl.Hardtanh(-2, 1), [-2, 0, 1, NAN], [-2, 0, 1, NAN], [0, 2, 0, 2]),
        (impl.Threshold(1, 5), [1, 1.5, NAN], [5, 1.5, NAN], [0, 2, 2]),
        (impl.LeakyReLU(0.5), [0, -0.0, NAN], [0, 0, NAN], [1, 1, 1]),
        (impl.RReLU(0.25, 0.75, training=False), [0, -2, 2, NAN], [0, -1, 2, NAN], [1, 1, 2, 1]),
        (impl.ELU(0.5), [0, -0.0, NAN, -INF], [0, 0, NAN, -0.5], [1, 1, 2, 0]),
        (impl.CELU(0.5), [0, NAN, -INF], [0, NAN, -0.5], [2, 2, 0]),
        (impl.Softshrink(1), [1, -1, 3, -3, NAN], [0, 0, 2, -2, NAN], [0, 0, 2, 2, 2]),
        (impl.Softshrink(0), [0, 1], [0, 1], [0, 2]),
        (impl.Hardshrink(1), [1, -1, 3, -3, NAN], [0, 0, 3, -3, NAN], [0, 0, 2, 2, 2]),
        (impl.Hardshrink(-1), [0, 0.5], [0, 0.5], [2, 2]),
        (impl.Hardsigmoid(), [-3, 3, 0, NAN], [0, 1, 0.5, NAN], [0, 0, 1 / 3, 0]),
        (impl.Hardswish(), [-3, 3, 0, NAN, -INF], [0, 3, 0, NAN, NAN], [0, 2, 1, 2, 0]),
        (impl.Softsign(), [0, INF], [0, NAN], [2, NAN]),
        (impl.Tanhshrink(), [0, INF], [0, INF], [0, 2]),
    ],
    ids=repr,
)
def test_kinks_edges_and_nan_go_by_torchs_convention(layer, x, y, dx):
    same(slope(layer, x), y, dx)


def test_selu_takes_the_slope_below_at_zero_and_that_above_for_nan():
    same(
        slope(impl.SELU(), [0, 1, NAN]),
        [0, 1.0507009873554805, NAN],
        2 * np.array([1.0507009873554805 * 1.6732632423543772, 1.0507009873554805, 1.0507009873554805]),
    )


def test_celu_divides_by_alpha_in_float64():
    _, dx = slope(impl.CELU(0.3), -0.3)
    np.testing.assert_allclose(dx, 2 * np.exp(-1), rtol=1e-15)


def test_prelu_has_one_weight_for_all_or_one_for_each_channel():
    x, dy = np.array([[-1.0, 2.0], [-3.0, -4.0]]), np.array([[1.0, 10.0], [100.0, 1000.0]])
    y, backward = impl.PReLU(2)(x, np.array([2.0, 3.0]))
    np.testing.assert_array_equal(y, [[-2, 2], [-6, -12]])
    np.testing.assert_array_equal(backward(dy)["x"], [[2, 10], [200, 3000]])
    np.testing.assert_array_equal(backward(dy)["weight"], [-301, -4000])
    y, backward = impl.PReLU()(x, np.array([2.0]))
    np.testing.assert_array_equal(y, [[-2, 2], [-6, -8]])
    np.testing.assert_array_equal(backward(dy)["weight"], [-4301])
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(impl.PReLU(2).initial_parameters(rng, np.float32)["weight"], [0.25, 0.25])
    np.testing.assert_array_equal(impl.PReLU(2, init=0.5).initial_parameters(rng)["weight"], [0.5, 0.5])


def test_rrelu_draws_its_slopes_and_lets_the_cotangent_through_them():
    layer = impl.RReLU(0.25, 0.5)
    slopes = layer.noise(np.random.default_rng(0), (1000,), np.float32)["slopes"]
    assert slopes.dtype == np.float32
    assert 0.25 <= slopes.min() < 0.26
    assert 0.49 < slopes.max() <= 0.5
    assert impl.RReLU(training=False).noise(np.random.default_rng(0), (2,)) == {}
    answer = slope(layer, [-4, 0, 4, NAN], slopes=np.array([0.25, 0.5, 0.3, 0.4]))
    same(answer, [-1, 0, 4, NAN], [0.5, 1, 2, 2])


def test_softmin_is_largest_where_x_is_smallest():
    y, dx = slope(impl.Softmin(0), [0.0, np.log(3)])
    np.testing.assert_allclose(y, [0.75, 0.25], rtol=1e-15)
    np.testing.assert_allclose(dx, [0, 0], atol=1e-15)
    _, backward = impl.Softmin(0)(np.array([0.0, np.log(3)]))
    np.testing.assert_allclose(backward(np.array([1.0, 0.0]))["x"], [-3 / 16, 3 / 16], rtol=1e-14)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 3, 4)])
def test_softmax2d_sums_to_one_over_the_channels(shape):
    y, _ = impl.Softmax2d()(np.random.default_rng(0).standard_normal(shape))
    np.testing.assert_allclose(y.sum(axis=-3), 1, rtol=1e-15)


@pytest.mark.parametrize("layer", [impl.Hardtanh(0, 1e300), impl.CELU(1e-300), impl.ELU(1e300), impl.Softshrink(1e300)])
def test_an_option_that_float32_cannot_hold_is_refused(layer):
    layer(np.ones(2))
    with pytest.raises(ValueError, match=f"^{type(layer).__name__}: .* float32 can hold"):
        layer(np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: impl.Hardtanh(1, 1), ValueError, "Hardtanh: max_val must be above min_val, got 1 and 1"),
        (lambda: impl.Hardtanh("a"), TypeError, "Hardtanh: min_val"),
        (lambda: impl.Hardtanh(0, None), TypeError, "Hardtanh: max_val"),
        (lambda: impl.Threshold("a", 1), TypeError, "Threshold: threshold"),
        (lambda: impl.Threshold(1, "a"), TypeError, "Threshold: value"),
        (lambda: impl.Threshold(1, 2**64)(np.ones(2)), ValueError, "Threshold: value must be a number of 64 bits"),
        (lambda: impl.ELU("a"), TypeError, "ELU: alpha"),
        (lambda: impl.CELU("a"), TypeError, "CELU: alpha"),
        (lambda: impl.CELU(0), ValueError, "CELU: alpha must not be zero"),
        (lambda: impl.GELU("erf"), ValueError, "GELU: approximate must be one of 'none', 'tanh'"),
        (lambda: impl.Softplus("a"), TypeError, "Softplus: beta"),
        (lambda: impl.Softplus(1, "a"), TypeError, "Softplus: threshold"),
        (
            lambda: impl.Softshrink(-0.5),
            ValueError,
            "Softshrink: lambd must be a finite number, not negative, got -0.5",
        ),
        (lambda: impl.Softshrink(NAN), ValueError, "Softshrink: lambd"),
        (lambda: impl.Softshrink("a"), TypeError, "Softshrink: lambd"),
        (lambda: impl.Hardshrink("a"), TypeError, "Hardshrink: lambd"),
        (lambda: impl.PReLU(-1), ValueError, "PReLU: num_parameters"),
        (lambda: impl.PReLU(1.5), TypeError, "PReLU: num_parameters"),
        (lambda: impl.PReLU(2)(np.ones((2, 3)), np.ones(2)), ValueError, r"PReLU: x must have shape \(N, 2, ...\)"),
        (lambda: impl.PReLU(2)(np.ones(2), np.ones(2)), ValueError, "PReLU: x"),
        (lambda: impl.PReLU(0)(np.ones(()), np.ones(0)), ValueError, "PReLU: x"),
        (lambda: impl.PReLU(2)(np.ones((1, 2)), np.ones(1)), ValueError, "PReLU: weight"),
        (lambda: impl.RReLU(0.5, 0.25), ValueError, "RReLU: lower must not be above upper, got 0.5 and 0.25"),
        (lambda: impl.RReLU(0, INF), ValueError, "RReLU: upper must be finite"),
        (lambda: impl.RReLU("a"), TypeError, "RReLU: lower"),
        (lambda: impl.RReLU()(np.ones(2)), ValueError, "RReLU: slopes are missing"),
        (lambda: impl.RReLU()(np.ones(2), np.ones(1)), ValueError, "RReLU: slopes must have shape"),
        (lambda: impl.RReLU(training=False)(np.ones(2), np.ones(2)), ValueError, "RReLU: slopes were given"),
        (lambda: impl.RReLU(0, 1e300)(np.ones(2, "f4"), np.ones(2, "f4")), ValueError, "RReLU: upper"),
        (lambda: impl.GLU()(np.ones(())), ValueError, "GLU: x must have at least one axis"),
        (lambda: impl.GLU()(np.ones(3)), ValueError, "GLU: the length of x along dim must be even, got 3"),
        (lambda: impl.GLU(1)(np.ones(2)), IndexError, "GLU: dim"),
        (lambda: impl.GLU("a")(np.ones(2)), TypeError, "GLU: dim"),
        (lambda: impl.Softmin(1)(np.ones(2)), IndexError, "Softmin: dim"),
        (lambda: impl.Softmax2d()(np.ones((2, 3))), ValueError, r"Softmax2d: x must have shape \(N, C, H, W\)"),
    ],
)
def test_bad_call_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_softplus_is_the_identity_from_its_threshold_on():
    y, _ = impl.Softplus()(np.array([20.0, 20.01]))
    assert y[0] == 20 + np.log1p(np.exp(-20.0))
    assert y[1] == 20.01


def test_the_gate_of_glu_is_closed_where_its_exponential_overflows_in_the_backward_too():
    y, backward = impl.GLU()(np.array([-INF, -737.0]))  # e^737 is infinite, e^-737 is not 0
    np.testing.assert_array_equal(y, [NAN])
    np.testing.assert_array_equal(backward(np.ones(1))["x"], [0, NAN])
