"""What a naive normalisation gets wrong: known answers by hand, state, conventions, refusals with their words."""

import re

import numpy as np
import pytest
import torch

from gradjury import impl
from gradjury.impl import (
    BatchNorm1d,
    CrossMapLRN2d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
    LocalResponseNorm,
    Normalize,
    RMSNorm,
)

same = np.testing.assert_array_equal
close = np.testing.assert_allclose


def state(mean, var, count):
    return {
        "running_mean": np.array(mean, float),
        "running_var": np.array(var, float),
        "num_batches_tracked": np.array(count),
    }


def test_batch_norm_divides_by_the_biased_and_remembers_the_unbiased_variance():
    layer = BatchNorm1d(1, eps=1.0, momentum=0.5, affine=False)
    x = np.array([[-3.0], [0.0], [3.0], [0.0]])  # biased variance 4.5, unbiased 6
    (y, mean, var, count), _ = layer(x, **state([2], [4], 7))
    close(y, x / np.sqrt(5.5), rtol=1e-15)
    same(mean, [1])
    same(var, [5])
    assert (count, count.shape, count.dtype) == (8, (), np.int64)


def test_batch_norm_without_momentum_weighs_all_batches_alike():
    layer = BatchNorm1d(1, momentum=None, affine=False)
    (_, mean, var, count), _ = layer(np.array([[4.0], [6.0]]), **state([1], [8], 3))
    same(mean, [2])  # three batches of mean 1, one of mean 5
    same(var, [6.5])
    assert count == 4


def test_batch_norm_in_eval_mode_is_linear_in_x_and_changes_no_state():
    layer = BatchNorm1d(1, eps=0.0, training=False)
    y, backward = layer(np.array([[3.0]]), np.array([10.0]), np.array([1.0]), **state([1], [4], 0))
    same(y, [[11]])
    grads = backward(np.array([[2.0]]))
    assert {name: g.item() for name, g in grads.items()} == {"x": 10, "weight": 2, "bias": 2}


def test_batch_norm_without_running_statistics_takes_the_batch_in_eval_mode_too():
    layers = [BatchNorm1d(2, affine=False, track_running_stats=False, training=t) for t in (True, False)]
    x = np.array([[1.0, 2.0], [4.0, 0.0]])
    same(*(layer(x)[0] for layer in layers))


def test_an_empty_batch_counts_but_changes_no_statistic():
    (y, mean, var, count), backward = BatchNorm1d(1)(np.ones((0, 1)), np.ones(1), np.ones(1), **state([2], [3], 4))
    assert (y.shape, mean, var, count) == ((0, 1), 2, 3, 5)
    assert {name: g.tolist() for name, g in backward(y).items()} == {"x": [], "weight": [0], "bias": [0]}


def test_instance_norm_averages_the_statistics_of_its_instances_and_counts_no_batches():
    layer = InstanceNorm1d(1, momentum=0.5, track_running_stats=True)
    x = np.array([[[1.0, 3.0]], [[5.0, 5.0]]])  # means 2 and 5, unbiased variances 2 and 0
    (_, mean, var, count), _ = layer(x, **state([0.5], [3], 6))
    same(mean, [2])
    same(var, [2])
    assert count == 6


def test_instance_norm_without_momentum_never_updates():
    layer = InstanceNorm1d(1, momentum=None, track_running_stats=True)
    (_, mean, var, _), _ = layer(np.array([[1.0, 3.0]]), **state([7], [9], 0))
    same([mean, var], [[7], [9]])


def test_instance_norm_of_an_empty_batch_has_no_statistics():
    layer = InstanceNorm1d(2, track_running_stats=True)
    (y, mean, var, _), _ = layer(np.ones((0, 2, 3)), **state([0, 0], [1, 1], 0))
    assert y.shape == (0, 2, 3)
    assert np.isnan([mean, var]).all()


