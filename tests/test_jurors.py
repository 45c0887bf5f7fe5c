"""Each juror on gradients that are right, on wrong ones, and where it has to abstain."""

import mpmath
import numpy as np
import pytest
import torch
from known import ABS, RELU, TANH, TORCH_TANH, case, dtanh, elementwise, in_torch

import gradjury
from gradjury import impl
from gradjury.oracle.autograd import torch_vjp
from gradjury.oracle.finite import gaussian_direction, unit_direction
from gradjury.oracle.jurors import (
    Opinion,
    Question,
    claimed,
    complex_step,
    exactly,
    finite_differences,
    forward_mode,
    longdouble,
    taylor,
)
from gradjury.oracle.vjp import Case, ask

OF_A_LAYER = [finite_differences, longdouble, complex_step, taylor, exactly(mpmath.tanh)]
NAMES = ["finite differences", "longdouble", "complex step", "Taylor", "mpmath"]
HIGHER = [longdouble, complex_step, exactly(mpmath.tanh)]
BESIDE = ["finite differences", "longdouble", "Taylor", "mpmath"]
X = case(x=[0.3, -0.7, 1.2], dy=[1.0, -2.0, 0.5])


def question(vjp, c, factor, rival=1.0, direction=None):
    """Whether `factor` times the right gradient is right; the other side claims `rival` times it."""
    direction = direction or gaussian_direction(c, np.random.default_rng(0), c.differentiable)
    right = claimed(ask(vjp, c).gradients, direction)
    return Question(vjp, c, direction, factor * right, rival * right)


@pytest.mark.parametrize("juror", OF_A_LAYER, ids=NAMES)
@pytest.mark.parametrize("off", [1e-2, 1e-5])
def test_jurors_agree_with_the_derivative_and_with_nothing_else(juror, off):
    assert juror(question(TANH, X, 1, rival=1 + off)).opinion is Opinion.AGREES
    assert juror(question(TANH, X, 1 + off)).opinion is Opinion.DISAGREES


@pytest.mark.parametrize("off", [1e-2, 1e-5, 1e-12])
def test_forward_mode_judges_torch(off):
    assert forward_mode(question(TORCH_TANH, X, 1, rival=1 + off)).opinion is Opinion.AGREES
    assert forward_mode(question(TORCH_TANH, X, 1 + off)).opinion is Opinion.DISAGREES


@pytest.mark.parametrize("juror", HIGHER, ids=["longdouble", "complex", "mpmath"])
def test_jurors_of_higher_precision_see_what_finite_differences_cannot(juror):
    assert finite_differences(question(TANH, X, 1, rival=1 + 1e-11)).opinion is Opinion.ABSTAINS
    assert juror(question(TANH, X, 1, rival=1 + 1e-11)).opinion is Opinion.AGREES
    assert juror(question(TANH, X, 1 + 1e-11)).opinion is Opinion.DISAGREES


@pytest.mark.parametrize("juror", [*OF_A_LAYER[:-1], exactly(lambda x: abs(x))], ids=NAMES)
@pytest.mark.parametrize("claim", [-1.0, 0.0, 1.0])
def test_jurors_abstain_at_a_kink(juror, claim):
    c = case(x=[0.0, 2.0])
    direction = unit_direction(c, "x", (0,))
    vote = juror(Question(ABS, c, direction, claim, 0.5))
    assert vote.opinion is Opinion.ABSTAINS
    assert vote.reason


@pytest.mark.parametrize("juror", [finite_differences, longdouble, taylor, exactly(lambda x: max(x, 0))], ids=BESIDE)
def test_jurors_see_beside_a_kink(juror):
    c = case(x=[0.5, -2.0])
    assert juror(question(RELU, c, 1, rival=2)).opinion is Opinion.AGREES
    assert juror(question(RELU, c, 2)).opinion is Opinion.DISAGREES


def test_complex_step_abstains_where_the_forward_is_not_analytic_as_written():
    written = elementwise(lambda x: np.tanh(x.real + 0 * x.imag) + 0 * x, dtanh)
    assert "not analytic" in complex_step(question(written, X, 2)).reason
    real = elementwise(lambda x: np.abs(x) ** 2, lambda x: 2 * x)
    assert "real" in complex_step(question(real, X, 2)).reason


