"""Scripts about layers with contracts of their own hold the reference, and what it uses."""

from __future__ import annotations

import ast
import importlib.util
import math
import sys

import own_layers as own
import pytest
import torch
from script_runs import run_script

import gradjury
from gradjury.properties.laws.agreement import FORWARD
from gradjury.properties.literals import is_word
from gradjury.properties.own import contract
from gradjury.properties.trial import Trial

SOME = 15
LAWS = ("forward", "gradients", "finite_differences")

BROKEN = """
import numpy as np


class ScoreLayer:
    def __init__(self, scale=1.0):
        self.scale = scale

    def __call__(self, query, key):
        one = query.dtype.type
        z = query @ key.T / one(np.sqrt(2)) - one(0.5)
        e = np.exp(one(self.scale) * np.maximum(z, 0) - (one(self.scale) * np.maximum(z, 0)).max(-1, keepdims=True))
        y = e / e.sum(-1, keepdims=True)

        def backward(dy):
            dz = y * (dy - (dy * y).sum(-1, keepdims=True)) * (z > 0) * one(FACTOR / np.sqrt(2))
            return dz @ key, dz.T @ query

        return y, backward
"""
WITHOUT_SCALE, WITH_SCALE = BROKEN.replace("FACTOR", "1"), BROKEN.replace("FACTOR", "self.scale")


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def broken_scores(tmp_path_factory):
    """A layer in a file, which forgets its option in the backward, and the scripts that say so."""
    folder = tmp_path_factory.mktemp("scores")
    path = folder / "broken_score.py"
    path.write_text(WITHOUT_SCALE, encoding="utf-8")
    module = load(path)
    tried = gradjury.checks(module.ScoreLayer, to=own.SCORE, scripts=folder / "scripts", examples=SOME)
    results = [check.run() for check in tried if check.law.name in LAWS]
    del sys.modules[path.stem]
    assert [bool(result.failure) for result in results] == [False, True, True]
    return path, [result.failure.script for result in results if result.failure]


class TestScripts:
    def test_a_script_reproduces_the_bug_until_it_is_mended(self, broken_scores):
        path, scripts = broken_scores
        for layer, status in ((WITHOUT_SCALE, 1), (WITH_SCALE, 0)):
            path.write_text(layer, encoding="utf-8")
            for script in scripts:
                done = run_script(script)
                assert done.returncode == status, done.stderr

    def test_a_script_holds_the_reference_and_what_it_uses(self, broken_scores):
        text = broken_scores[1][0].read_text(encoding="utf-8")
        lines = [
            "import torch.nn.functional as F",
            "SLOPE = 0.5",
            "from math import sqrt",
            "def score(query, key, scale",
        ]
        places = [text.index(line) for line in lines]
        assert places == sorted(places)
        assert "y = score(query, key, scale=2.0)" in text
        assert "gradjury" not in text.partition("import sys")[2]

    def test_no_input_can_have_a_name_that_scripts_use(self, broken_scores):
        own_names = {"query", "key", "score", "scale", "sqrt", "SLOPE", "F"}
        for script in broken_scores[1]:
            names = bound(ast.parse(script.read_text(encoding="utf-8")))
            assert {"layer", "got", "expected", "wrong"} < names
            assert {n for n in names - own_names if not is_word(n) and not n.startswith("v_")} == set()

    @pytest.mark.parametrize(
        ("function", "path"),
        [
            (torch.mul, "torch.mul"),
            (torch.special.expit, "torch.special.expit"),
            (torch.linalg.vector_norm, "torch.linalg.vector_norm"),
            (torch.nn.functional.softplus, "torch.nn.functional.softplus"),
        ],
    )
    def test_functions_of_torch_are_spelled_as_torch_does(self, function, path):
        made = contract("Own", function, dict.fromkeys(("x", "other")[: 1 + (function is torch.mul)], "N"))
        assert made.reference.source == ""
        assert made.reference.code({}, ("x",)) == f"{path}(x)"

    def test_names_from_outside_are_bound_as_they_were(self):
        source = own.TEMPERED.reference.source
        assert source.startswith(f"import torch.nn.functional as F\nSLOPE = 0.5\npi = {math.pi!r}\n"), source
        names = {"torch": torch}
        exec(source, names)
        trial = Trial(gradjury.adapt(lambda: None, to=own.TEMPERED), examples=100)
        case = trial.draws(FORWARD)[-1].case(1)
        tensors = {name: torch.tensor(a) for name, a in case.inputs.items()}
        assert torch.equal(names["tempered"](*tensors.values()), own.TEMPERED.reference.bind({})(**tensors))


def bound(tree):
    """The names that a script binds, but for those inside a comprehension."""
    if isinstance(tree, ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp):
        return set()
    names = set()
    if isinstance(tree, ast.Name) and isinstance(tree.ctx, ast.Store):
        names.add(tree.id)
    if isinstance(tree, ast.FunctionDef | ast.arg | ast.alias):
        names.add(getattr(tree, "asname", None) or getattr(tree, "arg", None) or tree.name)
    return names.union(*map(bound, ast.iter_child_nodes(tree)))
