"""Contracts for layers that torch.nn has not: what is drawn, what is found, what is refused."""

from __future__ import annotations

import functools

import numpy as np
import own_layers as own
import pytest
import torch
from hypothesis import strategies as st

import gradjury
from gradjury.properties import inputs
from gradjury.properties.check import run_checks
from gradjury.properties.inputs import index, positive, probabilities
from gradjury.properties.laws.agreement import FORWARD
from gradjury.properties.mutation.rehearsal import Rehearsal
from gradjury.properties.own import contract
from gradjury.properties.trial import Trial

SOME = 15
LAWS = ("forward", "gradients", "finite_differences")
RIGHT = [
    (own.Maxout, own.MAXOUT),
    (own.KeptMaxout, own.MAXOUT),
    (own.CroppedConv, own.CONV),
    (own.Tempered, own.TEMPERED),
    (own.MaskedSum, own.MASKED),
]
WRONG = [
    (own.MaxoutTies, own.MAXOUT, "x"),
    (own.CroppedConvOblong, own.CONV, "weight"),
    (own.CroppedConvSteps, own.CONV, "weight"),
    (own.TemperedSign, own.TEMPERED, "temperature"),
    (own.MaskedSumAll, own.MASKED, "x"),
]


def trial(layer, to, examples, **options):
    return Trial(next(gradjury.checks(layer, to=to, **options)).layer, examples)


def drawn(to, layer=lambda: None, **options):
    """What a trial under this contract tries."""
    return trial(layer, to, 100, **options).draws(FORWARD)


def shapes(situations):
    return [{name: spec.shape for name, spec in situation.specs.items()} for situation in situations]


def one(x):
    return x * 2


def two(x, other):
    return x.sum() * other.sum()


