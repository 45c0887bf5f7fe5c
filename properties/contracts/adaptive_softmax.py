"""Contract of the softmax over very many classes."""

from itertools import accumulate

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Index, Real, Spec


def _adaptive(d: Draft) -> dict[str, Spec]:
    features = d.option("in_features", st.sampled_from((8, 4, 6, 8, 3, 2, 1, 0)))
    # One cluster or more, and samples enough that each has some.
    clusters = d(st.sampled_from((2, 3, 1, 2, 3)))
    sizes = [d(st.sampled_from((2, 1, 3))) for _ in range(clusters + 1)]
    *cutoffs, classes = accumulate(sizes)
    cutoffs, classes = d.option("cutoffs", st.just(cutoffs)), d.option("n_classes", st.just(classes))
    # A cluster may be left without a feature.
    div_value = d.option("div_value", st.sampled_from((2.0, 1.5, 4.0, 1.0, 0.5, 2)))
    bias = d.option("head_bias", st.booleans())
    batch = d(st.sampled_from(((6,), (4,), (9,), (), (5,), (1,), (0,), (7,))))
    head = cutoffs[0] + len(cutoffs)
    specs: dict[str, Spec] = {"x": Real((*batch, features)), "target": Index(batch, classes)}
    specs["head.weight"] = Real((head, features))
    if bias:
        specs["head.bias"] = Real((head,))
    for i, (low, high) in enumerate(zip(cutoffs, [*cutoffs[1:], classes], strict=True)):
        width = int(features // div_value ** (i + 1))
        specs[f"tail.{i}.0.weight"] = Real((width, features))
        specs[f"tail.{i}.1.weight"] = Real((high - low, width))
    return specs


AdaptiveLogSoftmaxWithLoss = Contract(
    "AdaptiveLogSoftmaxWithLoss", Module(torch.nn.AdaptiveLogSoftmaxWithLoss), _adaptive
)
