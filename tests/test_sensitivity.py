"""An error in a single element of a gradient is caught in arrays of 16 to 4,096 elements, on smooth layers.

1e-9 of the array's largest magnitude in float64, 1e-5 in float32: once in an element chosen at random, once in the one
that the judge allows most.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import gradjury
from gradjury import impl
from gradjury.oracle.autograd import deterministic_torch
from gradjury.oracle.vjp import Case
from gradjury.properties.adapt import Layer
from gradjury.properties.laws.agreement import judge_gradients
from gradjury.properties.laws.law import Bench, Broken

SIZES = (16, 64, 256, 1024, 4096)
SEEDS = range(4)
ERRORS = {"float64": 1e-9, "float32": 1e-5}

# side: the length of x's two axes, or of its last two.
LAYERS = {
    "Linear": lambda side: ({"in_features": side, "out_features": side}, (side, side), {"weight": (side, side)}),
    "Conv2d": lambda side: (
        {"in_channels": 1, "out_channels": 4, "kernel_size": 3},
        (1, 1, side, side),
        {"weight": (4, 1, 3, 3), "bias": (4,)},
    ),
    "Tanh": lambda side: ({}, (side, side), {}),
    "Sigmoid": lambda side: ({}, (side, side), {}),
    "Softmax": lambda side: ({"dim": -1}, (side, side), {}),
    "LogSoftmax": lambda side: ({"dim": -1}, (side, side), {}),
    "AvgPool2d": lambda side: ({"kernel_size": 2}, (1, 1, side, side), {}),
    "MSELoss": lambda side: ({}, (side, side), {"target": (side, side)}),
    "CrossEntropyLoss": lambda side: ({}, (side, side), {}),
    "Multiply": lambda side: ({}, (side, side), {"other": (side, side)}),
}


def bench_and_case(name, size, dtype, seed):
    """A layer of ours, and standard normal numbers for it; x has `size` elements."""
    side = math.isqrt(size)
    config, shape, others = LAYERS[name](side)
    rng = np.random.default_rng([seed, size])
    inputs = {n: rng.standard_normal(s).astype(dtype) for n, s in {"x": shape, **others}.items()}
    if name == "Linear":
        config = {**config, "bias": False}
    names = tuple(inputs)
    if name == "CrossEntropyLoss":
        inputs["target"] = rng.integers(0, side, side)
    layer = Layer(getattr(impl, name), gradjury.contracts.get(name), {}, {})
    bench = Bench(layer.contract, layer.build(config), config, layer.build)
    y = bench.layer(**inputs)[0]
    return bench, Case(config, inputs, (rng.standard_normal(y.shape).astype(dtype),), names)


def missed(bench, case, name, index, error):
    """Whether the judge lets the layer's own answer pass with this one element off."""
    outputs, backward = bench.forward(case)

    def off(*dy):
        gradients = dict(backward(*dy))
        wrong = gradients[name].copy()
        wrong[index] += error * np.abs(wrong).max()
        return {**gradients, name: wrong}

    class Off:
        def __call__(self, **inputs):
            return outputs[0], off

    tampered = Bench(bench.contract, Off(), bench.config, bench.make, _references=bench._references)
    try:
        judge_gradients(tampered, case)
    except Broken as broken:
        return broken.what != f"gradient of {name}"
    return True


def judged(name, size, dtype, choose):
    """The gradients, by name and seed, in which an error was missed."""
    found = []
    with deterministic_torch():
        for seed in SEEDS:
            bench, case = bench_and_case(name, size, dtype, seed)
            judge_gradients(bench, case)
            for gradient in case.differentiable:
                index = choose(bench.reference(case).expected(gradient), np.random.default_rng([seed, 1]))
                if missed(bench, case, gradient, index, ERRORS[dtype]):
                    found.append((gradient, seed, index))
    return found


EVERY = pytest.mark.parametrize(("name", "size", "dtype"), list(itertools.product(LAYERS, SIZES, ERRORS)))


@EVERY
def test_an_error_in_one_random_element_is_caught(name, size, dtype):
    assert not judged(name, size, dtype, lambda e, rng: tuple(int(rng.integers(n)) for n in e.value.shape))


@EVERY
def test_an_error_in_the_element_that_is_allowed_most_is_caught(name, size, dtype):
    assert not judged(name, size, dtype, lambda e, rng: np.unravel_index(int(e.budget.argmax()), e.value.shape))
