"""The corpus: what was found is kept as data, replayed first, and survives what happens to it."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import random
import signal
import time

import numpy as np
import pytest
from click.testing import CliRunner

import gradjury
from gradjury.oracle.vjp import Case
from gradjury.properties.cli import main
from gradjury.properties.corpus import CorpusError, Entry, NotPlainError, load, read, save
from gradjury.properties.laws import COMMON

LAW = {law.name: law for law in COMMON}


class Kinked:
    """The wrong side at 0."""

    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": dy * (x >= 0)}


class Rare:
    """Wrong for one number that is never drawn."""

    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": dy * (x > 0) * np.where(x == 12345.678, 2, 1)}


class Slope:
    """The given slope, which is wrong for negative numbers when `broken`."""

    broken = True

    def __init__(self, negative_slope=0.01):
        self.slope = negative_slope

    def __call__(self, x):
        slope = x.dtype.type(self.slope)
        wrong = slope * 2 if Slope.broken else slope
        return np.where(x > 0, x, slope * x), lambda dy: {"x": np.where(x > 0, dy, wrong * dy)}


def gradients_of(layer, to, folder, examples=20):
    """The result of the law of gradients."""
    checks = gradjury.checks(layer, to=to, examples=examples, scripts=folder)
    return next(check for check in checks if check.law.name == "gradients").run()


def case(x, dy=None, config=None, name="x"):
    x = np.asarray(x)
    return Case(config or {}, {name: x}, (np.asarray(np.ones_like(x) * 3 if dy is None else dy),), (name,))


def entry(x, layer="Rare", law="gradients", **options):
    return Entry(layer, "ReLU", law, "gradient of x", case(np.asarray(x)), **options)


def test_a_failure_is_kept_and_replayed_before_anything_is_searched(tmp_path):
    found = gradients_of(Kinked, "ReLU", tmp_path)
    kept = found.failure.kept
    assert [file for file, _ in load(tmp_path / "corpus")] == [kept]
    again = gradients_of(Kinked, "ReLU", tmp_path)
    assert again.examples == 0
    assert again.failure.replayed
    assert again.failure.kept == kept
    assert again.failure.case.inputs["x"].tobytes() == found.failure.case.inputs["x"].tobytes()
    assert again.failure.diagnosis == found.failure.diagnosis
    assert again.failure.verdict.fault == found.failure.verdict.fault
    assert f"replayed from {kept}" in str(gradjury.Result("Kinked", "ReLU", (again,)))


def test_a_case_that_no_search_finds_is_found_by_replay(tmp_path):
    assert gradients_of(Rare, "ReLU", tmp_path, examples=50).passed
    save(tmp_path / "corpus", entry([1.0, 12345.678]))
    assert gradients_of(Rare, "ReLU", tmp_path, examples=1).failure.replayed


def test_a_layer_that_is_mended_passes_and_keeps_its_counterexample(tmp_path):
    try:
        assert gradients_of(Slope, "LeakyReLU", tmp_path).failure.kept is not None
        Slope.broken = False
        mended = gradients_of(Slope, "LeakyReLU", tmp_path)
    finally:
        Slope.broken = True
    assert mended.passed
    assert mended.examples == 20
    assert len(list(load(tmp_path / "corpus"))) == 1


def test_the_same_structure_takes_the_same_file_and_another_its_own(tmp_path):
    names = {
        save(tmp_path, entry(x, **more)).name
        for x, more in [([1.0], {}), ([2.0], {}), ([[2.0]], {}), ([1.0], {"law": "forward"}), ([1.0], {"layer": "B"})]
    }
    assert len(names) == 4


def test_every_bit_and_every_kind_of_option_comes_back(tmp_path):
    special = np.array([0.1, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1 / 3])
    config = {
        "tuple": (1, (2, None)),
        "list": [True, "same"],
        "float": 0.1,
        "half": np.float32(0.1),
        "dict": {"eps": 1e-5, "n": 3},
        "infinite": float("inf"),
    }
    inputs = {
        "x": special,
        "single": special.astype(np.float32),
        "index": np.array([[1, 2]]),
        "mask": np.array([True, False]),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 3)),
    }
    before = case([1.0])
    whole = Entry("A", "B", "gradients", "gradient of x", Case(config, inputs, (special,), ("x",), ("index",)), before)
    back = read(save(tmp_path, whole))
    assert back.case.config == config
    assert all(type(back.case.config[n]) is type(v) for n, v in config.items())
    for name, a in inputs.items():
        b = back.case.inputs[name]
        assert (b.dtype, b.shape, b.tobytes()) == (a.dtype, a.shape, a.tobytes())
    assert back.case.cotangents[0].tobytes() == special.tobytes()
    assert (back.case.differentiable, back.case.kept) == (("x",), ("index",))
    assert back.before.inputs["x"].tolist() == [1.0]


def test_a_configuration_that_holds_a_function_is_not_kept_and_not_fatal(tmp_path):
    with pytest.raises(NotPlainError, match="cannot be written as data"):
        save(tmp_path, Entry("A", "B", "gradients", "x", case([1.0], config={"activation": np.tanh})))
    assert not list(tmp_path.glob("*.json"))


class Trap:
    """Shows when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def damage(text, **changes):
    data = json.loads(text)
    for path, value in changes.items():
        *steps, last = path.split("__")
        target = data
        for step in steps:
            target = target[int(step) if step.isdecimal() else step]
        target[last] = value
    return json.dumps(data).encode()


