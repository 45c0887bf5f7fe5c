"""Convolutions, their transposes, Fold, Unfold and Bilinear: traps worked out by hand."""

import tracemalloc

import numpy as np
import pytest
import torch

from gradjury import impl
from gradjury.impl import _convolution, linear

RANKS = (1, 2, 3)


def conv(rank, *args, **options):
    return getattr(impl, f"Conv{rank}d")(*args, **options)


def transposed(rank, *args, **options):
    return getattr(impl, f"ConvTranspose{rank}d")(*args, **options)


def along(rank, values):
    """Numbers on the last axis of an array with one channel and `rank` spatial axes."""
    return np.array(values, float).reshape(1, *(1,) * (rank - 1), -1)


@pytest.mark.parametrize("rank", RANKS)
def test_same_padding_puts_the_odd_cell_behind(rank):
    kernel = (1,) * (rank - 1) + (2,)
    layer = conv(rank, 1, 1, kernel, padding="same", bias=False)
    y, backward = layer(along(rank, [1, 2, 3]), along(rank, [1, 10])[None])
    np.testing.assert_array_equal(y, along(rank, [21, 32, 3]))
    grads = backward(along(rank, [1, 100, 10000]))
    np.testing.assert_array_equal(grads["x"], along(rank, [1, 110, 11000]))
    np.testing.assert_array_equal(grads["weight"], along(rank, [30201, 302])[None])


@pytest.mark.parametrize("rank", RANKS)
def test_negative_padding_crops_and_the_cropped_cells_have_no_gradient(rank):
    padding = (0,) * (rank - 1) + (-1,)
    layer = conv(rank, 1, 1, 1, padding=padding, padding_mode="reflect", bias=False)
    y, backward = layer(along(rank, [1, 2, 3, 4]), along(rank, [10])[None])
    np.testing.assert_array_equal(y, along(rank, [20, 30]))
    np.testing.assert_array_equal(backward(along(rank, [5, 7]))["x"], along(rank, [0, 50, 70, 0]))


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_same_padding_with_a_dilation_in_a_tuple_of_one_pads_every_axis(mode):
    x, weight = np.random.default_rng(0).standard_normal((1, 5, 5)), np.ones((1, 1, 3, 3))
    options = {"padding": "same", "padding_mode": mode, "bias": False}
    y, _ = impl.Conv2d(1, 1, 3, dilation=(2,), **options)(x, weight)
    np.testing.assert_array_equal(y, impl.Conv2d(1, 1, 3, dilation=2, **options)(x, weight)[0])


@pytest.mark.parametrize("rank", RANKS)
def test_transposed_convolution_lays_its_filter_and_does_not_rotate_it(rank):
    kernel = (1,) * (rank - 1) + (3,)
    layer = transposed(rank, 1, 1, kernel, stride=2, bias=False)
    y, backward = layer(along(rank, [1, 10]), along(rank, [1, 2, 3])[None])
    np.testing.assert_array_equal(y, along(rank, [1, 2, 3 + 10, 20, 30]))
    grads = backward(along(rank, [1, 10, 100, 1000, 10000]))
    np.testing.assert_array_equal(grads["x"], along(rank, [321, 32100]))
    np.testing.assert_array_equal(grads["weight"], along(rank, [1001, 10010, 100100])[None])


@pytest.mark.parametrize("rank", RANKS)
def test_output_padding_brings_back_cells_that_padding_cut_off(rank):
    # Five cells are laid. Padding cuts one off each end; output padding is a second cell, in place of the one behind.
    options = {"stride": (1,) * (rank - 1) + (2,), "padding": (0,) * (rank - 1) + (1,), "bias": False}
    kernel, extra = ((1,) * (rank - 1) + (3,), (0,) * (rank - 1) + (1,))
    x, weight = along(rank, [1, 10]), along(rank, [1, 2, 3])[None]
    np.testing.assert_array_equal(transposed(rank, 1, 1, kernel, **options)(x, weight)[0], along(rank, [2, 13, 20]))
    y, backward = transposed(rank, 1, 1, kernel, **options, output_padding=extra)(x, weight)
    np.testing.assert_array_equal(y, along(rank, [2, 13, 20, 30]))
    np.testing.assert_array_equal(backward(y)["x"], along(rank, [2 * 2 + 3 * 13, 13 + 2 * 20 + 3 * 30]))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("lead", [(), (7, -1)], ids=["spatial sizes", "all sizes"])
