"""Layers in every style pass as they are, and are caught with one gradient wrong by a millionth."""

from __future__ import annotations

import numpy as np
import pytest
import strangers
import styles_of_strangers as styles
import tapes_of_strangers as tapes
from few_laws import broken, caught, holds

from gradjury import adapt

MILLIONTH = 1 + 1e-6
BIASED = {"to": "Linear", "fixed": {"bias": True}}
SAID = {"weight": ("mat", "grad_mat"), "bias": ("off_set", "grad_off_set")}
LOSS = {"fixed": {"reduction": "mean"}, "where": lambda config, shapes: shapes["x"] == shapes["target"]}

OBJECTS = {
    "forward_pass": (styles.ForwardPass, {}),
    "propagate": (styles.Propagate, {}),
    "called": (styles.CallBackprop, {}),
    "methods by name": (styles.ThereAndBack, {"methods": ("there", "home")}),
    "dicts": (styles.InDicts, {}),
    "lists": (styles.InLists, {}),
    "holders": (styles.InHolders, {}),
    "by shape": (styles.OddNames, {}),
    "places by name": (styles.OddNames, {"parameters": SAID}),
    "paths": (
        styles.Nested,
        {"parameters": {"weight": ("core.data.kernel", "core.grad.0"), "bias": ("core.data.shift", "core.grad.1")}},
    ),
    "paths to parameters": (
        styles.NestedBeside,
        {"parameters": {"weight": "core.data.kernel", "bias": "core.data.shift"}},
    ),
    "paths into a list": (styles.InLists, {"parameters": {"weight": "params.0", "bias": "params.1"}}),
    "built by the call": (styles.BuiltByCall, {}),
    "absent before the call": (styles.BuiltAbsent, {}),
    "absent, with its place": (styles.BuiltAbsent, {"parameters": {"weight": ("W", "dW"), "bias": ("b", "db")}}),
    "built by a flag": (styles.BuiltByFlag, {}),
    "built over": (styles.BuiltOver, {}),
    "bias as row": (styles.BiasAsRow, {}),
    "bias as column": (styles.BiasAsColumn, {}),
    "reset": (styles.MustBeReset, {"reset": "zero_grad"}),
    "answers all": (styles.AnswersAll, {}),
}
UPDATING = {
    "rate given": (styles.Updates, {}),
    "rate given, in place": (styles.UpdatesInPlace, {}),
    "rate by its path": (styles.UpdatesByItsRate, {"learning_rate": "optimizer.rate"}),
    "rate by its number": (styles.UpdatesByANumber, {"learning_rate": 0.05}),
    "rate by both": (styles.UpdatesInPlace, {"learning_rate": 0.1}),
}


def each(table):
    return pytest.mark.parametrize(("layer", "declared"), table.values(), ids=table)


class TestDerivatives:
    @pytest.mark.parametrize(
        "layer", [(styles.tanh, styles.tanh_prime), styles.Tanh, styles.TanhDeriv, styles.TanhGrad]
    )
    def test_function_and_derivative(self, layer, tmp_path):
        holds(layer, to="Tanh", scripts=tmp_path)

    @pytest.mark.parametrize("layer", [styles.Tanh, styles.TanhDeriv, styles.TanhGrad])
    def test_wrong_derivative(self, layer):
        assert caught(styles.off_by(layer, MILLIONTH), "gradients", to="Tanh")

    def test_derivative_taken_at_the_output(self, tmp_path):
        finding = broken((styles.tanh, styles.tanh_prime_of_the_output), "gradients", to="Tanh", scripts=tmp_path)
        assert finding.verdict.fault.value == "backward"

    def test_loss_without_gradient_of_its_target(self, tmp_path):
        declared = {"to": "MSELoss", **LOSS, "style": "derivative", "no_grad": ("target",)}
        result = holds((styles.mse, styles.mse_prime), "gradients", scripts=tmp_path, examples=20, **declared)
        assert {certificate.name for certificate in result.laws[0].certificates} == {"x"}
        assert caught((styles.mse, styles.mse_prime_summed), "gradients", **declared)

    def test_loss_that_takes_the_target_first(self, tmp_path):
        declared = {"to": "L1Loss", **LOSS, "style": "derivative", "no_grad": ("target",)}

        def l1(y_true, y_pred):
            return np.abs(y_pred - y_true).mean()

        def l1_prime(y_true, y_pred):
            return np.sign(y_pred - y_true) / y_true.size

        def l1_prime_of_the_target(y_true, y_pred):
            return np.sign(y_true - y_pred) / y_true.size

        holds((l1, l1_prime), "gradients", scripts=tmp_path, **declared)
        assert caught((l1, l1_prime_of_the_target), "gradients", **declared)

    def test_loss_that_answers_its_gradient_too(self, tmp_path):
        declared = {"to": "MSELoss", **LOSS, "style": "value_and_grad", "no_grad": ("target",)}

        def mse_and_slope(factor):
            return lambda y_true, y_pred: (styles.mse(y_true, y_pred), factor * styles.mse_prime(y_true, y_pred))

        holds(lambda: mse_and_slope(1.0), scripts=tmp_path, **declared)
        assert caught(lambda: mse_and_slope(MILLIONTH), "gradients", **declared)

    def test_loss_with_both_gradients(self, tmp_path):
        declared = {"to": "MSELoss", **LOSS}
        holds(styles.Mse, "gradients", scripts=tmp_path, **declared)
        assert caught(styles.off_by(styles.Mse, MILLIONTH), "gradients", **declared)


