"""How a gradient is wrong, and what matters: each pattern planted, in a function and in a layer on trial."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import planted.activations
import planted.arithmetics
import planted.convolutions
import planted.losses
import planted.pools
import pytest
import torch
from known import elementwise, in_torch

import gradjury
from gradjury import impl
from gradjury.oracle.autograd import torch_vjp
from gradjury.oracle.budget import Reference
from gradjury.oracle.diagnosis import Call, Observation, Pattern, diagnose
from gradjury.oracle.vjp import Case, ask
from gradjury.properties.explain import explain_failure, result_as_dict

SHAPES = [(3,), (2, 4), (5, 5), (4, 2, 3), (3, 3, 3)]


def cases(shapes=SHAPES, **others):
    """A case for each shape, x and dy normal; `others` make further inputs from x's shape."""
    rng = np.random.default_rng(7)
    return [
        Case(
            {},
            {"x": rng.standard_normal(s), **{n: rng.standard_normal(f(s)) for n, f in others.items()}},
            (rng.standard_normal(s),),
            ("x", *others),
        )
        for s in shapes
    ]


def observe(layer, reference, asked, place="x", **options):
    """What a layer, the same for all calls, answers to each case."""
    seen, calls = [], []
    for case in asked:
        vjp = reference if callable(reference) else reference[0]
        answer, truth = ask(layer, case), Reference(vjp, case)
        expected = truth.expected(place)
        calls.append(Call(case, answer))
        seen.append(
            Observation(
                case, place, expected, answer, truth.truth, lambda c, vjp=vjp: ask(vjp, c), options, tuple(calls[:-1])
            )
        )
    return seen


def wrong_by(layer, change):
    """A layer whose gradient of x is changed: change(dx, x, dy, y)."""

    def changed(**inputs):
        y, backward = layer(**inputs)
        return y, lambda dy: {**backward(dy), "x": np.asarray(change(backward(dy)["x"], inputs["x"], dy, y))}

    return changed


