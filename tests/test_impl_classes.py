"""Losses of classifiers: answers worked out by hand, what is refused, and torch.nn itself beside a formula."""

import numpy as np
import pytest
import torch
from calls import ids, ones
from test_impl_refusals import assert_ours

from gradjury import impl
from gradjury.impl import (
    LinearCrossEntropyLoss,
    MultiLabelMarginLoss,
    MultiMarginLoss,
    NLLLoss,
)

SCORES = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 0.0]])


def linear(*, x=(4, 2), weight=(3, 2), bias=(3,), target=(4,), **options):
    layer = LinearCrossEntropyLoss(2, 3, bias=True, **options)
    params = {"linear.weight": weight, "linear.bias": bias}
    return layer(ones(*x), ids(*target), **{name: ones(*a) for name, a in params.items() if a is not None})


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
    x, weight, params = rng.standard_normal((9, 2)), rng.random(3), layer.init(rng)
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
    ours = LinearCrossEntropyLoss(5, 2, out_features=(3,), bias=True).init(np.random.default_rng(0), np.float32)
    theirs = torch.nn.LinearCrossEntropyLoss(5, 2, out_features=(3,), bias=True).state_dict()
    assert {name: (a.shape, a.dtype) for name, a in ours.items()} == {
        name: (tuple(a.shape), np.float32) for name, a in theirs.items()
    }
