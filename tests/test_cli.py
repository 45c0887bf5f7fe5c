"""The command line, as a process of its own: output, exit status, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradjury.properties.contracts import ALL

TESTS = Path(__file__).parent


def gradjury(*arguments, cwd):
    command = [sys.executable, "-m", "gradjury.properties.cli", *arguments]
    environment = {"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin", "COLUMNS": "120"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_our_own_layers_hold_and_the_json_says_the_same(tmp_path):
    done = gradjury("check", "--examples", "2", "-k", "-forward", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALL)} layers, {len(ALL)} laws: all hold" in done.stdout
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert data["passed"] is True
    assert [len(layer["laws"]) for layer in data["layers"]] == [1] * len(ALL)
    assert {law["examples"] for layer in data["layers"] for law in layer["laws"]} == {2}
    assert not (tmp_path / "gradjury-scripts").exists()


def test_a_broken_law_exits_1_with_the_finding_and_a_script(tmp_path):
    done = gradjury("check", "planted.arithmetics:LinearSign", "--to", "Linear", "-k", "-gradients", cwd=tmp_path)
    assert done.returncode == 1
    assert "GUILTY: gradients" in done.stdout
    assert "LinearSign breaks the law gradients" in done.stdout
    assert "1 layers, 1 laws: 1 broken" in done.stdout
    script = tmp_path / "gradjury-scripts" / "Linear-LinearSign-gradients.py"
    assert subprocess.run([sys.executable, script], capture_output=True, check=False).returncode == 1


def test_several_processes_say_what_one_says(tmp_path):
    layers = ("planted.arithmetics:LinearSign", "planted.arithmetics:LinearTransposed")
    options = ("--to", "Linear", "--examples", "10", "-k", "gradients", "--json", "out.json")
    texts = []
    for jobs in ("1", "2"):
        folder = tmp_path / jobs
        folder.mkdir()
        assert gradjury("check", *layers, *options, "-j", jobs, cwd=folder).returncode == 1
        data = json.loads((folder / "out.json").read_text(encoding="utf-8").replace(str(folder), "folder"))
        for layer in data["layers"]:
            for law in layer["laws"]:
                del law["seconds"]
        texts.append(data)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_coverage_is_shown_and_written_when_asked_for(jobs, tmp_path):
    layers = ("gradjury.impl:LeakyReLU", "gradjury.impl:Linear")
    options = ("--examples", "10", "-k", "gradients", "--json", "out.json", "-j", jobs)
    plain = gradjury("check", *layers, *options, cwd=tmp_path)
    assert "drawn in" not in plain.stdout
    done = gradjury("check", *layers, *options, "--coverage", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("LeakyReLU: drawn in 10 examples, 80 cases", "edits: ties", "negative_slope", "-0  ties  tiny"):
        assert part in done.stdout
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [layer["coverage"]["examples"] for layer in data["layers"]] == [10, 10]


def test_fixed_options_and_lenience_reach_the_trial(tmp_path):
    options = ("--to", "Linear", "--fixed", "bias=True", "--examples", "5", "-k", "gradients")
    done = gradjury("check", "strangers:Dense", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    strict = gradjury("check", "strangers:Dense", *options[:-1], "refusal", cwd=tmp_path)
    assert strict.returncode == 2
    asked = gradjury("check", "strangers:Dense", *options[:-1], "refusal", "--strict", cwd=tmp_path)
    assert asked.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuchmodule:Linear",), "cannot import nosuchmodule"),
        (("strangers:Nobody", "--to", "Linear"), "strangers has no Nobody"),
        (("strangers:", "--to", "Linear"), "names no layer"),
        (("strangers",), "has no adapted layers"),
        (("strangers:Dense",), "there is no contract 'Dense'"),
        (("strangers:Dense", "--to", "Linear"), "does not take bias"),
        (("strangers:Dense", "--to", "Linear", "--fixed", "bias"), "fixes nothing"),
        (("strangers:Dense", "--to", "Linear", "--fixed", "bais=1"), "has no option bais"),
        (("-k", "nothing at all"), "no check's name contains"),
        (("--to", "Linear"), "--to says which contract"),
        (("--json", "no/such/folder/out.json"), "does not exist"),
        (("--examples", "0"), "examples"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_run_exits_2_and_says_why(arguments, words, tmp_path):
    done = gradjury("check", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
