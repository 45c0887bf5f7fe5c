"""Losses of classifiers: answers worked out by hand, what is refused, and torch.nn itself beside a formula."""

import numpy as np
import pytest
import torch
from calls import ids, ones
from test_impl_refusals import assert_ours

from gradjury import impl
from gradjury.impl import (
    AdaptiveLogSoftmaxWithLoss,
    CTCLoss,
    ExactCTCLoss,
    GumbelSoftmax,
    LinearCrossEntropyLoss,
    MultiLabelMarginLoss,
    MultiMarginLoss,
    NLLLoss,
    SpectralNorm,
    WeightNorm,
)

SCORES = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 0.0]])


def linear(*, x=(4, 2), weight=(3, 2), bias=(3,), target=(4,), **options):
    layer = LinearCrossEntropyLoss(2, 3, bias=True, **options)
    params = {"linear.weight": weight, "linear.bias": bias}
    return layer(ones(*x), ids(*target), **{name: ones(*a) for name, a in params.items() if a is not None})


def ctc(*, blank=0, **changed):
    good = {"log_probs": -ones(4, 2, 3), "targets": ids(2, 2, fill=1)}
    lengths = {"input_lengths": ids(2, fill=4), "target_lengths": ids(2, fill=2)}
    return CTCLoss(blank)(**{**good, **lengths, **changed})


def adaptive(*, in_features=4, n_classes=5, cutoffs=(2,), div_value=4.0, **changed):
    layer = AdaptiveLogSoftmaxWithLoss(in_features, n_classes, cutoffs, div_value)
    params = {"head.weight": ones(3, 4), "tail.0.0.weight": ones(1, 4), "tail.0.1.weight": ones(3, 1)}
    return layer(**{"x": ones(2, 4), "target": ids(2), **params, **changed})


