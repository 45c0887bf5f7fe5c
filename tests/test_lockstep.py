"""Training in lockstep: it holds for our layers, and names step, layer and array where a bug is planted."""

from itertools import count

import numpy as np
import pytest

from gradjury import Lockstep, impl, lockstep
from gradjury.impl import SGD, Adam, AdamW, CrossEntropyLoss, Linear, MSELoss, ReLU, Sequential

OPTIMIZERS = [
    SGD(0.1),
    SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-2),
    Adam(0.01, amsgrad=True),
    AdamW(0.01),
]


def layers(**planted):
    """A network with statistics and noise, some of whose classes are replaced."""
    kinds = {name: planted.get(name, getattr(impl, name)) for name in ("Linear", "BatchNorm1d", "Dropout")}
    linear, norm, dropout = kinds.values()
    return Sequential(linear(6, 8, bias=False), norm(8), ReLU(), dropout(0.4), linear(8, 3))


def train(network=None, optimizer=OPTIMIZERS[1], steps=6, dtype=np.float64, **options) -> Lockstep:
    network = network or layers()
    rng = np.random.default_rng(0)
    params = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in network.initial_parameters(rng).items()}

    def batches():
        for _ in range(steps):
            x, mask = rng.standard_normal((7, 6)).astype(dtype), rng.random((7, 8)) >= 0.4
            yield {"x": x, "target": rng.integers(0, 3, 7), "3.mask": mask}

    return lockstep(network, CrossEntropyLoss(), optimizer, params, batches(), **options)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_it_holds(optimizer, dtype):
    result = train(optimizer=optimizer, dtype=dtype, schedule=lambda step: 1 - step / 10)
    assert result.holds, str(result)
    assert len(result.losses) == len(result.theirs) == 6
    assert 0 < result.drift < 1e-3 if dtype == np.float32 else 1e-9
    assert "6 steps in lockstep" in str(result)
    # Of every step: 5 outputs, 3 statistics, the loss, 8 gradients, and of 5 parameters what is kept, and themselves.
    kept = {SGD: 1 if getattr(optimizer, "momentum", 0) else 0, Adam: 4, AdamW: 3}[type(optimizer)]
    assert result.arrays == 6 * (5 + 3 + 1 + 10 + 5 * (kept + 1))


def from_step(first, wrong):
    """A class that is right for some calls, and then wrong."""
    calls = count()

    class Turning(wrong):
        def __call__(self, *args, **params):
            call = super().__call__ if next(calls) >= first else super(wrong, self).__call__
            return call(*args, **params)

    Turning.__name__ = wrong.__mro__[1].__name__
    return Turning


class BiasedVariance(impl.BatchNorm1d):
    """The running variance is that of the batch, not of what the batch was drawn from."""

    def __call__(self, x, *args, **params):
        (y, mean, var, count), backward = super().__call__(x, *args, **params)
        new = (var - 0.9 * params["running_var"]) * (len(x) - 1) / len(x)
        return (y, mean, 0.9 * params["running_var"] + new, count), backward


class MaskForgotten(impl.Dropout):
    """The backward drops nothing."""

    def __call__(self, x, mask=None):
        y, _ = super().__call__(x, mask)
        return y, lambda dy: {"x": dy / (1 - self.p)}


class AlmostRight(impl.Linear):
    """The gradient of x is off in the twelfth digit."""

    def __call__(self, x, weight, bias=None):
        y, backward = super().__call__(x, weight, bias)
        return y, lambda dy: backward(dy) | {"x": backward(dy)["x"] * (1 + 1e-12)}


class LateSteps(Adam):
    """Adam counts its steps from 10,000 on, where there is nothing left to correct."""

    def __call__(self, params, grads, state=None):
        late = state or {f"{name}.step": np.float32(1e4) for name in params}
        return super().__call__(params, grads, late)


class HalfMomentum(SGD):
    """The buffer begins with half of the gradient."""

    def __call__(self, params, grads, state=None):
        stepped, slots = super().__call__(params, grads, state)
        return stepped, slots if state else {name: a / 2 for name, a in slots.items()}


@pytest.mark.parametrize(
    ("planted", "step", "owner", "what"),
    [
        ({"BatchNorm1d": from_step(2, BiasedVariance)}, 2, "layer 1 (BatchNorm1d)", "running_var after the forward"),
        ({"Dropout": from_step(3, MaskForgotten)}, 3, "layer 3 (Dropout)", "gradient of x"),
        ({"Linear": from_step(4, AlmostRight)}, 2, "layer 4 (Linear)", "gradient of x"),
    ],
)
def test_a_bug_in_a_layer_is_named_by_step_and_layer(planted, step, owner, what):
    result = train(layers(**planted))
    assert not result.holds
    found = result.departure
    assert (found.step, found.owner, found.what) == (step, owner, what)
    assert f"left at step {step}, {owner}, {what}" in str(result)
    assert len(result.losses) == step + 1  # it stops there


