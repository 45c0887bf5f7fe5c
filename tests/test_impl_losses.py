"""Losses: facts worked out by hand, and what they refuse."""

import numpy as np
import pytest
import torch
from calls import ids, ones
from test_impl_refusals import assert_ours

from gradjury import impl


def slopes(layer, *xs):
    y, backward = layer(*map(np.array, xs))
    return y.tolist(), {name: dx.tolist() for name, dx in backward(np.ones_like(y)).items()}


def test_equal_numbers_and_nan_have_no_sign_in_l1():
    for layer in (impl.L1Loss("none"), impl.SmoothL1Loss("none", beta=0)):
        assert slopes(layer, [1.0, 2.0, 0.0, np.nan], [1.0, 0.0, 3.0, 0.0])[1]["x"] == [0, 1, -1, 0]


def test_smooth_l1_and_huber_go_straight_at_the_bound_itself():
    x = [-3.0, -2.0, 1.0, 2.0]
    y, grads = slopes(impl.SmoothL1Loss("none", beta=2), x, [0.0] * 4)
    assert (y, grads["x"]) == ([2, 1, 0.25, 1], [-1, -1, 0.5, 1])
    y, grads = slopes(impl.HuberLoss("none", delta=2), x, [0.0] * 4)
    assert (y, grads["x"]) == ([4, 2, 0.5, 2], [-2, -2, 1, 2])


@pytest.mark.parametrize("target", [-1.0, 0.0, 1.0])
def test_stirling_counts_for_nothing_up_to_one(target):
    plain, full = (slopes(impl.PoissonNLLLoss(full=full), [0.5], [target]) for full in (False, True))
    assert plain == full
    assert full[1]["target"] == [-0.5]


def test_a_variance_below_eps_has_the_gradient_of_eps():
    y, grads = slopes(impl.GaussianNLLLoss(eps=0.5), [3.0], [1.0], [0.0])
    assert y == pytest.approx(np.log(0.5) / 2 + 4)
    assert (grads["x"], grads["target"], grads["var"]) == ([4], [-4], [1 - 8])


def test_one_variance_for_all_along_an_axis_or_as_a_number():
    x, target = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    y, backward = impl.GaussianNLLLoss()(x, target, np.array([2.0, 3.0]))
    rows, rows_backward = impl.GaussianNLLLoss()(x, target, np.array([[2.0] * 3, [3.0] * 3]))
    assert y == rows
    np.testing.assert_allclose(backward(y)["var"], rows_backward(y)["var"].sum(axis=1), rtol=1e-14)
    y, backward = impl.GaussianNLLLoss()(x, target, 2.0)
    assert y == impl.GaussianNLLLoss()(x, target, np.full((2, 3), 2.0))[0]
    assert list(backward(y)) == ["x", "target"]


def test_kl_divergence_of_no_chance_is_zero_and_its_own_gradient_is_none():
    y, grads = slopes(impl.KLDivLoss("none"), [-1.0, -1.0], [0.0, 1.0])
    assert (y, grads["x"]) == ([0, 1], [0, -1])
    np.testing.assert_array_equal(grads["target"], [np.nan, 2])


@pytest.mark.parametrize(("shape", "divisor"), [((), 1), ((4,), 4), ((2, 3), 2)])
def test_batchmean_divides_by_the_length_of_the_first_axis(shape, divisor):
    x, target = np.zeros(shape), np.full(shape, 2.0)
    (y, backward), (total, _) = (impl.KLDivLoss(r)(x, target) for r in ("batchmean", "sum"))
    assert y == total / divisor
    np.testing.assert_array_equal(backward(np.array(1.0))["x"], np.full(shape, -2 / divisor))


