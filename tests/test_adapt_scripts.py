"""A reproduction script of each style and convention says wrong with the bug in the file, and right with it mended."""

from __future__ import annotations

import importlib
import sys

import pytest
from few_laws import broken
from script_runs import run_script

HEAD = "import numpy as np\n\n\n"
AFFINE = (
    HEAD
    + """class Layer:
    def __init__(self, in_features, out_features):
        self.sizes = out_features, in_features
        self.parameters, self.gradients = {"W": None, "b": None}, {}

    def forward(self, x):
        if self.parameters["W"] is None:
            self.parameters = {"W": np.ones(self.sizes), "b": np.ones((1, self.sizes[0]))}
        self.x = x
        return x @ self.parameters["W"].T + self.parameters["b"].reshape(-1)

    def backward(self, dy):
        rows, drows = self.x.reshape(-1, self.sizes[1]), dy.reshape(-1, self.sizes[0])
        self.gradients = {"W": drows.T @ rows @BUG, "b": drows.sum(axis=0).reshape(1, -1)}
        return dy @ self.parameters["W"]
"""
)
UPDATING = (
    HEAD
    + """class Layer:
    def __init__(self, in_features, out_features):
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))
        self.options = {"rate": 0.1}

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b.T.reshape(-1)

    def backward(self, dy):
        rows, drows = self.x.reshape(-1, self.x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        dx = dy @ self.W
        self.W -= self.options["rate"] * (drows.T @ rows)
        self.b -= self.options["rate"] * drows.sum(axis=0).reshape(-1, 1) @BUG
        return dx
"""
)
TAPE = (
    HEAD
    + """class Tensor:
    def __init__(self, data, back=None):
        self.data, self.grad, self.back = np.asarray(data), None, back

    def backward(self, grad):
        self.grad = Tensor(grad)
        if self.back is not None:
            self.back(grad)


class Layer:
    def __init__(self, in_features, out_features):
        self.W, self.b = Tensor(np.zeros((out_features, in_features))), Tensor(np.zeros((1, out_features)))

    def __call__(self, x):
        def back(d):
            rows, drows = x.data.reshape(-1, x.data.shape[-1]), d.reshape(-1, d.shape[-1])
            x.backward(d @ self.W.data)
            self.W.backward(drows.T @ rows)
            self.b.backward(drows.sum(axis=0, keepdims=True) @BUG)

        return Tensor(x.data @ self.W.data.T + self.b.data[0], back)
"""
)
CHANNELS_LAST = (
    HEAD
    + """class Layer:
    def __call__(self, x, weight):
        # Kernels of one by one, (1, 1, in, out).
        w = weight[0, 0]

        def backward(dy):
            rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
            return dy @ w.T, (rows.T @ drows @BUG).reshape(weight.shape)

        return x @ w, backward
"""
)
AVERAGED = (
    HEAD
    + """class Layer:
    def __init__(self, in_features, out_features):
        pass

    def __call__(self, x, weight, bias):
        def backward(dy):
            rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
            return dy @ weight, drows.T @ rows / len(rows), drows.sum(axis=0) / len(rows) @BUG

        return x @ weight.T + bias, backward
"""
)
STATE = (
    HEAD
    + """class Layer:
    def __init__(self, num_features):
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)

    def forward(self, x):
        n = len(x)
        self.mean, self.var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * self.mean
        self.running_var = 0.9 * self.running_var + 0.1 * self.var * n / (n - 1) @BUG
        return (x - self.mean) / np.sqrt(self.var + 1e-5)

    def backward(self, dy):
        return dy * 0
"""
)
SCRIBBLING = (
    HEAD
    + """class Layer:
    def __call__(self, x):
        y = x @BUG
        y[...] = np.tanh(x)
        return y.copy(), lambda dy: dy * (1 - y**2)
"""
)
POSITIVE = {"where": lambda config, shapes: len(shapes["x"]) == 2 and shapes["x"][0] > 1}
BIASED = {"to": "Linear", "fixed": {"bias": True}}
CONV = {"kernel_size": (1, 1), "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": False}
NORM = {"training": True, "affine": False, "bias": True, "track_running_stats": True, "momentum": 0.1, "eps": 1e-5}
STYLES = {
    "derivative": (
        HEAD + "def Layer(x):\n    return np.tanh(x)\n\n\ndef prime(x):\n    return 1 - np.tanh(x)**2 @BUG\n",
        "gradients",
        {"to": "Tanh"},
    ),
    "value_and_grad": (
        HEAD + "def Layer():\n    return lambda x: (np.tanh(x), 1 - np.tanh(x)**2 @BUG)\n",
        "gradients",
        {"to": "Tanh", "style": "value_and_grad"},
    ),
    "built by the call, in dicts": (AFFINE, "finite_differences", BIASED),
    "updating": (UPDATING, "finite_differences", {**BIASED, "learning_rate": "options.rate"}),
    "tape": (TAPE, "gradients", BIASED),
    "another layout and weight": (
        CHANNELS_LAST,
        "gradients",
        {"to": "Conv2d", "layout": "NHWC", "weight": "(kernel, in, out)", "fixed": {**CONV, "padding_mode": "zeros"}},
    ),
    "averaged": (AVERAGED, "finite_differences", {**BIASED, "averaged_over": "batch", **POSITIVE}),
    "state": (STATE, "forward", {"to": "BatchNorm1d", "fixed": NORM, **POSITIVE}),
    "modified argument in columns": (SCRIBBLING, "purity", {"to": "Tanh", "columns": True, **POSITIVE}),
}
BUGS = {"modified argument in columns": ("", "* 1")}


@pytest.fixture
def load(write, monkeypatch):
    """Writes a module, and imports it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def loaded(source):
        write("strange_layer", source)
        return importlib.import_module("strange_layer")

    return loaded


@pytest.mark.parametrize("style", STYLES)
def test_script_with_the_bug_and_with_it_mended(style, load, tmp_path):
    source, law, declared = STYLES[style]
    bug, mended = BUGS.get(style, ("* 2", ""))
    module = load(source.replace("@BUG", bug))
    layer = (module.Layer, module.prime) if style == "derivative" else module.Layer
    tensor = {"tensor": module.Tensor} if style == "tape" else {}
    script = broken(layer, law, scripts=tmp_path / "scripts", **tensor, **declared).script
    done = run_script(script)
    assert (done.returncode, done.stdout.split()[-1:]) == (1, ["wrong"]), done.stdout + done.stderr
    load(source.replace("@BUG", mended))
    done = run_script(script)
    assert done.returncode == 0, done.stdout + done.stderr


# The forward is wrong and so is the shape of a gradient, on which a script about the forward must not stumble.
SHAPELESS = AFFINE.replace("drows.sum(axis=0).reshape(1, -1)", "np.ones(7)").replace("@BUG", "")
SHAPELESS = SHAPELESS.replace("].T +", "].T @TWICE +")


def test_a_script_about_the_forward_does_not_ask_for_gradients(load, tmp_path):
    _, _, declared = STYLES["built by the call, in dicts"]
    module = load(SHAPELESS.replace("@TWICE", "* 2"))
    script = broken(module.Layer, "forward", scripts=tmp_path / "scripts", **declared).script
    assert run_script(script).stdout.split()[-1:] == ["wrong"]
    load(SHAPELESS.replace("@TWICE", ""))
    assert run_script(script).returncode == 0
