"""The sensitivity certificate: what a pass would have caught, and that a pass which could not see is none."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import strategies as st
from known import case

import gradjury
from gradjury import impl
from gradjury.oracle.budget import Expected, Reference
from gradjury.properties import certificate
from gradjury.properties.certificate import KEPT, SIGHT, Certificate, Selection, sight, unseen
from gradjury.properties.contract import Contract
from gradjury.properties.explain import explain_result, result_as_dict
from gradjury.properties.laws.agreement import GRADIENTS
from gradjury.properties.laws.law import Bench
from gradjury.properties.twins import Function
from gradjury.properties.values import Real

FEW = 20
U = {"float64": 2.0**-53, "float32": 2.0**-24}


def gradients(layer, to, tmp_path, **options):
    """The result of the law of gradients alone."""
    found = gradjury.checks(layer, to=to, scripts=tmp_path, **{"examples": FEW, **options})
    return next(check for check in found if check.law is GRADIENTS).run()


def scaled(slope):
    """y = slope·x, as a layer and as a contract's reference."""

    class Scaled:
        def __call__(self, x):
            return x * x.dtype.type(slope), lambda dy: {"x": dy * dy.dtype.type(slope)}

    return Scaled, Function(lambda x: x * slope, ("x",))


@pytest.mark.parametrize("name", ["Linear", "Tanh", "MSELoss"])
def test_a_run_on_a_smooth_layer_sees_nearly_the_last_digits(name, tmp_path):
    law = gradients(getattr(impl, name), name, tmp_path)
    assert law.passed
    assert {c.name for c in law.certificates} >= {"x"}
    for c in law.certificates:
        assert 1 <= c.cases <= KEPT
        assert 16 * U[c.dtype] <= c.smallest <= 256 * U[c.dtype]


def test_the_certified_error_is_caught_and_half_of_it_is_not(tmp_path, monkeypatch):
    probes = {}
    probe = certificate._probe

    def remembering(judge, name, bench, case):
        probes.setdefault((name, case.dtype.name), []).append(found := probe(judge, name, bench, case))
        return found

    monkeypatch.setattr(certificate, "_probe", remembering)
    law = gradients(impl.Linear, "Linear", tmp_path)
    assert len(probes) == len(law.certificates) == 6
    for c in law.certificates:
        found = probes[c.name, c.dtype]
        assert len(found) == c.cases
        assert any(caught(c.smallest) for caught in found)
        assert not any(caught(c.smallest / 2) for caught in found)