DAMAGED = {
    "half of it": lambda text: text.encode()[: len(text) // 2],
    "nothing": lambda text: b"",
    "a pickle": lambda text: pickle.dumps(Trap()),
    "no UTF-8": lambda text: b"\xff\xfe{}",
    "a list": lambda text: b"[]",
    "deep nesting": lambda text: b"[" * 200_000,
    "another format": lambda text: damage(text, format=99),
    "a missing key": lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "case"}).encode(),
    "an unknown key": lambda text: damage(text, run="import os"),
    "a bare NaN": lambda text: text.replace('"before": null', '"before": NaN').encode(),
    "code for a number": lambda text: damage(text, case__inputs__x__values=["__import__('os').mkdir('executed')"]),
    "an object for a value": lambda text: damage(text, case__config={"a": {"__class__": "os.mkdir"}}),
    "another number of values": lambda text: damage(text, case__inputs__x__shape=[7]),
    "a huge shape": lambda text: damage(text, case__inputs__x__shape=[10**9, 10**9]),
    "a negative shape": lambda text: damage(text, case__inputs__x__shape=[-1]),
    "an object dtype": lambda text: damage(text, case__inputs__x__dtype="object"),
    "a number for a name": lambda text: damage(text, layer=1),
    "an unknown input": lambda text: damage(text, case__differentiable=["y"]),
    "an unknown diagnosis": lambda text: damage(text, diagnosis=["nonsense", "x"]),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_named_and_skipped_and_nothing_is_executed(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "corpus"
    good = save(corpus, entry([1.0, 12345.678]))
    bad = corpus / "a-damaged.json"
    content = DAMAGED[kind](good.read_text(encoding="utf-8"))
    bad.write_bytes(content)
    with pytest.raises(CorpusError):
        read(bad)
    result = gradients_of(Rare, "ReLU", tmp_path, examples=2)
    assert result.failure.kept == good, "the good one is replayed all the same"
    assert [text for text in result.skipped if text.startswith(f"{bad}: ")] == list(result.skipped)
    assert len(result.skipped) == 1
    assert bad.read_bytes() == content
    assert not (tmp_path / "unpickled").exists()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (case([1.0], config={"slope": 2}), "ReLU has no option slope"),
        (Case({}, {"y": np.ones(2)}, (np.ones(2),), ("y",)), "Error"),
    ],
)
def test_a_case_that_makes_no_sense_any_more_is_skipped_with_the_reason(changed, reason, tmp_path):
    save(tmp_path / "corpus", Entry("Rare", "ReLU", "gradients", "gradient of x", changed))
    result = gradients_of(Rare, "ReLU", tmp_path, examples=10)
    assert result.failure is None
    assert reason in result.skipped[0]


