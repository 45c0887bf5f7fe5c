"""What our layers refuse, and in which words: who refuses, which argument, and never from inside NumPy."""

import traceback
from itertools import pairwise
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from calls import GOOD, REAL, ids, ones
from hypothesis import HealthCheck, Phase

from gradjury import contracts, impl
from gradjury.impl import (
    SGD,
    Adam,
    AdamW,
    Add,
    AvgPool2d,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    MSELoss,
    Multiply,
    ReLU,
    Sequential,
    Softmax,
)
from gradjury.oracle.autograd import deterministic_torch
from gradjury.properties.adapt import Layer
from gradjury.properties.laws.law import Bench
from gradjury.properties.laws.refusal import damaged, torch_refusal

ROOM = Path(impl.__file__).parent


def conv(*, padding=0, padding_mode="zeros", **changed):
    _, inputs = GOOD["Conv2d"]
    return Conv2d(2, 3, 2, padding=padding, padding_mode=padding_mode)(**{**inputs, **changed})


# A bad call, the type of the exception, and a word of the message behind the layer's name.
BAD = [
    ("LeakyReLU", lambda: LeakyReLU("steep"), TypeError, "negative_slope"),
    ("Softmax", lambda: Softmax(2)(ones(2, 3)), IndexError, "dim"),
    ("Softmax", lambda: Softmax(-2)(ones()), IndexError, "dim"),
    ("Softmax", lambda: Softmax("rows")(ones(2)), TypeError, "dim"),
    # torch takes no truth value for a number.
    ("Softmax", lambda: Softmax(True)(ones(2, 3)), TypeError, "dim"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, groups=True), TypeError, "groups"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, stride=(1, True)), TypeError, "stride"),
    ("LogSoftmax", lambda: LogSoftmax(-3)(ones(2, 3)), IndexError, "dim"),
    ("LogSoftmax", lambda: LogSoftmax(0.5)(ones(2)), TypeError, "dim"),
    ("Flatten", lambda: Flatten(3)(ones(2, 3)), IndexError, "start_dim"),
    ("Flatten", lambda: Flatten("first")(ones(2, 3)), TypeError, "start_dim"),
    ("Flatten", lambda: Flatten(0, 2)(ones(2, 3)), IndexError, "end_dim"),
    ("Flatten", lambda: Flatten(0, 1.0)(ones(2, 3)), TypeError, "end_dim"),
    ("Flatten", lambda: Flatten(1, 0)(ones(2, 3)), ValueError, "start_dim"),
    ("Add", lambda: Add()(ones(2), ones(3)), ValueError, "other"),
    ("Multiply", lambda: Multiply()(ones(2, 3), ones(2)), ValueError, "other"),
    ("Linear", lambda: Linear(2.5, 1), TypeError, "in_features"),
    ("Linear", lambda: Linear(-1, 1), ValueError, "in_features"),
    ("Linear", lambda: Linear(1, "3"), TypeError, "out_features"),
    ("Linear", lambda: Linear(1, -2), ValueError, "out_features"),
    ("Linear", lambda: Linear(2, 3)(ones(4), ones(3, 2), ones(3)), ValueError, "x"),
    ("Linear", lambda: Linear(1, 3)(ones(), ones(3, 1), ones(3)), ValueError, "x"),
    ("Linear", lambda: Linear(2, 3)(ones(2), ones(2, 3), ones(3)), ValueError, "weight"),
    ("Linear", lambda: Linear(2, 3)(ones(2), ones(3, 2), ones(1)), ValueError, "bias"),
    ("Linear", lambda: Linear(2, 3)(ones(2), ones(3, 2)), ValueError, "bias"),
    ("Linear", lambda: Linear(2, 3, bias=False)(ones(2), ones(3, 2), ones(3)), ValueError, "bias"),
    ("Conv2d", lambda: Conv2d(0, 1, 1), ValueError, "in_channels"),
    ("Conv2d", lambda: Conv2d(1.5, 1, 1), TypeError, "in_channels"),
    ("Conv2d", lambda: Conv2d(3, 2, 1, groups=2), ValueError, "in_channels"),
    ("Conv2d", lambda: Conv2d(1, 0, 1), ValueError, "out_channels"),
    ("Conv2d", lambda: Conv2d(2, 3, 1, groups=2), ValueError, "out_channels"),
    ("Conv2d", lambda: Conv2d(1, 1, 0), ValueError, "kernel_size"),
    ("Conv2d", lambda: Conv2d(1, 1, "2"), TypeError, "kernel_size"),
    ("Conv2d", lambda: Conv2d(1, 1, (2,)), ValueError, "kernel_size"),
    ("Conv2d", lambda: Conv2d(1, 1, (2, 2, 2)), ValueError, "kernel_size"),
    ("Conv2d", lambda: Conv2d(1, 1, (2, 2.5)), TypeError, "kernel_size"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, stride=0), ValueError, "stride"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, stride=None), TypeError, "stride"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, padding=-1), ValueError, "padding"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, padding="full"), ValueError, "padding"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, padding=(0, 1, 2)), ValueError, "padding"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, padding=(1,), padding_mode="reflect"), ValueError, "padding"),
    ("Conv2d", lambda: Conv2d(1, 1, 2, stride=(1, 2), padding="same"), ValueError, "padding"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, dilation=0), ValueError, "dilation"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, groups=0), ValueError, "groups"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, groups="all"), TypeError, "groups"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, padding_mode="mirror"), ValueError, "padding_mode"),
    ("Conv2d", lambda: conv(x=ones(4, 4)), ValueError, "x"),
    ("Conv2d", lambda: conv(x=ones(1, 1, 2, 4, 4)), ValueError, "x"),
    ("Conv2d", lambda: conv(x=ones(3, 4, 4)), ValueError, "x"),
    ("Conv2d", lambda: conv(weight=ones(3, 2, 2)), ValueError, "weight"),
    ("Conv2d", lambda: conv(weight=ones(2, 3, 2, 2)), ValueError, "weight"),
    ("Conv2d", lambda: conv(bias=ones(1)), ValueError, "bias"),
    ("Conv2d", lambda: conv(bias=None), ValueError, "bias"),
    ("Conv2d", lambda: Conv2d(1, 1, 1, bias=False)(ones(1, 2, 2), ones(1, 1, 1, 1), ones(1)), ValueError, "bias"),
    ("Conv2d", lambda: conv(x=ones(2, 1, 4)), ValueError, "kernel"),
    ("Conv2d", lambda: conv(x=ones(2, 2, 4), padding=2, padding_mode="reflect"), ValueError, "padding"),
    ("Conv2d", lambda: conv(x=ones(2, 2, 4), padding=3, padding_mode="circular"), ValueError, "padding"),
    ("Conv2d", lambda: conv(x=ones(2, 4, 0), padding=1, padding_mode="replicate"), ValueError, "empty axis"),
    ("Conv2d", lambda: conv(x=ones(2, 4, 0), padding=1), ValueError, "empty axis"),
    *(
        (name, call, error, word)
        for name, pool in (("MaxPool2d", MaxPool2d), ("AvgPool2d", AvgPool2d))
        for call, error, word in (
            (lambda pool=pool: pool(0), ValueError, "kernel_size"),
            (lambda pool=pool: pool(2.0), TypeError, "kernel_size"),
            (lambda pool=pool: pool((2, 2, 2)), ValueError, "kernel_size"),
            (lambda pool=pool: pool(2, stride=0), ValueError, "stride"),
            (lambda pool=pool: pool(2, stride="2"), TypeError, "stride"),
            (lambda pool=pool: pool(2, padding=-1), ValueError, "padding"),
            (lambda pool=pool: pool(3, padding=2), ValueError, "padding"),
            (lambda pool=pool: pool((2, 4), padding=2), ValueError, "padding"),
            (lambda pool=pool: pool(2)(ones(4, 4)), ValueError, "x"),
            (lambda pool=pool: pool(2)(ones(1, 1, 1, 4, 4)), ValueError, "x"),
            (lambda pool=pool: pool(2)(ones(1, 0, 4, 4)), ValueError, "x"),
            (lambda pool=pool: pool(2)(ones(0, 4, 4)), ValueError, "x"),
            (lambda pool=pool: pool(5)(ones(1, 4, 4)), ValueError, "window"),
        )
    ),
    ("MaxPool2d", lambda: MaxPool2d(2, dilation=0), ValueError, "dilation"),
    ("MaxPool2d", lambda: MaxPool2d(2, dilation=(1, 1, 1)), ValueError, "dilation"),
    ("MaxPool2d", lambda: MaxPool2d(2, dilation=4)(ones(1, 4, 4)), ValueError, "dilation"),
    ("AvgPool2d", lambda: AvgPool2d(2, divisor_override=0), ValueError, "divisor_override"),
    ("AvgPool2d", lambda: AvgPool2d(2, divisor_override=1.5), TypeError, "divisor_override"),
    ("MSELoss", lambda: MSELoss("average"), ValueError, "reduction"),
    ("MSELoss", lambda: MSELoss()(ones(2), ones(3)), ValueError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss(reduction="average"), ValueError, "reduction"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss(ignore_index=0.5), TypeError, "ignore_index"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss(label_smoothing=-0.1), ValueError, "label_smoothing"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss(label_smoothing=1.1), ValueError, "label_smoothing"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss(label_smoothing="much"), TypeError, "label_smoothing"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(), ids()), ValueError, "x"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 0), ids(2, fill=-100)), ValueError, "class"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ids(2), ones(2)), ValueError, "weight"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ids(3)), ValueError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ids(2, 1)), ValueError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ones(2)), ValueError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ids(2) == 0), TypeError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ones(2, 3).astype("f4")), TypeError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ids(2, fill=3)), IndexError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss()(ones(2, 3), ids(2, fill=-1)), IndexError, "target"),
    ("CrossEntropyLoss", lambda: CrossEntropyLoss(0)(ones(2, 3), ones(2, 3)), ValueError, "ignore_index"),
    ("Sequential", lambda: Sequential(ReLU())(ones(2), **{"1.weight": ones(2)}), ValueError, "1.weight"),
    ("Sequential", lambda: Sequential(ReLU())(ones(2), weight=ones(2)), ValueError, "weight"),
    ("SGD", lambda: SGD(-0.1), ValueError, "lr"),
    ("SGD", lambda: SGD(float("nan")), ValueError, "lr"),
    ("SGD", lambda: SGD("fast"), TypeError, "lr"),
    ("SGD", lambda: SGD(momentum=-1.0), ValueError, "momentum"),
    ("SGD", lambda: SGD(nesterov=True), ValueError, "nesterov"),
    ("SGD", lambda: SGD(momentum=0.9, dampening=0.1, nesterov=True), ValueError, "nesterov"),
    ("SGD", lambda: SGD(maximize=1), TypeError, "maximize"),
    ("Adam", lambda: Adam(betas=0.9), ValueError, "betas"),
    ("Adam", lambda: Adam(betas=(0.9, 1.0)), ValueError, "betas"),
    ("AdamW", lambda: AdamW(eps=-1.0), ValueError, "eps"),
]