SIGMOID = in_torch(torch.sigmoid)
SOFTMAX = in_torch(lambda x: torch.softmax(x, -1))
RELU = in_torch(torch.relu)
CUMSUM = in_torch(lambda x: torch.cumsum(x, -1))


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "words", "reference", "change"),
        [
            (Pattern.ZEROS, "zero everywhere", SIGMOID, lambda dx, x, dy, y: 0 * dx),
            (
                Pattern.ZEROS,
                "zero at the last index along axis -1",
                SIGMOID,
                lambda dx, x, dy, y: dx * (np.arange(dx.shape[-1]) < dx.shape[-1] - 1),
            ),
            (Pattern.SIGN, "wrong sign", SIGMOID, lambda dx, x, dy, y: -dx),
            (Pattern.SIGN, "never negative", SIGMOID, lambda dx, x, dy, y: np.abs(dx)),
            (Pattern.SIGN, "wrong sign in some places", SIGMOID, lambda dx, x, dy, y: dx * np.sign(x)),
            (Pattern.SIGN, "wrong sign before the sum", SOFTMAX, lambda dx, x, dy, y: 2 * dy * y - dx),
            (Pattern.FACTOR, " 1/2 times", SIGMOID, lambda dx, x, dy, y: dx / 2),
            (Pattern.FACTOR, " 1/x.shape[0] times", SIGMOID, lambda dx, x, dy, y: dx / len(x)),
            (Pattern.FACTOR, " x.size times", SIGMOID, lambda dx, x, dy, y: dx * x.size),
            (Pattern.FACTOR, " 2·x.shape[0] times", SIGMOID, lambda dx, x, dy, y: dx * 2 * len(x)),
            (Pattern.FACTOR, "1/√x.shape[-1] times", SIGMOID, lambda dx, x, dy, y: dx / np.sqrt(x.shape[-1])),
            (Pattern.FACTOR, "mean over axis -1", SOFTMAX, lambda dx, x, dy, y: dy * y + (dx - dy * y) / x.shape[-1]),
            (
                Pattern.PERMUTATION,
                "column-major",
                SIGMOID,
                lambda dx, x, dy, y: dx.reshape(-1).reshape(x.shape, order="F"),
            ),
            (Pattern.PERMUTATION, "shifted forward", SIGMOID, lambda dx, x, dy, y: np.roll(dx, 1, -1)),
            (Pattern.FLIP, "reversed along axis -1", SIGMOID, lambda dx, x, dy, y: dx[..., ::-1]),
            (Pattern.FLIP, "for dy rotated", CUMSUM, lambda dx, x, dy, y: np.cumsum(dy, -1)[..., ::-1]),
            (Pattern.MISSING_TERM, "dy is not multiplied in", SIGMOID, lambda dx, x, dy, y: dx / dy),
            (Pattern.MISSING_TERM, "not multiplied by the derivative", SIGMOID, lambda dx, x, dy, y: dy),
            (Pattern.MISSING_TERM, "the sum over axis -1 is missing", SOFTMAX, lambda dx, x, dy, y: dy * y),
            (
                Pattern.MISSING_TERM,
                "only the diagonal of the Jacobian",
                SOFTMAX,
                lambda dx, x, dy, y: dy * y * (1 - y),
            ),
            (
                Pattern.MISSING_TERM,
                "y times something constant along axis -1",
                SOFTMAX,
                lambda dx, x, dy, y: y * (dy - dy.sum(-1, keepdims=True)),
            ),
            (Pattern.DOUBLED_TERM, "dy is multiplied in twice", SIGMOID, lambda dx, x, dy, y: dx * dy),
            (Pattern.DOUBLED_TERM, "sum over axis -1 twice", SOFTMAX, lambda dx, x, dy, y: 2 * dx - dy * y),
            (
                Pattern.DOUBLED_TERM,
                "counts the first index of dy along axis -1 twice",
                CUMSUM,
                lambda dx, x, dy, y: dx + dy[..., :1] * (np.arange(x.shape[-1]) == 0),
            ),
            (Pattern.MASK, "the mask is on the wrong side", RELU, lambda dx, x, dy, y: dy * (x < 0)),
            (Pattern.MASK, "not applied", RELU, lambda dx, x, dy, y: dy),
            (Pattern.MASK, "taken at dy", RELU, lambda dx, x, dy, y: dy * (dy > 0)),
            (Pattern.FORWARD_VALUE, "is dy·y", SIGMOID, lambda dx, x, dy, y: dy * y),
            (Pattern.FORWARD_VALUE, "is y:", SIGMOID, lambda dx, x, dy, y: y),
            (Pattern.FORWARD_VALUE, "dy·x·(1 - x)", SIGMOID, lambda dx, x, dy, y: dy * x * (1 - x)),
        ],
    )
    def test_each_pattern_is_named(self, pattern, words, reference, change):
        found = diagnose(observe(wrong_by(reference, change), reference, cases()))
        assert found is not None
        assert found.pattern is pattern
        assert words in f"{found.sentence} "
        assert found.sentence.startswith("the gradient of x ")

    def test_kinks(self):
        asked = [replace(c, inputs={"x": np.round(c.inputs["x"])}) for c in cases()]
        found = diagnose(observe(wrong_by(RELU, lambda dx, x, dy, y: dy * (x >= 0)), RELU, asked))
        assert found.pattern is Pattern.MASK
        assert "at a kink is that of the other side" in found.sentence
        found = diagnose(observe(wrong_by(RELU, lambda dx, x, dy, y: dy * (x > 0) + dy / 2 * (x == 0)), RELU, asked))
        assert "the mean of both sides" in found.sentence

    @pytest.mark.parametrize(
        ("sentence", "grown"),
        [
            ("lacks the sum over the axes", lambda dx, x, dy: dy * np.ones(x.shape)),
            ("is right but for its shape", lambda dx, x, dy: dx[None]),
        ],
    )
    def test_another_shape(self, sentence, grown):
        added = in_torch_of(("x", "other"), lambda x, other: x + other)
        asked = [
            Case({}, {"x": c.inputs["x"], "other": c.inputs["x"][..., :1]}, c.cotangents, ("x", "other"))
            for c in cases([(2, 4), (3, 5), (2, 2, 3)])
        ]

        def layer(x, other):
            y, backward = added(x=x, other=other)
            return y, lambda dy: {**backward(dy), "other": grown(backward(dy)["other"], x, dy)}

        found = diagnose(observe(layer, added, asked, "other"))
        assert sentence in found.sentence

    def test_inputs_exchanged_and_left_out(self):
        times = in_torch_of(("x", "other"), lambda x, other: x * other)
        asked = cases(other=lambda shape: shape)

        def exchanged(x, other):
            return x * other, lambda dy: {"x": dy * x, "other": dy * other}

        def left_out(x, other):
            return x * other, lambda dy: {"x": dy, "other": dy * x}

        found = diagnose(observe(exchanged, times, asked))
        assert (found.pattern, found.sentence) == (Pattern.PERMUTATION, "the gradient of x is the gradient of other")
        assert "if other were 1: it is not multiplied in" in diagnose(observe(left_out, times, asked)).sentence

    @pytest.mark.parametrize(
        ("words", "answer"),
        [
            ("is that of the call before", lambda now, before: before),
            ("is added to that of the call before", lambda now, before: now + before),
        ],
    )
    def test_stale_values(self, words, answer):
        kept = []

        def layer(x):
            y, backward = SIGMOID(x=x)

            def stale(dy):
                dx = backward(dy)["x"]
                given = answer(dx, kept[-1]) if kept else dx
                kept.append(given)
                return {"x": given}

            return y, stale

        found = diagnose(observe(layer, SIGMOID, cases([(3, 2)] * 4)))
        assert found.pattern is Pattern.STALE
        assert words in found.sentence

    def test_an_output_can_be_diagnosed_too(self):
        affine = in_torch_of(("x", "bias"), lambda x, bias: x + bias)
        asked = cases(bias=lambda shape: shape[-1:])

        def forgotten(x, bias):
            return x.copy(), affine(x=x, bias=bias)[1]

        found = diagnose(observe(forgotten, affine, asked, 0))
        assert found.pattern is Pattern.MISSING_TERM
        assert found.sentence == "the output is what it would be if bias were 0: what depends on it is missing"


