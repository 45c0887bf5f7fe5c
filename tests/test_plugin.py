"""The pytest plugin, seen as its users see it: runs of pytest on a small suite."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import gradjury
from gradjury import impl
from gradjury.properties import cli, explain  # noqa: F401 - runs in this process forget what they import first
from gradjury.properties.session import current

pytest_plugins = ["pytester"]

LAYERS = """
import numpy as np

class Right:
    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": dy * (x > 0)}

class Wrong:
    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": dy * (x >= 0)}
"""
SUITE = """
import gradjury
from layers import Right, Wrong

@gradjury.parametrize([(Right, "ReLU"), gradjury.adapt(Wrong, to="ReLU")]{more})
def test_layers(check):
    check()
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """A suite with a right and a wrong layer; what its runs in this process set is set back."""
    before = replace(current)
    pytester.makepyfile(layers=LAYERS, test_layers=SUITE.format(more=""))
    monkeypatch.delitem(sys.modules, "layers", raising=False)
    yield pytester
    sys.modules.pop("layers", None)
    current.examples, current.seed, current.scripts = before.examples, before.seed, before.scripts


def run(suite, *arguments):
    return suite.runpytest_inprocess("-p", "no:cacheprovider", "--gradjury-examples=12", *arguments)


def test_each_law_is_a_test_with_a_readable_id_and_a_broken_one_fails(suite):
    result = run(suite, "-v", "-k", "gradients or forward")
    result.stdout.fnmatch_lines_random(["*test_layers[[]Right-ReLU-forward[]] PASSED*"])
    result.stdout.fnmatch_lines_random(["*test_layers[[]Wrong-ReLU-gradients[]] FAILED*"])
    result.assert_outcomes(passed=3, failed=1, deselected=10)


def test_the_finding_stands_in_place_of_a_traceback(suite):
    result = run(suite, "-k", "Wrong and gradients")
    text = result.stdout.str()
    assert "Wrong breaks the law gradients" in text
    assert "verdict: convention" in text
    assert "script: gradjury-scripts/ReLU-Wrong-gradients.py" in text
    assert "Traceback" not in text
    assert "check.py" not in text
    assert (suite.path / "gradjury-scripts" / "ReLU-Wrong-gradients.py").is_file()


def test_options_choose_examples_seed_and_folder(suite):
    result = run(suite, "--gradjury-seed=7", "--gradjury-scripts=found", "-k", "Wrong and gradients")
    result.stdout.fnmatch_lines(["gradjury: 12 examples a law, seed 7", "*(seed 7)*", "*script: found/*"])


def test_results_are_written_as_json(suite):
    run(suite, "--gradjury-json=out.json", "-k", "gradients")
    data = json.loads((suite.path / "out.json").read_text(encoding="utf-8"))
    assert (data["passed"], data["examples"], data["seed"]) == (False, 12, 0)
    assert {layer["layer"]: layer["passed"] for layer in data["layers"]} == {"Right": True, "Wrong": False}
    assert data["layers"][1]["laws"][0]["failure"]["what"] == "gradient of x"


def test_workers_draw_the_same_and_their_results_come_home(suite):
    result = suite.runpytest_subprocess(
        "-n2", "--gradjury-examples=12", "--gradjury-seed=5", "--gradjury-json=out.json", "-k", "gradients or purity"
    )
    result.assert_outcomes(passed=3, failed=1)
    data = json.loads((suite.path / "out.json").read_text(encoding="utf-8"))
    assert data["seed"] == 5
    assert sorted(law["law"] for layer in data["layers"] for law in layer["laws"]) == 2 * ["gradients"] + 2 * ["purity"]
    assert all(law["examples"] <= 12 for layer in data["layers"] for law in layer["laws"])


def test_known_failures_are_expected_and_stale_ones_fail(suite):
    known = ', xfail={"Wrong-ReLU-gradients": "takes the other side at 0", "Right-ReLU-gradients": "not true"}'
    suite.makepyfile(test_layers=SUITE.format(more=known))
    result = run(suite, "-rx", "-k", "gradients")
    result.assert_outcomes(xfailed=1, failed=1, deselected=12)
    result.stdout.fnmatch_lines_random(["XFAIL *takes the other side at 0", "*XPASS(strict)*not true*"])


def test_an_expected_failure_that_names_no_check_is_refused():
    with pytest.raises(ValueError, match="xfail names Tanh-nothing, which is no check; there are Tanh-forward, "):
        gradjury.parametrize([(impl.Tanh, "Tanh")], xfail={"Tanh-nothing": "never"})


def test_first_failure_stops_and_last_failed_runs_again(suite):
    first = suite.runpytest_inprocess("-x", "--gradjury-examples=12", "-k", "gradients or forward")
    first.assert_outcomes(passed=3, failed=1, deselected=10)
    again = suite.runpytest_inprocess("--lf", "--gradjury-examples=12")
    again.assert_outcomes(failed=1, deselected=0)


@pytest.mark.parametrize(
    ("argument", "words"),
    [("--gradjury-examples=0", "at least 1"), ("--gradjury-json=no/such/out.json", "does not exist")],
)
def test_impossible_options_are_refused(suite, argument, words):
    result = suite.runpytest_inprocess(argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()


def test_the_nightly_profile_searches_longer_and_elsewhere_each_time(suite):
    headers = []
    for _ in range(2):
        result = suite.runpytest_inprocess("--hypothesis-profile=nightly", "--collect-only")
        headers += [line for line in result.outlines if line.startswith("gradjury:")]
    assert all(line.startswith("gradjury: 1000 examples a law, seed ") for line in headers)
    assert len(set(headers)) == 2


def test_the_ci_profile_is_known_and_draws_what_is_always_drawn(suite):
    result = suite.runpytest_inprocess("--hypothesis-profile=ci", "--gradjury-examples=12", "-k", "Wrong and gradients")
    result.stdout.fnmatch_lines(["*(seed 0)*"])


def test_the_options_are_in_pytests_help(suite):
    result = suite.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["gradjury: hand-written backward passes on trial:", "*--gradjury-examples=N*"])


def test_the_plugin_imports_nothing_heavy():
    heavy = ("torch", "hypothesis", "numpy", "rich", "click")
    script = f"import sys, gradjury.properties.plugin; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
