"""Of planted faults with known cause, the referee names who is wrong, and the diagnosis how."""

from __future__ import annotations

from collections import Counter

import pytest
from causes import CAUSES, CORRECT
from causes.gather import OF_VERDICTS, RIGHT_PATTERNS, RIGHT_VERDICTS, table, try_all

import gradjury
from gradjury.oracle.referee import Fault


@pytest.mark.parametrize("layer", CORRECT, ids=lambda layer: layer.__name__)
def test_layer_without_a_fault_keeps_every_law(layer, tmp_path):
    gradjury.check_layer(layer, to=layer.to, fixed=layer.fixed, examples=25, scripts=tmp_path)


def test_the_causes_are_many_of_each_kind_and_of_many_layers():
    assert len(CAUSES) >= 60
    kinds = Counter(fault for cause in CAUSES for fault in cause.faults if len(cause.faults) == 1)
    assert kinds[Fault.FORWARD] >= 12
    assert kinds[Fault.BACKWARD] >= 24
    assert kinds[Fault.CONVENTION] >= 12
    assert kinds[Fault.TORCH] >= 6
    assert sum(Fault.PRECISION in cause.faults for cause in CAUSES) >= 6
    assert sum(bool(cause.patterns) for cause in CAUSES) >= 50
    assert len({cause.layer.to for cause in CAUSES} & set(gradjury.contracts.ALL)) >= 15
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)


# One test, for the trials are long and a process that runs any of these assertions has to run all trials.
def test_verdicts_and_patterns_are_right_as_often_as_they_must_be(tmp_path):
    outcomes = try_all(CAUSES, tmp_path)
    print(table(outcomes))
    assert not [(o.cause.name, o.crash) for o in outcomes if o.crash]
    # A fault that broke no law counts among the wrong verdicts.
    assert not [(o.cause.name, o.law) for o in outcomes if o.law is not None and not o.law_is_right]
    verdicts = sum(outcome.verdict_is_right for outcome in outcomes)
    patterns = sum(outcome.pattern_is_right for outcome in outcomes)
    assert verdicts / len(outcomes) >= RIGHT_VERDICTS / OF_VERDICTS
    assert patterns >= RIGHT_PATTERNS