BAD = [
    ("NLLLoss", lambda: NLLLoss(reduction="average"), ValueError, "reduction"),
    ("NLLLoss", lambda: NLLLoss(0.5), TypeError, "ignore_index"),
    ("NLLLoss", lambda: NLLLoss(True), TypeError, "ignore_index"),
    ("NLLLoss", lambda: NLLLoss()(ones(), ids()), ValueError, "x"),
    ("NLLLoss", lambda: NLLLoss()(ones(2, 0), ids(2, fill=-100)), ValueError, "class"),
    ("NLLLoss", lambda: NLLLoss()(ones(2, 3), ids(2), ones(2)), ValueError, "weight"),
    ("NLLLoss", lambda: NLLLoss()(ones(2, 3), ids(2, 1)), ValueError, "target"),
    ("NLLLoss", lambda: NLLLoss()(ones(2), ids(2)), ValueError, "target"),
    ("NLLLoss", lambda: NLLLoss()(ones(2, 3), ones(2)), TypeError, "target"),
    ("NLLLoss", lambda: NLLLoss()(ones(2, 3), ids(2, fill=3)), IndexError, "target"),
    ("NLLLoss", lambda: NLLLoss(3)(ones(2, 3), ids(2, fill=-100)), IndexError, "target"),
    ("LinearCrossEntropyLoss", lambda: LinearCrossEntropyLoss(-1, 3), ValueError, "in_features"),
    ("LinearCrossEntropyLoss", lambda: LinearCrossEntropyLoss(2, 0), ValueError, "num_classes"),
    ("LinearCrossEntropyLoss", lambda: LinearCrossEntropyLoss(2, 3, out_features=2), TypeError, "out_features"),
    ("LinearCrossEntropyLoss", lambda: LinearCrossEntropyLoss(2, 3, out_features=(-1,)), ValueError, "out_features"),
    ("LinearCrossEntropyLoss", lambda: linear(label_smoothing=2), ValueError, "label_smoothing"),
    ("LinearCrossEntropyLoss", lambda: linear(x=(4, 3)), ValueError, "x"),
    ("LinearCrossEntropyLoss", lambda: linear(x=(4, 1, 2)), ValueError, "x"),
    ("LinearCrossEntropyLoss", lambda: linear(x=(2,), out_features=(1,)), ValueError, "x"),
    ("LinearCrossEntropyLoss", lambda: linear(weight=(2, 3)), ValueError, "linear.weight"),
    ("LinearCrossEntropyLoss", lambda: linear(weight=None), ValueError, "linear.weight"),
    ("LinearCrossEntropyLoss", lambda: linear(bias=(4,)), ValueError, "linear.bias"),
    (
        "LinearCrossEntropyLoss",
        lambda: LinearCrossEntropyLoss(2, 3)(ones(2), ids(), **{"linear.weight": ones(3, 2), "linear.bias": ones(3)}),
        ValueError,
        "linear.bias",
    ),
    ("LinearCrossEntropyLoss", lambda: linear(target=(4, 1)), ValueError, "target"),
    (
        "LinearCrossEntropyLoss",
        lambda: LinearCrossEntropyLoss(2, 3, ignore_index=-100)(ones(2), ones(3), **{"linear.weight": ones(3, 2)}),
        ValueError,
        "ignore_index",
    ),
    ("CTCLoss", lambda: CTCLoss(-1), ValueError, "blank"),
    ("CTCLoss", lambda: CTCLoss(True), TypeError, "blank"),
    ("CTCLoss", lambda: CTCLoss(reduction="average"), ValueError, "reduction"),
    ("CTCLoss", lambda: ctc(log_probs=ones(3)), ValueError, "log_probs"),
    ("CTCLoss", lambda: ctc(log_probs=ones(4, 0, 3)), ValueError, "log_probs"),
    ("CTCLoss", lambda: ctc(blank=3), ValueError, "blank"),
    ("CTCLoss", lambda: ctc(input_lengths=ids(2, fill=5)), ValueError, "input_lengths"),
    ("CTCLoss", lambda: ctc(input_lengths=ids(3)), ValueError, "input_lengths"),
    ("CTCLoss", lambda: ctc(input_lengths=ones(2)), TypeError, "input_lengths"),
    ("CTCLoss", lambda: ctc(target_lengths=ids(2, fill=-1)), ValueError, "target_lengths"),
    ("CTCLoss", lambda: ctc(target_lengths=ids(2, fill=3)), ValueError, "targets"),
    ("CTCLoss", lambda: ctc(targets=ids(3, fill=1)), ValueError, "targets"),
    ("CTCLoss", lambda: ctc(targets=ids(3, 2, fill=1)), ValueError, "targets"),
    ("CTCLoss", lambda: ctc(targets=ones(2, 2)), TypeError, "targets"),
    ("CTCLoss", lambda: ctc(targets=ids(2, 2, fill=3)), IndexError, "targets"),
    ("CTCLoss", lambda: ctc(targets=ids(2, 2, fill=-1)), IndexError, "targets"),
    *(
        ("AdaptiveLogSoftmaxWithLoss", lambda options=options: adaptive(**options), error, word)
        for options, error, word in (
            ({"in_features": -1}, ValueError, "in_features"),
            ({"n_classes": 2}, ValueError, "cutoffs"),
            ({"cutoffs": []}, ValueError, "cutoffs"),
            ({"cutoffs": 2}, ValueError, "cutoffs"),
            ({"cutoffs": [2, 2]}, ValueError, "cutoffs"),
            ({"cutoffs": [0]}, ValueError, "cutoffs"),
            ({"cutoffs": [1.5]}, TypeError, "cutoffs"),
            ({"div_value": 0}, ValueError, "div_value"),
            ({"div_value": "4"}, TypeError, "div_value"),
            ({"x": ones(2, 3)}, ValueError, "x"),
            ({"x": ones(1, 2, 4)}, ValueError, "x"),
            ({"target": ids(3)}, ValueError, "target"),
            ({"target": ones(2)}, TypeError, "target"),
            ({"target": ids(2, fill=5)}, IndexError, "target"),
            ({"target": ids(2, fill=-1)}, IndexError, "target"),
            ({"tail.0.1.weight": ones(3, 2)}, ValueError, "tail.0.1.weight"),
            ({"head.bias": ones(3)}, ValueError, "head.bias"),
        )
    ),
    ("GumbelSoftmax", lambda: GumbelSoftmax("warm"), TypeError, "tau"),
    ("GumbelSoftmax", lambda: GumbelSoftmax(dim=2)(ones(2, 3), ones(2, 3)), IndexError, "dim"),
    ("GumbelSoftmax", lambda: GumbelSoftmax()(ones(2, 3), ones(3)), ValueError, "gumbels"),
    ("GumbelSoftmax", lambda: GumbelSoftmax(hard=True)(ones(2, 0), ones(2, 0)), IndexError, "dim"),
    ("WeightNorm", lambda: WeightNorm(0.5), TypeError, "dim"),
    ("WeightNorm", lambda: WeightNorm(2)(ones(2, 1), ones(2, 3)), IndexError, "dim"),
    ("WeightNorm", lambda: WeightNorm()(ones(2), ones(2, 3)), ValueError, "weight_g"),
    ("WeightNorm", lambda: WeightNorm(None)(ones(), ones()), ValueError, "weight_v"),
    ("SpectralNorm", lambda: SpectralNorm(0), ValueError, "n_power_iterations"),
    ("SpectralNorm", lambda: SpectralNorm(eps="small"), TypeError, "eps"),
    ("SpectralNorm", lambda: SpectralNorm()(ones()), ValueError, "weight"),
    ("SpectralNorm", lambda: SpectralNorm(dim=2)(ones(2, 3), ones(2), ones(3)), IndexError, "dim"),
    ("SpectralNorm", lambda: SpectralNorm()(ones(2, 3), ones(2)), ValueError, "_v"),
    ("SpectralNorm", lambda: SpectralNorm()(ones(2, 3), ones(3), ones(3)), ValueError, "_u"),
    ("SpectralNorm", lambda: SpectralNorm()(ones(2), ones(2)), ValueError, "_u"),
    ("SpectralNorm", lambda: SpectralNorm()(ones(2))[1](ones(3)), ValueError, "dy"),
    ("MultiMarginLoss", lambda: MultiMarginLoss(3), ValueError, "p"),
    ("MultiMarginLoss", lambda: MultiMarginLoss(margin="wide"), TypeError, "margin"),
    ("MultiMarginLoss", lambda: MultiMarginLoss(reduction="average"), ValueError, "reduction"),
    ("MultiMarginLoss", lambda: MultiMarginLoss(margin=1e300)(ones(2, 3).astype("f4"), ids(2)), ValueError, "margin"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(2, 0), ids(2)), ValueError, "x"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(1, 2, 3), ids(1)), ValueError, "x"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(2, 3), ids()), ValueError, "target"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(3), ids(3)), ValueError, "target"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(2, 3), ones(2)), TypeError, "target"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(2, 3), ids(2, fill=3)), IndexError, "target"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(2, 3), ids(2, fill=-1)), IndexError, "target"),
    ("MultiMarginLoss", lambda: MultiMarginLoss()(ones(2, 3), ids(2), ones(2)), ValueError, "weight"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss("average"), ValueError, "reduction"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss()(ones(2, 0), ids(2, 0)), ValueError, "x"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss()(ones(2, 3), ids(3)), ValueError, "target"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss()(ones(1), ids(1, 1)), ValueError, "target"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss()(ones(2, 3), ones(2, 3)), TypeError, "target"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss()(ones(3), ids(3, fill=3)), IndexError, "target"),
    ("MultiLabelMarginLoss", lambda: MultiLabelMarginLoss()(ones(3), ids(3, fill=-2)), IndexError, "target"),
]


