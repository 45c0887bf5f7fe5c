"""Layers and options at the edge of what a contract draws: a finding or a trial, never an error of the harness."""

import numpy as np
import pytest

import gradjury
from gradjury import impl


@pytest.mark.parametrize(
    ("layer", "fixed"), [(impl.Softmax, {"dim": 1}), (impl.Flatten, {"start_dim": 1, "end_dim": -1})]
)
def test_inputs_without_the_fixed_axis_are_not_drawn(layer, fixed, tmp_path):
    assert gradjury.check_layer(layer, to=layer.__name__, fixed=fixed, examples=10, scripts=tmp_path).passed


def relu_twice():
    def layer(x):
        y = np.maximum(x, 0)
        return np.stack([y, y]), lambda dy: {"x": dy * (x > 0)}

    return layer


def test_an_output_of_another_shape_is_a_finding(tmp_path):
    with pytest.raises(gradjury.CheckFailed) as caught:
        gradjury.check_layer(relu_twice, to="ReLU", examples=10, scripts=tmp_path)
    assert {failure.law for failure in caught.value.result.failures} == {"forward", "dtype_and_shape"}