class StateCut(impl.LSTM):
    """The backward ends at every step: the state it began with counts as a constant."""

    def __call__(self, x, **weights):
        answer, _ = super().__call__(x, **weights)
        state, backs = {}, []
        for step in range(x.shape[1]):
            (_, *after), back = super().__call__(x[:, step : step + 1], **state, **weights)
            state = dict(zip(("h_0", "c_0"), after, strict=True))
            backs.append(back)

        def backward(dy, *dstates):
            none = [np.zeros_like(d) for d in dstates]
            parts = [back(dy[:, step : step + 1], *none) for step, back in enumerate(backs)]
            dx = np.concatenate([part["x"] for part in parts], axis=1)
            return {"x": dx, **{name: sum(part[name] for part in parts) for name in weights}}

        return answer, backward


def train_on_text(lstm, length):
    network = Sequential(impl.Embedding(5, 3), lstm(3, 4, batch_first=True), impl.Flatten(0, 1), Linear(4, 5))
    rng = np.random.default_rng(0)

    def batches():
        for _ in range(4):
            text = rng.integers(0, 5, (2, length + 1))
            yield {"x": text[:, :-1], "target": text[:, 1:].ravel()}

    return lockstep(network, CrossEntropyLoss(), Adam(0.01), network.initial_parameters(rng), batches())


def test_a_cut_through_time_is_named_by_the_weights_of_the_recurrent_layer():
    assert train_on_text(impl.LSTM, 6).holds
    assert train_on_text(StateCut, 1).holds  # nothing is cut
    found = train_on_text(StateCut, 2).departure
    assert (found.step, found.owner, found.what) == (0, "layer 1 (StateCut)", "gradient of weight_ih_l0")


@pytest.mark.parametrize(
    ("optimizer", "what"),
    [
        (LateSteps(0.01), "weight.step after the step"),
        (HalfMomentum(0.01, momentum=0.9), "weight.momentum_buffer after the step"),
    ],
)
def test_a_bug_in_an_optimizer_is_named(optimizer, what):
    found = train(optimizer=optimizer).departure
    assert (found.step, found.owner, found.what) == (0, "layer 0 (Linear)", what)


def test_a_forgotten_bias_correction_is_seen_in_the_parameter():
    class Uncorrected(Adam):
        """The first moment is not corrected: the step is too short by 1 - β₁ᵗ."""

        def __call__(self, params, grads, state=None):
            stepped, slots = super().__call__(params, grads, state)
            short = {n: 1 - self.betas[0] ** float(slots[f"{n}.step"]) for n in params}
            return {n: p + (stepped[n] - p) * short[n] for n, p in params.items()}, slots

    found = train(optimizer=Uncorrected(0.01)).departure
    assert (found.step, found.owner, found.what) == (0, "layer 0 (Linear)", "weight after the step")


def test_an_answer_of_another_shape_is_a_departure():
    class Column(Linear):
        def __call__(self, x, weight, bias=None):
            y, backward = super().__call__(x, weight, bias)
            return y, lambda dy: {name: g[:, None] if name == "bias" else g for name, g in backward(dy).items()}

    found = train(layers(Linear=Column)).departure
    assert (found.step, found.owner, found.what) == (0, "layer 4 (Column)", "gradient of bias")


def test_what_cannot_be_trained_is_refused():
    net, rng = Sequential(Linear(1, 1)), np.random.default_rng(0)
    params = net.initial_parameters(rng)
    batch = {"x": np.ones((2, 1)), "target": np.ones((2, 1))}
    with pytest.raises(ValueError, match="at least one batch"):
        lockstep(net, MSELoss(), SGD(), params, [])
    with pytest.raises(TypeError, match="function has no contract"):
        lockstep(Sequential(Linear(1, 1), lambda x: ReLU()(x)), MSELoss(), SGD(), params, [batch])
    with pytest.raises(ValueError, match=r"no layer takes '1\.weight'"):
        lockstep(net, MSELoss(), SGD(), params | {"1.weight": np.ones(1)}, [batch])

    class Forgetful(Linear):
        def __call__(self, x, weight, bias=None):
            y, backward = super().__call__(x, weight, bias)
            return y, lambda dy: {"x": backward(dy)["x"], "weight": backward(dy)["weight"]}

    with pytest.raises(KeyError, match=r"no gradient for 0\.bias"):
        lockstep(Sequential(Forgetful(1, 1)), MSELoss(), SGD(), params, [batch])