@pytest.mark.parametrize(
    ("layer", "call", "error", "word"), [pytest.param(*row, id=f"{row[0]}-{n}-{row[3]}") for n, row in enumerate(BAD)]
)
def test_bad_call_is_refused_by_name(layer, call, error, word):
    with pytest.raises(error, match=rf"\b{word}\b") as caught:
        call()
    assert_ours(caught.value, layer)


def test_nll_mean_divides_by_the_weights_of_the_classes_that_count():
    y, backward = NLLLoss(ignore_index=1)(-SCORES, np.array([2, 1]), np.array([1.0, 1.0, 5.0]))
    assert y == 4
    np.testing.assert_array_equal(backward(np.array(3.0))["x"], [[0, 0, -3], [0, 0, 0]])


def test_nll_takes_the_target_of_a_single_sample_with_an_axis_or_without():
    for target in (np.array(2), np.array([2])):
        y, backward = NLLLoss(reduction="none")(-SCORES[0], target)
        assert y.shape == ()
        assert y == 4
        np.testing.assert_array_equal(backward(np.array(3.0))["x"], [0, 0, -3])


@pytest.mark.parametrize(("reduction", "loss"), [("none", np.empty(0)), ("sum", 0.0), ("mean", np.nan)])
@pytest.mark.parametrize(
    ("layer", "target"),
    [(NLLLoss, ids(0)), (MultiMarginLoss, ids(0)), (MultiLabelMarginLoss, ids(0, 3))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_batch_without_samples(layer, target, reduction, loss):
    y, backward = layer(reduction=reduction)(ones(0, 3), target)
    np.testing.assert_array_equal(y, loss)
    assert backward(np.ones_like(y))["x"].shape == (0, 3)


def test_multi_margin_passes_no_gradient_at_the_margin():
    # To the target they differ by -3, by -1 (the margin's edge); then by 0 and -3.
    scores = np.array([[1.0, 3.0, 4.0], [3.0, 3.0, 0.0]])
    y, backward = MultiMarginLoss(reduction="none")(scores, np.array([2, 0]))
    np.testing.assert_array_equal(y, [0, 1 / 3])
    np.testing.assert_array_equal(backward(np.array([1.0, 3.0]))["x"], [[0, 0, 0], [-1, 1, 0]])


def test_multi_margin_squared_and_weighted():
    y, backward = MultiMarginLoss(2, 2.0, "sum")(SCORES[1], np.array(1), np.array([0.0, 6.0, 0.0]))
    assert y == 8
    np.testing.assert_array_equal(backward(np.array(1.0))["x"], [8, -8, 0])


def test_multi_label_margin_reads_targets_up_to_minus_one_and_counts_repeated_ones_twice():
    target = np.array([[0, 0, -1], [2, -1, 1]])
    y, backward = MultiLabelMarginLoss("none")(SCORES, target)
    # 1 - 1 + 2 and 1 - 1 + 4, twice; 1 - 0 + 3 for both of the others.
    np.testing.assert_array_equal(y, [4, 8 / 3])
    np.testing.assert_array_equal(backward(np.array([3.0, 3.0]))["x"], [[-4, 2, 2], [1, 1, -2]])


def test_multi_label_margin_takes_pairs_in_parts():
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((3, 1500)), rng.integers(-1, 1500, (3, 1500))
    target[0], target[1, 1200:] = np.arange(1500), -1
    theirs = torch.from_numpy(x).requires_grad_()
    loss = torch.nn.MultiLabelMarginLoss()(theirs, torch.from_numpy(target))
    loss.backward()
    y, backward = MultiLabelMarginLoss()(x, target)
    np.testing.assert_allclose(y, loss.item(), rtol=1e-12)
    np.testing.assert_allclose(backward(np.array(1.0))["x"], theirs.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["indices", "probabilities"])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_linear_cross_entropy_takes_samples_in_parts(monkeypatch, kind, reduction):
    rng = np.random.default_rng(0)
    layer = LinearCrossEntropyLoss(2, 3, out_features=(4,), bias=True, reduction=reduction, label_smoothing=0.1)
    x, weight, params = rng.standard_normal((9, 2)), rng.random(3), layer.initial_parameters(rng)
    target = rng.integers(0, 3, (9, 4)) if kind == "indices" else rng.random((9, 3, 4))
    whole, backward = layer(x, target, weight, **params)
    dy = rng.standard_normal(whole.shape)
    expected = backward(dy)
    monkeypatch.setattr(impl.class_loss, "BLOCK", 1)
    parts, backward = layer(x, target, weight, **params)
    np.testing.assert_allclose(parts, whole, rtol=1e-14)
    answer = backward(dy)
    assert answer.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(answer[name], value, rtol=1e-13, atol=1e-14)


def test_linear_cross_entropy_names_its_parameters_as_torch_does():
    ours = LinearCrossEntropyLoss(5, 2, out_features=(3,), bias=True).initial_parameters(
        np.random.default_rng(0), np.float32
    )
    theirs = torch.nn.LinearCrossEntropyLoss(5, 2, out_features=(3,), bias=True).state_dict()
    assert {name: (a.shape, a.dtype) for name, a in ours.items()} == {
        name: (tuple(a.shape), np.float32) for name, a in theirs.items()
    }


def test_ctc_counts_every_way_to_say_the_labels():
    # In two frames the label 1 is said as 1-, -1 or 11; each frame's scores are equal.
    scores, lengths = np.full((2, 1, 2), np.log(0.5)), (np.array([2]), np.array([1]))
    y, backward = CTCLoss(reduction="none")(scores, np.array([[1]]), *lengths)
    np.testing.assert_allclose(y, [-np.log(3 / 4)], rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([6.0]))["log_probs"], [[[1, -1]], [[1, -1]]], rtol=1e-14)
    _, backward = ExactCTCLoss(reduction="none")(scores, np.array([[1]]), *lengths)
    np.testing.assert_allclose(backward(np.array([6.0]))["log_probs"], [[[-2, -4]], [[-2, -4]]], rtol=1e-14)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_of_what_cannot_be_said(zero_infinity):
    # The label 1 twice takes a blank between: three frames.
    args = (np.full((2, 1, 2), np.log(0.5)), np.array([[1, 1]]), np.array([2]), np.array([2]))
    for layer, gradient in ((CTCLoss, np.nan), (ExactCTCLoss, 0)):
        y, backward = layer(zero_infinity=zero_infinity)(*args)
        assert y == (0 if zero_infinity else np.inf)
        expected = np.full((2, 1, 2), 0 if zero_infinity else gradient)
        np.testing.assert_array_equal(backward(np.array(1.0))["log_probs"], expected)


def test_ctc_counts_both_last_states_where_a_label_is_the_blank():
    # Here torch leaves one of them out; see docs/discrepancies.
    args = (np.full((2, 1, 3), np.log(1 / 3)), np.array([[0]]), np.array([2]), np.array([1]))
    _, backward = CTCLoss(reduction="sum")(*args)
    np.testing.assert_allclose(backward(np.array(3.0))["log_probs"], [[[-2, 1, 1]]] * 2, rtol=1e-14)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_ctc_meets_nan_and_infinity_as_torch_does(special):
    rng = np.random.default_rng(0)
    for _ in range(60):
        scores = rng.standard_normal((5, 2, 3))
        scores.flat[rng.integers(scores.size, size=2)] = special
        rest = rng.integers(1, 3, (2, 3)), rng.integers(0, 6, 2), rng.integers(0, 4, 2)
        theirs = torch.from_numpy(scores).requires_grad_()
        loss = torch.nn.CTCLoss(reduction="none")(theirs, *map(torch.from_numpy, rest))
        loss.backward(torch.ones(2, dtype=torch.float64))
        y, backward = CTCLoss(reduction="none")(scores, *rest)
        np.testing.assert_allclose(y, loss.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(backward(np.ones(2))["log_probs"], theirs.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_adaptive_softmax_is_a_distribution_over_all_classes():
    rng = np.random.default_rng(0)
    layer = AdaptiveLogSoftmaxWithLoss(6, 9, [2, 5], 2.0, head_bias=True)
    params, x = layer.initial_parameters(rng), rng.standard_normal(6)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(6, 9, [2, 5], 2.0, head_bias=True).state_dict()
    assert {name: a.shape for name, a in params.items()} == {name: tuple(a.shape) for name, a in theirs.items()}
    outputs = [layer(x, np.array(target), **params)[0] for target in range(9)]
    np.testing.assert_allclose(sum(np.exp(output) for output, _ in outputs), 1, rtol=1e-14)
    assert all(loss == -output for output, loss in outputs)


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_is_torchs_with_its_noise(hard):
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch.manual_seed(1)
    theirs = torch.nn.functional.gumbel_softmax(logits, 0.5, hard, dim=0)
    torch.manual_seed(1)
    gumbels = -torch.empty(3, 4, dtype=torch.float64).exponential_().log()
    y, backward = GumbelSoftmax(0.5, hard, 0)(logits.detach().numpy(), gumbels.numpy())
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-14, atol=1e-16)
    dy = np.arange(12.0).reshape(3, 4)
    (gradient,) = torch.autograd.grad(theirs, logits, torch.from_numpy(dy))
    np.testing.assert_allclose(backward(dy)["logits"], gradient.numpy(), rtol=1e-12, atol=1e-14)


def test_gumbel_noise_samples_the_softmax():
    layer, logits = GumbelSoftmax(hard=True), np.log(np.array([0.2, 0.3, 0.5])).astype(np.float32)
    wide = np.broadcast_to(logits, (20000, 3))
    noise = layer.noise(np.random.default_rng(0), wide.shape, np.float32)
    assert noise["gumbels"].dtype == np.float32
    np.testing.assert_allclose(layer(wide, **noise)[0].mean(axis=0), [0.2, 0.3, 0.5], atol=0.01)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_keeps_a_weight_of_its_own_norm(dim):
    v = np.array([[3.0, 0.0], [4.0, 2.0]])
    g = np.sqrt((v * v).sum(axis=None if dim is None else 1 - dim, keepdims=dim is not None))
    y, backward = WeightNorm(dim)(np.asarray(g), v)
    np.testing.assert_allclose(y, v, rtol=1e-15)
    # A change along v changes no direction.
    np.testing.assert_allclose(backward(v)["weight_v"], np.zeros((2, 2)), atol=1e-15)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_weight_norm_takes_numbers_whose_squares_float32_does_not_hold(size):
    v = np.array([[3, 4]], np.float32) * np.float32(size)
    y, backward = WeightNorm()(np.array([[5]], np.float32), v)
    np.testing.assert_allclose(y, [[3, 4]], rtol=1e-6)
    np.testing.assert_allclose(backward(np.ones_like(v))["weight_g"], [[7 / 5]], rtol=1e-6)


def test_spectral_norm_finds_the_largest_singular_value():
    weight = np.random.default_rng(0).standard_normal((4, 2, 3))
    layer = SpectralNorm(50, dim=-1)
    state = layer.initial_parameters(np.random.default_rng(1), weight)
    (y, u, v), _ = layer(weight, **state)
    assert (u.shape, v.shape) == ((3,), (8,))
    np.testing.assert_allclose(np.linalg.norm(y.reshape(8, 3), 2), 1, rtol=1e-12)
    assert SpectralNorm().initial_parameters(np.random.default_rng(0), np.ones(3)) == {}