def assert_ours(error, layer):
    """Raised by a line of impl itself, in the form `Layer: what is wrong`."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert Path(last.filename).parent == ROOM, f"{last}: {error!r}"
    assert isinstance(error, ValueError | TypeError | IndexError)
    assert str(error).startswith(f"{layer}: "), f"{last}: {error!r}"


@pytest.mark.parametrize(
    ("layer", "call", "error", "word"), [pytest.param(*row, id=f"{row[0]}-{n}-{row[3]}") for n, row in enumerate(BAD)]
)
def test_bad_call_is_refused_by_name(layer, call, error, word):
    with pytest.raises(error, match=rf"\b{word}\b") as caught:
        call()
    assert_ours(caught.value, layer)


def test_every_layer_has_a_good_call():
    assert sorted(GOOD) == sorted(contracts.ALL)


@pytest.mark.parametrize(("layer", "argument"), REAL)
@pytest.mark.parametrize("dtype", ["int64", "bool", "str"])
def test_anything_but_floating_point_is_refused(layer, argument, dtype):
    call, inputs = GOOD[layer]
    with pytest.raises(TypeError, match=rf"\b{argument}\b") as caught:
        call(**{**inputs, argument: inputs[argument].astype(dtype)})
    assert_ours(caught.value, layer)


# All but the first, whose precision is the one that the others must have.
@pytest.mark.parametrize(("layer", "argument"), [(a, b) for (first, _), (a, b) in pairwise(REAL) if a == first])
def test_mixed_precision_is_refused(layer, argument):
    call, inputs = GOOD[layer]
    with pytest.raises(TypeError, match=rf"\b{argument}\b") as caught:
        call(**{**inputs, argument: inputs[argument].astype("float32")})
    assert_ours(caught.value, layer)


# "Flat" has an axis more, for an output of one axis is flat already.
CHANGES = [lambda a: a[None], lambda a: a.reshape(-1, *(1,) * a.ndim), lambda a: np.atleast_1d(a)[..., :0]]


@pytest.mark.parametrize("layer", GOOD)
@pytest.mark.parametrize("change", CHANGES, ids=["longer", "flat", "empty"])
def test_cotangent_of_another_shape_is_refused(layer, change):
    call, inputs = GOOD[layer]
    y, backward = call(**inputs)
    cotangents = [np.ones_like(part) for part in (y if isinstance(y, tuple) else (y,))]
    for number, dy in enumerate(cotangents):
        with pytest.raises(ValueError, match=r"\bd(y|h_\w|c_\w)\b") as caught:
            backward(*cotangents[:number], change(dy), *cotangents[number + 1 :])
        assert_ours(caught.value, layer)


@pytest.mark.filterwarnings("ignore")  # what torch and NumPy think of the damaged input
@pytest.mark.parametrize("name", contracts.ALL)
def test_every_refusal_of_damaged_input_is_our_own(name):
    contract = contracts.get(name)
    layer = Layer(getattr(impl, name), contract, {}, {})
    refused = []

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=40,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(contract.situations())
    def judged(situation):
        bench = Bench(contract, layer.build(situation.config), situation.config, layer.build)
        case = situation.case(0)
        rng = np.random.default_rng(situation.seed)
        for _ in range(5):
            damage = damaged(bench, case, rng)
            theirs = torch_refusal(bench, damage, case.differentiable)
            try:
                bench.make(damage.config)(**damage.inputs)
            except Exception as error:  # which exceptions these may be is what is tested
                assert_ours(error, name)
                refused.append(damage.where)
            else:
                assert theirs is None, f"{damage.where}, {dict(damage.config)}: torch refuses: {theirs}"

    with deterministic_torch():
        judged()
    assert refused
