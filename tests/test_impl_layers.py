"""Facts about our layers that were worked out by hand, where comparing with torch alone is not enough."""

import ast
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

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
    Sigmoid,
    Softmax,
    Tanh,
)

LAYERS = [
    impl.AdaptiveAvgPool1d(3),
    impl.AdaptiveAvgPool2d((None, 2)),
    impl.AdaptiveAvgPool3d((1, 2, 3)),
    impl.AdaptiveMaxPool1d((3,)),
    impl.AdaptiveMaxPool2d(2),
    impl.AdaptiveMaxPool2d((2, None), return_indices=True),
    impl.AdaptiveMaxPool3d(2),
    Add(),
    impl.AvgPool1d(2),
    impl.AvgPool1d((3,), (1,), (1,), ceil_mode=True, count_include_pad=False),
    AvgPool2d(2),
    AvgPool2d((3, 2), stride=1, padding=(1, 0), ceil_mode=True, count_include_pad=False, divisor_override=-3),
    impl.AvgPool3d((3, 2, 1), 1, (1, 0, 0), divisor_override=2),
    impl.BatchNorm1d(3),
    impl.BatchNorm1d(3, 0.1, None, affine=False, bias=False, training=False),
    impl.BatchNorm2d(3, track_running_stats=False),
    impl.BatchNorm3d(3, momentum=1),
    Conv2d(2, 4, 3),
    Conv2d(2, 4, (3, 2), (2, 1), "valid", dilation=2, groups=2, bias=False, padding_mode="circular"),
    impl.Bilinear(3, 4, 2),
    impl.Bilinear(1, 2, 3, bias=False),
    impl.Conv1d(2, 4, 3),
    impl.Conv1d(2, 4, (3,), 2, (1,), dilation=2, groups=2, bias=False, padding_mode="reflect"),
    impl.Conv3d(2, 4, 3, padding="same"),
    impl.Conv3d(2, 4, (3, 2, 1), (2, 1, 1), (0, 1, 2), 2, 2, False, "replicate"),
    impl.ConvTranspose1d(2, 4, 3, 2, output_padding=1),
    impl.ConvTranspose1d(2, 4, (3,), (2,), 1, 1, 2, bias=False, dilation=3),
    impl.ConvTranspose2d(2, 4, 3),
    impl.ConvTranspose2d(2, 4, (3, 2), (2, 1), (1, 0), (1, 2), 2, False, (1, 3)),
    impl.ConvTranspose3d(2, 4, 3),
    impl.ConvTranspose3d(2, 4, (3, 2, 1), (2, 1, 1), (1, 0, 2), (1, 0, 2), 2, False, (1, 1, 3)),
    impl.Fold(4, 2),
    impl.Fold((4, 5), (2, 3), 2, (1, 0), (1, 2)),
    impl.Unfold(2),
    impl.Unfold((2, 3), 2, (1, 0), (1, 2)),
    CrossEntropyLoss(),
    CrossEntropyLoss(ignore_index=3, reduction="none", label_smoothing=0.1),
    impl.CrossMapLRN2d(2),
    impl.CrossMapLRN2d(3, 0.5, 1.0, 2),
    Flatten(),
    Flatten(0, 2),
    impl.LPPool1d(2.0, 3),
    impl.LPPool2d(1.5, (3, 2), 1, ceil_mode=True),
    impl.LPPool3d(3, 2),
    impl.AffineGrid((2, 1, 3, 4)),
    impl.AffineGrid((2, 1, 2, 3, 4), align_corners=True),
    impl.GridSample(),
    impl.GridSample("bicubic", "reflection", align_corners=True),
    impl.Interpolate(3),
    impl.Interpolate(scale_factor=(0.5, 2), mode="bicubic", recompute_scale_factor=True, antialias=True),
    impl.Upsample((3, 4)),
    impl.Upsample(None, 1.5, "trilinear", True),
    impl.UpsamplingBilinear2d(scale_factor=2),
    impl.UpsamplingBilinear2d((3, 4)),
    impl.UpsamplingNearest2d(3),
    impl.UpsamplingNearest2d(scale_factor=(2, 0.5)),
    impl.GroupNorm(2, 4),
    impl.GroupNorm(2, 4, 0.1, affine=False, bias=False),
    impl.InstanceNorm1d(3),
    impl.InstanceNorm1d(3, 0.1, 0.5, affine=True, track_running_stats=True, bias=False, training=False),
    impl.InstanceNorm2d(3, affine=True),
    impl.InstanceNorm3d(3, track_running_stats=True),
    impl.LayerNorm(3),
    impl.LayerNorm((2, 3), 0.1, True, bias=False),
    LeakyReLU(),
    LeakyReLU(0.3),
    Linear(3, 2),
    Linear(3, 2, bias=False),
    impl.LocalResponseNorm(2),
    impl.LocalResponseNorm(3, 0.5, 1.0, 2.0),
    LogSoftmax(),
    LogSoftmax(-1),
    MSELoss(),
    MSELoss("sum"),
    impl.MaxPool1d(2),
    impl.MaxPool1d((3,), (1,), (1,), (2,), return_indices=True, ceil_mode=True),
    impl.MaxPool3d((3, 2, 1), 1),
    MaxPool2d(2),
    MaxPool2d((3, 2), 1, 1, (1, 2), return_indices=True, ceil_mode=True),
    Multiply(),
    impl.Normalize(),
    impl.Normalize(1.5, (0, -1), 0.1),
    impl.RMSNorm(3),
    impl.RMSNorm((2, 3), 0.1, elementwise_affine=False),
    ReLU(),
    SGD(),
    SGD(0.1),
    Adam(amsgrad=True),
    AdamW(betas=(0.5, 0.9)),
    Sigmoid(),
    Softmax(),
    Softmax(0),
    Tanh(),
    impl.Dropout(),
    impl.Dropout(0.25, training=False),
    impl.Dropout1d(),
    impl.Dropout2d(0.1),
    impl.Dropout3d(0.9),
    impl.AlphaDropout(),
    impl.FeatureAlphaDropout(0.3),
    impl.FractionalMaxPool2d(2, 3),
    impl.FractionalMaxPool2d((3, 2), output_ratio=(0.5, 0.7), return_indices=True),
    impl.FractionalMaxPool3d(2, output_ratio=0.5),
    impl.FractionalMaxPool3d((3, 2, 1), (1, 2, 3)),
    impl.MaxUnpool1d(2),
    impl.MaxUnpool2d((3, 2), 1, (1, 0)),
    impl.MaxUnpool3d((3, 2, 2), stride=(1, 2, 3)),
    impl.Embedding(5, 3),
    impl.Embedding(5, 3, -1, 1.5, 1.0, scale_grad_by_freq=True),
    impl.EmbeddingBag(5, 3),
    impl.EmbeddingBag(5, 3, 2.0, 3, mode="sum", include_last_offset=True, padding_idx=0),
    impl.CELU(),
    impl.CELU(0.3),
    impl.ELU(),
    impl.ELU(2.0),
    impl.GELU(),
    impl.GELU("tanh"),
    impl.GLU(),
    impl.GLU(0),
    impl.Hardshrink(),
    impl.Hardshrink(1.0),
    impl.Hardsigmoid(),
    impl.Hardswish(),
    impl.Hardtanh(),
    impl.Hardtanh(0.0, 2.0),
    impl.LogSigmoid(),
    impl.Mish(),
    impl.PReLU(),
    impl.PReLU(3),
    impl.RReLU(),
    impl.RReLU(0.1, 0.2, training=False),
    impl.ReLU6(),
    impl.SELU(),
    impl.SiLU(),
    impl.Softmax2d(),
    impl.Softmin(),
    impl.Softmin(-1),
    impl.Softplus(),
    impl.Softplus(0.5, 3.0),
    impl.Softshrink(),
    impl.Softshrink(0.0),
    impl.Softsign(),
    impl.Tanhshrink(),
    impl.Threshold(0.5, -1.0),
    impl.ReflectionPad1d(2),
    impl.ReflectionPad1d((2, -1)),
    impl.ReflectionPad2d((1, 0, -1, 2)),
    impl.ReflectionPad3d((1, 0, -1, 2, 0, 1)),
    impl.ReplicationPad1d(2),
    impl.ReplicationPad1d((2, -1)),
    impl.ReplicationPad2d((1, 0, -1, 2)),
    impl.ReplicationPad3d((1, 0, -1, 2, 0, 1)),
    impl.ZeroPad1d(2),
    impl.ZeroPad1d((2, -1)),
    impl.ZeroPad2d((1, 0, -1, 2)),
    impl.ZeroPad3d((1, 0, -1, 2, 0, 1)),
    impl.CircularPad1d(2),
    impl.CircularPad1d((2, -1)),
    impl.CircularPad2d((1, 0, -1, 2)),
    impl.CircularPad3d((1, 0, -1, 2, 0, 1)),
    impl.ConstantPad1d(2, 0.5),
    impl.ConstantPad2d((1, 0, -1, 2), -1),
    impl.ConstantPad3d((1, 0, -1, 2, 0, 1), value=2.0),
    impl.Pad((1, 2)),
    impl.Pad((1, 2, 0, -1), "reflect"),
    impl.Pad((), value=3.0),
    impl.ChannelShuffle(2),
    impl.PixelShuffle(2),
    impl.PixelUnshuffle(2),
    impl.Unflatten(1, (2, -1)),
    impl.Identity(),
    impl.Identity(54, unused="anything"),
    impl.CosineSimilarity(),
    impl.CosineSimilarity(0, 0.5),
    impl.PairwiseDistance(),
    impl.PairwiseDistance(1, eps=0.0, keepdim=True),
    impl.Pdist(),
    impl.Pdist(3),
    impl.L1Loss(),
    impl.SmoothL1Loss("sum", 0.5),
    impl.HuberLoss(delta=0.5),
    impl.PoissonNLLLoss(False, True, 0.1, "none"),
    impl.GaussianNLLLoss(full=True, eps=0.1),
    impl.KLDivLoss("batchmean", log_target=True),
    impl.BCELoss("sum"),
    impl.BCEWithLogitsLoss("none"),
    impl.MultiLabelSoftMarginLoss(),
    impl.HingeEmbeddingLoss(0.5, "sum"),
    impl.SoftMarginLoss("none"),
    impl.MarginRankingLoss(0.5),
    impl.CosineEmbeddingLoss(-0.5, "none"),
    impl.TripletMarginLoss(2.0, 1, 0.0, True, "sum"),
    impl.TripletMarginWithDistanceLoss(),
    impl.TripletMarginWithDistanceLoss(distance_function=impl.MSELoss("none"), margin=0.5, swap=True),
    impl.NLLLoss(),
    impl.NLLLoss(2, "none"),
    impl.LinearCrossEntropyLoss(3, 4),
    impl.LinearCrossEntropyLoss(3, 4, out_features=(2,), bias=True, ignore_index=3, label_smoothing=0.1),
    impl.MultiMarginLoss(),
    impl.MultiMarginLoss(2, 0.5, "sum"),
    impl.MultiLabelMarginLoss(),
    impl.CTCLoss(),
    impl.CTCLoss(2, "sum", zero_infinity=True),
    impl.ExactCTCLoss(1),
    impl.AdaptiveLogSoftmaxWithLoss(4, 9, [2, 5]),
    impl.AdaptiveLogSoftmaxWithLoss(4, 9, (2, 5), 2.0, head_bias=True),
    impl.GumbelSoftmax(),
    impl.GumbelSoftmax(0.5, hard=True, dim=0),
    impl.WeightNorm(),
    impl.WeightNorm(None),
    impl.SpectralNorm(),
    impl.SpectralNorm(2, 1e-3, 1, training=False),
    impl.RNNCell(3, 2, False, "relu"),
    impl.GRUCell(3, 2),
    impl.LSTMCell(3, 2, bias=False),
    impl.RNN(3, 2),
    impl.RNN(3, 2, 2, "relu", False, True, 0.5, True, training=False),
    impl.GRU(3, 2, 2, False, True, 0.5, True),
    impl.LSTM(3, 2, 2, True, False, 0.1, True, 1),
    impl.ScaledDotProductAttention(),
    impl.ScaledDotProductAttention(0.5, is_causal=True, scale=0.5, enable_gqa=True),
    impl.MultiheadAttention(4, 2),
    impl.MultiheadAttention(4, 2, 0.1, False, True, True, 3, 5, True, need_weights=False, training=False),
    impl.TransformerEncoderLayer(4, 2),
    impl.TransformerEncoderLayer(4, 2, 3, 0.5, Tanh(), 0.1, True, True, False, is_causal=True, training=False),
    impl.TransformerDecoderLayer(4, 2, activation="gelu", tgt_is_causal=True, memory_is_causal=True),
    impl.TransformerEncoder({"d_model": 4, "nhead": 2}, 2, {"normalized_shape": 4}),
    impl.TransformerDecoder(impl.TransformerDecoderLayer(4, 2), 2, tgt_is_causal=True, training=False),
    impl.Transformer(4, 2, 1, 1, 3, src_is_causal=True),
    impl.Transformer(4, 2, custom_encoder={"encoder_layer": {"d_model": 4, "nhead": 2}, "num_layers": 1}),
]