def test_an_error_of_the_certified_size_in_the_layer_itself_breaks_the_law(tmp_path):
    error = next(c.smallest for c in gradients(impl.Tanh, "Tanh", tmp_path).certificates if c.dtype == "float32")

    class OneElementOff(impl.Tanh):
        def __call__(self, x):
            y, backward = super().__call__(x)

            def off(dy):
                dx = backward(dy)["x"]
                if dx.size:
                    dx.flat[dx.size // 2] += 4 * error * np.abs(dx).max()
                return {"x": dx}

            return y, off

    assert gradients(OneElementOff, "Tanh", tmp_path).failure is not None


def test_a_gradient_that_was_zero_in_every_case_could_have_been_wrong_unseen(tmp_path):
    layer, reference = scaled(0.0)
    law = gradients(layer, Contract("Scaled", reference, lambda d: {"x": Real(d.shape())}), tmp_path)
    assert law.failure is None
    assert law.vacuous
    assert not law.passed
    assert {(c.name, c.smallest, c.cases) for c in law.certificates} == {("x", math.inf, 0)}


def test_a_domain_of_empty_arrays_shows_nothing(tmp_path):
    layer, reference = scaled(2.0)
    contract = Contract("Scaled", reference, lambda d: {"x": Real((0, d.size()))})
    assert gradients(layer, contract, tmp_path).vacuous
    with pytest.raises(gradjury.CheckFailed, match="nothing was judged: all 0 elements were excluded"):
        gradjury.check_layer(layer, to=contract, examples=FEW, scripts=tmp_path)


def test_one_gradient_that_is_never_seen_makes_the_pass_vacuous_and_is_named(tmp_path):
    class Half:
        def __call__(self, x, other):
            return 2 * x + 0 * other, lambda dy: {"x": 2 * dy, "other": 0 * dy}

    reference = Function(lambda x, other: 2 * x + 0 * other, ("x", "other"))

    def domain(d):
        shape = d.shape(least=1)
        return {"x": Real(shape), "other": Real(shape)}

    contract = Contract("Half", reference, domain)
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(Half, to=contract, examples=FEW, scripts=tmp_path)
    text = str(caught.value)
    assert "Half: VACUOUS" in text
    assert "gradients            VACUOUS" in text
    assert "the gradient of other could have been wrong unseen in float64: it was zero, empty or not finite" in text
    assert "the gradient of x could" not in text


def test_a_gradient_that_is_zero_in_most_cases_is_not_accused(tmp_path):
    class Times:
        def __init__(self, factor=0.0):
            self.factor = factor

        def __call__(self, x):
            return x * x.dtype.type(self.factor), lambda dy: {"x": dy * dy.dtype.type(self.factor)}

    def times(x, factor=0.0):
        return x * factor

    def domain(d):
        d.option("factor", st.sampled_from((0.0, 0.0, 0.0, 2.0)))
        return {"x": Real(d.shape())}

    assert gradients(
        Times, Contract("Times", Function(times, ("x",), {"factor": 0.0}), domain), tmp_path, examples=100
    ).passed


@pytest.mark.parametrize(("budget", "words"), [(1e-3, "the smallest was"), (1e3, "nothing was")])
def test_a_judge_whose_budgets_are_too_wide_is_found_out(budget, words, tmp_path, monkeypatch):
    expected = Reference.expected

    def wide(self, place):
        t = expected(self, place).value
        return Expected(t, (lambda: np.full(t.shape, budget * np.abs(t).max(initial=0)),))

    monkeypatch.setattr(Reference, "expected", wide)
    law = gradients(impl.Linear, "Linear", tmp_path)
    assert law.excluded == 0
    assert law.vacuous
    text = explain_result(gradjury.Result("Linear", "Linear", (law,)))
    assert "an error of 1e-06 would have to be caught" in text
    assert words in text


def test_a_judge_with_infinite_budgets_is_blind(tmp_path, monkeypatch):
    expected = Reference.expected
    monkeypatch.setattr(
        Reference, "expected", lambda self, place: Expected(expected(self, place).value, (lambda: np.inf,))
    )
    law = gradients(impl.Linear, "Linear", tmp_path)
    assert law.vacuous
    assert {c.smallest for c in law.certificates} == {math.inf}


def sees(monkeypatch, *smallest):
    """The certificate of cases whose probes catch these errors and larger ones; None is a judge that always objects."""
    probes = iter([(lambda error, least=least: least is None or error >= least) for least in smallest])
    monkeypatch.setattr(certificate, "_probe", lambda *_: next(probes))
    return certificate._certificate(None, "x", "float64", [(None, None)] * len(smallest))


def test_a_judge_that_objects_to_the_right_answer_certifies_nothing(monkeypatch):
    assert sees(monkeypatch, None).smallest == math.inf
    assert sees(monkeypatch, 2.0**-30, 2.0**-40, None).smallest == 2.0**-40
    assert sees(monkeypatch).smallest == math.inf


def test_more_cases_are_measured_until_one_sees_enough(monkeypatch):
    found = sees(monkeypatch, *[2.0**-10] * 6, 2.0**-30, 2.0**-40)
    assert (found.smallest, found.cases) == (2.0**-30, 7)
    found = sees(monkeypatch, *[2.0**-30] * 3, 2.0**-31, 2.0**-40)
    assert (found.smallest, found.cases) == (2.0**-31, 4)
    found = sees(monkeypatch, *[2.0**-10] * 8)
    assert (found.smallest, found.cases) == (2.0**-10, 8)


def test_a_layer_without_float64_is_asked_for_the_same_share_of_its_digits():
    assert sight("float64") == SIGHT == 1e-6
    assert sight("float32") == pytest.approx((2.0**-24) ** (math.log(1e-6) / math.log(2.0**-53)))
    assert 1e-3 < sight("float32") < 3e-3
    single = Certificate("x", "float32", 1e-4, 4)
    assert not unseen([single])
    assert unseen([Certificate("x", "float32", 1e-2, 4)])
    assert unseen([single, Certificate("x", "float64", 1e-4, 4)])
    assert not unseen([Certificate("x", "float32", math.inf, 0), Certificate("x", "float64", 1e-12, 4)])


def test_cases_are_kept_from_the_whole_run_and_from_plain_and_wild_sub_cases():
    kept = Selection()
    contract = gradjury.contracts.get("ReLU")
    for example in range(100):
        kept.offer(Bench(contract, None, {}, None), [case(x=[1 + example + number / 8]) for number in range(8)])
    places = [c.inputs["x"][0] for _, c in kept._kept["x", "float64"]]
    assert len(places) == KEPT
    assert max(places) > 50
    assert len({place % 1 for place in places}) > 1


def test_the_certificate_is_in_words_and_in_plain_data(tmp_path):
    result = gradjury.check_layer(impl.Linear, to="Linear", examples=FEW, scripts=tmp_path)
    assert re.search(r"would have caught: x \d\.\de-15 \(float64\), \d\.\de-06 \(float32\); weight ", str(result))
    data = json.loads(json.dumps(result_as_dict(result), allow_nan=False))
    found = next(law["certificates"] for law in data["laws"] if law["law"] == "gradients")
    assert {c["gradient"] for c in found} == {"x", "weight", "bias"}
    assert all(c["smallest"] < 1e-4 for c in found)
    assert result.blindest < 1e-13
