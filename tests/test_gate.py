"""The gate: fails on what got worse, by layer, law and script, and on nothing else."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from gates import LINEAR, Project, tanh
from script_runs import run_script

from gradjury.properties.certificate import Certificate
from gradjury.properties.events import LawResult, Result
from gradjury.properties.gate.command import Gated, most_examples


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = Project(tmp_path, monkeypatch)
    made.write(tanh())
    return made


@pytest.fixture
def known(project):
    """With a baseline."""
    done = project.gate("layers:Tanh", "--update")
    assert done.exit_code == 0, done.output
    return project


def change_baseline(project, change):
    data = json.loads(project.baseline.read_text(encoding="utf-8"))
    change(data)
    project.baseline.write_text(json.dumps(data), encoding="utf-8")


def law_of(data, law="gradients"):
    return data["layers"]["layers:Tanh"]["laws"][law]


def test_without_a_baseline_it_says_how_to_write_one(project):
    done = project.gate("layers:Tanh")
    assert done.exit_code == 2
    assert "there is no baseline gradjury.json: write one with --update" in done.output
    assert not project.baseline.exists()


def test_with_nothing_changed_no_run_fails(known):
    before = known.baseline.read_bytes()
    for _ in range(5):
        done = known.gate("layers:Tanh")
        assert done.exit_code == 0, done.output
        assert "1 layer, 2 laws, compared with gradjury.json: nothing got worse" in done.output
    assert known.baseline.read_bytes() == before


def test_an_update_with_nothing_changed_writes_the_same_file(known):
    before = known.baseline.read_bytes()
    assert known.gate("layers:Tanh", "--update").exit_code == 0
    assert known.baseline.read_bytes() == before
    assert len([line for line in before.decode().splitlines() if '"state"' in line]) == 2  # one law a line


def test_a_broken_gradient_fails_with_layer_law_and_a_script_that_shows_it(project):
    project.write(LINEAR)
    assert project.gate("layers:Linear", "--update").exit_code == 0
    project.write(LINEAR.replace("drows.sum(axis=0)", "drows.mean(axis=0)"))
    done = project.gate("layers:Linear")
    assert done.exit_code == 1
    assert "layers:Linear: gradients: verdict: holds → broken (gradient of bias)" in done.output
    assert "1 got worse" in done.output
    script = project.folder / "gradjury-scripts" / "Linear-Linear-gradients.py"
    assert f"script: {script}" in done.output
    assert run_script(script).returncode == 1


def test_what_the_baseline_knows_to_be_broken_is_listed_and_does_not_fail(project):
    project.write(tanh(backward="dy * (1 - y)"))
    assert project.gate("layers:Tanh", "--update").exit_code == 0
    done = project.gate("layers:Tanh")
    assert done.exit_code == 0
    assert "Known, and no worse than before:" in done.output
    assert "layers:Tanh: gradients: verdict: broken (gradient of x)" in done.output


def test_what_got_better_does_not_fail_and_update_writes_it_down(project):
    project.write(tanh(backward="dy * (1 - y)"))
    project.gate("layers:Tanh", "--update")
    project.write(tanh())
    done = project.gate("layers:Tanh")
    assert done.exit_code == 0
    assert "Got better; --update writes it down" in done.output
    assert "broken (gradient of x) → holds" in done.output
    project.gate("layers:Tanh", "--update")
    assert "Got better" not in project.gate("layers:Tanh").output


def test_digits_that_are_lost_fail_though_the_law_holds(known):
    known.write(tanh(forward="y * (1 + 4 * np.finfo(x.dtype).eps)"))
    done = known.gate("layers:Tanh")
    assert done.exit_code == 1
    assert "layers:Tanh: forward: worst error:" in done.output
    assert "layers:Tanh: forward: median error:" in done.output
    assert "broken" not in done.output


def test_a_law_that_becomes_vacuous_fails_with_the_reason(known):
    examples = json.loads(known.baseline.read_text(encoding="utf-8"))["layers"]["layers:Tanh"]["examples"]
    judged = 2 * 8 * examples  # two laws, eight cases: then the errors are put in that it should see
    tired = tanh(backward="dy * (1 - y * y) * (1.5 if Tanh.calls > LIMIT else 1)").replace("LIMIT", str(judged))
    known.write(tired.replace("y = np", "Tanh.calls += 1; y = np").replace("class Tanh:", "class Tanh:\n    calls = 0"))
    done = known.gate("layers:Tanh")
    assert done.exit_code == 1
    assert "layers:Tanh: gradients: verdict: holds → vacuous" in done.output
    assert "the gradient of x could have been wrong unseen in float64" in done.output


def test_a_coarser_certificate_fails_from_two_steps_on(known):
    def finer(by):
        def change(data):
            law_of(data)["sees"]["x float64"] -= by

        return change

    change_baseline(known, finer(1))
    assert known.gate("layers:Tanh").exit_code == 0
    change_baseline(known, finer(1))
    done = known.gate("layers:Tanh")
    assert done.exit_code == 1
    assert "layers:Tanh: gradients: smallest error seen in x float64:" in done.output


def test_new_gaps_and_ignored_options_fail(project):
    project.write(LINEAR)
    project.gate("layers:Linear", "--update")  # five examples have gaps
    gap = json.loads(project.baseline.read_text(encoding="utf-8"))["layers"]["layers:Linear"]["gaps"][0]

    def change(data):
        data["layers"]["layers:Linear"]["gaps"].remove(gap)
        data["layers"]["layers:Linear"]["ignored"].append("alpha")

    change_baseline(project, change)
    done = project.gate("layers:Linear")
    assert done.exit_code == 1
    assert f"layers:Linear: coverage: gap: none → {gap}" in done.output
    assert "layers:Linear: coverage: accepted and ignored: alpha → none" in done.output  # that is better
    assert "1 got worse" in done.output


def test_a_layer_and_a_law_that_are_gone_fail(known):
    def change(data):
        layer = data["layers"]["layers:Tanh"]
        layer["laws"]["linearity"] = layer["laws"]["forward"]
        data["layers"]["layers:Gone"] = layer

    change_baseline(known, change)
    done = known.gate("layers:Tanh")
    assert done.exit_code == 1
    assert "layers:Gone: layer: the layer is gone: tried → not tried" in done.output
    assert "layers:Tanh: linearity: the law is gone: holds → not tried" in done.output
    assert known.gate("layers:Tanh", "-k", "forward").exit_code == 0  # asked for


def test_a_new_layer_fails_only_where_it_is_broken(known):
    known.write(tanh(), LINEAR)
    done = known.gate("layers:Tanh", "layers:Linear")
    assert done.exit_code == 0
    assert "layers:Linear: layer: not in the baseline: " in done.output
    known.write(tanh(), LINEAR.replace("dy @ weight", "-dy @ weight"))
    done = known.gate("layers:Tanh", "layers:Linear")
    assert done.exit_code == 1
    assert "layers:Linear: gradients: verdict: not in the baseline → broken (gradient of x)" in done.output


def test_other_tools_compare_verdicts_only_and_say_so(known):
    def change(data):
        data["versions"]["torch"] = "1.0"
        law_of(data)["sees"]["x float64"] = -60

    change_baseline(known, change)
    done = known.gate("layers:Tanh")
    assert done.exit_code == 0
    assert "written with other tools (torch 1.0 → " in done.output
    known.write(tanh(backward="dy"))
    assert known.gate("layers:Tanh").exit_code == 1


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--examples", "7"), "written with examples = 5, not 7"),
        (("--seed", "1"), "written with seed = 0, not 1"),
        (("--all-laws",), "written with all_laws = False, not True"),
        (("--fixed", "a=1"), "written with fixed = (), not ('a=1',)"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_options_that_contradict_the_baseline_are_refused(option, words, known):
    before = known.baseline.read_bytes()
    done = known.gate("layers:Tanh", *option)
    assert done.exit_code == 2
    assert words in done.output
    assert known.baseline.read_bytes() == before


def test_the_baselines_options_are_taken_and_update_takes_others(known):
    assert known.gate("layers:Tanh", "--update", "--examples", "6", "--seed", "3", "--all-laws").exit_code == 0
    data = json.loads(known.baseline.read_text(encoding="utf-8"))
    assert data["settings"] == {"examples": 6, "seed": 3, "all_laws": True, "fixed": []}
    assert "linearity" in data["layers"]["layers:Tanh"]["laws"]
    done = known.gate("layers:Tanh")
    assert done.exit_code == 0
    assert "1 layer, 7 laws" in done.output
    assert known.gate("layers:Tanh", "--examples", "6").exit_code == 0


def test_a_layer_of_which_a_gradient_was_not_seen_gets_more_examples(project):
    project.write(LINEAR)
    project.gate("layers:Linear", "--update", "--seed", "2")  # none of its five examples is in float32
    layer = json.loads(project.baseline.read_text(encoding="utf-8"))["layers"]["layers:Linear"]
    assert layer["examples"] > 5
    assert {name.split()[1] for name in layer["laws"]["gradients"]["sees"]} == {"float64", "float32"}


@pytest.mark.parametrize(("gradients", "most"), [(1, 80), (16, 5), (17, 4), (40, 2), (71, 1)])
def test_a_layer_with_many_gradients_gets_fewer_examples(gradients, most):
    certificates = tuple(Certificate(str(n), "float64", 1e-15, 4) for n in range(gradients))
    law = LawResult("L", "L", "gradients", 5, 40, 1, 0, 0.0, 0.0, {}, 0.0, None, certificates)
    target = Gated("layers", "L", "L", False, 5, 0, "scripts")
    assert most_examples(target, Result("L", "L", (law,))) == most


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("layers:Nobody", "--to", "Tanh"), "layers has no Nobody"),
        (("layers:Tanh", "layers:Tanh"), "named twice"),
        (("layers:Tanh", "-k", "nothing"), "no check's name contains"),
        (("layers:Tanh", "--update", "-k", "forward"), "leave -k and --base out"),
        (("layers:Tanh", "--junit", "no/such/out.xml"), "does not exist"),
        (("layers:Tanh", "--base", "nowhere"), "does not exist"),
        (("--to", "Tanh"), "--to says which contract"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_run_exits_2_and_leaves_the_baseline(arguments, words, known):
    before = known.baseline.read_bytes()
    done = known.gate(*arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert known.baseline.read_bytes() == before


def test_every_report_names_layer_law_and_script(known, monkeypatch):
    known.write(tanh(backward="dy"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(known.folder / "step.md"))
    done = known.gate("layers:Tanh", "--junit", "out.xml", "--markdown", "out.md", "--json", "out.json")
    assert done.exit_code == 1
    script = str(known.folder / "gradjury-scripts" / "Tanh-Tanh-gradients.py")

    suite = ElementTree.parse(known.folder / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    cases = {case.get("name"): case for case in suite}
    assert {case.get("classname") for case in suite} == {"layers:Tanh"}
    assert not list(cases["forward"])
    assert script in cases["gradients"].find("failure").text

    text = (known.folder / "out.md").read_text(encoding="utf-8")
    assert "| layers:Tanh | gradients | verdict | holds | broken (gradient of x) |" in text
    assert script in text
    assert (known.folder / "step.md").read_text(encoding="utf-8") == text

    data = json.loads((known.folder / "out.json").read_text(encoding="utf-8"))
    assert data["passed"] is False
    finding = next(f for f in data["findings"] if f["change"] == "worse")
    assert (finding["layer"], finding["aspect"], finding["script"]) == ("layers:Tanh", "gradients", script)

    annotation = next(line for line in done.output.splitlines() if line.startswith("::error "))
    assert annotation.startswith("::error file=layers.py,line=4,title=layers%3ATanh%3A gradients::")
    assert f"%0A  script: {script}" in annotation