def test_every_layer_is_in_the_list():
    assert {type(layer).__name__ for layer in LAYERS} == set(impl.__all__) - {"Sequential"}
    assert set(contracts.ALL) < set(impl.__all__)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_repr_is_code_that_builds_an_equal_layer(layer):
    assert eval(repr(layer), vars(impl).copy()) == layer


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layer_is_frozen(layer):
    fields = dataclasses.fields(layer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(layer, fields[0].name if fields else "anything", 1)


def test_impl_imports_numpy_and_the_standard_library_only():
    allowed = {"numpy", *sys.stdlib_module_names}
    files = list(Path(impl.__file__).parent.glob("**/*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, file.name
            elif isinstance(node, ast.ImportFrom):
                # One dot is impl itself; two would be the house around it.
                assert node.level == 1 or (not node.level and node.module.partition(".")[0] in allowed), file.name


def test_max_pool_gives_a_tie_to_the_first_cell():
    (y, index), backward = MaxPool2d(2, return_indices=True)(np.array([[[1.0, 5.0], [5.0, 5.0]]]))
    assert (y.item(), index.item()) == (5, 1)
    np.testing.assert_array_equal(backward(np.array([[[3.0]]]))["x"], [[[0, 3], [0, 0]]])


def test_max_pool_lets_the_last_nan_win():
    (y, index), backward = MaxPool2d(2, return_indices=True)(np.array([[[np.nan, np.inf], [np.nan, 2.0]]]))
    assert np.isnan(y.item())
    assert index.item() == 2
    np.testing.assert_array_equal(backward(np.array([[[3.0]]]))["x"], [[[0, 0], [3, 0]]])


def test_max_pool_of_minus_infinities_picks_the_first_cell_that_is_not_padding():
    (y, index), backward = MaxPool2d(2, padding=1, return_indices=True)(np.full((1, 2, 2), -np.inf))
    np.testing.assert_array_equal(y, np.full((1, 2, 2), -np.inf))
    np.testing.assert_array_equal(index, [[[0, 1], [2, 3]]])
    np.testing.assert_array_equal(backward(np.array([[[1.0, 2.0], [3.0, 4.0]]]))["x"], [[[1, 2], [3, 4]]])


def test_max_pool_adds_up_where_windows_overlap():
    _, backward = MaxPool2d((1, 2), stride=1)(np.array([[[1.0, 7.0, 2.0]]]))
    np.testing.assert_array_equal(backward(np.array([[[10.0, 100.0]]]))["x"], [[[0, 110, 0]]])


# Dilated by 2, the four cells of the only window all lie in the padding around the single cell.
HOLLOW = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2, "return_indices": True}


def test_max_pool_window_without_any_cell_gives_minus_infinity_and_no_gradient():
    (y, index), backward = MaxPool2d(**HOLLOW)(np.ones((1, 1, 1)))
    assert (y.item(), index.item()) == (-np.inf, -1)
    np.testing.assert_array_equal(backward(np.ones((1, 1, 1)))["x"], [[[0]]])


def test_torch_still_answers_an_index_outside_the_plane_for_a_window_without_any_cell():
    # If this fails, torch has been repaired: the contract of MaxPool2d may draw such windows, and our index -1 is news.
    y, index = torch.nn.MaxPool2d(**HOLLOW)(torch.ones(1, 1, 1))
    assert y.item() == -np.inf
    assert not 0 <= index.item() < 1


def test_avg_pool_divides_by_the_cells_it_is_told_to_count():
    x = np.array([[[1.0, 2.0, 3.0]]])
    window = {"kernel_size": (1, 2), "padding": (0, 1), "ceil_mode": True}
    np.testing.assert_array_equal(AvgPool2d(**window)(x)[0], [[[0.5, 2.5]]])
    np.testing.assert_array_equal(AvgPool2d(**window, count_include_pad=False)(x)[0], [[[1, 2.5]]])
    np.testing.assert_array_equal(AvgPool2d(**window, divisor_override=-1)(x)[0], [[[-1, -5]]])


def test_avg_pool_does_not_count_the_overhang():
    # Two windows of 2 over 3 cells: the second holds one cell, and what hangs over the edge is not padding.
    y, backward = AvgPool2d((1, 2), ceil_mode=True)(np.array([[[1.0, 3.0, 5.0]]]))
    np.testing.assert_array_equal(y, [[[2, 5]]])
    np.testing.assert_array_equal(backward(np.array([[[2.0, 7.0]]]))["x"], [[[1, 1, 7]]])


def test_conv_same_padding_puts_the_odd_cell_behind():
    layer = Conv2d(1, 1, (1, 2), padding="same", bias=False)
    y, backward = layer(np.array([[[1.0, 2.0, 3.0]]]), np.array([[[[1.0, 10.0]]]]))
    np.testing.assert_array_equal(y, [[[21, 32, 3]]])
    grads = backward(np.array([[[1.0, 100.0, 10000.0]]]))
    np.testing.assert_array_equal(grads["x"], [[[1, 110, 11000]]])
    np.testing.assert_array_equal(grads["weight"], [[[[30201, 302]]]])


def test_conv_same_padding_with_a_kernel_of_four_is_one_before_and_two_behind():
    layer = Conv2d(1, 1, (4, 1), padding="same", bias=False)
    y, _ = layer(np.array([[[1.0], [2.0], [3.0]]]), np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 4, 1))
    np.testing.assert_array_equal(y, [[[3210], [321], [32]]])


def test_conv_does_not_rotate_its_filter():
    layer = Conv2d(1, 1, 2, bias=False)
    y, _ = layer(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    assert y.item() == 4321


@pytest.mark.parametrize(("reduction", "loss"), [("mean", np.nan), ("sum", 0.0), ("none", [0.0, 0.0])])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.5])
def test_cross_entropy_with_everything_ignored_has_no_gradient(reduction, loss, label_smoothing):
    layer = CrossEntropyLoss(reduction=reduction, label_smoothing=label_smoothing)
    y, backward = layer(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([-100, -100]))
    np.testing.assert_array_equal(y, loss)
    np.testing.assert_array_equal(backward(np.ones_like(y))["x"], np.zeros((2, 2)))


