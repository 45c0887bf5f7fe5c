"""What `gradjury init` makes of a source: which styles it sees, which contracts it guesses, which rates it asks for."""

from __future__ import annotations

import ast
import textwrap

import pytest

import gradjury
from gradjury.properties.scaffold.naming import guess_contract
from gradjury.properties.scaffold.reading import Style, find_layers
from gradjury.properties.scaffold.sources import Module


def seen(source, module="m"):
    return [
        (found.name, str(found.style)) for found in find_layers([Module(module, ast.parse(textwrap.dedent(source)))])
    ]


@pytest.mark.parametrize(
    ("style", "source"),
    [
        (
            "closure",
            """
            class L:
                def __call__(self, x):
                    return x, lambda dy: dy
            """,
        ),
        (
            "closure",
            """
            def L(in_features):
                def layer(x, w):
                    def backward(dy): return dy
                    return x @ w, backward
                return layer
            """,
        ),
        (
            "pair",
            """
            class L:
                def forward(self, x): return x, x > 0
                def backward(self, dy, cache): return dy * cache
            """,
        ),
        (
            "pair",
            """
            class L:
                @staticmethod
                def forward(x): return x, x
                @staticmethod
                def backward(dy, x): return dy * x
            """,
        ),
        (
            "object",
            """
            class L:  # two cotangents, no cache
                def forward(self, x, h): return x, h
                def backward(self, dy, dh): return dy, dh
            """,
        ),
        (
            "object",
            """
            class L:  # adds to its gradients, and changes what its forward keeps
                def forward(self, x):
                    self.x = x
                    return x @ self.W.data
                def backward(self, dy):
                    self.x = self.x - self.x.mean()
                    self.W.grad = self.W.grad + self.x.T @ dy
                    self.dW += self.x.T @ dy
                    return dy @ self.W.data.T
            """,
        ),
        (
            "updating",
            """
            class L:
                def forward(self, x): return x @ self.W
                def backward(self, dy, learning_rate): return dy
            """,
        ),
        (
            "updating",
            """
            class L:
                def forward(self, x): return x @ self.params["W"]
                def backward(self, dy):
                    self.params["W"] = self.params["W"] - 0.1 * self.x.T @ dy
                    return dy
            """,
        ),
        (
            "updating",
            """
            class Base:
                def forward(self, x): return x @ self.W
                def backward(self, dy): raise NotImplementedError
                def step(self, dW): self.W += -self.lr * dW
            class L(Base):
                def backward(self, dy):
                    self.step(dy)
                    return dy
            """,
        ),
        (
            "derivative",
            """
            class Base:
                def __call__(self, x): return self.fn(x)
                def fn(self, x): raise NotImplementedError
            class L(Base):
                def fn(self, x): return x
                def grad(self, x): return 1
            """,
        ),
        (
            "derivative",
            """
            def L(x): return x
            def d_L(x): return 1
            """,
        ),
        (
            "tape",
            """
            class Tensor:
                def __init__(self, data): self.data, self.grad = data, None
                def backward(self): self.grad = 1
            class Module:
                def __call__(self, *args): return self.forward(*args)
                def forward(self, *args): raise NotImplementedError
            class L(Module):
                def forward(self, x): return x.relu()
            """,
        ),
    ],
)
def test_a_style_is_told_from_the_source(style, source):
    tensor = "class Tensor" in source
    assert seen(source) == [("L", style)]
    if tensor:
        assert find_layers([Module("m", ast.parse(textwrap.dedent(source)))])[0].tensor == ("m", "Tensor")


@pytest.mark.parametrize(
    "source",
    [
        "def mse_loss(x, y):\n dx = x - y\n return (dx ** 2).mean(), dx",
        "def mse_loss(x, y): return ((x - y) ** 2).mean(), 2 * (x - y) / x.size",
        "class mse_loss:\n def __call__(self, x, y):\n  grad = x - y\n  return (grad ** 2).mean(), grad",
    ],
    ids=["function", "expression", "class"],
)
def test_a_loss_that_answers_its_gradient_too_is_told_from_the_source(source):
    assert seen(source) == [("mse_loss", "value_and_grad")]


