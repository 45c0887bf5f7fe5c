"""Mutation campaigns: on strangers' layers written for the purpose, and on one of our own."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
import time

import pytest
from click.testing import CliRunner

import gradjury.impl
from gradjury.properties.cli import main
from gradjury.properties.mutation.campaign import campaign, examine
from gradjury.properties.mutation.crew import Crew, Died, Job, JobError, TimedOut
from gradjury.properties.mutation.mutants import OPERATORS, mutants_of
from gradjury.properties.mutation.planting import importers, planted
from gradjury.properties.targets import Target, TargetError

STRANGER = """
    import numpy as np

    ONE = 1.0

    def check(a):
        if a.ndim > 9:
            raise ValueError("no more than 9 axes")

    def slope(y):
        return ONE - y * y

    class MyTanh:
        def __call__(self, x):
            check(x)
            y = np.tanh(x)

            def backward(dy):
                return dy * slope(y)

            return y, backward
"""


def target(module, layer, contract, examples=5):
    return Target(module, layer, contract, False, examples, 0, "")


def of(module, layer):
    return mutants_of(getattr(importlib.import_module(module), layer))


def test_an_edit_elsewhere_changes_no_id(write):
    write("stranger_tanh", STRANGER)
    before = [m.id for m in of("stranger_tanh", "MyTanh")]
    assert len(set(before)) == len(before)
    edited = textwrap.dedent(STRANGER).replace(
        "import numpy as np", "# a comment\n\n\nimport numpy as np\n\nTWO = 2.0\n"
    )
    write("stranger_tanh", edited.replace("class MyTanh:", "def other(y):\n    return y * y - 1\n\n\nclass MyTanh:"))
    assert [m.id for m in of("stranger_tanh", "MyTanh")] == before


def test_a_strangers_faults_are_killed_and_no_file_is_touched(write):
    file = write("stranger_tanh", STRANGER)
    before = file.read_bytes(), file.stat().st_mtime_ns
    (tanh,) = campaign([target("stranger_tanh", "MyTanh", "Tanh")], jobs=2)
    assert len(tanh.fates) >= 8
    assert {fate.state for fate in tanh.fates} == {"killed"}
    assert tanh.passed
    assert tanh.rate == 100
    assert tanh.median <= 5
    paths = {"MyTanh.__call__", "MyTanh.__call__.backward", "slope", "ONE"}
    assert {fate.mutant.path for fate in tanh.fates} == paths  # and not the function that only checks
    assert {fate.law for fate in tanh.fates} >= {"forward", "gradients"}
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert {p.name for p in file.parent.iterdir()} <= {"__pycache__", file.name}


ODD = """
    import os
    import time
    import numpy as np

    class Odd:
        def forward(self, x):
            if x.ndim > 98:
                time.sleep(1e6)
            if x.ndim > 99:
                os._exit(7)
            return np.maximum(x, 0), x

        def backward(self, dy, x):
            return np.where(x <= 0, 0, dy)
