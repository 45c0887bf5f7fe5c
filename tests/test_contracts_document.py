"""docs/contracts.md, run as it stands: what it says is printed is printed."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from script_runs import run_script

DOCUMENT = (Path(__file__).parents[1] / "docs" / "contracts.md").read_text(encoding="utf-8")
LAYER, TRIAL, LINE, KINDS, WHERE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
GUILTY, MENDED, MISTAKE = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)
WRONG = '                "x": dy @ weight,\n'


def run(folder, layer, trial=TRIAL):
    (folder / "lowrank.py").write_text(layer, encoding="utf-8")
    (folder / "trial.py").write_text(trial, encoding="utf-8")
    return subprocess.run([sys.executable, "trial.py"], cwd=folder, capture_output=True, text=True, check=False)


def begins_as_shown(printed, shown):
    """Whether the text has these lines at its beginning; … leaves out the rest of a line, digits may be others."""
    lines = [re.sub(r"[\d.]+(e[+-]\d+)?", "#", line) for line in printed.splitlines()]
    wanted = [re.sub(r"[\d.]+(e[+-]\d+)?", "#", line) for line in shown.splitlines()]
    return len(lines) >= len(wanted) and all(
        line.startswith(want[:-1]) if want.endswith("…") else line == want
        for line, want in zip(lines, wanted, strict=False)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("document")


@pytest.fixture(scope="module")
def guilty(folder):
    return run(folder, LAYER)


def test_the_example_is_found_guilty_as_shown(guilty):
    assert guilty.returncode == 1
    assert begins_as_shown(guilty.stderr.partition("CheckFailed: ")[2], GUILTY), guilty.stderr


def test_the_mended_example_holds_as_shown_and_its_script_says_so(guilty, folder):
    assert LAYER.count(WRONG) == 1
    script = folder / GUILTY.rpartition("script: ")[2].strip()
    assert run_script(script).returncode == 1
    done = run(folder, LAYER.replace(WRONG, LINE))
    assert done.returncode == 0, done.stderr
    assert begins_as_shown(done.stdout, MENDED), done.stdout
    assert run_script(script).returncode == 0


def test_what_is_shown_is_told_from_what_is_not():
    assert begins_as_shown("a 1.5\nb 2 c\nd", "a 2.5\nb 7…\n")
    assert not begins_as_shown("a 1.5\nb 2 c\nd", "a 2.5\nc 7…\n")
    assert not begins_as_shown("a 1.5", "a 1.5\nb\n")


def test_the_contract_has_at_most_ten_lines():
    contract = TRIAL.partition("\n\n\n")[2].partition("\n\nprint(")[0]
    lines = [line for line in contract.splitlines() if line]
    assert lines[0].startswith("def low_rank")
    assert lines[-1] == ")"
    assert len(lines) <= 10


def test_the_other_contracts_are_made_and_the_mistake_is_refused_as_shown(tmp_path):
    file = tmp_path / "others.py"
    file.write_text(KINDS + WHERE, encoding="utf-8")
    made = runpy.run_path(str(file))
    assert (made["Attended"].name, made["Cropped"].name) == ("Attended", "Cropped")
    file.write_text(KINDS + re.sub(r" +where=.*\n", "", WHERE), encoding="utf-8")
    with pytest.raises(ValueError, match="Cropped: for x") as caught:
        runpy.run_path(str(file))
    assert begins_as_shown(f"ValueError: {caught.value}", MISTAKE), caught.value