def test_instance_norm_without_parameters_takes_any_number_of_channels():
    assert InstanceNorm2d(3)(np.arange(8.0).reshape(2, 2, 2))[0].shape == (2, 2, 2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_mean_costs_no_digits(dtype):
    # E[x²] - mean² has no digit left here, and float32 cannot hold the mean.
    step = np.array([0.0, 1.0, 2.0, 4.0], dtype)
    x = 2 ** (20 if dtype == np.float32 else 49) + step
    want = (step - 1.75) / np.sqrt(2.1875 + 1e-5)
    for y in (
        LayerNorm(4, elementwise_affine=False)(x)[0],
        GroupNorm(1, 4, affine=False)(x[None])[0][0],
        InstanceNorm1d(1)(x[None])[0][0],
        BatchNorm1d(1, affine=False, track_running_stats=False)(x[:, None])[0][:, 0],
    ):
        assert y.dtype == dtype
        close(y, want, rtol=4 * np.finfo(dtype).eps)


def test_squares_beyond_float32_do_not_overflow():
    x = np.array([[-1e30, 1e30]], np.float32)
    for layer in (
        LayerNorm(2, elementwise_affine=False),
        RMSNorm(2, elementwise_affine=False),
        InstanceNorm1d(1),
    ):
        close(layer(x)[0], [[-1, 1]], rtol=1e-6)
    close(Normalize()(x)[0], [[-(0.5**0.5), 0.5**0.5]], rtol=1e-6)


def test_a_constant_group_has_output_zero_and_a_gradient():
    y, backward = LayerNorm(3, eps=0.25, elementwise_affine=False)(np.full(3, 0.1))
    same(y, [0, 0, 0])
    close(backward(np.array([3.0, 0.0, 0.0]))["x"], [4, -2, -2], rtol=1e-15)


def test_a_large_common_part_of_the_cotangent_costs_no_digits():
    # Of two values the gradient is what eps leaves of it, some 1e-5 of the cotangent's difference.
    _, backward = InstanceNorm1d(1)(np.array([[1.0, -1.0]]))
    want = 1e-5 / 1.00001**1.5
    close(backward(np.array([[-999.0, -997.0]]))["x"], [[-want, want]], rtol=1e-10)


def test_group_norm_takes_one_value_a_group_unless_the_batch_is_one():
    same(GroupNorm(2, 2, affine=False)(np.array([[1.0, 2.0], [3.0, 4.0]]))[0], np.zeros((2, 2)))
    with pytest.raises(ValueError, match="GroupNorm: x must have more than 1 value a group"):
        GroupNorm(2, 2, affine=False)(np.ones((1, 2)))


def test_group_norm_without_positions_has_gradient_zero():
    y, backward = GroupNorm(1, 2)(np.ones((3, 2, 0)), np.ones(2), np.ones(2))
    same(backward(y)["weight"], [0, 0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rms_norm_without_eps_takes_the_machine_epsilon(dtype):
    _, backward = RMSNorm(2)(np.zeros(2, dtype), np.array([1, 2], dtype))
    dx = backward(np.ones(2, dtype))["x"]
    close(dx, np.array([1, 2]) / np.sqrt(np.finfo(dtype).eps), rtol=1e-6)
    assert dx.dtype == dtype


def test_layer_norm_takes_an_integer_for_the_last_axis():
    x = np.arange(6.0).reshape(2, 3) ** 2
    plain = LayerNorm(3, elementwise_affine=False)(x)[0]
    same(plain, LayerNorm((3,), elementwise_affine=False)(x)[0])
    assert not np.allclose(plain, LayerNorm((2, 3), elementwise_affine=False)(x)[0])


def test_an_even_window_looks_back_one_channel_further():
    x = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1)
    y, _ = LocalResponseNorm(2, alpha=2.0, beta=1.0, k=0.0)(x)
    close((x / y).ravel(), [1, 1 + 4, 4 + 16, 16 + 64], rtol=1e-15)
    y, _ = LocalResponseNorm(4, alpha=4.0, beta=1.0, k=0.0)(x)
    close((x / y).ravel(), [1 + 4, 1 + 4 + 16, 1 + 4 + 16 + 64, 4 + 16 + 64], rtol=1e-15)


def test_a_window_wider_than_the_channels_divides_by_its_size_all_the_same():
    y, _ = LocalResponseNorm(9, alpha=9.0, beta=1.0)(np.array([1.0, 2.0]).reshape(1, 2, 1))
    close(y.ravel(), [1 / 6, 2 / 6], rtol=1e-15)


def test_cross_map_response_is_that_of_its_formula():
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 2))
    dy = np.random.default_rng(1).standard_normal(x.shape)
    (y, back), (want, back_want) = CrossMapLRN2d(3, 1.0)(x), LocalResponseNorm(3, 1.0)(x)
    same(y, want)
    same(back(dy)["x"], back_want(dy)["x"])