"""


def odd(write, keyword, **options):
    """What becomes of the one fault in ODD that has this in its name."""
    write("odd_relu", ODD)
    (found,) = campaign([target("odd_relu", "Odd", "ReLU")], keyword=keyword, **options)
    (fate,) = found.fates
    return fate, found.passed


def test_what_hangs_is_timed_out(write):
    fate, passed = odd(write, "x.ndim > 98 -> True", limit=5.0)
    assert (fate.state, fate.reason, passed) == ("timed out", "still running after 5 s", True)


def test_what_dies_is_killed(write):
    fate, passed = odd(write, "x.ndim > 99 -> True")
    found = (fate.state, fate.law, fate.reason, passed)
    assert found == ("killed", "process", "the process died, exit code 7", True)


def test_what_never_runs_survives_unless_it_is_declared(write):
    fate, passed = odd(write, "os._exit(7)")
    assert (fate.state, fate.reason, passed) == ("survived", "never executed: no drawn case comes here", False)
    told = {"odd_relu": {fate.mutant.id: "no array has so many axes"}}
    fate, passed = odd(write, "os._exit(7)", declared=told)
    assert (fate.state, fate.reason, passed) == ("equivalent", "no array has so many axes", True)


def test_a_crew_goes_on_after_a_death_and_a_hang_and_reports_what_a_job_raised():
    jobs = [Job(os._exit, (3,)), Job(time.sleep, (3600.0,), 0.5), *(Job(divmod, (n, 3)) for n in range(4))]
    with Crew(2) as crew:
        results = dict(crew.run(jobs))
        assert results == {0: Died(3), 1: TimedOut(0.5), **{2 + n: divmod(n, 3) for n in range(4)}}
        with pytest.raises(JobError, match="ZeroDivisionError"):
            list(crew.run([Job(divmod, (1, 0))]))


def test_a_layer_that_is_wrong_without_a_fault_is_refused(write):
    write("wrong_tanh", STRANGER.replace("ONE - y * y", "ONE + y * y"))
    with pytest.raises(TargetError, match="MyTanh breaks the law gradients without any fault planted"):
        campaign([target("wrong_tanh", "MyTanh", "Tanh")])


def test_a_layer_without_source_is_refused():
    assert "no source" in examine(Target("math", "sqrt", "Tanh", False, 3, 0, ""))


def test_code_that_only_checks_is_left_alone():
    mutants = [m for layer in ("Linear", "Conv2d", "MaxPool2d") for m in mutants_of(getattr(gradjury.impl, layer))]
    assert {m.path for m in mutants} & {"Conv2d._widths", "scatter", "integers", "_MaxPool.__call__.backward"}
    assert not {m.path for m in mutants} & {
        "_check_padding",
        "shape",
        "optional",
        "Conv2d.__post_init__",
        "Conv2d.initial_parameters",
    }
    assert not [m.id for m in mutants if m.minus.startswith("raise") or "p > k // 2" in m.minus]
    limits = [[re.findall(r"least=\w+", line) for line in (m.minus, m.plus)] for m in mutants]
    assert not [pair for pair in limits if all(pair) and pair[0] != pair[1]]
    idle = [m.before for m in mutants_of(gradjury.impl.Dropout2d) if m.operator == "dropped statement"]
    assert idle
    assert not [text for text in idle if "_check_rank" in text]  # only that of Dropout1d does anything


EVERYTHING = """
    import numpy as np

    class Everything:
        eps: float = 1e-5
        affine: bool = True

        def __call__(self, x, w=None):
            n = x.shape[0]
            mean = x.mean(axis=(0, 1), keepdims=True)
            r = 1 / np.sqrt(x.var(axis=0) + self.eps)
            padded = np.zeros((n // 2 + 1, 4), x.dtype)
            padded[1:-1:2] += r.reshape(n, 2).T.copy()
            np.add.at(padded, n, np.where((x > 0) & ~(x == 1), r, -r))
            half, full = helper(n, r), 3
            y = (x - mean) * r if w is None else w
            if n > 2:
                y = y @ r

            def backward(dy):
                dx = dy * np.exp(y) / r - mean
                return {"x": dx, "w": dy.sum(axis=0)}

            return y, backward

    def helper(n, r):
        return r.astype(r.dtype) ** n
"""


def test_every_operator_finds_a_place(write):
    write("everything", EVERYTHING)
    mutants = of("everything", "Everything")
    assert {m.operator for m in mutants} == {operator.name for operator in OPERATORS}
    assert not [m.id for m in mutants if m.same or m.minus == m.plus]
    changes = {(m.minus, m.plus) for m in mutants}
    assert ("return {'x': dx, 'w': dy.sum(axis=0)}", "return {'x': -dx, 'w': dy.sum(axis=0)}") in changes
    root = "r = 1 / np.sqrt(x.var(axis=0) + self.eps)"
    assert (root, "r = 1 / (np.sqrt(x.var(axis=0)) + self.eps)") in changes
    assert (root, "r = 1 / np.sqrt(x.var(axis=0, ddof=1) + self.eps)") in changes
    scattered = "np.add.at(padded, n, np.where((x > 0) & ~(x == 1), r, -r))"
    assert (scattered, "padded[n] += np.where((x > 0) & ~(x == 1), r, -r)") in changes


def test_a_planted_module_is_imported_by_those_that_use_it_and_taken_out_again():
    original = gradjury.impl.Softmax
    assert {"gradjury.impl.class_loss", "gradjury.impl.softmax", "gradjury.impl"} <= set(
        importers("gradjury.impl.softmax")
    )
    assert "gradjury.properties.cli" not in importers("gradjury.impl.softmax")
    mutant = next(m for m in mutants_of(original) if m.path == "axis")
    with planted(mutant):
        softmax = importlib.import_module("gradjury.impl.softmax")
        assert softmax.Softmax is not original
        assert softmax._check is importlib.import_module("gradjury.impl._check")
    assert importlib.import_module("gradjury.impl.softmax").Softmax is original
    assert gradjury.impl.softmax.Softmax is original


RELU = """
    import numpy as np

    def my_relu():
        def layer(x):
            y = np.maximum(x, 0)
            y = np.where(x > 0, y, y)
            return y, lambda dy: np.where(x <= 0, 0, dy)

        return layer
"""
TOLD = """
[my_relu]
"my_relu:my_relu.layer [comparison] x > 0 -> x < 0 #1" = "both branches are y"
"my_relu:my_relu.layer [function] np.maximum(x, 0) -> np.minimum(x, 0) #1" = "a wrong reason"
"nobody:f [sign] a -> b #1" = "no reason"
"""


def test_the_command_lists_survivors_equivalents_and_stale_declarations(write, tmp_path):
    write("my_relu", RELU)
    (tmp_path / "told.toml").write_text(TOLD, encoding="utf-8")
    options = ("--to", "ReLU", "--examples", "5", "--equivalent", "told.toml", "--json", "out.json", "-j", "1")
    command = [sys.executable, "-m", "gradjury.properties.cli", "mutate", "my_relu:my_relu", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stderr
    assert "my_relu: survived: comparison, my_relu.py:7" in done.stdout
    assert "- y = np.where(x > 0, y, y)\n  + y = np.where(x >= 0, y, y)\n" in done.stdout
    assert "it is killed or no longer exists: nobody:f [sign] a -> b #1" in done.stdout
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    (layer,) = data["layers"]
    assert (layer["passed"], data["passed"]) == (False, False)
    fates = {fate["id"]: fate for fate in layer["fates"]}
    declared = fates["my_relu:my_relu.layer [comparison] x > 0 -> x < 0 #1"]
    assert (declared["state"], declared["reason"]) == ("equivalent", "both branches are y")
    same = fates["my_relu:my_relu.layer [branch] np.where(x > 0, y, y) -> np.where(x > 0, y, y) #1"]
    assert (same["state"], same["reason"]) == ("equivalent", "it compiles to the same code")
    killed = fates["my_relu:my_relu.layer [function] np.maximum(x, 0) -> np.minimum(x, 0) #1"]
    assert (killed["state"], killed["law"], killed["examples"]) == ("killed", "forward", 1)
    assert layer["stale"] == [killed["id"], "nobody:f [sign] a -> b #1"]


RAMPS = """
    import numpy as np

    def ramp(x, high):
        y = np.maximum(x, 0)
        if high < np.inf:
            y = np.minimum(y, high)
        return y, lambda dy: np.where((x > 0) & (x < high), dy + 0, 0)

    class One:
        def __call__(self, x):
            return ramp(x, np.inf)

    class Six:
        def __call__(self, x):
            return ramp(x, 6)
"""


def test_layers_together_kill_the_faults_in_code_that_they_share(write):
    write("ramps", RAMPS)
    layers = [Target("ramps", "One", "ReLU", False, 30, 0, ""), Target("ramps", "Six", "ReLU6", False, 30, 0, "")]
    unseen = "ramps:ramp [dropped statement] y = np.minimum(y, high) -> pass #1"
    nothing = "ramps:ramp [dropped term] dy + 0 -> dy #1"
    wrong = "ramps:ramp [constant] 0 -> 1 #1"
    gone = "ramps:ramp [sign] a -> b #1"
    other = "ramps:other [sign] a -> b #1"  # a function that neither layer runs: no business of theirs
    told = {"ramps": dict.fromkeys((nothing, wrong, gone, other), "a reason")}

    apart = campaign(layers, declared=told)
    by_one, by_six = ({fate.mutant.id: fate.state for fate in findings.fates} for findings in apart)
    assert (by_one[unseen], by_six[unseen]) == ("survived", "killed")
    assert [findings.elsewhere for findings in apart] == [0, 0]
    assert [findings.stale for findings in apart] == [(wrong, gone), (wrong, gone)]

    together = campaign(layers, declared=told, together=True)
    one, six = ({fate.mutant.id: fate for fate in findings.fates} for findings in together)
    for name in set(one) | set(six):
        first, second = by_one.get(name, "survived"), by_six.get(name, "survived")
        last = "killed" if "killed" in (first, second) else first if name in by_one else second
        if name in one:
            assert (one[name].state, one[name].elsewhere) == (last, "Six" if last == "killed" != first else "")
        if name in six:
            assert (six[name].state, six[name].elsewhere) == (last, "One" if first == "killed" else "")
    assert one[nothing].state == six[nothing].state == "equivalent"
    assert [findings.elsewhere for findings in together] == [5, 14]
    # What One has killed was not tried with Six, which cannot say that the declaration is wrong.
    assert [findings.stale for findings in together] == [(wrong, gone), (gone,)]


def test_a_default_on_its_own_line_of_a_function_s_head_is_tried(write):
    write(
        "shifted",
        """
        def shifted(
            x,
            shift=0,
        ):
            return x + shift, lambda dy: dy

        class Shifted:
            def __call__(self, x):
                return shifted(x)
        """,
    )
    (found,) = campaign([Target("shifted", "Shifted", "Identity", False, 10, 0, "")], keyword="[constant]")
    assert [fate.state for fate in found.fates] == ["killed"]


def test_only_mutants_that_are_asked_for_are_tried(write):
    write("ramps", RAMPS)
    layer = Target("ramps", "Six", "ReLU6", False, 10, 0, "")
    gone, other = "ramps:ramp [sign] gone -> b #1", "ramps:ramp [dropped term] c + d -> c #1"
    (some,) = campaign([layer], declared={"Six": dict.fromkeys((gone, other), "a reason")}, keyword="[sign]")
    assert some.fates
    assert all("[sign]" in fate.mutant.id for fate in some.fates)
    assert some.stale == (gone,)
    with pytest.raises(TargetError, match="no mutant of these layers has 'sine' in its id"):
        campaign([layer], keyword="sine")


def test_all_faults_in_our_tanh_are_killed():
    (findings,) = campaign([Target("gradjury.impl", "Tanh", "Tanh", True, 20, 0, "")])
    assert {fate.state for fate in findings.fates} == {"killed"}
    assert findings.median <= 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuchmodule:Linear",), "cannot import nosuchmodule"),
        (("gradjury.impl:Tanh", "--fixed", "slope=1"), "has no option slope"),
        (("--to", "Tanh"), "--to says which contract"),
        (("--json", "no/such/folder/out.json"), "does not exist"),
        (("gradjury.impl:Tanh", "--equivalent", "no.toml"), "does not exist"),
        (("gradjury.impl:Tanh", "--equivalent", "bad.toml"), "each with its reason"),
        (("gradjury.impl:Tanh", "--equivalent", "broken.toml"), "is not TOML"),
        (("--equivalent", "other.toml"), "Nobody, which is no layer or module of our own"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_run_exits_2_and_says_why(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('[Tanh]\n"a mutant" = ""\n', encoding="utf-8")
    (tmp_path / "broken.toml").write_text("[Tanh\n", encoding="utf-8")
    (tmp_path / "other.toml").write_text('[Nobody]\n"a mutant" = "a reason"\n', encoding="utf-8")
    done = CliRunner().invoke(main, ["mutate", *arguments])
    assert done.exit_code == 2
    assert words in done.output


def test_the_free_length_of_a_reshape_is_no_constant(write):
    write(
        "free",
        """
        class Column:
            def __call__(self, x):
                y = x.reshape(-1, 7)
                return y, lambda dy: dy.reshape(x.shape) * -1
        """,
    )
    constants = [mutant.id for mutant in of("free", "Column") if mutant.operator == "constant"]
    assert len(constants) == 2
    assert any("7 -> 6" in name for name in constants)