def in_torch_of(names, function):
    return torch_vjp(lambda **tensors: function(*(tensors[n] for n in names)), names)


class TestNoDiagnosis:
    def test_garbage_has_none(self):
        rng = np.random.default_rng(3)
        garbage = wrong_by(SIGMOID, lambda dx, x, dy, y: rng.standard_normal(dx.shape))
        assert diagnose(observe(garbage, SIGMOID, cases())) is None

    def test_noise_has_none(self):
        rng = np.random.default_rng(3)
        noisy = wrong_by(SIGMOID, lambda dx, x, dy, y: dx * (1 + 1e-6 * rng.standard_normal(dx.shape)))
        seen = observe(noisy, SIGMOID, cases())
        assert all(one.wrong for one in seen)
        assert diagnose(seen) is None

    def test_a_right_layer_has_none(self):
        assert diagnose(observe(elementwise(np.exp, np.exp), in_torch(torch.exp), cases())) is None
        assert diagnose([]) is None

    def test_two_faults_at_once_have_none(self):
        def either(dx, x, dy, y):
            return dx[..., ::-1] if x.ndim == 2 else 2 * dx

        assert diagnose(observe(wrong_by(SIGMOID, either), SIGMOID, cases())) is None

    def test_an_explanation_must_hold_where_the_layer_is_right(self):
        # Each wrong case alone is a factor of 2; the same configuration and shape is right at other values.
        sometimes = wrong_by(SIGMOID, lambda dx, x, dy, y: 2 * dx if x.flat[0] > 0 else dx)
        seen = observe(sometimes, SIGMOID, cases([(3, 2)] * 8))
        assert {one.wrong for one in seen} == {True, False}
        assert diagnose(seen) is None


class TestFactors:
    def test_the_quantity_is_the_one_that_holds_in_every_case(self):
        # In the first two cases the batch is as long as other axes.
        by_batch = wrong_by(SIGMOID, lambda dx, x, dy, y: dx / x.shape[0])
        shapes = [(3, 3), (4, 4, 4), (2, 4), (5, 3, 2)]
        assert "is 1/x.shape[0] times" in diagnose(observe(by_batch, SIGMOID, cases(shapes))).sentence
        by_last = wrong_by(SIGMOID, lambda dx, x, dy, y: dx / x.shape[-1])
        assert "is 1/x.shape[-1] times" in diagnose(observe(by_last, SIGMOID, cases(shapes))).sentence

    def test_where_only_one_shape_fails_it_is_a_plain_number(self):
        by_batch = wrong_by(SIGMOID, lambda dx, x, dy, y: dx / x.shape[0])
        assert "is 1/3 times" in diagnose(observe(by_batch, SIGMOID, cases([(3, 2)] * 3))).sentence

    def test_options_are_quantities(self):
        seen = []
        for k, case in zip((2, 3, 4, 5, 7), cases(), strict=True):
            layer = wrong_by(SIGMOID, lambda dx, x, dy, y, k=k: dx / (k * k))
            seen += observe(layer, SIGMOID, [case], kernel_size=k)
        assert "is 1/prod(kernel_size) times" in diagnose(seen).sentence

    def test_a_single_element_is_no_multiple_of_another(self):
        cosine = wrong_by(SIGMOID, lambda dx, x, dy, y: dy * np.cos(x))
        assert diagnose(observe(cosine, SIGMOID, cases([()]))) is None
        assert diagnose(observe(cosine, SIGMOID, cases([(), (1,), (1, 1)]))) is None

    def test_a_factor_without_a_name_is_said_to_differ(self):
        odd = wrong_by(SIGMOID, lambda dx, x, dy, y: dx * np.exp(x.flat[0]))
        assert "differs from case to case" in diagnose(observe(odd, SIGMOID, cases())).sentence


