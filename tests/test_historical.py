"""The historical bugs: what each entry says, and that those with cheap layers are found, their correct versions not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from few_laws import caught
from historical import BUGS, run
from historical.expression import Expression

import gradjury

DOCUMENT = Path(__file__).parents[1] / "docs" / "historical.md"
CHEAP = (
    "leaky relu: slope zero",
    "softplus: threshold of the output",
    "embedding: repeated rows",
    "add: broadcast gradient not reduced",
    "bce with logits: gradient at zero",
)


def test_there_are_at_least_twenty_five_bugs_each_with_its_source():
    assert len(BUGS) >= 25
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    for bug in BUGS:
        assert bug.project
        assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull|blob)/\S+", bug.reference), bug.name
        assert bug.sentence.endswith("."), bug.name
        assert bug.correct is not bug.faulty
        assert issubclass(bug.faulty, bug.correct)


def test_the_document_lists_every_bug():
    text = DOCUMENT.read_text(encoding="utf-8")
    for bug in BUGS:
        assert bug.name in text
        assert bug.reference in text
        assert bug.sentence in text


# The whole run takes too long for a test; that each layer still answers at all does not.
@pytest.mark.parametrize("bug", {bug.correct: bug for bug in BUGS}.values(), ids=lambda bug: bug.correct.__name__)
def test_the_correct_version_keeps_the_first_law_in_a_few_examples(bug):
    assert caught(bug.correct, "forward", to=bug.contract, examples=5) is None


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in CHEAP], ids=lambda bug: bug.name)
def test_the_fault_is_found_and_its_absence_is_not(bug):
    (outcome,) = run.outcomes([bug], examples=30)
    assert outcome.found
    assert 1 <= outcome.after <= 30
    assert outcome.verdict
    assert outcome.correct == []


def test_the_command_exits_with_one_where_a_bug_is_missed(monkeypatch):
    asked = ["--examples", "20", "-k", "broadcast"]
    done = CliRunner().invoke(run.main, asked)
    assert done.exit_code == 0, done.output
    assert "recall 1 of 1" in done.output
    assert "false alarms 0 of 1 correct layers" in done.output

    (bug,) = [bug for bug in BUGS if "broadcast" in bug.name]
    harmless = type(bug)(**{**vars(bug), "faulty": bug.correct})
    monkeypatch.setattr(run, "BUGS", [harmless])
    done = CliRunner().invoke(run.main, asked)
    assert done.exit_code == 1
    assert "MISSED" in done.output

    accused = type(bug)(**{**vars(bug), "correct": bug.faulty})
    monkeypatch.setattr(run, "BUGS", [accused])
    done = CliRunner().invoke(run.main, asked)
    assert done.exit_code == 1
    assert "FALSE ALARM" in done.output

    assert CliRunner().invoke(run.main, ["-k", "no such bug"]).exit_code == 2


def test_an_output_of_the_wrong_shape_is_a_finding_of_the_forward(tmp_path):
    (bug,) = [bug for bug in BUGS if bug.name == "conv transpose: output_padding ignored"]
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(bug.faulty, to=bug.contract, examples=10, scripts=tmp_path)
    assert "forward" in {failure.law for failure in caught.value.result.failures}


def test_an_expression_is_its_own_source():
    import torch

    twin = Expression("lambda x, weight=None, *, scale=2.0: x * scale if weight is None else x * weight")
    assert twin.inputs == ("x", "weight")
    assert twin.defaults == {"scale": 2.0}
    x = torch.tensor([1.0, 2.0])
    assert eval(twin.code({"scale": 3.0}, ("x",)), {"torch": torch, "x": x}).equal(twin.bind({"scale": 3.0})(x=x))
    assert eval(twin.code({}, ("x", "weight")), {"torch": torch, "x": x, "weight": x}).equal(x * x)
