"""The referee on one planted case of each kind."""

import numpy as np
import pytest
import torch
from known import (
    TANH,
    TORCH_RELU,
    TORCH_TANH,
    case,
    dtanh,
    elementwise,
    in_torch,
)

from gradjury.oracle.budget import Reference
from gradjury.oracle.compare import compare
from gradjury.oracle.referee import Fault, judge_gradient, judge_output
from gradjury.oracle.vjp import ask

X = case(x=[0.3, -0.7, 1.2], dy=[1.0, -2.0, 0.5])


def test_referee_finds_a_wrong_forward_with_the_right_derivative_of_it():
    verdict = judge_output(elementwise(np.sin, np.cos), TORCH_TANH, X, 0, (0,))
    assert verdict.fault is Fault.FORWARD
    assert "is the derivative of that forward" in verdict.sentence
    assert judge_gradient(elementwise(np.sin, np.cos), TORCH_TANH, X, "x", (2,)).fault is Fault.FORWARD


def test_referee_finds_a_wrong_forward_with_a_backward_that_is_not_its_own():
    verdict = judge_output(elementwise(np.sin, dtanh), TORCH_TANH, X, 0, (0,))
    assert verdict.fault is Fault.FORWARD
    assert "is not the derivative" in verdict.sentence


@pytest.mark.parametrize(
    ("layer", "torch_side", "x"),
    [
        (elementwise(np.sin, np.cos), TORCH_TANH, 0.7),
        (elementwise(np.square, lambda x: 2 * x), in_torch(lambda x: x**3), 2.0),
    ],
    ids=["sin for tanh", "square for cube"],
)
def test_wrong_forward_of_a_single_element_is_no_convention(layer, torch_side, x):
    # One element is always some multiple of another.
    assert judge_output(layer, torch_side, case(x=[x]), 0, (0,)).fault is Fault.FORWARD


def test_zeros_for_output_and_gradient_are_no_convention():
    assert judge_output(elementwise(np.zeros_like, np.zeros_like), TORCH_TANH, X, 0, (0,)).fault is Fault.FORWARD


@pytest.mark.parametrize("gradients", [{}, {"x": None}, {"x": 1.0}], ids=["missing", "None", "a float"])
def test_referee_bears_a_backward_that_answers_no_array(gradients):
    def layer(x):
        return np.sin(x), lambda dy: gradients

    assert judge_output(layer, TORCH_TANH, X, 0, (0,)).fault is Fault.FORWARD


def test_referee_finds_a_wrong_backward():
    verdict = judge_gradient(elementwise(np.tanh, lambda x: 1 - np.tanh(x)), TORCH_TANH, X, "x", (1,))
    assert verdict.fault is Fault.BACKWARD
    assert "torch's gradient is confirmed" in verdict.sentence


@pytest.mark.parametrize(("factor", "shown"), [(2, "2"), (-1 / 3, "-1/3"), (1 / 12, "1/12")])
def test_referee_names_the_factor_of_another_convention(factor, shown):
    layer = elementwise(lambda x: factor * np.tanh(x), lambda x: factor * dtanh(x))
    verdict = judge_output(layer, TORCH_TANH, X, 0, (0,))
    assert verdict.fault is Fault.CONVENTION
    assert f" {shown} times torch's" in verdict.sentence


class MistakenTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * (1 - y)


def test_referee_finds_torch_wrong():
    verdict = judge_gradient(TANH, in_torch(lambda x: MistakenTanh.apply(x)), X, "x", (1,))
    assert verdict.fault is Fault.TORCH


def test_referee_calls_another_gradient_at_a_kink_a_convention():
    passes = elementwise(lambda x: np.maximum(x, 0), lambda x: (x >= 0).astype(x.dtype))
    assert judge_gradient(passes, TORCH_RELU, case(x=[0.0, 1.0]), "x", (0,)).fault is Fault.CONVENTION


def test_referee_finds_digits_lost_in_single_precision():
    def variance(x):  # E[x²] - (E x)²
        mean = x.mean()
        return np.asarray((x * x).mean() - mean * mean), lambda dy: {"x": 2 / x.dtype.type(x.size) * (x - mean) * dy}

    c = case(np.float32, x=1000 + np.random.default_rng(0).standard_normal(8), dy=1.0)
    reference = in_torch(lambda x: x.var(unbiased=False))
    assert not compare(ask(variance, c).outputs[0], Reference(reference, c).expected(0)).agrees
    assert judge_output(variance, reference, c, 0, ()).fault is Fault.PRECISION


def test_referee_finds_digits_lost_by_the_backward_in_single_precision():
    def rounded(x):
        return np.tanh(x), lambda dy: {"x": dy * dtanh(x.astype("f2") if x.dtype == "f4" else x).astype(x.dtype)}

    c = X.astype(np.float32)
    found = compare(ask(rounded, c).gradients["x"], Reference(TORCH_TANH, c).expected("x"))
    assert not found.agrees
    assert judge_gradient(rounded, TORCH_TANH, c, "x", found.index).fault is Fault.PRECISION


def test_referee_does_not_decide_without_a_second_opinion():
    def single_only(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.sin(x), lambda dy: {"x": dy * np.cos(x)}

    c = X.astype(np.float32)
    assert judge_output(single_only, TORCH_TANH, c, 0, (0,)).fault is Fault.UNDECIDED
    assert judge_gradient(single_only, TORCH_TANH, c, "x", (0,)).fault is Fault.UNDECIDED
