"""What the tests of the gate share: a folder with a stranger's layers, and the command run in it."""

from __future__ import annotations

import sys

from click.testing import CliRunner

from gradjury.properties.cli import main

TANH = """
import numpy as np

class Tanh:
    def __call__(self, x):
        y = np.tanh(x)
        return {forward}, lambda dy: {{"x": {backward}}}
"""
RIGHT = {"forward": "y", "backward": "dy * (1 - y * y)"}

LINEAR = """
class Linear:
    def __init__(self, in_features, out_features, bias=True):
        pass

    def __call__(self, x, weight, bias=None):
        def backward(dy):
            rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
            grads = {"x": dy @ weight, "weight": drows.T @ rows}
            return grads if bias is None else grads | {"bias": drows.sum(axis=0)}

        return x @ weight.T + (0 if bias is None else bias), backward
"""


def tanh(**parts):
    return TANH.format(**RIGHT | parts)


class Project:
    """A folder with `layers.py`, in which the gate is run as in a process of its own."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the next version may have the same size and second
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def write(self, *sources):
        (self.folder / "layers.py").write_text("\n".join(sources), encoding="utf-8")

    def gate(self, *arguments):
        sys.modules.pop("layers", None)
        return CliRunner().invoke(main, ["gate", *arguments, "-j", "1"], terminal_width=100)

    @property
    def baseline(self):
        return self.folder / "gradjury.json"