def refuses(kind):
    def layer(x):
        if x.dtype.kind == kind or (kind == "g" and x.dtype == np.longdouble):
            raise TypeError("no such numbers here")
        return np.tanh(x), lambda dy: {"x": dy * dtanh(x)}

    return layer


def test_jurors_abstain_where_the_layer_refuses_their_numbers():
    assert "no such numbers" in complex_step(question(refuses("c"), X, 1)).reason
    assert "no such numbers" in longdouble(question(refuses("g"), X, 1)).reason
    single = elementwise(lambda x: np.tanh(x.astype(np.float64)), dtanh)
    assert "float64" in longdouble(question(single, X, 1)).reason


class NoForwardMode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, dy):
        return dy * 2


def test_forward_mode_abstains_where_torch_has_none():
    vote = forward_mode(question(in_torch(NoForwardMode.apply), X, 1, rival=2))
    assert vote.opinion is Opinion.ABSTAINS
    assert "torch has none here" in vote.reason
    assert forward_mode(question(TANH, X, 1)).opinion is Opinion.ABSTAINS


def test_taylor_remainder_of_a_linear_function_is_rounding_alone():
    linear = elementwise(lambda x: 3 * x, lambda x: np.full_like(x, 3))
    assert taylor(question(linear, X, 1, rival=1.01)).opinion is Opinion.AGREES
    assert taylor(question(linear, X, 1.01)).opinion is Opinion.DISAGREES


def smooth_case(name: str, seed: int) -> tuple[Case, object]:
    """A case of random numbers for a layer of ours in one fixed configuration, and torch's side of it."""
    rng = np.random.default_rng(seed)
    config, shapes = CONFIGURATIONS[name]
    inputs = {n: rng.standard_normal(s) for n, s in shapes.items()}
    contract = gradjury.contracts.ALL[name]
    reference = torch_vjp(contract.reference.bind(config), tuple(inputs))
    y, _ = reference(**inputs)
    return Case(config, inputs, (rng.standard_normal(np.shape(y)),), tuple(inputs)), reference


CONFIGURATIONS = {
    "ReLU": ({}, {"x": (3, 4)}),
    "LeakyReLU": ({"negative_slope": 0.25}, {"x": (3, 4)}),
    "Sigmoid": ({}, {"x": (3, 4)}),
    "Tanh": ({}, {"x": (3, 4)}),
    "Softmax": ({"dim": 1}, {"x": (3, 4)}),
    "LogSoftmax": ({"dim": 1}, {"x": (3, 4)}),
    "Flatten": ({}, {"x": (2, 3, 4)}),
    "Linear": ({"in_features": 4, "out_features": 3}, {"x": (2, 4), "weight": (3, 4), "bias": (3,)}),
    "Conv2d": (
        {"in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 2},
        {"x": (2, 2, 5, 5), "weight": (3, 2, 2, 2), "bias": (3,)},
    ),
    "MaxPool2d": ({"kernel_size": 2}, {"x": (2, 2, 4, 4)}),
    "AvgPool2d": ({"kernel_size": 2}, {"x": (2, 2, 4, 4)}),
    "MSELoss": ({}, {"x": (3, 4), "target": (3, 4)}),
    "Add": ({}, {"x": (3, 4), "other": (4,)}),
    "Multiply": ({}, {"x": (3, 4), "other": (4,)}),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_juror_contradicts_our_layers_or_torch_and_most_see_them(name):
    jurors = [finite_differences, taylor, longdouble, complex_step]
    scalar = gradjury.contracts.ALL[name].scalar
    jurors += [] if scalar is None else [exactly(scalar)]
    for seed in range(3):
        c, reference = smooth_case(name, seed)
        layer = getattr(impl, name)(**c.config)
        votes = [juror(question(layer, c, 1, rival=1.001)) for juror in jurors]
        votes.append(forward_mode(question(reference, c, 1, rival=1.001)))
        opinions = [vote.opinion for vote in votes]
        assert Opinion.DISAGREES not in opinions, votes
        assert opinions.count(Opinion.AGREES) >= 3, votes
        against = [juror(question(layer, c, 1.001)) for juror in jurors]
        assert Opinion.AGREES not in [vote.opinion for vote in against], against
        assert [vote.opinion for vote in against].count(Opinion.DISAGREES) >= 2, against
