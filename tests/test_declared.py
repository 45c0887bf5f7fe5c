"""Conventions: undeclared they are named with the argument that declares them, declared the layer is torch's, and a
bug in it still is one.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from conventions_of_strangers import (
    Averaged,
    AveragedOff,
    AveragedOverRows,
    AveragedOverRowsOff,
    axes,
    channels_first,
    channels_last,
    column,
    flat,
    meant,
    reading_memory,
    rotated,
    scribbling,
    scribbling_on_dy,
    transposed,
)
from few_laws import broken, caught, holds

from gradjury import impl
from gradjury.oracle.referee import Fault
from gradjury.properties.declared import Conventions, Turn

MILLIONTH = 1 + 1e-6


def rank(wanted):
    return lambda config, shapes: len(shapes["x"]) == wanted


@dataclass(frozen=True)
class Meaning:
    """A layer, the contract it answers to and what declares its convention; the same with a planted bug."""

    layer: Any
    wrong: Any
    to: str
    declared: dict[str, Any]
    asked: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, make, home, there, declared, **asked):
        to = make.__name__
        return cls(meant(make, home, there), meant(make, home, there, MILLIONTH), to, declared, asked)


PLAIN = {"padding_mode": "zeros", "groups": 1, "dilation": 1}
MEANINGS = {
    "NHWC": Meaning.of(
        impl.Conv2d,
        {"x": channels_first(2), "y": channels_first(2), "weight": axes(3, 2, 0, 1)},
        {"x": channels_last(2), "y": channels_last(2), "weight": axes(2, 3, 1, 0)},
        {"layout": "NHWC", "weight": "(kernel, in, out)"},
        fixed=PLAIN,
    ),
    "NLC": Meaning.of(
        impl.Conv1d,
        {"x": channels_first(1), "y": channels_first(1)},
        {"x": channels_last(1), "y": channels_last(1)},
        {"layout": "NLC"},
        fixed=PLAIN,
    ),
    "transposed weight": Meaning.of(
        impl.Linear, {"weight": transposed}, {"weight": transposed}, {"weight": "(in, out)"}
    ),
    "rotated kernel": Meaning.of(
        impl.Conv1d,
        {"weight": rotated},
        {"weight": rotated},
        {"weight": "(out, in, rotated kernel)"},
        fixed=PLAIN,
    ),
    "axes": Meaning.of(impl.Conv1d, {"weight": axes(1, 0, 2)}, {"weight": axes(1, 0, 2)}, {"weight": (1, 0, 2)}),
    "one of two weights": Meaning.of(
        impl.RNNCell,
        {"weight_ih": transposed},
        {"weight_ih": transposed},
        {"weight": {"weight_ih": "(in, out)"}},
        where=lambda config, shapes: "hx" in shapes,
    ),
    "a transposed convolution's weight": Meaning.of(
        impl.ConvTranspose1d,
        {"weight": axes(2, 1, 0)},
        {"weight": axes(2, 1, 0)},
        {"weight": "(kernel, out, in)"},
        fixed={"groups": 1},
        where=lambda config, shapes: "output_size" not in shapes,
    ),
    "columns": Meaning.of(
        impl.Linear,
        {"x": transposed, "y": transposed},
        {"x": transposed, "y": transposed},
        {"columns": True},
        fixed={"bias": False},
        where=rank(2),
    ),
    "averaged over the batch": Meaning(
        Averaged,
        AveragedOff,
        "Linear",
        {"averaged_over": "batch"},
        {"where": lambda _, s: len(s["x"]) == 2 and s["x"][0]},
    ),
    "averaged over rows": Meaning(
        AveragedOverRows, AveragedOverRowsOff, "Linear", {"averaged_over": "rows"}, {"where": rank(3)}
    ),
}
# What the referee cannot name, for it takes a bias to be a vector, and knows no letters for an input without batch.
UNNAMED = {
    "columns with a bias": Meaning.of(
        impl.Linear,
        {"x": transposed, "y": transposed, "bias": flat},
        {"x": transposed, "y": transposed, "bias": column},
        {"columns": True},
        fixed={"bias": True},
        where=rank(2),
    ),
    "NDHWC": Meaning.of(
        impl.ConvTranspose3d,
        {"x": channels_first(3), "y": channels_first(3)},
        {"x": channels_last(3), "y": channels_last(3)},
        {"layout": "NDHWC"},
        fixed={"kernel_size": 2, "stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1},
        where=lambda config, shapes: "output_size" not in shapes,
    ),
    "without batch": Meaning.of(
        impl.Conv1d,
        {"x": channels_first(1), "y": channels_first(1)},
        {"x": channels_last(1), "y": channels_last(1)},
        {"layout": "NLC"},
        fixed=PLAIN,
        where=rank(2),
    ),
}


def each(table):
    return pytest.mark.parametrize("meaning", table.values(), ids=table)


def arguments(sentence):
    """What the referee says to declare, as keywords."""
    said = sentence.partition("If it is meant, declare it: ")[2]
    call = ast.parse(f"adapt({said})", mode="eval").body
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


@each(MEANINGS | UNNAMED)
def test_declared_it_passes_all_laws(meaning, tmp_path):
    holds(meaning.layer, to=meaning.to, scripts=tmp_path, **meaning.declared, **meaning.asked)


@each(MEANINGS | UNNAMED)
def test_declared_a_bug_is_still_caught(meaning):
    assert caught(meaning.wrong, "gradients", to=meaning.to, **meaning.declared, **meaning.asked)


@each(MEANINGS)
def test_undeclared_the_referee_says_what_to_declare(meaning, tmp_path):
    law = "gradients" if "averaged_over" in meaning.declared else "forward"
    declared = {}
    for _ in meaning.declared:  # where the smallest case shows one of two conventions, the next verdict names the other
        verdict = broken(meaning.layer, law, to=meaning.to, scripts=tmp_path, **declared, **meaning.asked).verdict
        assert verdict.fault is Fault.CONVENTION, verdict
        declared |= arguments(verdict.sentence)
        if declared.keys() == meaning.declared.keys():
            break
    holds(meaning.layer, "forward", "gradients", to=meaning.to, scripts=tmp_path, **declared, **meaning.asked)


class TestConductUnderALayout:
    """The layer gets copies in its own order; what it does to them is seen all the same."""

    def caught(self, change, law):
        return caught(change(MEANINGS["NLC"].layer), law, to="Conv1d", layout="NLC", fixed=PLAIN)

    @pytest.mark.parametrize(("change", "what"), [(scribbling, "x"), (scribbling_on_dy, "dy")])
    def test_modified_arguments(self, change, what):
        finding = self.caught(change, "purity")
        assert finding.what == what
        assert "modifies its argument" in str(finding)

    def test_views(self):
        assert self.caught(reading_memory, "views")
        assert self.caught(reading_memory, "forward") is None


class TestTurns:
    """How one array stands in a layer, there and back."""

    @pytest.mark.parametrize(
        ("conventions", "name", "torch_order", "own_order"),
        [
            (Conventions(layout="NHWC"), "x", (2, 3, 4, 5), (2, 4, 5, 3)),
            (Conventions(layout="CHWN"), "x", (2, 3, 4, 5), (3, 4, 5, 2)),
            (Conventions(weight="(kernel, in, out)"), "weight", (2, 3, 4, 5), (4, 5, 3, 2)),
            (Conventions(weight="(in,out)"), "weight_ih", (2, 3), (3, 2)),
            (Conventions(weight={"weight_hh": (1, 0)}), "weight_ih", (2, 3), (2, 3)),
            (Conventions(weight={"weight_hh": (1, 0)}), "weight_hh", (2, 3), (3, 2)),
            (Conventions(columns=True), "bias", (3,), (3, 1)),
            (Conventions(columns=True), "bias", (0,), (0, 1)),
            (Conventions(columns=True), "weight", (2, 3), (2, 3)),
            (Conventions(columns=True), "scale", (), ()),
        ],
    )
    def test_there_and_back(self, conventions, name, torch_order, own_order):
        a = np.arange(np.prod(torch_order), dtype=float).reshape(torch_order)
        turn = conventions.turn(name, a.ndim, len(torch_order), parameter=name != "x", transposed=False)
        there = turn.there(a)
        assert there.shape == own_order
        assert there.flags.c_contiguous
        np.testing.assert_array_equal(turn.back(there), a)

    def test_arrays_of_another_rank_than_the_first_are_torchs(self):
        conventions = Conventions(layout="NHWC")
        assert conventions.data(3, 3) != Turn()
        assert conventions.data(3, 4) == Turn()

    def test_a_read_only_array_stays_so(self):
        a = np.zeros((2, 3))
        a.flags.writeable = False
        assert not Turn((1, 0)).there(a).flags.writeable

    def test_an_answer_of_another_rank_is_left_for_the_laws(self):
        assert Turn((1, 0)).back(np.zeros((2, 3, 4))).shape == (2, 3, 4)
        assert Turn((1, 2, 0), rotated=True).back(np.zeros(2)).shape == (2,)
        assert Turn(column=True).back(np.zeros((2, 3))).shape == (2, 3)