@pytest.mark.parametrize(
    "source",
    [
        "class _Layer:\n def forward(self, x): return x\n def backward(self, dy): return dy",
        "class Layer:\n def forward(self, x): pass\n def backward(self, dy): raise NotImplementedError('say how')",
        "class Net(BaseModel):\n def forward(self, x): return x\n def backward(self, dy): return dy",
        "class ReLU(Function):\n def forward(ctx, x): return x\n def backward(ctx, dy): return dy",
        "class Adam(Optimizer):\n def __call__(self, p): return p\n def grad(self, p): return p",
        "class Loss:\n def __call__(self, y, t): return y\n def grad(self, y, t, z, f): return y",
        "def timed(f):\n def wrapper(x): return f(x)\n return wrapper",
        "def scale(x): return x\ndef scale_grad(dy, x): return dy",
        "def split(x): return x, x / 2",
    ],
    ids=["private", "abstract", "model", "operation", "optimizer", "other arguments", "decorator", "product", "two"],
)
def test_what_is_no_layer_is_not_listed(source):
    assert seen(source) == []


@pytest.mark.parametrize(
    ("name", "contract"),
    [
        ("Dense", "Linear"),
        ("FullyConnectedLayer", "Linear"),
        ("MyLinear", "Linear"),
        ("Conv2D", "Conv2d"),
        ("Convolution", "Conv2d"),
        ("Conv2DTranspose", "ConvTranspose2d"),
        ("Deconv1D", "ConvTranspose1d"),
        ("MaxPooling2D", "MaxPool2d"),
        ("MaxPool", "MaxPool2d"),
        ("AveragePooling1D", "AvgPool1d"),
        ("BatchNormalization", "BatchNorm1d"),
        ("BatchNorm2D", "BatchNorm2d"),
        ("LayerNorm1D", "LayerNorm"),
        ("LayerNormalization", "LayerNorm"),
        ("TransformerEncoderLayer", "TransformerEncoderLayer"),
        ("MultiHeadAttention", "MultiheadAttention"),
        ("SigmoidActivation", "Sigmoid"),
        ("leaky_relu", "LeakyReLU"),
        ("Swish", "SiLU"),
        ("MeanSquaredError", "MSELoss"),
        ("MseLoss", "MSELoss"),
        ("CategoricalCrossentropy", "CrossEntropyLoss"),
        ("BinaryCrossentropy", "BCELoss"),
        ("softmax_loss", "CrossEntropyLoss"),
        ("Huber", "HuberLoss"),
        ("Loss", None),
        ("Activation", None),
        ("Wavelet", None),
    ],
)
def test_a_contract_is_guessed_from_the_name(name, contract):
    assert guess_contract(name, Style.OBJECT, gradjury.contracts.ALL) == contract


def test_a_linear_activation_is_the_identity():
    assert guess_contract("Linear", Style.DERIVATIVE, gradjury.contracts.ALL) == "Identity"


@pytest.mark.parametrize(
    ("backward", "rate"),
    [
        ("def backward(self, dy, lr): return dy", ""),
        ("def backward(self, dy, lr=0.01): return dy", "0.01"),
        ("def backward(self, dy, lr=RATE): return dy", ""),
        ("def backward(self, dy): self.W -= self.net.lr * dy", '"net.lr"'),
        ("def backward(self, dy): self.W -= self.nets[0].lr * dy", ""),
        ("def backward(self, dy): self.W -= 0.1 * dy", ""),
    ],
)
def test_the_learning_rate_is_said_where_gradjury_has_to_know_it(backward, rate):
    source = f"class Dense:\n def forward(self, x): return x @ self.W\n {backward}"
    found = find_layers([Module("m", ast.parse(source))])
    assert [(f.style, f.rate) for f in found] == [(Style.UPDATING, rate)]