class TestTrials:
    @pytest.mark.parametrize(("layer", "to"), RIGHT, ids=lambda value: getattr(value, "__name__", ""))
    def test_a_right_layer_holds_all_laws(self, layer, to, tmp_path):
        result = gradjury.check_layer(layer, to=to, examples=SOME, scripts=tmp_path)
        assert result.passed
        assert result.blindest < 1e-12

    @pytest.mark.parametrize(("layer", "to", "name"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
    def test_a_wrong_gradient_is_found(self, layer, to, name):
        laws = [check.law for check in gradjury.checks(layer, to=to) if check.law.name in LAWS]
        right = trial(layer.__base__, to, 50)
        rehearsal = Rehearsal(right, laws)
        found = rehearsal.first_break(trial(layer, to, 50).layer)
        assert found.law in ("gradients", "finite_differences")
        assert found.finding.startswith(f"gradient of {name}: ")

    def test_options_are_fixed_as_in_any_contract(self):
        assert {s.config["stride"] for s in drawn(own.CONV, own.CroppedConv, fixed={"stride": 2})} == {2}
        with pytest.raises(ValueError, match="its options are: stride"):
            gradjury.check_layer(own.CroppedConv, to=own.CONV, fixed={"strides": 2})

    def test_coverage_counts_the_options(self):
        checks = [c for c in gradjury.checks(own.CroppedConv, to=own.CONV, examples=SOME) if c.law.name == "gradients"]
        (stride,) = run_checks(checks, coverage=True).coverage.options
        assert stride.values.keys() == {"1", "2", "3"}
        assert stride.honoured == stride.shown > 0

    def test_the_name_of_a_contract_of_ones_own_is_not_known_to_get(self):
        with pytest.raises(ValueError, match="no contract 'Maxout'"):
            gradjury.check_layer(own.Maxout, to="Maxout")


class TestShapes:
    def test_equal_names_are_equal_lengths_and_others_differ(self):
        found = shapes(drawn(own.MAXOUT))
        assert all(s["weight"][2] == s["x"][-1] and s["bias"] == s["weight"][:2] for s in found)
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert sum(s["weight"][a] != s["weight"][b] for s in found) > len(found) / 3

    def test_named_axes_are_never_empty_and_seldom_long(self):
        lengths = [n for s in shapes(drawn(own.MAXOUT)) for n in s["weight"]]
        assert set(lengths) == {1, 2, 3, 4, 5, 17}

    def test_leading_axes_are_any_number_and_the_same_everywhere(self):
        found = shapes(drawn(own.MASKED))
        assert all(s["mask"] == s["x"][:-1] for s in found)
        assert {len(s["x"]) for s in found} == {2, 3, 4}
        assert any(0 in s["x"] for s in found)

    def test_lengths_multiples_and_scalars_are_taken_as_written(self):
        found = shapes(drawn(contract("Own", two, {"x": "3 2*H H", "other": ""})))
        assert all(s == {"x": (3, 2 * s["x"][2], s["x"][2]), "other": ()} for s in found)

    def test_an_input_that_may_be_missing_is_there_or_not(self):
        present = [list(s) for s in shapes(drawn(own.CONV, own.CroppedConv))]
        assert ["x", "weight"] in present
        assert ["x", "weight", "bias"] in present

    def test_later_inputs_are_missing_with_an_earlier_one(self):
        def three(x, scale=1, shift=0):
            return x * scale + shift

        found = {tuple(s) for s in shapes(drawn(contract("Own", three, {"x": "N", "scale?": "N", "shift?": "N"})))}
        assert found == {("x",), ("x", "scale"), ("x", "scale", "shift")}

    def test_what_has_not_the_batch_is_a_parameter(self):
        assert own.MAXOUT.reference.inputs == ("x",)
        assert own.CONV.reference.inputs == ("x",)
        assert own.TEMPERED.reference.inputs == ("x", "target", "weight")
        assert own.MASKED.reference.inputs == ("x", "mask")


class TestValues:
    def test_each_kind_holds_what_it_says(self):
        for situation in drawn(own.TEMPERED)[:50]:
            for case in situation.cases():
                x, target, temperature, weight = case.inputs.values()
                assert case.differentiable == ("x", "temperature", "weight")
                assert target.dtype.kind == "i"
                assert ((target >= 0) & (target < x.shape[1])).all()
                assert temperature.shape == ()
                assert temperature > 0
                np.testing.assert_allclose(weight.sum(0), 1, rtol=1e-6)

    def test_an_index_reaches_the_length_of_its_axis(self):
        last = [s.case(1).inputs["target"].max() == s.specs["x"].shape[1] - 1 for s in drawn(own.TEMPERED)]
        assert sum(last) > len(last) / 4

    def test_rates_are_from_zero_and_masks_are_both(self):
        made = contract("Own", two, {"x": inputs.nonnegative("N"), "other": inputs.boolean("N")})
        x, other = (
            np.concatenate([s.case(n).inputs[name] for s in drawn(made) for n in (0, 3)]) for name in ("x", "other")
        )
        assert x.min() == 0 < x.max()
        assert set(other) == {True, False}

    @pytest.mark.parametrize("kind", [inputs.real, inputs.positive, inputs.nonnegative])
    def test_a_gradient_may_be_left_out(self, kind):
        assert drawn(contract("Own", two, {"x": "N", "other": kind("N")}))[0].case(0).differentiable == ("x", "other")
        made = contract("Own", two, {"x": "N", "other": kind("N", grad=False)})
        assert drawn(made)[0].case(0).differentiable == ("x",)


class TestOptions:
    def test_each_value_is_drawn_and_the_reference_s_default_left_out(self):
        configs = [s.config for s in drawn(own.CONV, own.CroppedConv)]
        assert {c.get("stride") for c in configs} == {None, 2, 3}

    def test_an_option_without_default_is_always_given(self):
        def power(x, *, exponent):
            return x**exponent

        made = contract("Power", power, {"x": "N"}, options={"exponent": st.integers(1, 3)})
        assert {s.config["exponent"] for s in drawn(made, lambda exponent: None)} == {1, 2, 3}

    def test_where_holds_for_all_that_is_drawn_and_keeps_the_rest(self):
        found = [(s["x"][2], s["weight"][2]) for s in shapes(drawn(own.CONV, own.CroppedConv))]
        assert all(kernel <= size for size, kernel in found)
        assert {size - kernel for size, kernel in found} >= {0, 1, 2, 3, 4}

    def test_where_asks_for_options_too_and_may_have_names_of_its_own(self):
        def grouped(x, groups=1):
            return x.unflatten(1, (groups, -1)).mean(2)

        options = {"groups": (1, 2, 3)}
        made = contract(
            "Grouped", grouped, {"x": "N C"}, options=options, where=lambda C, groups, rest=0: C % groups == rest
        )
        found = drawn(made, lambda groups=1: None)
        assert all(s.specs["x"].shape[1] % s.config.get("groups", 1) == 0 for s in found)
        assert {s.config.get("groups", 1) for s in found} == {1, 2, 3}

    def test_fixed_options_that_where_never_allows(self):
        shapes, options = {"x": "N C H W", "weight": "K C 1 1"}, {"stride": (1, 2)}
        made = contract("Sparse", own.cropped_conv, shapes, options=options, where=lambda stride: stride < 9)
        with pytest.raises(ValueError, match="Sparse has no configuration with stride=99"):
            drawn(made, own.CroppedConv, fixed={"stride": 99})


def uses_a_helper(x):
    return one(x)


def uses_a_default(x, factor=own.Maxout):
    return x * factor


def needs_more(x, missing):
    return x * missing


def only_keywords(x, *, weight):
    return x * weight


def rows_and_columns(x, weight, alpha=1.0):
    return alpha * x @ weight


def answers_a_list(x):
    return [x]


def drops_out(x):
    return torch.nn.functional.dropout(x * 2)


def answers_numpy(x):
    return torch.tensor(x.detach().numpy() * 2)


def ask(x):
    return x


def closure():
    factor = 2

    def scaled(x):
        return factor * x

    return scaled


MATRICES = {"x": "N C", "weight": "C K"}

REFUSED = [
    # The reference.
    ((3, {"x": "N"}), "a function of tensors, not 3"),
    ((lambda x: x, {"x": "N"}), "a lambda is neither"),
    ((torch.nn.Linear(1, 1), {"x": "N"}), "a function of torch's or one written with def; Linear"),
    ((functools.partial(one), {"x": "N"}), "write a function that calls it"),
    ((uses_a_helper, {"x": "N"}), "uses_a_helper takes one from outside"),
    ((uses_a_default, {"x": "N"}), "uses_a_default takes own from outside"),
    ((closure(), {"x": "N"}), "scaled takes factor from outside"),
    ((ask, {"x": "N"}), "scripts use the name ask"),
    ((needs_more, {"x": "N"}), "needs_more needs missing: name it in shapes"),
    ((one, MATRICES), "one takes x by position, shapes has x, weight"),
    ((only_keywords, MATRICES), "only_keywords takes x by position"),
    ((rows_and_columns, {"weight": "C K", "x": "N C"}), "shapes has weight at another place than rows_and_columns"),
    ((rows_and_columns, {"x": "N C", "weight?": "C K"}), "has no default for it; write weight=None"),
    ((answers_a_list, {"x": "N"}), "answers list; it has to answer a tensor"),
    ((answers_numpy, {"x": "N"}), "answers what torch cannot differentiate"),
    ((drops_out, {"x": "N"}), "answers something else when it is called again; make what it draws an input"),
    (
        (rows_and_columns, {"x": "N C", "weight": "K C"}),
        r"Own: for x \(1, 1\), weight \(2, 1\) the reference raises Run",
    ),
    # The shapes.
    ((one, {}), "shapes says the axes of each input"),
    ((one, "N C"), "shapes says the axes of each input"),
    ((one, {"x": ("N", "C")}), r"x: a shape is text that names its axes, such as \"N C H W\"; \('N', 'C'\) is none"),
    ((one, {"x": "N, C"}), "in the shape 'N, C', 'N,' is no axis"),
    ((one, {"x": "N ..."}), r"in the shape 'N ...', '...' is no axis"),
    ((one, {"x": "N -1"}), "'-1' is no axis"),
    ((one, {"x": "N in"}), "'in' is no axis"),
    ((one, {"x?": "N"}), r"the first input is always there: write x\? without"),
    (
        (torch.nn.functional.linear, {"x": "N C", "b?": "K", "weight": "K C"}),
        "weight stands behind an input that may be",
    ),
    ((one, {"x": inputs.boolean("N")}), "no input has a gradient"),
    ((one, {"got": "N"}), "no input can be called 'got'"),
    ((one, {"one": "N"}), "no input can be called 'one'"),
    ((one, {"dy": "N"}), "no input can be called 'dy'"),
    ((one, {"a b": "N"}), "no input can be called 'a b'"),
    ((two, {"x": "N", "other": index("N", below="K")}), "other is below K, which no input has; the axes are N"),
]
REFUSED_OPTIONS = [
    ({"options": {"beta": (1, 2)}}, "rows_and_columns has no option beta; its options are: alpha"),
    ({"options": {"alpha": 2}}, r"alpha is drawn from 2; give it a tuple of values"),
    ({"options": {"alpha": ()}}, r"alpha is drawn from \(\); give it a tuple"),
    ({"options": {"alpha": "abc"}}, "alpha is drawn from 'abc'"),
    ({"options": {"x": (1, 2)}}, "x is an option and an input"),
    ({"options": {"N": (1, 2)}}, "N is an option and an axis"),
    ({"where": True}, "where is a function, such as lambda H, kh: kh <= H, not True"),
    ({"where": lambda M: M > 1}, "where asks for M; it may ask for the axes and options by name: N, C, K"),
    ({"where": lambda N: N > 99}, "where answers no to all lengths and options"),
    ({"where": lambda N: N / 0 > 1}, "where raised ZeroDivisionError for N="),
]


class TestRefusals:
    @pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[words[:40] for _, words in REFUSED])
    def test_what_makes_no_contract_says_why(self, arguments, words):
        with pytest.raises((TypeError, ValueError), match=words) as caught:
            contract("Own", *arguments)
        assert str(caught.value).startswith("Own: ")

    @pytest.mark.parametrize(("options", "words"), REFUSED_OPTIONS, ids=[words[:40] for _, words in REFUSED_OPTIONS])
    def test_options_and_where_that_make_none_say_why(self, options, words):
        with pytest.raises((TypeError, ValueError), match=words) as caught:
            contract("Own", rows_and_columns, MATRICES, **options)
        assert str(caught.value).startswith("Own: ")

    def test_a_name_is_text(self):
        with pytest.raises(TypeError, match="a contract's name is text, not 3"):
            contract(3, one, {"x": "N"})

    def test_there_is_no_index_below_zero_and_no_sum_along_an_axis_that_is_not_there(self):
        with pytest.raises(ValueError, match="no index below 0"):
            index("N", below=0)
        with pytest.raises(ValueError, match="'N,' is no axis"):
            index("N", below="N,")
        with pytest.raises(ValueError, match="along one axis of their shape 'N C', which 'K' is not"):
            probabilities("N C", axis="K")
        with pytest.raises(TypeError, match="a shape is text"):
            positive(3)

    def test_a_reference_without_source_is_refused(self):
        names = {}
        exec("def twice(x):\n    return 2 * x", names)
        with pytest.raises(ValueError, match="twice has no source that can be read"):
            contract("Own", names["twice"], {"x": "N"})

    def test_what_torch_says_is_passed_on(self):
        with pytest.raises(ValueError, match=r"mat1 and mat2 shapes cannot be multiplied(.|\n)*where=lambda") as caught:
            contract("Own", rows_and_columns, {"x": "N C", "weight": "K C"}, options={"alpha": (2.0, 3.0)})
        assert "and alpha=2.0 the reference" in str(caught.value)
        assert isinstance(caught.value.__cause__, RuntimeError)
