"""What cannot be adapted is refused with an error that says what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest
import styles_of_strangers as styles
from few_laws import caught, tried

import gradjury
from gradjury import adapt
from gradjury.properties.adapt import StyleError

BIASED = {"to": "Linear", "fixed": {"bias": True}}


class NoPlace(styles.Affine):
    """A tuple cannot be written to."""

    def __init__(self, in_features, out_features):
        self.table = (np.zeros((out_features, in_features)), np.zeros(out_features))

    def forward(self, x):
        return self.run(x, *self.table)

    def backward(self, dy):
        return self.slopes(dy, self.table[0])[0]


class TwoOfAShape(styles.OddNames):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.momentum = np.zeros_like(self.mat)


class BuiltOdd(NoPlace):
    """What it keeps after its first call may be a parameter or anything else."""

    def __init__(self, in_features, out_features):
        self.sizes, self.table = (out_features, in_features), None

    def forward(self, x):
        self.mat = self.table[0] if self.table else np.zeros(self.sizes)
        self.table = self.mat, np.zeros(self.sizes[0])
        return super().forward(x)


class NoGradient(styles.Attributes):
    def backward(self, dy):
        dx, self.slope, self.db = self.slopes(dy, self.W)
        return dx


class ThreeGradients(styles.Attributes):
    def backward(self, dy):
        return (*self.slopes(dy, self.W), dy)


class OneOnly:
    """A forward, and nothing else."""

    def forward(self, x):
        return x


class ConvOf:
    def __call__(self, x, weight):
        raise AssertionError


class PlainTape:
    def __call__(self, x):
        return np.tanh(x)


@pytest.mark.parametrize(
    ("layer", "declared", "said"),
    [
        (
            NoPlace,
            BIASED,
            'NoPlace keeps no weight under any of weight, W, .*name the places .* parameters={"weight": ("W", "dW")}. '
            "It has table",
        ),
        (BuiltOdd, BIASED, 'BuiltOdd keeps no weight under any of .*parameters={"weight": ("W", "dW")}. It has .*mat'),
        (
            TwoOfAShape,
            BIASED,
            "weight of shape (.*) may be any of layer.mat, layer.momentum: name the places of parameter and gradient",
        ),
        (
            NoGradient,
            BIASED,
            "NoGradient keeps no gradient of W under a name like dW or grad_W; name both: "
            'parameters={"weight": ("W", "its gradient")}. It has .*slope',
        ),
        (
            styles.InDicts,
            {**BIASED, "parameters": {"weight": "parameters.kernel", "bias": "parameters.b"}},
            "there is no kernel on the path 'parameters.kernel': layer.parameters has W, b",
        ),
        (
            styles.InLists,
            {**BIASED, "parameters": {"weight": "params.7", "bias": "params.1"}},
            "there is no 7 on the path 'params.7': layer.params has 0, 1",
        ),
        (ThreeGradients, BIASED, "answers 4 gradients for 3 inputs (x, weight, bias)"),
        (OneOnly, {"to": "Tanh"}, 'none of the styles: .*names may be given: methods=("propagate", "backpropagate")'),
        (
            (styles.tanh, lambda dy, cache: dy),
            {"to": "Tanh"},
            'tanh must answer `y, cache`; it answers .*say style="derivative"',
        ),
        (
            lambda: lambda x: (np.tanh(x), 1 - np.tanh(x) ** 2),
            {"to": "Tanh"},
            'backward is no function but .* Where it is the gradient itself, say style="value_and_grad"',
        ),
        (lambda: lambda x: (x, np.tanh), {"to": "Tanh", "style": "value_and_grad"}, 'that is style="closure"'),
        (styles.Attributes, {**BIASED, "methods": ("there", "home")}, "Attributes has no method there, which methods"),
        (styles.Attributes, {**BIASED, "reset": "zero_grad"}, "Attributes has no method zero_grad, which reset names"),
        (
            styles.Updates,
            {**BIASED, "learning_rate": "optimizer.lr"},
            "there is no optimizer on the path",
        ),
        (
            styles.Updates,
            {**BIASED, "learning_rate": "lr"},
            "Updates has no lr, which learning_rate names; it has W",
        ),
        (PlainTape, {"to": "Tanh", "tensor": np.asarray}, "without backward(): what does tensor=… make?"),
    ],
)
def test_what_a_layer_lacks(layer, declared, said):
    pattern = re.escape(said).replace(r"\.\*", ".*")
    with pytest.raises(StyleError, match=pattern):
        caught(layer, "gradients", **declared)


@pytest.mark.parametrize(
    ("declared", "error", "said"),
    [
        ({"style": "objekt"}, ValueError, "there is no style 'objekt'; the styles are closure, pair, derivative"),
        ({"style": "tape"}, ValueError, 'style="tape" needs tensor=…, what makes a tensor'),
        ({"lauoyt": "NHWC"}, TypeError, "nothing is declared by lauoyt; there are fixed, parameters"),
        ({"no_grad": ("target",)}, ValueError, "Linear has no input target; its inputs are x, weight, bias"),
        ({"parameters": {"wieght": "W"}}, ValueError, "Linear has no input wieght; its inputs are x, weight, bias"),
        ({"weight": {"kernel": "(in, out)"}}, ValueError, "Linear has no input kernel; its inputs are x, weight, bias"),
        ({"layout": "NHXC"}, ValueError, "layout='NHXC' names no order of axes; write letters .* such as 'NHWC'"),
        ({"layout": "NHW"}, ValueError, "layout='NHW' names no order of axes"),
        ({"layout": "NHHC"}, ValueError, "layout='NHHC' names no order of axes"),
        ({"layout": "NHWC", "columns": True}, ValueError, "two orders of the same axes: declare one"),
        ({"weight": "(in, inner)"}, ValueError, "is no order of a weight's axes; write '(in, out)'"),
        ({"weight": "(in, rotated out)"}, ValueError, "is no order of a weight's axes"),
        ({"weight": (1, 2)}, ValueError, "is no order of axes, such as (1, 0)"),
        ({"weight": {"weight": (0, 0)}}, ValueError, "is no order of axes, such as (1, 0)"),
        ({"averaged_over": "samples"}, ValueError, "averaged_over must be one of batch, rows, got 'samples'"),
        ({"dtype": "float16"}, ValueError, "dtype must be one of float64, float32, got 'float16'"),
        ({"fixed": {"bais": True}}, ValueError, "Linear has no option bais; its options are: in_features"),
        ({"fixed": {}}, StyleError, "does not take bias, .* fixed={'bias': True}"),
        ({"weight": 1}, ValueError, "weight=1 is no order of axes, such as (1, 0)"),
        ({"layout": 4}, ValueError, "layout=4 names no order of axes"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a number other than 0, or the path of one, got 0"),
        ({"methods": "forward"}, ValueError, 'methods must be two names, such as ("propagate", "backpropagate")'),
        (
            {"parameters": {"weight": ("W", "dW", "db")}},
            ValueError,
            'parameters must name places by input, {"weight": ("W", "dW")} or {"weight": "W"}, '
            "got ('W', 'dW', 'db') for weight",
        ),
    ],
)
def test_what_makes_no_declaration(declared, error, said):
    pattern = re.escape(said).replace(r"\.\*", ".*")
    with pytest.raises(error, match=pattern):
        caught(styles.Attributes, "gradients", **{**BIASED, **declared})


def test_order_of_axes_that_the_weight_has_not():
    with pytest.raises(StyleError, match=r"weight=\(2, 0, 1\) orders 3 axes, but torch's weight has 2"):
        caught(styles.Attributes, "gradients", weight=(2, 0, 1), **BIASED)
    fixed = {"padding_mode": "zeros", "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": False}
    with pytest.raises(StyleError, match=r"weight='\(in, out\)' has no kernel, but torch's weight has 3 axes"):
        caught(ConvOf, "gradients", to="Conv1d", weight="(in, out)", fixed=fixed)


def test_an_adapted_layer_is_not_declared_again(tmp_path):
    layer = adapt(styles.Attributes, **BIASED)
    assert tried(layer, "forward", scripts=tmp_path).passed
    for again in ({"to": "Linear"}, {"columns": True}, {"to": "Linear", "fixed": {"bias": True}}):
        said = f"Attributes is adapted already, and {', '.join(again)} with it: declare everything in gradjury.adapt"
        with pytest.raises(TypeError, match=said):
            gradjury.check_layer(layer, **again)


def test_no_contract():
    with pytest.raises(TypeError, match='to="Conv2d"'):
        gradjury.check_layer(styles.Attributes)