def test_output_size_takes_the_place_of_output_padding(rank, lead):
    # The sizes of batch and channels are not looked at, the output padding not used.
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 1, *(2,) * rank)), rng.standard_normal((1, 1, *(2,) * rank))
    expected, _ = transposed(rank, 1, 1, 2, 3, output_padding=2, bias=False)(x, weight)
    layer = transposed(rank, 1, 1, 2, 3, output_padding=1, bias=False)
    for size in ((*lead, *(7,) * rank), [*lead, *(7,) * rank], np.array([*lead, *(7,) * rank])):
        y, backward = layer(x, weight, output_size=size)
        np.testing.assert_array_equal(y, expected)
        assert backward(y).keys() == {"x", "weight"}


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: impl.Conv1d(4, 6, 3, 2, 1, groups=2), (3, 4, 9)),
        (lambda: impl.Conv2d(4, 4, (3, 2), (1, 2), 1, dilation=2, groups=4, padding_mode="circular"), (2, 4, 6, 7)),
        (lambda: impl.Conv3d(2, 3, 2, (2, 1, 3)), (2, 2, 5, 4, 6)),
        (lambda: impl.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2), (3, 4, 5)),
        (lambda: impl.ConvTranspose2d(4, 4, (3, 2), 2, 1, (0, 1), groups=4, dilation=(1, 3)), (2, 4, 3, 4)),
        (lambda: impl.ConvTranspose3d(2, 3, 2, (2, 1, 3)), (2, 2, 3, 2, 3)),
        (lambda: impl.Bilinear(3, 4, 2), (5, 2, 3)),
    ],
    ids=["1d", "2d", "3d", "1d transposed", "2d transposed", "3d transposed", "bilinear"],
)
@pytest.mark.parametrize("block", [1, 60])
def test_what_is_done_block_by_block_is_the_same_as_at_once(monkeypatch, make, shape, block):
    rng = np.random.default_rng(0)
    layer = make()
    inputs = layer.initial_parameters(rng)
    if isinstance(layer, impl.Bilinear):
        inputs |= {"input1": rng.standard_normal(shape), "input2": rng.standard_normal((*shape[:-1], 4))}
    else:
        inputs["x"] = rng.standard_normal(shape)
    y, backward = layer(**inputs)
    dy = rng.standard_normal(y.shape)
    for module in (_convolution, linear):
        monkeypatch.setattr(module, "BLOCK", block)
    y_parts, backward_parts = layer(**inputs)
    np.testing.assert_allclose(y_parts, y, rtol=1e-12, atol=1e-12)
    whole, parts = backward(dy), backward_parts(dy)
    assert whole.keys() == parts.keys() == inputs.keys()
    for name, grad in parts.items():
        np.testing.assert_allclose(grad, whole[name], rtol=1e-12, atol=1e-12)


def test_blocks_cover_every_window_once_and_hold_whole_trailing_axes(monkeypatch):
    monkeypatch.setattr(_convolution, "BLOCK", 24)
    form = _convolution.Filter((1, 1), (1, 1), (1, 1), 1)
    boxes = list(_convolution._boxes((2, 3, 5), np.ones((1, 2, 1, 1)), form))  # 24 numbers are 12 windows
    assert [tuple((s.start, s.stop) for s in box) for box in boxes] == [
        ((n, n + 1), rows, (0, 5)) for n in (0, 1) for rows in ((0, 2), (2, 3))
    ]