def test_cross_entropy_mean_divides_by_the_weights_of_the_classes_that_count():
    # Two equal scores: a loss of log 2 each, weights 3 and 5, the third sample ignored.
    x, target, weight = np.zeros((3, 2)), np.array([0, 1, -100]), np.array([3.0, 5.0])
    y, backward = CrossEntropyLoss()(x, target, weight)
    np.testing.assert_allclose(y, np.log(2), rtol=1e-15)
    expected = np.array([[-3, 3], [5, -5], [0, 0]]) / 16
    np.testing.assert_allclose(backward(np.array(1.0))["x"], expected, rtol=1e-15)


@pytest.mark.parametrize(("rank", "axis"), [(0, 0), (1, 0), (2, 1), (3, 0), (4, 1)])
def test_softmax_without_dim_takes_the_axis_of_that_rank(rank, axis):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)[:rank])
    for y in (Softmax()(x)[0], np.exp(LogSoftmax()(x)[0])):
        assert y.shape == x.shape
        np.testing.assert_allclose(np.atleast_1d(y).sum(axis=axis), 1, rtol=1e-14)


def test_sigmoid_does_not_overflow_and_keeps_the_digits_of_a_small_slope():
    with np.errstate(all="raise", under="ignore"):
        y, backward = Sigmoid()(np.array([-800.0, 0.0, 40.0]))
        np.testing.assert_array_equal(y, [0, 0.5, 1])
        np.testing.assert_allclose(backward(np.ones(3))["x"], [0, 0.25, np.exp(-40)], rtol=1e-15)
