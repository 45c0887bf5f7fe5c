"""Optimizers against torch.optim: options, both dtypes, many steps, parameters and state."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradjury.impl import SGD, Adam, AdamW

RATE = st.sampled_from((0.0, 0.1, 1e-3, 1.0))
DECAY = st.sampled_from((0.0, 0.01, 0.5))
FLAG = st.booleans()
SGDS = st.builds(
    lambda nesterov, dampening, **rest: dict(nesterov=nesterov, dampening=0.0 if nesterov else dampening, **rest),
    nesterov=FLAG,
    dampening=st.sampled_from((0.0, 0.3)),
    momentum=st.sampled_from((0.9, 0.5)),
    lr=RATE,
    weight_decay=DECAY,
    maximize=FLAG,
) | st.fixed_dictionaries({"lr": RATE, "weight_decay": DECAY, "maximize": FLAG})
ADAMS = st.fixed_dictionaries(
    {
        "lr": RATE,
        "betas": st.sampled_from(((0.9, 0.999), (0.0, 0.5), (0.5, 0.0))),
        "eps": st.sampled_from((1e-8, 1e-2)),
        "weight_decay": DECAY,
        "amsgrad": FLAG,
        "maximize": FLAG,
    }
)


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.one_of(
        st.tuples(st.just((SGD, torch.optim.SGD)), SGDS),
        st.tuples(st.sampled_from(((Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW))), ADAMS),
    ),
    dtype=st.sampled_from((np.float64, np.float32)),
    seed=st.integers(0, 1000),
)
def test_steps_and_state_are_those_of_torch(drawn, dtype, seed):
    (ours, theirs), options = drawn
    rng = np.random.default_rng(seed)
    params = {"weight": rng.standard_normal((2, 3)).astype(dtype), "bias": np.array(0.5, dtype)}
    tensors = {name: torch.tensor(p) for name, p in params.items()}
    optimizer, reference, state = ours(**options), theirs(tensors.values(), **options), None
    for _ in range(6):
        grads = {name: rng.standard_normal(p.shape).astype(dtype) for name, p in params.items()}
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        before = {name: p.copy() for name, p in params.items()}
        old, (params, state) = params, optimizer(params, grads, state)
        reference.step()
        for name in old:
            np.testing.assert_array_equal(old[name], before[name])
    close = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    slots = {f"{n}.{slot}": v for n, t in tensors.items() for slot, v in reference.state[t].items() if v is not None}
    assert state.keys() == slots.keys()
    for name, p in params.items():
        assert (p.dtype, p.shape) == (dtype, tensors[name].shape)
        np.testing.assert_allclose(p, tensors[name].numpy(), **close)
    for name, value in slots.items():
        assert state[name].dtype == value.numpy().dtype
        np.testing.assert_allclose(state[name], value.numpy(), **close)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam(amsgrad=True), AdamW()], ids=repr)
def test_a_step_changes_nothing_in_place(optimizer):
    params, grads = {"p": np.ones(3)}, {"p": np.arange(3.0), "x": np.zeros(1)}
    first, state = optimizer(params, grads)
    kept = {name: value.copy() for name, value in state.items()}
    second, _ = optimizer(first, grads, state)
    assert not np.array_equal(first["p"], second["p"])
    np.testing.assert_array_equal(params["p"], np.ones(3))
    np.testing.assert_array_equal(grads["p"], np.arange(3))
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)


@pytest.mark.parametrize("optimizer", [SGD(), Adam(), AdamW()], ids=repr)
def test_what_the_gradients_must_be(optimizer):
    name = type(optimizer).__name__
    with pytest.raises(KeyError, match=f"{name}: no gradient for bias, weight"):
        optimizer({"weight": np.ones(1), "bias": np.ones(1), "scale": np.ones(1)}, {"scale": np.ones(1)})
    with pytest.raises(ValueError, match=f"{name}: the gradient of p must have shape"):
        optimizer({"p": np.ones(2)}, {"p": np.ones(3)})
    with pytest.raises(TypeError, match=f"{name}: p must hold floating-point"):
        optimizer({"p": np.ones(2, int)}, {"p": np.ones(2)})
