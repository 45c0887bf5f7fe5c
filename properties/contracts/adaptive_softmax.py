"""Contract of the softmax over very many classes."""

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Draft
from ..twins import Module
from ..values import Index, Real, Spec


def _adaptive(d: Draft) -> dict[str, Spec]:
    features = d.option("in_features", st.sampled_from((4, 3, 8, 2, 1, 0)))
    classes = d.option("n_classes", st.integers(2, 9))
    cutoffs = d.option(
        "cutoffs", st.lists(st.integers(1, classes - 1), min_size=1, max_size=3, unique=True).map(sorted)
    )
    # A cluster may be left without a feature.
    div_value = d.option("div_value", st.sampled_from((2.0, 4.0, 1.0, 1.5, 0.5, 2)))
    bias = d.option("head_bias", st.booleans())
    batch = d.batch()
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
