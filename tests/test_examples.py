"""The examples at reduced size: each claim holds, and each can fail."""

import importlib.util
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gradjury import impl

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """Load an example by name; it leaves the interpreter with the test."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


def wrong_backward(layer, change):
    """The class of a layer whose gradients are changed before it answers them."""

    class Wrong(layer):
        def __call__(self, *args, **params):
            y, backward = super().__call__(*args, **params)
            return y, lambda dy: change(backward(dy))

    return Wrong


def swapped(grads):
    return {"x": grads["other"], "other": grads["x"]}


def exit_status(name):
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return ended.value.code


def test_chain_rule(example):
    result = example("chain_rule").main()
    assert result.ours == result.torch == {"f": -12, "x": -4, "y": -4, "z": 3}
    assert result.holds


def test_chain_rule_fails_with_a_wrong_gate(monkeypatch):
    assert exit_status("chain_rule") == 0
    monkeypatch.setattr(impl, "Multiply", wrong_backward(impl.Multiply, swapped))
    assert exit_status("chain_rule") == 1


def test_quadrants(example):
    assert example("quadrants").main(points=10_000, held_out=2_000).holds


def test_quadrants_fails_where_nothing_is_learnt(example):
    result = example("quadrants").main(points=100, held_out=2_000, lr=0.0)
    assert result.after == result.before
    assert not result.holds


def test_digits(example):
    result = example("digits").main(epochs=2)
    assert result.accuracy > 0.9
    assert not result.disagreements
    # 45 steps an epoch, and in each the loss, four gradients and four parameters, whole.
    assert len(result.findings) == 2 * 45 * 9
    assert not any(finding.comparison.excluded for finding in result.findings)
    assert 0 < result.drift < 1e-9
    assert not result.holds  # two epochs are too few for 97 %
    assert replace(result, accuracy=0.97).holds


@pytest.mark.parametrize("off", [1e-3, 1e-9, 1e-12])
def test_digits_names_the_step_and_the_parameter_of_a_wrong_gradient(example, monkeypatch, capsys, off):
    digits = example("digits")
    steps = iter(range(100))

    def wrong_from_step_3(grads):
        return grads | {"weight": grads["weight"] * (1 + off)} if next(steps) >= 3 else grads

    monkeypatch.setattr(digits, "Conv2d", wrong_backward(impl.Conv2d, wrong_from_step_3))
    result = digits.main(channels=4, epochs=1, batch=200)
    assert not replace(result, accuracy=0.97).holds
    first = result.disagreements[0]
    assert (first.step, first.name) == (3, "gradient of 0.weight")
    assert {finding.name for finding in result.disagreements} <= {"gradient of 0.weight", "0.weight after the step"}
    assert "first: step 3, gradient of 0.weight" in capsys.readouterr().out
