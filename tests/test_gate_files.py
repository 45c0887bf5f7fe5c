"""Files at the gate: damaged and malicious baselines are refused and left alone; reports hold what is put into them."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gates import Project, tanh

from gradjury.properties.gate.baseline import (
    LARGEST,
    Baseline,
    BaselineError,
    LawRecord,
    LayerRecord,
    Settings,
    read_baseline,
    write_baseline,
)
from gradjury.properties.gate.compare import Change, Finding
from gradjury.properties.gate.reports import Report, github_annotations, junit, markdown

HOLDS = LawRecord("holds", "", 0.5, 0.0, {"x float64": -47, "x float32": None})
BROKEN = LawRecord("broken", "gradient of x", None, None, {})
WHOLE = Baseline(
    Settings(5, 0, False, ("bias=True",)),
    {"torch": "2.4"},
    {"layers:Tanh": LayerRecord(5, (), ("no example in float32",), {"forward": HOLDS, "gradients": BROKEN})},
)


class Trap:
    """Unpickled, it leaves a file."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def text_with(change):
    """The text of a whole baseline but for one change."""

    def make(folder):
        write_baseline(folder / "whole.json", WHOLE)
        data = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
        change(data)
        return json.dumps(data).encode()

    return make


def put(*path, value):
    def change(data):
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return text_with(change)


LAYER = ("layers", "layers:Tanh")
LAW = (*LAYER, "laws", "forward")
DAMAGED = {
    "empty": (b"", "Expecting value"),
    "pickle": (pickle.dumps(Trap()), "not UTF-8"),
    "text pickle": (pickle.dumps(Trap(), protocol=0), "Expecting value"),
    "yaml": (b"!!python/object/apply:pathlib.Path.touch [executed]", "Expecting value"),
    "python": (b"__import__('pathlib').Path('executed').touch()", "Expecting value"),
    "half": (b'{"baseline": 1, "settings": {', "Expecting property name"),
    "conflict": (b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n", "Expecting value"),
    "deep list": (b"[" * 200_000, "nested too deeply"),
    "deep object": (b'{"a":' * 200_000, "nested too deeply"),
    "huge": (b" " * (LARGEST + 1), "larger than 16 MiB"),
    "huge number": (b'{"baseline": ' + b"9" * 5000 + b"}", "4300"),
    "key twice": (b'{"baseline": 1, "baseline": 1}', "a key twice"),
    "list": (b"[]", "it should be an object, not list"),
    "null": (b"null", "it should be an object, not None"),
    "NaN": (put(*LAW, "budgets", value=float("nan")), "it holds NaN"),
    "infinity": (put(*LAW, "ulps", value=float("inf")), "it holds Infinity"),
    "overflow": (lambda folder: put(*LAW, "ulps", value="!")(folder).replace(b'"!"', b"1e999"), "a number from 0"),
    "negative": (put(*LAW, "budgets", value=-1.0), "a number from 0, not -1.0"),
    "text for a number": (put(*LAW, "budgets", value="0.5"), "a number from 0, not '0.5'"),
    "code for a number": (put("settings", "seed", value="__import__('os').abort()"), "a whole number from 0"),
    "true for a number": (put(*LAYER, "examples", value=True), "a whole number from 1, not True"),
    "no examples": (put("settings", "examples", value=0), "a whole number from 1, not 0"),
    "too many examples": (put(*LAYER, "examples", value=10**12), "a whole number from 1"),
    "exponent": (put(*LAW, "sees", "x float64", value=10**6), "an exponent of two, not 1000000"),
    "unknown state": (put(*LAW, "state", value="fine"), "one of holds, vacuous, broken, not 'fine'"),
    "holds without numbers": (put(*LAW, "budgets", value=None), "a law that is broken"),
    "unknown key": (put(*LAW, "__class__", value="x"), "the key '__class__' is unknown in layers['layers:Tanh'] laws"),
    "missing key": (text_with(lambda data: data.pop("layers")), "the key 'layers' is missing"),
    "other JSON": (b'{"name": "a package"}', "the key 'baseline' is missing"),
    "other format": (put("baseline", value=2), "baseline should be 1, the format that this gradjury writes, not 2"),
    "escape sequence": (put("versions", "torch", value="\x1b[2J"), "a text of a line"),
    "lone surrogate": (put(*LAYER, "gaps", value=["\ud800"]), "a text of a line"),
    "unprintable name": (put("layers", "a\nb", value={}), "a text of a line"),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = Project(tmp_path, monkeypatch)
    made.write(tanh())
    return made


@pytest.mark.parametrize("options", [(), ("--update",)], ids=["compare", "update"])
@pytest.mark.parametrize(("content", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_baseline_is_refused_in_a_line_executed_never_and_left_as_it_is(content, words, options, project):
    raw = content(project.folder) if callable(content) else content
    project.baseline.write_bytes(raw)
    done = project.gate("layers:Tanh", *options)
    assert done.exit_code == 2
    assert done.output.startswith("Error: gradjury.json is no baseline of gradjury: ")
    assert words in done.output
    assert "delete it and write a new one with --update" in done.output
    assert done.output.count("\n") == 1
    assert project.baseline.read_bytes() == raw
    assert not (project.folder / "executed").exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_not_a_file_is_refused(make, project):
    make(project.baseline)
    done = project.gate("layers:Tanh")
    assert done.exit_code == 2
    assert "it is not a file" in done.output or "is a directory" in done.output


def test_a_baseline_is_read_as_it_was_written(tmp_path):
    write_baseline(tmp_path / "a.json", WHOLE)
    assert read_baseline(tmp_path / "a.json") == WHOLE
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_layers_are_sorted(tmp_path):
    layer = WHOLE.layers["layers:Tanh"]
    write_baseline(tmp_path / "a.json", Baseline(WHOLE.settings, {}, {"b": layer, "a": layer}))
    assert list(read_baseline(tmp_path / "a.json").layers) == ["a", "b"]


def test_a_missing_baseline_is_an_error_of_one_line(tmp_path):
    with pytest.raises(BaselineError, match="write one with --update"):
        read_baseline(tmp_path / "none.json")


def report_of(text, what="verdict"):
    finding = Finding("layers:A|B", "gradients", Change.WORSE, what, "holds", "broken", text, None)
    return Report(Path("gradjury.json"), (finding,), {}, (), (), {"layers:A|B": ("a,b:c.py", 7)}, 1.0)


def test_junit_is_xml_whatever_a_layer_says():
    text = "\x00\x1b[31m]]> <&> \ud800 \U0001f600 \n end"
    failure = ElementTree.fromstring(junit(report_of(text)).encode()).find("testcase/failure")
    assert "]]> <&> \N{REPLACEMENT CHARACTER} \U0001f600 \n end" in failure.text
    assert failure.get("message") == "layers:A|B: gradients: verdict: holds → broken"


def test_an_annotation_is_one_command_whatever_a_layer_says():
    (line,) = github_annotations(report_of("100 %\n::set-output name=a::b\r\n"))
    assert line.startswith("::error file=a%2Cb%3Ac.py,line=7,title=layers%3AA|B%3A gradients::")
    assert line.endswith("%0A100 %25%0A::set-output name=a::b")
    assert "\n" not in line
    assert "\r" not in line


def test_a_layers_text_stays_in_its_fence_and_its_cell():
    text = markdown(report_of("````\n</details><script>", what="a | b <b> `c`"))
    assert "`````\n````\n</details><script>\n`````" in text
    assert "| layers:A\\|B | gradients | a \\| b &lt;b&gt; \\`c\\` | holds | broken |" in text
