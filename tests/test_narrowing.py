"""What a layer asks to be left out is never drawn, and all else is."""

from __future__ import annotations

import numpy as np
import pytest
from few_laws import broken, caught, holds, tried
from hypothesis import strategies as st

import gradjury
from gradjury import impl

FEW = 20


def recording(make):
    """The layer, and a list of (configuration, shapes, dtypes) that it has seen."""
    seen = []

    class Recorder:
        def __init__(self, **config):
            self.config = config

        def __call__(self, *arrays):
            seen.append((self.config, [a.shape for a in arrays], {a.dtype.name for a in arrays}))
            return make(**self.config)(*arrays)

    return Recorder, seen


class TestFixed:
    def test_a_strategy_is_drawn_from_and_nothing_else(self, tmp_path):
        layer, seen = recording(impl.LeakyReLU)
        fixed = {"negative_slope": st.sampled_from([0.25, 0.5])}
        holds(layer, "gradients", to="LeakyReLU", fixed=fixed, examples=FEW, scripts=tmp_path)
        assert {config["negative_slope"] for config, _, _ in seen} == {0.25, 0.5}

    def test_a_bug_at_one_of_its_values_is_caught(self, tmp_path):
        class Wrong(impl.LeakyReLU):
            def __call__(self, x):
                y, backward = super().__call__(x)
                return y, lambda dy: {n: g * (2 if self.negative_slope == 0.5 else 1) for n, g in backward(dy).items()}

        def drawn(*values):
            return {"fixed": {"negative_slope": st.sampled_from(values)}, "to": "LeakyReLU", "examples": FEW}

        finding = broken(Wrong, "gradients", scripts=tmp_path, **drawn(0.25, 0.5))
        assert finding.case.config["negative_slope"] == 0.5
        assert caught(Wrong, "gradients", **drawn(0.25, 0.75)) is None


class TestWhere:
    def test_nothing_else_is_drawn(self, tmp_path):
        layer, seen = recording(impl.Linear)

        def where(config, shapes):
            assert set(config) == {"in_features", "out_features", "bias"}  # defaults, too
            return config["bias"] and len(shapes["x"]) == 2 and shapes["x"][0] > 1

        holds(layer, to="Linear", where=where, scripts=tmp_path)
        assert {len(shapes) for _, shapes, _ in seen} == {3}
        assert {len(shapes[0]) for _, shapes, _ in seen} == {2}
        assert min(shapes[0][0] for _, shapes, _ in seen) == 2
        assert len({shapes[0] for _, shapes, _ in seen}) > 3

    def test_the_finding_is_inside(self, tmp_path):
        class Wrong(impl.Tanh):
            def __call__(self, x):
                y, backward = super().__call__(x)
                return y, lambda dy: {"x": backward(dy)["x"] * 2}

        finding = broken(
            Wrong, "gradients", to="Tanh", where=lambda config, shapes: len(shapes["x"]) == 3, scripts=tmp_path
        )
        assert finding.case.inputs["x"].ndim == 3

    def test_one_that_nothing_satisfies(self, tmp_path):
        with pytest.raises(ValueError, match="Tanh has no configuration that torch takes and where=… lets through"):
            tried(impl.Tanh, "forward", to="Tanh", where=lambda config, shapes: False, scripts=tmp_path)

    def test_one_that_raises_is_said_to_in_a_line(self, tmp_path):
        said = r"where=… raised KeyError: 'y'; it was given the options \{\} and the shapes \{'x': \(.*\)\} of Tanh"
        with pytest.raises(ValueError, match=said) as refusal:
            tried(impl.Tanh, "forward", to="Tanh", where=lambda config, shapes: shapes["y"] > 1, scripts=tmp_path)
        assert not getattr(refusal.value, "__notes__", ())


class TestDtype:
    def test_no_other_is_drawn(self, tmp_path):
        layer, seen = recording(impl.Tanh)
        result = tried(layer, to="Tanh", dtype="float32", scripts=tmp_path)
        assert result.passed
        assert set.union(*(dtypes for _, _, dtypes in seen)) == {"float32"}
        every = {check.law.name for check in gradjury.checks(layer, to="Tanh")}
        assert every - {law.law for law in result.laws} == {"finite_differences"}

    def test_a_layer_that_knows_one_only(self, tmp_path):
        class Single(impl.Tanh):
            factor = np.float32(1)

            def __call__(self, x):
                if x.dtype != np.float32:
                    raise TypeError("float32 only")
                y, backward = super().__call__(x)
                return y, lambda dy: {"x": self.factor * backward(dy)["x"]}

        class Wrong(Single):
            factor = np.float32(1.001)

        holds(Single, to="Tanh", dtype="float32", scripts=tmp_path)
        assert broken(Wrong, "gradients", to="Tanh", dtype="float32", scripts=tmp_path).case.dtype == np.float32
        assert caught(Single, "forward", to="Tanh").what == "forward"


class TestNoGrad:
    class Frozen:
        """Answers a gradient for its weight alone."""

        def __init__(self, in_features, out_features, bias=True):
            pass

        def __call__(self, x, weight, bias=None):
            y, backward = impl.Linear(weight.shape[1], weight.shape[0], bias is not None)(x, weight, bias)
            return y, lambda dy: {"weight": self.changed(backward(dy)["weight"])}

        def changed(self, gradient):
            return gradient

    class Wrong(Frozen):
        def changed(self, gradient):
            return gradient * 2

    def test_those_are_not_asked_for(self, tmp_path):
        result = holds(self.Frozen, to="Linear", no_grad=("x", "bias"), scripts=tmp_path)
        assert {certificate.name for law in result.laws for certificate in law.certificates} == {"weight"}

    def test_one_may_be_given_by_its_name(self, tmp_path):
        finding = broken(self.Frozen, "gradients", to="Linear", no_grad="bias", scripts=tmp_path)
        assert finding.what == "gradient of x"

    @pytest.mark.parametrize("law", ["gradients", "finite_differences"])
    def test_the_others_are(self, law):
        assert caught(self.Wrong, law, to="Linear", no_grad=("x", "bias")).what == "gradient of weight"
