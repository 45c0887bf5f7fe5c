"""The examples at reduced size: each claim holds, and each can fail."""

import importlib.util
import runpy
import sys
from dataclasses import replace
from functools import wraps
from pathlib import Path

import pytest

from gradjury import impl

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """Load an example by name; it leaves the interpreter with the test."""
    monkeypatch.syspath_prepend(EXAMPLES)  # where their helper is

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
        @wraps(layer.__call__)  # Sequential looks what the layer calls its input
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


def test_digits(example, tmp_path, capsys):
    result = example("digits").main(channels=2, epochs=2, batch=120, to=tmp_path)
    assert result.training.holds
    assert len(result.training.losses) == 24
    assert result.training.losses[-1] < result.training.losses[0]
    assert 0 < result.training.drift < 1e-9
    assert not result.holds  # two epochs are too few for 98.5 %
    assert replace(result, accuracy=0.985).holds
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert "24 steps in lockstep" in capsys.readouterr().out


@pytest.mark.parametrize("off", [1e-3, 1e-12])
def test_digits_names_the_step_and_the_layer_of_a_wrong_gradient(example, monkeypatch, capsys, tmp_path, off):
    digits = example("digits")
    calls = iter(range(100))

    def wrong_from_step_3(grads):
        # There are two convolutions, and the second one's backward comes first.
        return grads | {"weight": grads["weight"] * (1 + off)} if next(calls) >= 7 else grads

    monkeypatch.setattr(digits, "Conv2d", wrong_backward(impl.Conv2d, wrong_from_step_3))
    result = digits.main(channels=2, epochs=1, batch=200, to=tmp_path)
    assert not replace(result, accuracy=1.0).holds
    found = result.training.departure
    assert (found.step, found.owner, found.what) == (3, "layer 0 (Wrong)", "gradient of weight")
    assert "left at step 3, layer 0 (Wrong), gradient of weight" in capsys.readouterr().out


def test_text(example, tmp_path, capsys):
    results = example("text").main(steps=3, batch=2, to=tmp_path)
    assert len(results) == 2
    for name, result in zip(("lstm", "transformer"), results, strict=True):
        assert result.training.holds
        assert 3 < result.entropy < 3.2  # English, with spaces and punctuation
        assert not result.holds  # three steps are too few
        assert replace(result, loss=result.entropy - 0.01).holds
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.count("3 steps in lockstep") == 2


def test_text_names_the_step_and_the_layer_of_a_wrong_gradient(example, monkeypatch, tmp_path):
    text = example("text")
    wrong = wrong_backward(impl.TransformerEncoderLayer, lambda grads: grads | {"src": grads["src"] * (1 + 1e-9)})
    monkeypatch.setattr(text, "TransformerEncoderLayer", wrong)
    result = text.train("transformer", steps=2, batch=2, seed=0, to=tmp_path)
    found = result.training.departure
    assert (found.step, found.owner, found.what) == (0, "layer 3 (Wrong)", "gradient of x")
    assert not replace(result, loss=0.0).holds