@pytest.mark.parametrize("p", [0.0, 0.5, 1, 2.0, 3.0, np.inf, -1.0, -np.inf])
def test_normalize_divides_a_zero_vector_by_eps(p):
    y, backward = Normalize(p, eps=0.25)(np.zeros((1, 2)))
    same(y, [[0, 0]])
    same(backward(np.array([[1.0, -2.0]]))["x"], [[4, -8]])


def test_normalize_shares_a_tie_for_the_largest():
    y, backward = Normalize(np.inf, dim=0)(np.array([2.0, -2.0, 1.0]))
    same(y, [1, -1, 0.5])
    same(backward(np.array([0.0, 0.0, 4.0]))["x"], [-0.5, 0.5, 2])


def test_normalize_over_no_axis_is_over_all():
    x = np.array([[1.0, 1.0], [1.0, 1.0]])
    same(Normalize(dim=())(x)[0], x / 2)
    same(Normalize(dim=(0, -1))(x)[0], x / 2)
    same(Normalize(dim=-1)(np.array(-3.0))[0], -1)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "options", [{}, {"affine": True, "track_running_stats": True}, {"affine": True, "bias": False}]
)
def test_init_is_torchs_first_state(rank, options):
    for kind in ("BatchNorm", "InstanceNorm"):
        ours = getattr(impl, f"{kind}{rank}d")(2, **options).initial_parameters(np.random.default_rng(0), np.float32)
        theirs = getattr(torch.nn, f"{kind}{rank}d")(2, **options).state_dict()
        assert ours.keys() == theirs.keys()
        for name, a in ours.items():
            same(a, theirs[name].numpy())
            assert a.dtype == theirs[name].numpy().dtype


def test_init_of_the_others_is_ones_and_zeros():
    rng = np.random.default_rng(0)
    same(LayerNorm((2, 3)).initial_parameters(rng)["weight"], np.ones((2, 3)))
    same(LayerNorm(3).initial_parameters(rng)["bias"], np.zeros(3))
    assert LayerNorm(3, bias=False).initial_parameters(rng).keys() == {"weight"}
    assert GroupNorm(1, 2, affine=False).initial_parameters(rng) == {}
    assert RMSNorm(2).initial_parameters(rng, np.float32)["weight"].dtype == np.float32


def norm(**changed):
    inputs = {"x": np.ones((2, 3)), "weight": np.ones(3), "bias": np.ones(3), **state(np.zeros(3), np.ones(3), 0)}
    return {name: a for name, a in {**inputs, **changed}.items() if a is not None}


ones = np.ones

