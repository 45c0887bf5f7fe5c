"""Speed, base against head: noise decides, and the code of each tree is what is timed."""

from __future__ import annotations

import pytest
from gates import Project, tanh

from gradjury.properties.gate.speed import Speed, judge_rounds, time_layers
from gradjury.properties.targets import Target, TargetError


def target(module, name, tmp_path):
    return Target(module, name, name, False, 2, 0, str(tmp_path))


@pytest.mark.parametrize(
    ("rounds", "slower"),
    [
        ([(1.0, 1.0, 1.0)] * 15, False),
        ([(1.0, 1.0, 1.01)] * 15, True),  # where there is no noise, everything counts
        ([(1.0, 1.1, 1.05)] * 15, False),  # between the copies of the base
        ([(1.1, 1.0, 1.12)] * 15, False),  # beyond the slower copy, by less than the copies are apart
        ([(1.0, 1.1, 1.5)] * 15, True),
        ([(1.0, 1.0, 3.0)] * 7 + [(1.0, 1.0, 1.0)] * 8, False),  # in less than half of the rounds
        ([(1.0, 1.0, 3.0)] * 8 + [(1.0, 1.0, 1.0)] * 7, True),
        ([(1.0, 1.0, 3.0)] * 14 + [(1.0, 4.0, 1.0)], False),  # once the base was four times slower than itself
        ([(1.0, 1.0, 3.0)] * 14 + [(4.0, 1.0, 1.0)], False),  # the other way round
        ([(1.0, 1.0, 0.5)] * 15, False),
    ],
)
def test_slower_is_what_lies_beyond_the_noise_of_the_base(rounds, slower):
    ratio, noise = judge_rounds(rounds)
    assert Speed("layer", ratio, noise).slower is slower


def test_a_layer_that_was_not_timed_is_not_slower():
    assert not Speed("layer", why="no such layer").slower


@pytest.fixture
def project(tmp_path, monkeypatch):
    head = tmp_path / "head"
    head.mkdir()
    made = Project(head, monkeypatch)
    made.base = tmp_path / "base"
    made.base.mkdir()
    made.write(tanh())
    return made


def test_fifty_times_the_work_is_named_and_neither_what_is_unchanged_nor_what_the_base_lacks(project):
    layers = ("layers:Tanh", "layers:Same", "layers:Fresh", "--to", "Tanh")
    same, fresh = tanh().replace("Tanh", "Same"), tanh().replace("Tanh", "Fresh")
    (project.base / "layers.py").write_text(tanh() + same, encoding="utf-8")
    project.write(tanh(forward="y + 0 * sum(np.tanh(x) for _ in range(50))"), same, fresh)
    assert project.gate(*layers, "--update").exit_code == 0
    done = project.gate(*layers, "--base", str(project.base))
    assert done.exit_code == 1, done.output
    assert "layers:Tanh: speed: time of forward and backward: the base's → " in done.output
    assert "layers:Same as Tanh: speed" not in done.output
    assert "layers:Fresh as Tanh was not timed: the base does not run it: TargetError: layers has no" in done.output
    assert "2 layers timed, 1 slower" in done.output


def test_a_base_without_any_of_the_layers_is_refused(project):
    project.gate("layers:Tanh", "--update")
    done = project.gate("layers:Tanh", "--base", str(project.base))
    assert done.exit_code == 2
    assert "no layer could be timed" in done.output
    assert f"for {project.base} has none" in done.output


def test_without_a_base_the_report_says_that_speed_was_not_judged(project):
    project.gate("layers:Tanh", "--update")
    assert "Speed was not judged: --base names" in project.gate("layers:Tanh").output


@pytest.mark.parametrize("package", ["", "gradjury"], ids=["checkout", "installed"])
def test_gradjurys_own_layers_are_taken_from_the_base(package, tmp_path):
    folder = tmp_path / package / "impl"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(tanh(backward="undefined"), encoding="utf-8")
    with pytest.raises(TargetError, match="NameError: name 'undefined' is not defined"):
        list(time_layers([("Tanh", target("gradjury.impl", "Tanh", tmp_path))], tmp_path))


def test_a_layer_that_ends_its_process_is_an_error_of_one_line(tmp_path, monkeypatch):
    project = Project(tmp_path, monkeypatch)
    project.write(tanh())
    base = tmp_path / "base"
    base.mkdir()
    (base / "layers.py").write_text("import os; os._exit(3)", encoding="utf-8")
    with pytest.raises(TargetError, match="a process died while it timed Tanh"):
        list(time_layers([("layers:Tanh", target("layers", "Tanh", tmp_path))], base))