class TestObjects:
    @each(OBJECTS)
    def test_right(self, layer, declared, tmp_path):
        holds(layer, "forward", "gradients", "purity", "dtype_and_shape", scripts=tmp_path, **BIASED, **declared)

    @each(OBJECTS)
    def test_off_by_a_millionth(self, layer, declared):
        wrong = styles.off_by(layer, MILLIONTH)
        assert caught(wrong, "gradients", **BIASED, **declared).what == "gradient of weight"

    def test_state_comes_out(self, tmp_path):
        declared = {
            "to": "BatchNorm1d",
            "fixed": {"training": True, "affine": True, "bias": True, "track_running_stats": True}
            | {"momentum": 0.1, "eps": 1e-5},
            "where": lambda config, shapes: len(shapes["x"]) == 2 and shapes["x"][0] > 1,
        }
        holds(styles.BatchNorm, "forward", "gradients", scripts=tmp_path, **declared)
        assert caught(styles.off_by(styles.BatchNorm, MILLIONTH), "gradients", **declared)
        forgetful = type("Forgetful", (styles.BatchNorm,), {"blend": 0.9})
        assert caught(forgetful, "forward", **declared).what == "output 1"


class TestUpdating:
    @each(UPDATING)
    def test_right(self, layer, declared, tmp_path):
        result = holds(layer, "gradients", "purity", scripts=tmp_path, **BIASED, **declared)
        assert {certificate.dtype for certificate in result.laws[0].certificates} == {"float64", "float32"}

    @each(UPDATING)
    def test_off_by_a_millionth(self, layer, declared):
        wrong = styles.off_by(layer, MILLIONTH)
        assert caught(wrong, "gradients", dtype="float64", **BIASED, **declared).what == "gradient of weight"

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_no_digit_of_a_small_gradient_is_lost(self, dtype):
        rng = np.random.default_rng(0)
        x, weight, bias, dy = (rng.standard_normal(shape).astype(dtype) for shape in ((3, 2), (4, 2), (4,), (3, 4)))
        weight *= 1000
        for power in (-60, 0, 60):
            small = dy * dy.dtype.type(2.0**power)
            layer = adapt(styles.UpdatesInPlace, **BIASED).build({"in_features": 2, "out_features": 4})
            _, backward = layer(x=x, weight=weight, bias=bias)
            gradients = backward(small)
            np.testing.assert_allclose(gradients["weight"], small.T @ x, rtol=8 * np.finfo(dtype).eps)
            assert gradients["weight"].dtype == dtype


class TestTapes:
    def test_backward_of_a_cotangent(self, tmp_path):
        holds(tapes.TapeTanh, scripts=tmp_path, to="Tanh", tensor=tapes.Tensor)
        assert caught(tapes.TapeTanhWrong, "gradients", to="Tanh", tensor=tapes.Tensor)

    def test_backward_of_a_single_number(self, tmp_path):
        holds(tapes.TapeTanh, scripts=tmp_path, to="Tanh", tensor=tapes.Scalar)
        assert caught(tapes.TapeTanhWrong, "gradients", to="Tanh", tensor=tapes.Scalar)

    @pytest.mark.parametrize(
        ("layer", "wrong"),
        [(tapes.TapeLinear, tapes.TapeLinearWrong), (tapes.ScalarLinear, tapes.ScalarLinearWrong)],
    )
    def test_parameters_on_the_layer(self, layer, wrong, tmp_path):
        declared = {"tensor": layer.tensor, "where": lambda config, shapes: 0 not in shapes["x"], **BIASED}
        holds(layer, "forward", "gradients", "purity", "dtype_and_shape", scripts=tmp_path, **declared)
        assert caught(wrong, "gradients", **declared).what == "gradient of weight"
        by_method = {"methods": ("forward", "backward"), "style": "tape"}
        holds(layer, "gradients", scripts=tmp_path, **declared, **by_method)


class TestNamedStyles:
    """A style that is named is taken, where another would be seen."""

    def test_object_whose_backward_takes_more(self, tmp_path):
        class Verbose(styles.Attributes):
            def backward(self, dy, why="because"):
                return super().backward(dy)

        holds(Verbose, "gradients", scripts=tmp_path, style="object", **BIASED)

    def test_closure_of_a_class_that_has_both_methods_too(self, tmp_path):
        class Both:
            def __call__(self, x):
                return np.tanh(x), lambda dy: dy * styles.tanh_prime(x)

            def forward(self, x):
                raise AssertionError

            backward = forward

        holds(Both, "gradients", scripts=tmp_path, style="closure", to="Tanh")

    def test_pair_of_methods(self, tmp_path):
        holds(strangers.LeakyPair, "gradients", scripts=tmp_path, style="pair", to="LeakyReLU")