def test_the_ends_of_a_probability_are_bounded_and_its_target_is_not():
    y, grads = slopes(impl.BCELoss("none"), [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    assert y == [0, 100, 100]
    np.testing.assert_allclose(grads["x"], [0, 1e12, -1e12], rtol=1e-8)
    assert grads["target"] == [np.inf, -np.inf, np.inf]


def test_logits_do_not_overflow():
    y, grads = slopes(impl.BCEWithLogitsLoss("none"), [1000.0, -1000.0], [0.0, 1.0])
    assert (y, grads["x"], grads["target"]) == ([1000, 1000], [1, -1], [-1000, 1000])
    y, grads = slopes(impl.SoftMarginLoss("none"), [-1000.0, 1000.0], [1, -1])
    assert (y, grads["x"]) == ([1000, 1000], [-1, 1])


def test_classes_are_counted_from_the_front_where_the_target_has_more_axes():
    assert impl.MultiLabelSoftMarginLoss("none")(ones(3), ones(5, 3))[0].shape == (3,)


@pytest.mark.parametrize("kind", ["int64", "int8", "float64"])
def test_labels_are_integers_or_floating_point(kind):
    target = np.array([1, -1, 0]).astype(kind)
    assert slopes(impl.HingeEmbeddingLoss(1.0, "none"), [2.0, 0.5, 0.5], target) == ([2, 0.5, 1], {"x": [1, -1, 0]})
    x = np.eye(3)
    y, _ = impl.CosineEmbeddingLoss(reduction="none")(x, x, target)
    np.testing.assert_allclose(y, [0, 1, 0], atol=1e-11)
    assert slopes(impl.SoftMarginLoss("sum"), [0.0, 0.0, 0.0], target)[1] == {"x": [-0.5, 0.5, 0]}
    y, grads = slopes(impl.MarginRankingLoss(reduction="none"), [1.0, 1.0, 1.0], [2.0, 2.0, 2.0], target)
    assert (y, grads["input1"]) == ([1, 0, 0], [-1, 0, 0])
    assert grads.get("target") == ([1, 0, 1] if kind == "float64" else None)


def test_unsigned_labels_are_what_they_say():
    target = np.ones(2, np.uint8)
    assert slopes(impl.SoftMarginLoss("sum"), [0.0, 0.0], target)[1] == {"x": [-0.5, -0.5]}
    assert slopes(impl.MarginRankingLoss(reduction="none"), [3.0, 1.0], [1.0, 2.0], target)[0] == [0, 1]


def test_a_hinge_lets_the_gradient_pass_where_it_is_zero():
    assert slopes(impl.HingeEmbeddingLoss(2), [2.0], [-1])[1]["x"] == [-1]
    assert slopes(impl.MarginRankingLoss(1), [2.0], [1.0], [1])[1]["input1"] == [-1]
    assert slopes(impl.CosineEmbeddingLoss(), [1.0, 0.0], [0.0, 1.0], -1)[1]["input1"] == pytest.approx([0, 1])
    y, grads = slopes(impl.TripletMarginLoss(1.0, 1, 0.0), [0.0], [1.0], [2.0])
    assert (y, grads) == (0, {"anchor": [0], "positive": [1], "negative": [-1]})


def test_equal_distances_to_the_negative_share_when_swapped():
    # The anchor and the positive are both 2 away from the negative.
    y, grads = slopes(impl.TripletMarginLoss(3.0, 1, 0.0, swap=True), [0.0, 0.0], [2.0, 0.0], [1.0, 1.0])
    assert (y, grads["negative"], grads["anchor"]) == (3, [0, -1], [-0.5, 0.5])


def squared(a, b):
    return (a - b).square().sum(-1)


def our_squared(a, b):
    d = a - b

    def backward(dy):
        return {"a": 2 * d * dy[..., None], "b": -2 * d * dy[..., None]}

    return (d * d).sum(-1), backward


DISTANCES = [
    (None, None),
    (impl.PairwiseDistance(1), torch.nn.PairwiseDistance(1)),
    (impl.PairwiseDistance(3, keepdim=True), torch.nn.PairwiseDistance(3, keepdim=True)),
    (impl.CosineSimilarity(-1), torch.nn.CosineSimilarity(-1)),
    (impl.MSELoss("none"), torch.nn.MSELoss(reduction="none")),
    (our_squared, squared),
]


@pytest.mark.parametrize(("ours", "theirs"), DISTANCES)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_any_layer_of_two_inputs_is_a_distance(ours, theirs, swap, reduction):
    rng = np.random.default_rng(0)
    options = {"margin": 2.5, "swap": swap, "reduction": reduction}
    for _ in range(20):
        arrays = [rng.integers(-2, 3, (4, 3)) + rng.choice([0.0, 0.25]) for _ in range(3)]
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        y, backward = impl.TripletMarginWithDistanceLoss(distance_function=ours, **options)(*arrays)
        expected = torch.nn.TripletMarginWithDistanceLoss(distance_function=theirs, **options)(*tensors)
        np.testing.assert_allclose(y, expected.detach(), rtol=1e-13, atol=1e-13)
        dy = rng.standard_normal(y.shape)
        for dx, want in zip(
            backward(dy).values(), torch.autograd.grad(expected, tensors, torch.tensor(dy)), strict=True
        ):
            np.testing.assert_allclose(dx, want, rtol=1e-12, atol=1e-12)


def triplet(layer, *shapes):
    return lambda: layer(*(ones(*shape) for shape in shapes))


# A bad call, the type of the exception, and a word of the message behind the layer's name.
BAD = [
    *(
        (name, lambda name=name: getattr(impl, name)(reduction="average"), ValueError, "reduction")
        for name in (
            *("L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "GaussianNLLLoss", "KLDivLoss", "BCELoss"),
            *("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "HingeEmbeddingLoss", "SoftMarginLoss"),
            *("MarginRankingLoss", "CosineEmbeddingLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss"),
        )
    ),
    *(
        (name, lambda name=name: getattr(impl, name)(margin="wide"), TypeError, "margin")
        for name in (
            *("HingeEmbeddingLoss", "MarginRankingLoss", "CosineEmbeddingLoss"),
            *("TripletMarginLoss", "TripletMarginWithDistanceLoss"),
        )
    ),
    *(
        (name, lambda name=name: getattr(impl, name)()(ones(2), ones(3)), ValueError, "target")
        for name in ("L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "KLDivLoss", "HingeEmbeddingLoss")
    ),
    *(
        (name, lambda name=name: getattr(impl, name)()(ones(2), ones(1)), ValueError, "target")
        for name in ("BCELoss", "BCEWithLogitsLoss")
    ),
    ("SmoothL1Loss", lambda: impl.SmoothL1Loss(beta=-1), ValueError, "beta"),
    ("SmoothL1Loss", lambda: impl.SmoothL1Loss(beta="1"), TypeError, "beta"),
    ("HuberLoss", lambda: impl.HuberLoss(delta=0), ValueError, "delta"),
    ("HuberLoss", lambda: impl.HuberLoss(delta=None), TypeError, "delta"),
    ("PoissonNLLLoss", lambda: impl.PoissonNLLLoss(log_input=1), TypeError, "log_input"),
    ("PoissonNLLLoss", lambda: impl.PoissonNLLLoss(full=None), TypeError, "full"),
    ("PoissonNLLLoss", lambda: impl.PoissonNLLLoss(eps="small"), TypeError, "eps"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss(eps=None), TypeError, "eps"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss()(ones(2), ones(2), -ones(2)), ValueError, "var"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss()(ones(2), ones(2), -1.0), ValueError, "var"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss()(ones(0), ones(0), -1.0), ValueError, "var"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss()(ones(2, 3), ones(2, 3), ones(3)), ValueError, "var"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss()(ones(2, 3), ones(2, 3), ones(1, 1)), ValueError, "var"),
    ("GaussianNLLLoss", lambda: impl.GaussianNLLLoss()(ones(2), ones(3), ones(2)), ValueError, "target"),
    (
        "GaussianNLLLoss",
        lambda: impl.GaussianNLLLoss(eps=1e300)(*3 * [ones(2).astype("f4")]),
        ValueError,
        "eps",
    ),
    ("KLDivLoss", lambda: impl.KLDivLoss(log_target=1), TypeError, "log_target"),
    ("BCELoss", lambda: impl.BCELoss()(2 * ones(2), ones(2)), ValueError, "x"),
    ("BCELoss", lambda: impl.BCELoss()(ones(2), np.array([np.nan, 0])), ValueError, "target"),
    ("BCELoss", lambda: impl.BCELoss()(ones(2), ones(2), ones(3)), ValueError, "weight"),
    ("BCELoss", lambda: impl.BCELoss()(ones(2), ones(2), ones(1, 2)), ValueError, "weight"),
    ("BCEWithLogitsLoss", lambda: impl.BCEWithLogitsLoss()(ones(2), ones(2), ones(3)), ValueError, "weight"),
    (
        "BCEWithLogitsLoss",
        lambda: impl.BCEWithLogitsLoss()(ones(2), ones(2), pos_weight=ones(1, 2)),
        ValueError,
        "pos_weight",
    ),
    ("MultiLabelSoftMarginLoss", lambda: impl.MultiLabelSoftMarginLoss()(ones(), ones()), ValueError, "x"),
    ("MultiLabelSoftMarginLoss", lambda: impl.MultiLabelSoftMarginLoss()(ones(2), ones(3)), ValueError, "target"),
    ("HingeEmbeddingLoss", lambda: impl.HingeEmbeddingLoss()(ones(2), ids(2).astype(str)), TypeError, "target"),
    (
        "HingeEmbeddingLoss",
        lambda: impl.HingeEmbeddingLoss(1e300)(ones(2).astype("f4"), ids(2)),
        ValueError,
        "margin",
    ),
    ("HingeEmbeddingLoss", lambda: impl.HingeEmbeddingLoss()(ones(2), ones(2).astype("f4")), TypeError, "target"),
    ("SoftMarginLoss", lambda: impl.SoftMarginLoss()(ones(2), ids(2) > 0), TypeError, "target"),
    ("SoftMarginLoss", lambda: impl.SoftMarginLoss()(ones(2), ids(3, 2)), ValueError, "target"),
    ("SoftMarginLoss", lambda: impl.SoftMarginLoss()(ones(2), ids(3)), ValueError, "target"),
    ("MarginRankingLoss", lambda: impl.MarginRankingLoss()(ones(2), ones(2), ids()), ValueError, "dimensions"),
    ("MarginRankingLoss", lambda: impl.MarginRankingLoss()(ones(2), ones(3), ids(2)), ValueError, "input2"),
    ("MarginRankingLoss", lambda: impl.MarginRankingLoss()(ones(2), ones(2), ids(2) > 0), TypeError, "target"),
    *(
        ("CosineEmbeddingLoss", lambda s=s: impl.CosineEmbeddingLoss()(*map(np.ones, s)), ValueError, "input2")
        for s in (
            ((), (), ()),
            ((3,), (3,), (1,)),
            ((2, 3), (3,), (2,)),
            ((2, 3), (2, 3), ()),
            ((2, 3), (2, 2), (2,)),
            ((2, 3), (2, 3), (3,)),
        )
    ),
    ("TripletMarginLoss", lambda: impl.TripletMarginLoss(0), ValueError, "margin"),
    ("TripletMarginLoss", lambda: impl.TripletMarginLoss(p="2"), TypeError, "p"),
    ("TripletMarginLoss", lambda: impl.TripletMarginLoss(eps="2"), TypeError, "eps"),
    ("TripletMarginLoss", lambda: impl.TripletMarginLoss(swap=1), TypeError, "swap"),
    ("TripletMarginLoss", triplet(impl.TripletMarginLoss(), (2, 3), (3,), (2, 3)), ValueError, "positive"),
    ("TripletMarginLoss", triplet(impl.TripletMarginLoss(), (2, 3), (2, 3), (2, 2)), ValueError, "negative"),
    ("TripletMarginLoss", triplet(impl.TripletMarginLoss(), (1, 3), (2, 3), (4, 3)), ValueError, "negative"),
    (
        "TripletMarginLoss",
        triplet(impl.TripletMarginLoss(p=-1), (2, 0), (2, 0), (2, 0)),
        ValueError,
        "anchor and positive",
    ),
    ("TripletMarginWithDistanceLoss", lambda: impl.TripletMarginWithDistanceLoss(margin=-1), ValueError, "margin"),
    (
        "TripletMarginWithDistanceLoss",
        lambda: impl.TripletMarginWithDistanceLoss(distance_function="near"),
        TypeError,
        "distance_function",
    ),
]


@pytest.mark.parametrize(
    ("layer", "call", "error", "word"), [pytest.param(*row, id=f"{row[0]}-{n}-{row[3]}") for n, row in enumerate(BAD)]
)
def test_bad_call_is_refused_by_name(layer, call, error, word):
    with pytest.raises(error, match=rf"\b{word}\b") as caught:
        call()
    assert_ours(caught.value, layer)