def test_memory_of_a_convolution_is_a_small_multiple_of_its_arrays(monkeypatch):
    # All columns at once would be 49 times as large as x.
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 4, 60, 60)), rng.standard_normal((4, 4, 7, 7))
    monkeypatch.setattr(_convolution, "BLOCK", x.size)
    tracemalloc.start()
    y, backward = impl.Conv2d(4, 4, 7, padding=3, bias=False)(x, weight)
    backward(y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * x.nbytes


def test_unfold_lists_channels_then_the_kernel_then_blocks_by_rows():
    x = np.arange(18.0).reshape(2, 3, 3)
    y, backward = impl.Unfold((1, 2), stride=(2, 1))(x)
    np.testing.assert_array_equal(y, [[0, 1, 6, 7], [1, 2, 7, 8], [9, 10, 15, 16], [10, 11, 16, 17]])
    dx = backward(np.ones_like(y))["x"]
    np.testing.assert_array_equal(dx[1], [[1, 2, 1], [0, 0, 0], [1, 2, 1]])


def test_fold_adds_where_blocks_overlap_and_drops_what_falls_into_the_padding():
    layer = impl.Fold((1, 3), (1, 2), padding=(0, 1))
    y, backward = layer(np.array([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]]))
    np.testing.assert_array_equal(y, [[[12, 23, 34]]])
    np.testing.assert_array_equal(backward(np.array([[[5.0, 6.0, 7.0]]]))["x"], [[0, 5, 6, 7], [5, 6, 7, 0]])


def test_bilinear_by_hand():
    y, backward = impl.Bilinear(2, 1, 1)(
        np.array([2.0, 3.0]), np.array([5.0]), np.array([[[10.0], [1.0]]]), np.array([7.0])
    )
    np.testing.assert_array_equal(y, [122])
    expected = {"input1": [100, 10], "input2": [46], "weight": [[[20], [30]]], "bias": [2]}
    for name, grad in backward(np.array([2.0])).items():
        np.testing.assert_array_equal(grad, expected[name])


def test_bilinear_keeps_nan_where_infinity_meets_a_zero_weight():
    # Summed over the outputs first, the zero would be lost: 0·∞ is NaN, (0·2 - 2·3)·∞ is not.
    inputs = (np.array([2.0]), np.array([-np.inf]), np.array([[[0.0]], [[-2.0]]]))
    with np.errstate(invalid="ignore"):
        _, backward = impl.Bilinear(1, 1, 2, bias=False)(*inputs)
        assert np.isnan(backward(np.array([2.0, 3.0]))["input1"]).all()


def test_bilinear_is_infinite_where_two_factors_beside_an_infinity_are_too_small_for_their_product():
    # 1e-30·1e-30 is 0 in float32, and 0·∞ NaN; torch multiplies dy with the weight first.
    inputs = [np.array(a, np.float32) for a in ([[3.0, 2.0], [2.0, 1.0]], [[1.0], [1e-30]], [[[np.inf], [4.0]]])]
    with np.errstate(invalid="ignore"):
        _, backward = impl.Bilinear(2, 1, 1, bias=False)(*inputs)
        dx = backward(np.array([[-1.0], [1e-30]], np.float32))["input1"]
    np.testing.assert_array_equal(dx, [[-np.inf, -4], [np.inf, 0]])


@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        (impl.Conv1d(8, 400, 3, groups=2), torch.nn.Conv1d(8, 400, 3, groups=2)),
        (impl.Conv3d(4, 300, 2, bias=False), torch.nn.Conv3d(4, 300, 2, bias=False)),
        (impl.ConvTranspose1d(40, 400, 3, groups=2), torch.nn.ConvTranspose1d(40, 400, 3, groups=2)),
        (impl.ConvTranspose2d(4, 400, (2, 3)), torch.nn.ConvTranspose2d(4, 400, (2, 3))),
        (impl.ConvTranspose3d(2, 300, 2, bias=False), torch.nn.ConvTranspose3d(2, 300, 2, bias=False)),
        (impl.Bilinear(5, 8, 300), torch.nn.Bilinear(5, 8, 300)),
        (impl.Bilinear(5, 8, 300, bias=False), torch.nn.Bilinear(5, 8, 300, bias=False)),
    ],
    ids=repr,
)
def test_init_draws_uniformly_within_torchs_bounds(layer, theirs):
    ours, state = layer.initial_parameters(np.random.default_rng(0), np.float32), theirs.state_dict()
    assert ours.keys() == state.keys()
    rows = state["weight"].shape[1] if isinstance(layer, impl.Bilinear) else state["weight"][0].numel()
    for name, a in ours.items():
        assert (a.shape, a.dtype) == (tuple(state[name].shape), np.float32)
        for largest in (np.abs(a).max(), state[name].abs().max().item()):
            assert 0.95 < largest * np.sqrt(rows) < 1.0001