def test_a_case_outside_what_the_layer_claims_now_is_skipped(tmp_path):
    save(tmp_path / "corpus", entry([1.0, 12345.678]))
    narrow = gradjury.adapt(Rare, to="ReLU", where=lambda config, shapes: len(shapes["x"]) != 1)
    result = gradients_of(narrow, None, tmp_path, examples=10)
    assert result.failure is None
    assert "where" in result.skipped[0]


def killed_again_and_again(corpus, work, attempts, rng, shortest, longest, enough):
    """Processes that do work(attempt, number) for number = 1, 2, …, each killed at any moment, leave enough files.

    Each file that is there is whole, and nothing that was there is lost.
    """
    seen: set[str] = set()
    for attempt in range(attempts):
        child = os.fork()
        if child == 0:
            try:
                for number in itertools.count(1):
                    work(attempt, number)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(shortest, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = dict(load(corpus))
        broken = {file: kept for file, kept in found.items() if isinstance(kept, CorpusError)}
        assert not broken
        names = {file.name for file in found}
        assert seen <= names
        if names == seen and len(names) <= enough:  # a busy machine: the next may work longer
            longest *= 2
        seen = names
    assert len(seen) > enough


def test_what_a_killed_run_has_written_is_whole(tmp_path):
    corpus = tmp_path / "corpus"

    def work(attempt, number):
        size = attempt * 50 + 1
        save(corpus, entry(np.full(size, float(number)), law=f"law{number % 7}", layer=f"L{attempt % 5}"))

    killed_again_and_again(corpus, work, 50, random.Random(0), 0.005, 0.05, enough=10)


def test_killed_trials_leave_whole_files_and_lose_none(tmp_path):
    """Whole trials, one after the other and each with a fault of another layer."""
    gradients_of(Kinked, "ReLU", tmp_path / "before")  # what a trial imports, the children then have

    def work(attempt, number):
        layer = type(f"Kinked{attempt}{number}", (Kinked,), {})
        gradients_of(layer, "ReLU", tmp_path, examples=5)

    killed_again_and_again(tmp_path / "corpus", work, 20, random.Random(1), 0.1, 1.0, enough=5)


class TestReplayCommand:
    LAYERS = (
        "import numpy as np\n"
        "class Ramp:\n"
        "    def __call__(self, x):\n"
        "        return np.maximum(x, 0), lambda dy: {{'x': dy * (x {} 0)}}\n"
    )

    def run(self, *arguments):
        return CliRunner().invoke(main, ["replay", *arguments])

    @pytest.fixture
    def module(self, tmp_path, monkeypatch):
        """A layer's module that can be written anew, and its counterexample."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        save(tmp_path / "gradjury-scripts" / "corpus", entry([0.0], layer="Ramp"))

        def write(operator, name):
            (tmp_path / f"{name}.py").write_text(self.LAYERS.format(operator), encoding="utf-8")
            return f"{name}:Ramp"

        return write

    def test_still_failing(self, module):
        done = self.run(module(">=", "ramp_wrong"), "--to", "ReLU")
        assert done.exit_code == 1
        assert "STILL FAILING" in done.output
        assert "1 STILL FAILING" in done.output

    def test_fixed(self, module):
        done = self.run(module(">", "ramp_right"), "--to", "ReLU")
        assert done.exit_code == 0
        assert "1 FIXED, 0 STILL FAILING, 0 CANNOT RUN" in done.output

    def test_a_layer_that_is_not_named_is_not_imported(self, module):
        done = self.run()
        assert done.exit_code == 2
        assert "name the layer: gradjury replay package.module:Ramp" in done.output

    def test_a_damaged_file_cannot_run(self, module, tmp_path):
        (tmp_path / "gradjury-scripts" / "corpus" / "x.json").write_text("{", encoding="utf-8")
        done = self.run(module(">", "ramp_right"), "--to", "ReLU")
        assert done.exit_code == 2
        assert "1 FIXED, 0 STILL FAILING, 1 CANNOT RUN" in done.output

    def test_no_corpus_at_all(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        done = self.run()
        assert done.exit_code != 0
        assert "holds no counterexamples" in done.output
