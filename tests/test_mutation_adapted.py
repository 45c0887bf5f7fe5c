"""Faults planted in layers that were adapted: found by what runs, whatever the style, and not in the adapter."""

from __future__ import annotations

import pytest

from gradjury.properties.mutation.campaign import campaign
from gradjury.properties.targets import Target

LIBRARY = """
    import numpy as np

    RATE = 0.5

    class Base:
        def __call__(self, x):
            return self.forward(x)

        def cut(self, a):
            return a * (self.y > 0)

    class Relu(Base):
        name = "relu"

        def forward(self, x):
            self.y = np.maximum(x, 0)
            return self.y

        def backward(self, dy):
            return self.cut(dy)

        def never_run(self, x):
            return x + 1

    class Linear:
        def __init__(self, inputs, outputs):
            self.W, self.b = None, None
            self.sizes = inputs, outputs

        def _init_parameters(self):
            self.W, self.b = np.ones(self.sizes) / self.sizes[0], np.zeros(self.sizes[1]) + 1

        def forward(self, x):
            if self.W is None:
                self._init_parameters()
            self.x = x
            return x @ self.W + self.b

        def backward(self, dy):
            self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
            return dy @ self.W.T

    class Tensor:
        def __init__(self, data, parents=(), back=None):
            self.data, self.grad, self.parents, self.back = data, None, parents, back

        def __mul__(self, other):
            return Tensor(self.data * other.data, (self, other), lambda d: (d * other.data, d * self.data))

        def __truediv__(self, other):
            return Tensor(self.data / other.data, (self, other), lambda d: (d, d))

        def backward(self, grad):
            self.grad = grad
            if self.back is not None:
                for parent, part in zip(self.parents, self.back(grad)):
                    parent.backward(part)
"""
DECLARED = """
    import gradjury
    import their_library

    def inside():
        def layer(x):
            made = their_library.Relu()
            return made(x), made.backward

        return layer

    def linear(in_features, out_features):
        return their_library.Linear(in_features, out_features * 1)

    def is_matrix(config, shapes):
        return len(shapes["x"]) == 2 and shapes.get("other", shapes["x"]) == shapes["x"]

    RELU = gradjury.adapt(their_library.Relu, to="ReLU")
    INSIDE = gradjury.adapt(inside, to="ReLU")
    LINEAR = gradjury.adapt(linear, to="Linear", weight="(in, out)", fixed={"bias": True}, where=is_matrix)
    TAPE = gradjury.adapt(
        lambda: lambda x, other: x * other, to="Multiply", tensor=their_library.Tensor, where=is_matrix
    )
"""
# What survives, and may: the adapter puts parameters in the place of the layer's own, and takes biases of shape (1, n).
EQUIVALENT = {
    "LINEAR": {"if False:", "pass", "self.dW, self.db = (self.x.T @ dy, dy.sum(axis=0, keepdims=True))"},
}
RELU_RUNS = {"Relu.forward", "Base.cut", "Relu.backward"}


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("RELU", RELU_RUNS),
        ("INSIDE", {*RELU_RUNS, "Base.__call__"}),
        ("LINEAR", {"Linear.forward", "Linear.backward"}),
        ("TAPE", {"Tensor.__mul__", "Tensor.backward"}),
    ],
)
def test_faults_of_an_adapted_layer_are_planted_in_the_library_and_killed(name, paths, write):
    write("their_library", LIBRARY)
    write("declared_layers", DECLARED)
    (findings,) = campaign([Target("declared_layers", name, None, False, 10, 0, "")])
    assert {fate.mutant.module for fate in findings.fates} == {"their_library"}
    touched = {fate.mutant.path for fate in findings.fates}
    assert touched <= paths
    assert touched >= paths - {"Relu.backward", "Base.__call__"}  # one call each: there may be nothing to plant
    assert len(findings.fates) >= 5
    survivors = {fate.mutant.plus for fate in findings.survivors}
    assert survivors == EQUIVALENT.get(name, set())


OWN = """
    import gradjury
    import numpy as np

    class Tanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, dy):
            return dy * (1 - self.y**2)

    layer = gradjury.adapt(Tanh, to="Tanh")
"""


def test_a_layer_that_is_adapted_where_it_is_written_has_its_faults_there(write):
    write("adapted_here", OWN)
    (findings,) = campaign([Target("adapted_here", "layer", None, False, 10, 0, "")])
    assert {fate.mutant.path for fate in findings.fates} == {"Tanh.forward", "Tanh.backward"}
    assert {fate.state for fate in findings.fates} == {"killed"}
