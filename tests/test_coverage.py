"""What a run exercised: buckets that are empty, options that change nothing, and that it is shown."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from gradjury import impl
from gradjury.properties import contracts
from gradjury.properties.adapt import Layer
from gradjury.properties.check import checks, run_checks
from gradjury.properties.contract import Contract
from gradjury.properties.coverage import Recorder
from gradjury.properties.explain import result_as_dict
from gradjury.properties.laws import Law
from gradjury.properties.trial import Trial, quiet
from gradjury.properties.twins import Function
from gradjury.properties.values import Positive, Real

FEW = 40


def affine(x, scale=1.0, shift=0.0, unused=0):
    """y = scale·x + shift in torch, an option each; `unused` is one that torch ignores too."""
    return x * scale + shift


OPTIONS = {"scale": 1.0, "shift": 0.0, "unused": 0}


class AffineLayer:
    def __init__(self, scale=1.0, shift=0.0, unused=0):
        self.scale, self.shift = scale, shift

    def __call__(self, x):
        return (x * self.scale + self.shift).astype(x.dtype), lambda dy: {"x": (dy * self.scale).astype(dy.dtype)}


class ShiftIgnored(AffineLayer):
    def __init__(self, scale=1.0, shift=0.0, unused=0):
        super().__init__(scale)


def _affine(d):
    d.option("scale", st.sampled_from((1.0, 2.0)))
    d.option("shift", st.sampled_from((0.0, 0.5)))
    return {"x": Real(d.shape(most=2))}


def _affine_and_unused(d):
    d.option("unused", st.sampled_from((0, 1)))
    return _affine(d)


def contract(domain):
    return Contract("Affine", Function(affine, ("x",), OPTIONS), domain)


def covered(layer, to, law="linearity", examples=FEW, **options):
    """The coverage of a run of one law; linearity holds for layers whose options are ignored."""
    found = [c for c in checks(layer, to=to, examples=examples, **options) if c.law.name == law]
    return run_checks(found, coverage=True).coverage


def option(coverage, name):
    return next(o for o in coverage.options if o.name == name)


def test_an_option_that_is_accepted_and_ignored_is_named_and_one_that_is_honoured_is_not():
    coverage = covered(ShiftIgnored, contract(_affine_and_unused))
    assert coverage.ignored == ("shift",)
    shift, scale = option(coverage, "shift"), option(coverage, "scale")
    assert shift.honoured == 0 < shift.shown <= shift.asked <= shift.away < FEW
    assert scale.honoured == scale.shown > 0
    assert covered(AffineLayer, contract(_affine_and_unused)).ignored == ()


def test_an_option_that_changes_nothing_in_torch_is_a_gap_of_the_domain_and_not_the_layers():
    coverage = covered(AffineLayer, contract(_affine_and_unused))
    unused = option(coverage, "unused")
    assert unused.asked > 0 == unused.shown
    assert f"the option unused changed nothing in torch's answers to {unused.asked} cases" in coverage.gaps
    assert coverage.ignored == ()


def test_an_option_that_only_the_gradient_shows_counts_as_honoured():
    def ramp(x, scale=1.0, shift=0.0, unused=0):
        return x.detach() + scale * (x - x.detach())

    class RampLayer(AffineLayer):
        def __call__(self, x):
            return x.copy(), lambda dy: {"x": dy * dy.dtype.type(self.scale)}

    coverage = covered(RampLayer, Contract("Ramp", Function(ramp, ("x",), OPTIONS), _affine))
    assert option(coverage, "scale").honoured > 0


def test_options_that_the_arrays_tell_are_not_asked_about():
    class Deduces(impl.Linear):
        def __init__(self, in_features, out_features, bias=True):
            super().__init__(in_features, out_features)

        def __call__(self, x, weight, bias=None):
            layer = impl.Linear(self.in_features, self.out_features, bias is not None)
            return layer(x, weight) if bias is None else layer(x, weight, bias)

    coverage = covered(Deduces, "Linear")
    assert option(coverage, "bias").away > 0 == option(coverage, "bias").asked
    assert coverage.ignored == ()
    assert not [gap for gap in coverage.gaps if "option" in gap]


def test_a_refusal_of_what_was_taken_with_the_option_is_no_ignoring():
    class Refuses(AffineLayer):
        def __init__(self, scale=1.0, shift=0.0, unused=0):
            if shift == 0.0:
                raise ValueError("there is always a shift")
            super().__init__(scale, shift)

    def domain(d):
        d.option("shift", st.sampled_from((0.5, 1.0)))
        return {"x": Real(d.shape(most=2))}

    # Never at its default: nothing says that the arrays belong to the default too.
    coverage = covered(Refuses, contract(domain))
    assert "the option shift was never at its default" in coverage.gaps
    assert option(coverage, "shift").asked == 0


def test_empty_buckets_are_named():
    def poor(d):
        d.option("scale", st.just(2.0))
        return {"x": Real((2, 2))}

    coverage = covered(AffineLayer, contract(poor))
    assert {
        "the option scale was always 2.0",
        "the option shift was always 0.0",
        "no input ever showed: empty, axis of 1",
    } <= set(coverage.gaps)


def test_options_never_drawn_together_are_named():
    def apart(d):
        if d(st.booleans()):
            d.option("scale", st.just(2.0))
        else:
            d.option("shift", st.just(0.5))
        return {"x": Real(d.shape(most=2))}

    coverage = covered(AffineLayer, contract(apart))
    assert coverage.pairs["scale", "shift"] == 0
    assert "the options scale and shift were never both away from their defaults" in coverage.gaps


def test_what_the_user_has_fixed_is_no_gap():
    coverage = covered(AffineLayer, contract(_affine), fixed={"scale": 2.0, "unused": 0})
    assert not [gap for gap in coverage.gaps if "scale" in gap or "unused" in gap]


def test_values_are_expected_of_arrays_of_any_real_numbers_only():
    def domain(d):
        shape = d.shape(least=1)
        return {"x": Real(shape), "size": Positive(shape, grad=True)}

    class Layer:
        def __call__(self, x, size):
            return x * size, lambda dy: {"x": dy * size, "size": dy * x}

    coverage = covered(Layer, Contract("Product", Function(torch.mul, ("x", "size")), domain))
    assert coverage.contents["size"]["negative"] == coverage.contents["size"]["zero"] == 0
    assert not [gap for gap in coverage.gaps if gap.startswith("size ")]

    def one_value(d):
        return {"x": Real(()), "size": Positive(())}

    narrow = covered(Layer, Contract("Product", Function(torch.mul, ("x", "size")), one_value), examples=1)
    assert [gap for gap in narrow.gaps if gap.startswith("x never showed: ")]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_content_is_seen_where_it_is(dtype):
    from gradjury.properties.coverage import CONTENTS, SHAPES

    examples = {
        "positive": [1.0, -2.0],
        "negative": [-1.0, 2.0],
        "zero": [0.0, 1.0],
        "negative zero": [-0.0, 1.0],
        "ties": [3.0, 3.0],
        "tiny": [1e-6, 1.0],
        "huge": [1e6, 1.0],
    }
    assert examples.keys() == CONTENTS.keys()
    for kind, values in examples.items():
        assert CONTENTS[kind](np.array(values, dtype))
        assert not CONTENTS[kind](np.array([], dtype))
    plain = np.array([1.0, 2.0], dtype)
    assert [kind for kind in CONTENTS if CONTENTS[kind](plain)] == ["positive"]
    assert SHAPES["empty"](plain[:0])
    assert SHAPES["axis of 1"](plain[:1])
    assert not SHAPES["axis of 1"](plain)


def test_the_counts_are_those_of_the_run_and_plain_data():
    law = [c for c in checks(impl.Linear, to="Linear", examples=FEW) if c.law.name == "gradients"]
    result = run_checks(law, coverage=True)
    c = result.coverage
    assert (c.examples, c.cases) == (FEW, 8 * FEW)
    assert sum(c.dtypes.values()) == sum(c.ranks["x"].values()) == FEW
    assert sum(option(c, "bias").values.values()) == FEW
    data = json.loads(json.dumps(result_as_dict(result), allow_nan=False))
    assert data["coverage"]["options"]["bias"]["away_from_default"] == option(c, "bias").away
    assert data["coverage"]["gaps"] == list(c.gaps)


def test_without_being_asked_nothing_is_counted():
    law = [c for c in checks(impl.ReLU, to="ReLU", examples=3) if c.law.name == "gradients"]
    result = run_checks(law)
    assert result.coverage is None
    assert "coverage" not in result_as_dict(result)


SAME_AS_GIVEN = "without its array torch takes the one it starts with, which changes nothing"
EXCLUSIVE = "torch takes one of them"
# Gaps of a hundred examples that are in the nature of the layer, by how they begin, with the reason.
NORMS = ["GroupNorm", "LayerNorm", *(f"{kind}Norm{n}d" for kind in ("Batch", "Instance") for n in (1, 2, 3))]
SIZES = ["the options size and scale_factor", "the options size and recompute_scale_factor"]
GAPS = {
    **{name: {"the option bias changed nothing": SAME_AS_GIVEN} for name in NORMS},
    "PReLU": {"the option num_parameters changed nothing": "the weight's shape says it"},
    "Fold": dict.fromkeys(
        ("the option stride changed nothing", "the option padding changed nothing"),
        "where it changes the number of windows, torch refuses the array",
    ),
    "FractionalMaxPool2d": {"the options output_size and output_ratio": EXCLUSIVE},
    "FractionalMaxPool3d": {"the options output_size and output_ratio": EXCLUSIVE},
    "UpsamplingNearest2d": {SIZES[0]: EXCLUSIVE},
    "UpsamplingBilinear2d": {SIZES[0]: EXCLUSIVE},
    "Interpolate": dict.fromkeys(SIZES, EXCLUSIVE),
    "AdaptiveLogSoftmaxWithLoss": {
        "the option div_value changed nothing": "the shapes of the weights say it",
        "dy[1] never showed: zero": "the loss is one number, whose cotangent is never zero",
    },
    "ScaledDotProductAttention": {"the option enable_gqa changed nothing": "torch takes as many heads only without it"},
    "MultiheadAttention": dict.fromkeys(("the option kdim changed", "the option vdim changed"), "the weights say it"),
    "Transformer": {"the option bias changed nothing": "the arrays say it, but where both sides are the user's own"},
    "Upsample": dict.fromkeys(SIZES, EXCLUSIVE),
}

# Which of their many masks and layers a hundred examples leave out is a matter of luck.
MORE = {
    "AdaptiveLogSoftmaxWithLoss": 150,
    "LSTM": 150,
    "MultiheadAttention": 300,
    "Transformer": 400,
    "TransformerDecoder": 200,
}


@pytest.mark.parametrize("name", [name for name in contracts.ALL if hasattr(impl, name)])
def test_a_hundred_examples_of_our_own_contracts_leave_no_gap_and_no_option_ignored(name):
    def nothing(bench, case):
        bench.tally.count(1)

    layer = Layer(getattr(impl, name), contracts.get(name), {}, {})
    recorder = Recorder(layer)
    examples = MORE.get(name, 100)
    Trial(layer, watch=recorder, examples=examples).run([Law("nothing", "the domain is drawn from", nothing)])
    with quiet():
        coverage = recorder.close()
    known = GAPS.get(name, {})
    assert [gap for gap in coverage.gaps if not gap.startswith(tuple(known))] == []
    assert [start for start in known if not any(gap.startswith(start) for gap in coverage.gaps)] == []
    # An axis counted from the end is the same axis, where torch rounds otherwise; another axis takes other arrays.
    assert coverage.ignored == (("dim",) if name == "WeightNorm" else ())
    for o in (o for o in coverage.options if o.name not in coverage.ignored):
        assert bool(o.honoured) == bool(o.shown)
