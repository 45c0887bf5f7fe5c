"""The door for strangers: styles, arguments, results, failures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import strangers
from hypothesis import given, settings
from planted.arithmetics import LinearSign, LinearTransposed
from script_runs import run_script

import gradjury
from gradjury import impl
from gradjury.properties.adapt import StyleError
from gradjury.properties.explain import result_as_dict

FEW = 20


def failing(layer, tmp_path, **options):
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(layer, scripts=tmp_path, **options)
    return caught.value


class TestStyles:
    def test_closure(self, tmp_path):
        assert gradjury.check_layer(
            strangers.dense, to="Linear", fixed={"bias": True}, examples=FEW, scripts=tmp_path
        ).passed

    def test_pair_of_functions(self, tmp_path):
        pair = (strangers.affine_forward, strangers.affine_backward)
        assert gradjury.check_layer(pair, to="Linear", fixed={"bias": True}, examples=FEW, scripts=tmp_path).passed

    def test_pair_of_methods(self, tmp_path):
        assert gradjury.check_layer(strangers.LeakyPair, to="LeakyReLU", examples=FEW, scripts=tmp_path).passed

    def test_object(self, tmp_path):
        assert gradjury.check_layer(
            strangers.Dense, to="Linear", fixed={"bias": True}, examples=FEW, scripts=tmp_path
        ).passed

    def test_object_that_accumulates(self, tmp_path):
        layer = strangers.DenseAccumulates
        assert gradjury.check_layer(layer, to="Linear", fixed={"bias": True}, examples=FEW, scripts=tmp_path).passed

    def test_object_with_names_of_its_own(self, tmp_path):
        names = {"weight": ("mat", "slope_mat"), "bias": ("off", "slope_off")}
        options = {"fixed": {"bias": True}, "examples": FEW, "parameters": names, "scripts": tmp_path}
        assert gradjury.check_layer(strangers.DenseOddNames, to="Linear", **options).passed

    def test_no_style_at_all_says_what_a_layer_is(self, tmp_path):
        with pytest.raises(StyleError, match="a callable that answers"):
            gradjury.check_layer(strangers.NoLayer, to="ReLU", scripts=tmp_path)

    @pytest.mark.parametrize(
        "layer",
        [(strangers.affine_forward, strangers.affine_backward_wrong), strangers.DenseWrong],
        ids=["pair", "object"],
    )
    def test_a_wrong_layer_of_each_style_has_a_script_that_reproduces_it(self, layer, tmp_path):
        error = failing(layer, tmp_path, to="Linear", fixed={"bias": True}, examples=FEW)
        scripts = {f.law: f.script for f in error.result.failures}
        assert {"gradients", "finite_differences"} <= scripts.keys()
        for script in scripts.values():
            done = run_script(script)
            assert done.returncode == 1, done.stderr
            assert done.stdout.strip().endswith("wrong")


class TestArguments:
    def test_unknown_contract_names_the_nearest(self):
        with pytest.raises(ValueError, match="did you mean Linear"):
            gradjury.check_layer(impl.Linear, to="Liner")

    def test_unknown_fixed_option_lists_the_options(self):
        with pytest.raises(ValueError, match="its options are: in_features, out_features, bias"):
            gradjury.check_layer(impl.Linear, to="Linear", fixed={"baias": True})

    def test_options_a_layer_lacks_must_be_fixed(self):
        with pytest.raises(StyleError, match=r"does not take bias.*fixed=\{'bias': True\}"):
            gradjury.check_layer(strangers.Dense, to="Linear")

    def test_fixed_options_that_torch_refuses_together(self):
        fixed = {"padding": "same", "stride": 2}
        with pytest.raises(ValueError, match="no configuration with padding='same', stride=2"):
            gradjury.check_layer(impl.Conv2d, to="Conv2d", fixed=fixed, examples=FEW)

    def test_no_examples_are_refused(self):
        with pytest.raises(ValueError, match="at least 1"):
            gradjury.check_layer(impl.ReLU, to="ReLU", examples=0)

    def test_strict_adds_the_two_laws(self):
        usual = {check.law.name for check in gradjury.checks(impl.ReLU, to="ReLU")}
        strict = {check.law.name for check in gradjury.checks(impl.ReLU, to="ReLU", strict=True)}
        assert strict - usual == {"nonfinite", "refusal"}

    def test_the_theorem_is_not_asked_where_the_stride_is_fixed_to_another(self):
        names = {c.law.name for c in gradjury.checks(impl.Conv2d, to="Conv2d", fixed={"stride": 2})}
        assert "convolution_theorem" not in names
        assert "convolution_theorem" in {c.law.name for c in gradjury.checks(impl.Conv2d, to="Conv2d")}


class TestResults:
    def test_a_result_counts_what_was_judged(self, tmp_path):
        result = gradjury.check_layer(impl.Linear, to="Linear", examples=FEW, scripts=tmp_path)
        for law in result.laws:
            assert law.examples == FEW
            assert law.cases == 8 * FEW
            assert law.elements > law.cases / 2
        assert not list(tmp_path.iterdir())

    def test_the_same_seed_draws_the_same_and_another_does_not(self, tmp_path):
        def elements(seed):
            result = gradjury.check_layer(impl.Tanh, to="Tanh", examples=FEW, seed=seed, scripts=tmp_path)
            return [law.elements for law in result.laws]

        assert elements(1) == elements(1) != elements(2)

    def test_laws_fare_alone_as_they_do_together(self, tmp_path):
        together = failing(LinearTransposed, tmp_path / "one", to="Linear", examples=FEW).result
        checks = gradjury.checks(LinearTransposed, to="Linear", examples=FEW, scripts=tmp_path / "other")
        alone = [check.run() for check in checks]
        assert [(r.law, r.passed, r.examples, r.elements) for r in alone] == [
            (r.law, r.passed, r.examples, r.elements) for r in together.laws
        ]

    def test_a_failure_shrinks_to_a_plain_case(self, tmp_path):
        error = failing(LinearTransposed, tmp_path, to="Linear")
        failure = next(f for f in error.result.failures if f.law == "gradients")
        assert dict(failure.case.config) == {"in_features": 2, "out_features": 2}
        assert max(a.size for a in failure.case.inputs.values()) <= 4
        assert all((a == np.round(a)).all() for a in failure.case.inputs.values())
        assert failure.case.dtype == np.float64

    def test_a_failure_reads_well(self, tmp_path):
        text = str(failing(LinearSign, tmp_path, to="Linear", examples=FEW))
        for part in (
            "LinearSign as Linear: guilty",
            "forward              holds",
            "gradients            BROKEN",
            "gradient of x: worst at [0]: got",
            "verdict: backward: the backward is not the derivative of its own forward",
            "LinearSign(in_features=1, out_features=1)",
            "script: ",
        ):
            assert part in text

    def test_a_result_is_plain_data(self, tmp_path):
        error = failing(LinearSign, tmp_path, to="Linear", examples=FEW)
        data = json.loads(json.dumps(result_as_dict(error.result), allow_nan=False))
        broken = {law["law"]: law["failure"] for law in data["laws"] if not law["passed"]}
        assert broken["gradients"]["verdict"]["fault"] == "backward"
        assert broken["gradients"]["worst"]["got"] == -broken["gradients"]["worst"]["expected"]

    def test_a_layer_that_raises_is_found_out(self, tmp_path):
        error = failing(strangers.Grumpy, tmp_path, to="Sigmoid", examples=FEW)
        raised = [f for f in error.result.failures if "NotImplementedError: only vectors, please" in f.finding]
        assert raised
        done = run_script(raised[0].script)
        assert done.returncode == 1
        assert "only vectors, please" in done.stderr

    def test_an_answer_that_depends_on_chance_is_said_to(self, tmp_path):
        strangers.Moody.count = 0
        error = failing(strangers.Moody, tmp_path, to="ReLU", examples=FEW)
        assert any(not f.repeatable for f in error.result.failures)
        assert "not repeatable" in str(error)


@gradjury.parametrize([(impl.ReLU, "ReLU"), (strangers.LeakyPair, "LeakyReLU")], examples=5)
def test_parametrize_gives_one_test_for_each_law(check, request):
    assert check.id in request.node.name
    check()


def test_a_check_that_fails_raises_with_one_finding(tmp_path):
    check = next(c for c in gradjury.checks(LinearSign, to="Linear", scripts=tmp_path) if c.law.name == "gradients")
    with pytest.raises(gradjury.CheckFailed, match=r"^LinearSign breaks the law gradients"):
        check()


@settings(max_examples=20, deadline=None, database=None)
@given(gradjury.contracts.Linear.cases(bias=True))
def test_cases_are_an_ordinary_strategy(case):
    assert case.inputs["bias"].shape == (case.config["out_features"],)
    assert case.cotangents[0].shape == (*case.inputs["x"].shape[:-1], case.config["out_features"])