def ones(*shape):
    return np.ones(shape)


def lay(rank=1, *, x=(1, 2, 4), output_size=None, **options):
    """A transposed convolution of two channels with a kernel of 2."""
    layer = transposed(rank, 2, 3, 2, **{"bias": False, **options})
    return layer(ones(*x), ones(2, 3, *(2,) * rank), output_size=output_size)


BAD = [
    (lambda: impl.Conv1d(1, 1, (2, 2)), ValueError, "Conv1d: kernel_size must be an integer or 1 integers"),
    (lambda: impl.Conv3d(1, 1, (2, 2)), ValueError, "Conv3d: kernel_size must be an integer or 3 integers"),
    (lambda: impl.Conv3d(1, 1, 2, padding=(0, -1, 0)), ValueError, "Conv3d: padding must be at least 0, got -1"),
    (lambda: impl.Conv1d(1, 1, 1, stride=(2,), padding="same"), ValueError, "Conv1d: padding"),
    (lambda: conv(1, 1, 1, 1, bias=False)(ones(4), ones(1, 1, 1)), ValueError, "Conv1d: x must have 3 dimensions"),
    (
        lambda: conv(1, 1, 1, 1, padding=-2, padding_mode="reflect", bias=False)(ones(1, 3), ones(1, 1, 1)),
        ValueError,
        r"Conv1d: a kernel that reaches over \(1,\) does not fit the padded input \(-1,\)",
    ),
    (lambda: transposed(2, 1, 1, 1, padding="same"), TypeError, "ConvTranspose2d: padding must be an integer"),
    (lambda: transposed(2, 1, 1, 1, padding=-1), ValueError, "ConvTranspose2d: padding must be at least 0"),
    (
        lambda: transposed(2, 1, 1, 1, padding_mode="reflect"),
        ValueError,
        "ConvTranspose2d: padding_mode must be one of",
    ),
    (lambda: transposed(2, 1, 1, 1, output_padding=-1), ValueError, "ConvTranspose2d: output_padding must be at least"),
    (lambda: transposed(1, 3, 2, 1, groups=2), ValueError, "ConvTranspose1d: in_channels must be divisible"),
    (lambda: transposed(1, 2, 3, 1, groups=2), ValueError, "ConvTranspose1d: out_channels must be divisible"),
    (lambda: lay(x=(4,)), ValueError, "ConvTranspose1d: x must have 3 dimensions"),
    (lambda: lay(x=(1, 3, 4)), ValueError, "ConvTranspose1d: x must have 2 channels"),
    (lambda: lay(x=(1, 2, 0)), ValueError, "ConvTranspose1d: x must not have an empty axis"),
    (lambda: lay(bias=True), ValueError, "ConvTranspose1d: bias is missing"),
    (lambda: lay(output_padding=1), ValueError, "output_padding must be smaller than stride or dilation, got 1"),
    (lambda: lay(stride=2, output_padding=2), ValueError, "output_padding must be smaller than stride or dilation"),
    (lambda: lay(padding=3), ValueError, r"padding leaves nothing of the output, its size would be \(-1,\)"),
    (lambda: lay(stride=2, output_size=(7,)), ValueError, r"output_size must be from \(8,\) to \(9,\), got \(7,\)"),
    (lambda: lay(stride=2, output_size=(10,)), ValueError, r"output_size must be from \(8,\) to \(9,\)"),
    (lambda: lay(output_size=(1, 5)), ValueError, r"output_size must hold 1 or 3 integers for this x, got \(1, 5\)"),
    (
        lambda: lay(2, x=(2, 3, 3), stride=(1,), output_size=(4, 4)),
        ValueError,
        r"ConvTranspose2d: stride must be an integer or 2 integers, got \(1,\)",
    ),
    (lambda: lay(output_size=()), TypeError, "output_size must be a sequence of integers"),
    (lambda: lay(output_size=5), TypeError, "output_size must be a sequence of integers, got 5"),
    (lambda: lay(output_size=(5.0,)), TypeError, "output_size must be a sequence of integers"),
    (lambda: impl.Unfold((2,)), ValueError, "Unfold: kernel_size must be an integer or 2 integers"),
    (lambda: impl.Unfold(2, padding=-1), ValueError, "Unfold: padding must be at least 0"),
    (lambda: impl.Unfold(2)(ones(4, 4)), ValueError, "Unfold: x must have 4 dimensions"),
    (lambda: impl.Unfold(2, padding=1)(ones(2, 0, 4)), ValueError, "Unfold: only the batch axis of x may be empty"),
    (lambda: impl.Unfold(5)(ones(2, 4, 4)), ValueError, "Unfold: a block of .* does not fit"),
    (lambda: impl.Fold(0, 2), ValueError, "Fold: output_size must be at least 1"),
    (lambda: impl.Fold((4,), 2), ValueError, "Fold: output_size must be an integer or 2 integers"),
    (lambda: impl.Fold(4, 2)(ones(9)), ValueError, "Fold: x must have shape"),
    (lambda: impl.Fold(4, 2)(ones(0, 9)), ValueError, "Fold: x must have shape"),
    (lambda: impl.Fold(4, 2)(ones(7, 9)), ValueError, "Fold: x must have a multiple of 4 rows"),
    (lambda: impl.Fold(4, 2)(ones(8, 8)), ValueError, "Fold: x must have 9 columns"),
    (lambda: impl.Fold(4, 5)(ones(25, 1)), ValueError, "Fold: a block of .* does not fit"),
    (lambda: impl.Bilinear(0, 1, 1), ValueError, "Bilinear: in1_features must be at least 1"),
    (lambda: impl.Bilinear(1, 0, 1), ValueError, "Bilinear: in2_features must be at least 1"),
    (lambda: impl.Bilinear(1, 1, -1), ValueError, "Bilinear: out_features must be at least 0"),
    (lambda: impl.Bilinear(1, 1, 1, False)(ones(), ones(), ones(1, 1, 1)), ValueError, "Bilinear: input1 must have"),
    (lambda: impl.Bilinear(1, 1, 1, False)(ones(2), ones(1), ones(1, 1, 1)), ValueError, "Bilinear: input1 must have"),
    (
        lambda: impl.Bilinear(2, 3, 1, False)(ones(5, 2), ones(1, 3), ones(1, 2, 3)),
        ValueError,
        r"Bilinear: input2 must have shape \(5, 3\), got \(1, 3\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[message for _, _, message in BAD])
def test_bad_call_is_refused_with_this_message(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_transposed_convolution_takes_a_tuple_of_one_number_for_all_axes():
    y, _ = lay(2, x=(2, 3, 3), stride=(2,), padding=(1,), output_padding=(1,), dilation=(3,))
    assert y.shape == (3, 2 * 2 + 3 + 1 - 2 + 1, 7)


def test_what_has_no_outputs_or_rows_has_no_gradient():
    y, backward = impl.Bilinear(2, 3, 0, bias=False)(ones(4, 2), ones(4, 3), ones(0, 2, 3))
    assert y.shape == (4, 0)
    assert not backward(y)["input1"].any()
    y, backward = lay(x=(0, 2, 4))
    assert y.shape == (0, 3, 5)
    np.testing.assert_array_equal(backward(y)["weight"], np.zeros((2, 3, 2)))
