"""What our layers refuse, and in which words: who refuses, which argument, and never from inside NumPy."""

import traceback
from itertools import pairwise
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase

from gradjury import contracts, impl
from gradjury.impl import (
    SGD,
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
    Sigmoid,
    Softmax,
    Tanh,
)
from gradjury.oracle.autograd import deterministic_torch
from gradjury.properties.adapt import Layer
from gradjury.properties.laws.law import Bench
from gradjury.properties.laws.refusal import damaged, torch_refusal

ROOM = Path(impl.__file__).parent


def ones(*shape):
    return np.ones(shape)


def ids(*shape, fill=0):
    return np.full(shape, fill)


# A good call of each layer.
GOOD = {
    "AdaptiveAvgPool1d": (impl.AdaptiveAvgPool1d(2), {"x": ones(1, 2, 4)}),
    "AdaptiveAvgPool2d": (impl.AdaptiveAvgPool2d(2), {"x": ones(1, 2, 4, 4)}),
    "AdaptiveAvgPool3d": (impl.AdaptiveAvgPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "AdaptiveMaxPool1d": (impl.AdaptiveMaxPool1d(2), {"x": ones(1, 2, 4)}),
    "AdaptiveMaxPool2d": (impl.AdaptiveMaxPool2d(2), {"x": ones(1, 2, 4, 4)}),
    "AdaptiveMaxPool3d": (impl.AdaptiveMaxPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "Add": (Add(), {"x": ones(2, 3), "other": ones(3)}),
    "AvgPool1d": (impl.AvgPool1d(2), {"x": ones(1, 2, 4)}),
    "AvgPool3d": (impl.AvgPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "AffineGrid": (impl.AffineGrid((2, 1, 3, 4)), {"theta": ones(2, 2, 3)}),
    "AvgPool2d": (AvgPool2d(2), {"x": ones(1, 2, 4, 4)}),
    **{
        f"BatchNorm{rank}d": (
            getattr(impl, f"BatchNorm{rank}d")(3, training=False),
            {"x": ones(2, 3, *rank * [2]), "weight": ones(3), "bias": ones(3)}
            | {"running_mean": ones(3), "running_var": ones(3), "num_batches_tracked": ids()},
        )
        for rank in (1, 2, 3)
    },
    "Conv2d": (Conv2d(2, 3, 2), {"x": ones(1, 2, 4, 4), "weight": ones(3, 2, 2, 2), "bias": ones(3)}),
    "Bilinear": (
        impl.Bilinear(2, 4, 3),
        {"input1": ones(5, 2), "input2": ones(5, 4), "weight": ones(3, 2, 4), "bias": ones(3)},
    ),
    "Conv1d": (impl.Conv1d(2, 3, 2), {"x": ones(1, 2, 4), "weight": ones(3, 2, 2), "bias": ones(3)}),
    "Conv3d": (impl.Conv3d(2, 3, 2), {"x": ones(1, 2, 4, 4, 4), "weight": ones(3, 2, 2, 2, 2), "bias": ones(3)}),
    "ConvTranspose1d": (
        impl.ConvTranspose1d(2, 3, 2),
        {"x": ones(1, 2, 4), "weight": ones(2, 3, 2), "bias": ones(3), "output_size": ids(1, fill=5)},
    ),
    "ConvTranspose2d": (
        impl.ConvTranspose2d(2, 3, 2),
        {"x": ones(1, 2, 4, 4), "weight": ones(2, 3, 2, 2), "bias": ones(3)},
    ),
    "ConvTranspose3d": (
        impl.ConvTranspose3d(2, 3, 2),
        {"x": ones(1, 2, 4, 4, 4), "weight": ones(2, 3, 2, 2, 2), "bias": ones(3)},
    ),
    "Fold": (impl.Fold(4, 2), {"x": ones(1, 8, 9)}),
    "Unfold": (impl.Unfold(2), {"x": ones(1, 2, 4, 4)}),
    "CrossEntropyLoss": (
        CrossEntropyLoss(reduction="none"),
        {"x": ones(2, 3, 2), "target": ids(2, 2), "weight": ones(3)},
    ),
    "CrossMapLRN2d": (impl.CrossMapLRN2d(3), {"x": ones(1, 2, 2, 2)}),
    "Flatten": (Flatten(), {"x": ones(2, 3, 4)}),
    "LPPool1d": (impl.LPPool1d(2, 2), {"x": ones(1, 2, 4)}),
    "LPPool2d": (impl.LPPool2d(2, 2), {"x": ones(1, 2, 4, 4)}),
    "LPPool3d": (impl.LPPool3d(2, 2), {"x": ones(1, 2, 4, 4, 4)}),
    "GridSample": (impl.GridSample(), {"x": ones(1, 2, 3, 3), "grid": ones(1, 2, 2, 2)}),
    "Interpolate": (impl.Interpolate(3), {"x": ones(1, 2, 4, 4)}),
    "Upsample": (impl.Upsample(3), {"x": ones(1, 2, 4, 4)}),
    "UpsamplingBilinear2d": (impl.UpsamplingBilinear2d(3), {"x": ones(1, 2, 4, 4)}),
    "UpsamplingNearest2d": (impl.UpsamplingNearest2d(3), {"x": ones(1, 2, 4, 4)}),
    "GroupNorm": (impl.GroupNorm(2, 4), {"x": ones(2, 4, 3), "weight": ones(4), "bias": ones(4)}),
    **{
        f"InstanceNorm{rank}d": (
            getattr(impl, f"InstanceNorm{rank}d")(3, affine=True, track_running_stats=True, training=False),
            {"x": ones(2, 3, *rank * [2]), "weight": ones(3), "bias": ones(3)}
            | {"running_mean": ones(3), "running_var": ones(3), "num_batches_tracked": ids()},
        )
        for rank in (1, 2, 3)
    },
    "LayerNorm": (impl.LayerNorm((2, 3)), {"x": ones(4, 2, 3), "weight": ones(2, 3), "bias": ones(2, 3)}),
    "LeakyReLU": (LeakyReLU(), {"x": ones(2, 3)}),
    "Linear": (Linear(2, 3), {"x": ones(4, 2), "weight": ones(3, 2), "bias": ones(3)}),
    "LocalResponseNorm": (impl.LocalResponseNorm(3), {"x": ones(1, 2, 3)}),
    "LogSoftmax": (LogSoftmax(), {"x": ones(2, 3)}),
    "MSELoss": (MSELoss(reduction="none"), {"x": ones(2, 3), "target": ones(2, 3)}),
    "MaxPool1d": (impl.MaxPool1d(2), {"x": ones(1, 2, 4)}),
    "MaxPool3d": (impl.MaxPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "MaxPool2d": (MaxPool2d(2), {"x": ones(1, 2, 4, 4)}),
    "Multiply": (Multiply(), {"x": ones(2, 3), "other": ones(3)}),
    "Normalize": (impl.Normalize(), {"x": ones(2, 3)}),
    "RMSNorm": (impl.RMSNorm(3), {"x": ones(2, 3), "weight": ones(3)}),
    "ReLU": (ReLU(), {"x": ones(2, 3)}),
    "Sigmoid": (Sigmoid(), {"x": ones(2, 3)}),
    "Softmax": (Softmax(), {"x": ones(2, 3)}),
    "Tanh": (Tanh(), {"x": ones(2, 3)}),
    **{
        name: (getattr(impl, name)(), {"x": ones(2, 3, 4), "mask": ones(*mask) > 0})
        for name, mask in {
            "Dropout": (2, 3, 4),
            "Dropout1d": (2, 3, 1),
            "Dropout2d": (2, 3, 1),
            "Dropout3d": (2, 1, 1),
            "AlphaDropout": (2, 3, 4),
            "FeatureAlphaDropout": (2, 3, 1),
        }.items()
    },
    "FractionalMaxPool2d": (
        impl.FractionalMaxPool2d(2, 2),
        {"x": ones(1, 2, 4, 4), "_random_samples": ones(1, 2, 2) / 2},
    ),
    "FractionalMaxPool3d": (
        impl.FractionalMaxPool3d(2, 2),
        {"x": ones(2, 4, 4, 4), "_random_samples": ones(1, 2, 3) / 2},
    ),
    **{
        f"MaxUnpool{rank}d": (
            getattr(impl, f"MaxUnpool{rank}d")(2),
            {"x": ones(2, 3, *(1,) * rank), "indices": ids(2, 3, *(1,) * rank), "output_size": ids(rank, fill=3)},
        )
        for rank in (1, 2, 3)
    },
    "Embedding": (impl.Embedding(3, 2), {"x": ids(2, 4), "weight": ones(3, 2)}),
    "EmbeddingBag": (
        impl.EmbeddingBag(3, 2, mode="sum"),
        {"x": ids(4), "offsets": ids(2), "weight": ones(3, 2), "per_sample_weights": ones(4)},
    ),
    "CELU": (impl.CELU(), {"x": ones(2, 3)}),
    "ELU": (impl.ELU(), {"x": ones(2, 3)}),
    "GELU": (impl.GELU(), {"x": ones(2, 3)}),
    "Hardshrink": (impl.Hardshrink(), {"x": ones(2, 3)}),
    "Hardsigmoid": (impl.Hardsigmoid(), {"x": ones(2, 3)}),
    "Hardswish": (impl.Hardswish(), {"x": ones(2, 3)}),
    "Hardtanh": (impl.Hardtanh(), {"x": ones(2, 3)}),
    "LogSigmoid": (impl.LogSigmoid(), {"x": ones(2, 3)}),
    "Mish": (impl.Mish(), {"x": ones(2, 3)}),
    "ReLU6": (impl.ReLU6(), {"x": ones(2, 3)}),
    "SELU": (impl.SELU(), {"x": ones(2, 3)}),
    "SiLU": (impl.SiLU(), {"x": ones(2, 3)}),
    "Softmin": (impl.Softmin(), {"x": ones(2, 3)}),
    "Softplus": (impl.Softplus(), {"x": ones(2, 3)}),
    "Softshrink": (impl.Softshrink(), {"x": ones(2, 3)}),
    "Softsign": (impl.Softsign(), {"x": ones(2, 3)}),
    "Tanhshrink": (impl.Tanhshrink(), {"x": ones(2, 3)}),
    "GLU": (impl.GLU(), {"x": ones(2, 4)}),
    "PReLU": (impl.PReLU(3), {"x": ones(2, 3), "weight": ones(3)}),
    "RReLU": (impl.RReLU(), {"x": ones(2, 3), "slopes": ones(2, 3)}),
    "Softmax2d": (impl.Softmax2d(), {"x": ones(2, 3, 4, 5)}),
    "Threshold": (impl.Threshold(0.5, 2.0), {"x": ones(2, 3)}),
    "ReflectionPad1d": (impl.ReflectionPad1d(1), {"x": ones(1, 2, 4)}),
    "ReflectionPad2d": (impl.ReflectionPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "ReflectionPad3d": (impl.ReflectionPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "ReplicationPad1d": (impl.ReplicationPad1d(1), {"x": ones(1, 2, 4)}),
    "ReplicationPad2d": (impl.ReplicationPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "ReplicationPad3d": (impl.ReplicationPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "ZeroPad1d": (impl.ZeroPad1d(1), {"x": ones(1, 2, 4)}),
    "ZeroPad2d": (impl.ZeroPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "ZeroPad3d": (impl.ZeroPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "ConstantPad1d": (impl.ConstantPad1d(1, 0.5), {"x": ones(1, 2, 4)}),
    "ConstantPad2d": (impl.ConstantPad2d(1, 0.5), {"x": ones(1, 2, 4, 4)}),
    "ConstantPad3d": (impl.ConstantPad3d(1, 0.5), {"x": ones(1, 2, 4, 4, 4)}),
    "CircularPad1d": (impl.CircularPad1d(1), {"x": ones(1, 2, 4)}),
    "CircularPad2d": (impl.CircularPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "CircularPad3d": (impl.CircularPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "Pad": (impl.Pad((1, 2)), {"x": ones(2, 3)}),
    "ChannelShuffle": (impl.ChannelShuffle(2), {"x": ones(1, 4, 2)}),
    "PixelShuffle": (impl.PixelShuffle(2), {"x": ones(1, 4, 2, 2)}),
    "PixelUnshuffle": (impl.PixelUnshuffle(2), {"x": ones(1, 1, 4, 4)}),
    "Unflatten": (impl.Unflatten(1, (2, -1)), {"x": ones(2, 6)}),
    "Identity": (impl.Identity(), {"x": ones(2, 3)}),
    "CosineSimilarity": (impl.CosineSimilarity(), {"x1": ones(2, 3), "x2": ones(3)}),
    "PairwiseDistance": (impl.PairwiseDistance(), {"x1": ones(2, 3), "x2": ones(3)}),
    "Pdist": (impl.Pdist(), {"x": ones(3, 2)}),
}
REAL = [(name, argument) for name, (_, inputs) in GOOD.items() for argument, a in inputs.items() if a.dtype.kind == "f"]


def conv(*, padding=0, padding_mode="zeros", **changed):
    _, inputs = GOOD["Conv2d"]
    return Conv2d(2, 3, 2, padding=padding, padding_mode=padding_mode)(**{**inputs, **changed})


# A bad call, the type of the exception, and a word of the message behind the layer's name.
BAD = [
    ("LeakyReLU", lambda: LeakyReLU("steep"), TypeError, "negative_slope"),
    ("Softmax", lambda: Softmax(2)(ones(2, 3)), IndexError, "dim"),
    ("Softmax", lambda: Softmax(-2)(ones()), IndexError, "dim"),
    ("Softmax", lambda: Softmax("rows")(ones(2)), TypeError, "dim"),
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
CHANGES = [lambda a: a[None], lambda a: a.reshape(-1, *(1,) * a.ndim), lambda a: a[..., :0]]


@pytest.mark.parametrize("layer", GOOD)
@pytest.mark.parametrize("change", CHANGES, ids=["longer", "flat", "empty"])
def test_cotangent_of_another_shape_is_refused(layer, change):
    call, inputs = GOOD[layer]
    y, backward = call(**inputs)
    with pytest.raises(ValueError, match=r"\bdy\b") as caught:
        backward(change(np.ones_like(y)))
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