BAD = [
    (lambda: BatchNorm1d(2.5), TypeError, "BatchNorm1d: num_features must be an integer"),
    (lambda: BatchNorm1d(0), ValueError, "BatchNorm1d: num_features must be at least 1"),
    (lambda: BatchNorm1d(3, eps="small"), TypeError, "BatchNorm1d: eps must be a number"),
    (lambda: BatchNorm1d(3, eps=0.0), ValueError, "BatchNorm1d: eps must be positive"),
    (lambda: BatchNorm1d(3, eps=-1.0, training=False), ValueError, "BatchNorm1d: eps must be at least 0"),
    (lambda: BatchNorm1d(3, momentum="much"), TypeError, "BatchNorm1d: momentum must be a number"),
    (lambda: BatchNorm1d(3)(**norm(x=ones(3))), ValueError, "BatchNorm1d: x must have 2 or 3 dimensions"),
    (lambda: BatchNorm1d(3)(**norm(x=ones((2, 4)))), ValueError, "BatchNorm1d: x must have 3 channels"),
    (lambda: BatchNorm1d(3)(**norm(x=ones((1, 3)))), ValueError, "BatchNorm1d: x must have more than 1 value"),
    (lambda: BatchNorm1d(3)(**norm(weight=None)), ValueError, "BatchNorm1d: weight is missing"),
    (lambda: BatchNorm1d(3, bias=False)(**norm()), ValueError, "BatchNorm1d: bias was given"),
    (lambda: BatchNorm1d(3)(**norm(running_var=ones(2))), ValueError, "BatchNorm1d: running_var must have shape (3,)"),
    (lambda: BatchNorm1d(3)(**norm(num_batches_tracked=ones(()))), TypeError, "num_batches_tracked must hold an int"),
    (
        lambda: BatchNorm1d(3)(**norm(num_batches_tracked=np.array([0]))),
        ValueError,
        "num_batches_tracked must have sha",
    ),
    (
        lambda: BatchNorm1d(3, momentum=None)(**norm(num_batches_tracked=np.array(-1))),
        ValueError,
        "BatchNorm1d: num_batches_tracked must not be -1",
    ),
    (lambda: InstanceNorm1d(3)(ones(3)), ValueError, "InstanceNorm1d: x must have 3 dimensions"),
    (lambda: InstanceNorm1d(3)(ones((2, 3, 1))), ValueError, "InstanceNorm1d: x must have more than 1 position"),
    (
        lambda: InstanceNorm1d(3, affine=True)(ones((2, 4, 2)), ones(3), ones(3)),
        ValueError,
        "InstanceNorm1d: x must have 3 channels",
    ),
    (
        lambda: InstanceNorm1d(3, affine=True)(ones((0, 3, 2)), ones(3), ones(3)),
        ValueError,
        "InstanceNorm1d: x must not have an empty batch",
    ),
    (lambda: GroupNorm(0, 3), ValueError, "GroupNorm: num_groups must be at least 1"),
    (lambda: GroupNorm(2, 3), ValueError, "GroupNorm: num_channels must be divisible by num_groups"),
    (lambda: GroupNorm(1, 3, eps=None), TypeError, "GroupNorm: eps must be a number"),
    (lambda: GroupNorm(1, 3, affine=False)(ones(3)), ValueError, "GroupNorm: x must have at least 2 dimensions"),
    (
        lambda: GroupNorm(2, 4, affine=False)(ones((2, 3))),
        ValueError,
        "GroupNorm: x must have a multiple of 2 channels",
    ),
    (lambda: GroupNorm(1, 3)(ones((2, 4)), ones(3), ones(3)), ValueError, "GroupNorm: x must have 3 channels"),
    (lambda: LayerNorm(()), ValueError, "LayerNorm: normalized_shape must have at least 1 axis"),
    (lambda: LayerNorm(1.5), TypeError, "LayerNorm: normalized_shape must be an integer"),
    (lambda: LayerNorm(-1), ValueError, "LayerNorm: normalized_shape must be at least 0"),
    (lambda: LayerNorm(3)(ones((3, 2)), ones(3), ones(3)), ValueError, "LayerNorm: x must have shape (*, 3)"),
    (lambda: LayerNorm(3)(ones(3), ones((3, 1)), ones(3)), ValueError, "LayerNorm: weight must have shape (3,)"),
    (lambda: RMSNorm(3, eps="small"), TypeError, "RMSNorm: eps must be a number"),
    (lambda: RMSNorm((2, 3))(ones(3), ones((2, 3))), ValueError, "RMSNorm: x must have shape (*, 2, 3)"),
    (lambda: LocalResponseNorm(0), ValueError, "LocalResponseNorm: size must be at least 1"),
    (lambda: LocalResponseNorm(2, k=None), TypeError, "LocalResponseNorm: k must be a number"),
    (lambda: LocalResponseNorm(2)(ones((2, 3))), ValueError, "LocalResponseNorm: x must have at least 3 dimensions"),
    (lambda: CrossMapLRN2d(2)(ones((2, 3, 4))), ValueError, "CrossMapLRN2d: x must have 4 dimensions"),
    (lambda: Normalize("two"), TypeError, "Normalize: p must be a number"),
    (lambda: Normalize(eps=None), TypeError, "Normalize: eps must be a number"),
    (lambda: Normalize()(ones(3)), IndexError, "Normalize: dim must be in [-1, 0]"),
    (lambda: Normalize(dim=(0, -2))(ones((2, 3))), ValueError, "Normalize: dim must not name an axis twice"),
    (lambda: Normalize(np.inf)(ones((2, 0))), ValueError, "Normalize: p must be finite and not negative for an empty"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[row[2] for row in BAD])
def test_bad_call_is_refused_in_these_words(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
