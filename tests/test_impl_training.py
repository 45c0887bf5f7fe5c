"""Layers put together: Sequential, and the parameters that layers begin with."""

import numpy as np
import pytest
import torch

from gradjury import impl
from gradjury.impl import (
    BatchNorm1d,
    Conv2d,
    Dropout,
    Embedding,
    Linear,
    MaxPool1d,
    MSELoss,
    ReLU,
    Sequential,
)


def composed(rng):
    """Two linear layers with a ReLU between them, x and its parameters."""
    net = Sequential(Linear(3, 4), ReLU(), Linear(4, 2, bias=False))
    return net, rng.standard_normal((5, 3)), net.initial_parameters(rng)


def test_sequential_names_parameters_as_torch_does():
    net, _, params = composed(np.random.default_rng(0))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2, bias=False))
    assert {name: a.shape for name, a in params.items()} == {n: tuple(t.shape) for n, t in theirs.state_dict().items()}
    assert eval(repr(net), vars(impl).copy()).layers == net.layers


def test_sequential_is_the_composition_of_its_layers():
    rng = np.random.default_rng(0)
    net, x, params = composed(rng)
    y, backward = net(x, **params)
    dy = rng.standard_normal(y.shape)
    first, back_first = Linear(3, 4)(x, params["0.weight"], params["0.bias"])
    second, back_second = ReLU()(first)
    third, back_third = Linear(4, 2, bias=False)(second, params["2.weight"])
    last = back_third(dy)
    inner = back_first(back_second(last["x"])["x"])
    expected = {"x": inner["x"], "0.weight": inner["weight"], "0.bias": inner["bias"], "2.weight": last["weight"]}
    np.testing.assert_array_equal(y, third)
    for answer in (backward(dy), backward(dy)):
        assert answer.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(answer[name], value)


def test_sequential_nests_and_passes_targets_on():
    net = Sequential(Sequential(Linear(1, 1, bias=False)), MSELoss(reduction="sum"))
    y, backward = net(np.array([3.0]), **{"0.0.weight": np.array([[2.0]]), "1.target": np.array([1.0])})
    assert y == 25
    grads = backward(np.array(1.0))
    assert {name: grad.item() for name, grad in grads.items()} == {"x": 20, "0.0.weight": 30, "1.target": -10}


def test_sequential_passes_noise_in_and_statistics_out():
    rng = np.random.default_rng(0)
    net = Sequential(Linear(3, 4), BatchNorm1d(4), Dropout(0.5), Linear(4, 1))
    params, x = net.initial_parameters(rng), rng.standard_normal((6, 3))
    assert net.updated == ("1.running_mean", "1.running_var", "1.num_batches_tracked")
    noise = net.noise(rng, x, **params)
    assert {name: mask.shape for name, mask in noise.items()} == {"2.mask": (6, 4)}
    (_, *buffers), _ = net(x, **params, **noise)
    hidden, _ = Linear(3, 4)(x, params["0.weight"], params["0.bias"])
    np.testing.assert_allclose(buffers[0], 0.1 * hidden.mean(axis=0))
    np.testing.assert_allclose(buffers[1], 0.9 + 0.1 * hidden.var(axis=0, ddof=1))
    assert buffers[2] == 1
    still = net.train(False)
    assert still.updated == ()
    assert isinstance(still(x, **params)[0], np.ndarray)
    nested = Sequential(net, ReLU())
    assert nested.train(False).layers[0].layers[2] == Dropout(0.5, training=False)
    assert nested.updated[0] == "0.1.running_mean"


def test_sequential_begins_with_indices_and_passes_the_first_output_on():
    rng = np.random.default_rng(0)
    net = Sequential(Embedding(5, 4, max_norm=1.0), MaxPool1d(2, return_indices=True), Linear(2, 1))
    params = net.initial_parameters(rng)
    (y, table), backward = net(np.array([[1, 3], [0, 4]]), **params)
    assert y.shape == (2, 2, 1)
    assert net.updated == ("0.weight",)
    assert np.linalg.norm(table[[0, 1, 3, 4]], axis=1).max() <= 1
    assert backward(np.ones(y.shape)).keys() == {"0.weight", "2.weight", "2.bias"}


@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        (Linear(16, 500), torch.nn.Linear(16, 500)),
        (Linear(16, 500, bias=False), torch.nn.Linear(16, 500, bias=False)),
        (Conv2d(8, 400, (2, 3), groups=2), torch.nn.Conv2d(8, 400, (2, 3), groups=2)),
        (Conv2d(4, 400, 2, bias=False), torch.nn.Conv2d(4, 400, 2, bias=False)),
    ],
    ids=repr,
)
def test_init_draws_uniformly_within_torchs_bounds(layer, theirs):
    ours = layer.initial_parameters(np.random.default_rng(0), np.float32)
    state = theirs.state_dict()
    assert ours.keys() == state.keys()
    fan_in = state["weight"][0].numel()
    for name, a in ours.items():
        assert (a.shape, a.dtype) == (tuple(state[name].shape), np.float32)
        # Of hundreds of uniform numbers the largest comes close to the bound, in torch's and in ours.
        for largest in (np.abs(a).max(), state[name].abs().max().item()):
            assert 0.95 < largest * np.sqrt(fan_in) < 1.0001
        assert abs(a.mean()) * np.sqrt(fan_in) < 0.1


def test_init_of_a_linear_layer_without_inputs_is_zero():
    params = Linear(0, 2).initial_parameters(np.random.default_rng(0))
    assert params["weight"].shape == (2, 0)
    np.testing.assert_array_equal(params["bias"], [0, 0])


def test_a_layer_without_a_gradient_of_its_input_ends_the_chain_rule_with_its_name():
    class Mute:
        def __call__(self, x):
            return x, lambda dy: {"z": dy}

    _, backward = Sequential(ReLU(), Mute())(np.ones(2))
    with pytest.raises(KeyError, match="layer 1 answers no gradient of its input x, but z"):
        backward(np.ones(2))