class BiasZero(impl.Linear):
    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)
        return y, lambda dy: {n: g * (n != "bias") for n, g in backward(dy).items()}


class LastRowTwice(impl.Linear):
    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)

        def wrong(dy):
            grads = backward(dy)
            if bias is not None and dy.ndim > 1 and len(dy):
                grads["bias"] = grads["bias"] + dy[-1].reshape(-1, len(bias)).sum(0)
            return grads

        return y, wrong


def diagnosed(layer, to, tmp_path, **options):
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(layer, to=to, scripts=tmp_path, **{"examples": 40, **options})
    return caught.value.result


class TestOnTrial:
    @pytest.mark.parametrize(
        ("layer", "to", "pattern", "words"),
        [
            (planted.arithmetics.LinearBiasAveraged, "Linear", Pattern.FACTOR, "1/x.shape[0] times"),
            (planted.arithmetics.LinearSign, "Linear", Pattern.SIGN, "gradient of x has the wrong sign"),
            (planted.arithmetics.LinearTransposed, "Linear", Pattern.PERMUTATION, "gradient of weight is transposed"),
            (planted.convolutions.FilterNotRotated, "Conv2d", Pattern.FLIP, "for weight rotated"),
            (planted.activations.SoftmaxDiagonal, "Softmax", Pattern.MISSING_TERM, "diagonal of the Jacobian"),
            (planted.pools.MaxTieToBoth, "MaxPool2d", Pattern.DOUBLED_TERM, "whole to each of the equal values"),
            (LastRowTwice, "Linear", Pattern.DOUBLED_TERM, "the last index of dy along axis 0 twice"),
            (planted.activations.ReLUPassesAtZero, "ReLU", Pattern.MASK, "at a kink"),
            (BiasZero, "Linear", Pattern.ZEROS, "gradient of bias is zero everywhere"),
            (planted.activations.SigmoidStale, "Sigmoid", Pattern.STALE, "the first call"),
            (planted.activations.SigmoidForward, "Sigmoid", Pattern.FORWARD_VALUE, "dy·y"),
        ],
        ids=lambda value: getattr(value, "__name__", None),
    )
    def test_a_layer_is_diagnosed(self, layer, to, pattern, words, tmp_path):
        found = diagnosed(layer, to, tmp_path).diagnosis
        assert found is not None
        assert found.pattern is pattern
        assert words in found.sentence

    @pytest.mark.parametrize(
        ("layer", "to", "words"),
        [
            (
                planted.arithmetics.LinearTransposed,
                "Linear",
                "fails when in_features = out_features; bias and",
            ),
            (planted.convolutions.StrideIgnored, "Conv2d", "fails when stride > 1"),
            (planted.convolutions.GroupsMixed, "Conv2d", "fails when groups > 1"),
            (planted.activations.ReLUPassesAtZero, "ReLU", "fails only where x holds a zero"),
            (planted.pools.MaxTieToBoth, "MaxPool2d", "only where x holds equal values"),
            (planted.arithmetics.LinearSign, "Linear", "bias, in_features, out_features and dtype do not matter"),
        ],
        ids=lambda value: getattr(value, "__name__", None),
    )
    def test_what_matters_is_said(self, layer, to, words, tmp_path):
        assert words in next(f.matters for f in diagnosed(layer, to, tmp_path).failures if f.matters)

    def test_the_finding_is_shown_and_is_plain_data(self, tmp_path):
        result = diagnosed(planted.arithmetics.LinearSign, "Linear", tmp_path)
        failure = next(f for f in result.failures if f.law == "gradients")
        text = explain_failure(failure)
        assert "  diagnosis: sign: the gradient of x has the wrong sign\n  matters: " in text
        assert text.index("verdict: ") < text.index("diagnosis: ") < text.index("smallest case")
        data = json.loads(json.dumps(result_as_dict(result)))
        broken = next(law["failure"] for law in data["laws"] if law["law"] == "gradients")
        assert broken["diagnosis"] == {"pattern": "sign", "sentence": failure.diagnosis.sentence}
        assert broken["matters"] == failure.matters

    def test_the_same_seed_says_the_same(self, tmp_path):
        first, second = (diagnosed(planted.losses.MSETwoForgotten, "MSELoss", tmp_path) for _ in range(2))
        said = [[(f.diagnosis, f.matters) for f in result.failures] for result in (first, second)]
        assert said[0] == said[1]
        assert first.diagnosis.pattern is Pattern.FACTOR

    def test_what_has_no_array_has_no_diagnosis(self, tmp_path):
        result = diagnosed(planted.activations.TanhInPlace, "Tanh", tmp_path)
        assert result.diagnosis is None
        assert all(f.matters is None for f in result.failures)
