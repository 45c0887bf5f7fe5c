"""Recurrent cells and layers, against torch with the noise it drew, against each other, and by hand."""

import typing
import warnings
from inspect import Parameter, signature

import numpy as np
import pytest
import torch
from calls import GOOD, ids, ones
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gradjury import contracts, impl

LENGTHS = [2, 4, 1, 4, 3]
CONFIGS = [
    ("RNN", {"num_layers": 4, "nonlinearity": "relu", "dropout": 0.5}),
    ("RNN", {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.3}),
    ("RNN", {"num_layers": 2, "dropout": 0.3, "training": False}),
    ("GRU", {"num_layers": 3, "bidirectional": True, "dropout": 0.5, "bias": False}),
    ("GRU", {"num_layers": 2, "dropout": 1.0}),
    ("LSTM", {"num_layers": 3, "bidirectional": True, "batch_first": True, "dropout": 0.5, "proj_size": 2}),
    ("LSTM", {"num_layers": 2, "dropout": 0.1, "bias": False}),
]


def drawn_by_torch(layer, lead, lengths, seed):
    """The mask that torch draws after this seed: for rows of packed sequences, or all elements at once."""
    torch.manual_seed(seed)
    mask = layer.noise(np.random.default_rng(seed), (*lead, 1))["mask"]
    time_first = mask[:, :, None] if len(lead) == 1 else mask.swapaxes(1, 2) if layer.batch_first else mask
    width = mask.shape[-1]
    for part in time_first:
        if lengths is None:
            part[...] = (torch.dropout(torch.ones(part.shape), layer.dropout, train=True) != 0).numpy()
            continue
        order = torch.sort(torch.tensor(lengths), descending=True)[1].numpy()
        step, rank = np.nonzero(np.arange(max(lengths))[:, None] < np.array(lengths)[order])
        noise = torch.dropout(torch.ones(len(step), width), layer.dropout, train=True)
        part[step, order[rank]] = noise.numpy() != 0
    torch.manual_seed(seed)
    return mask


@pytest.mark.parametrize(("name", "options"), CONFIGS)
@pytest.mark.parametrize("form", ["batch", "lengths", "unbatched"])
def test_layer_and_formula_are_torch_with_the_noise_that_torch_drew(name, options, form):
    rng = np.random.default_rng(0)
    layer = getattr(impl, name)(3, 4, **options)
    module = getattr(torch.nn, name)(3, 4, **{n: v for n, v in options.items() if n != "training"}).double()
    module.train(layer.training)
    lengths = LENGTHS if form == "lengths" else None
    lead = (6,) if form == "unbatched" else (5, 6) if layer.batch_first else (6, 5)
    params = {n: a.detach().numpy() for n, a in module.named_parameters()}
    mask = drawn_by_torch(layer, lead, lengths, seed=3)
    x = rng.standard_normal((*lead, 3))
    tensor = torch.tensor(x, requires_grad=True)
    if lengths is None:
        y, after = module(tensor)
    else:
        packed = pack_padded_sequence(tensor, torch.tensor(lengths), layer.batch_first, enforce_sorted=False)
        y, after = module(packed)
        y, _ = pad_packed_sequence(y, layer.batch_first)
    theirs = [y, *(after if name == "LSTM" else (after,))]
    cotangents = [rng.standard_normal(tuple(part.shape)) for part in theirs]
    weights = list(module.parameters())
    expected = torch.autograd.grad(theirs, [tensor, *weights], [torch.tensor(d) for d in cotangents])

    given = {"mask": mask} | ({} if lengths is None else {"lengths": np.array(lengths)})
    ours, backward = layer(x, **given, **params)
    for mine, part in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, part.detach().numpy(), rtol=1e-12, atol=1e-14)
    grads = backward(*cotangents)
    assert set(grads) == {"x", *params}
    for n, part in zip(["x", *params], expected, strict=True):
        np.testing.assert_allclose(grads[n], part.numpy(), rtol=1e-11, atol=1e-13)

    reference = contracts.get(name).reference.bind({"input_size": 3, "hidden_size": 4, **options})
    tensors = {n: torch.tensor(a) for n, a in {"x": x, **given, **params}.items()}
    for mine, part in zip(reference(**tensors), theirs, strict=True):
        torch.testing.assert_close(mine, part, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_options_and_defaults_are_torchs(name):
    torchs = getattr(torch.nn, name)
    overloads = typing.get_overloads(torchs.__init__)
    theirs = signature(overloads[0] if overloads else torchs).parameters.values()
    given = {p.name: p.default for p in theirs if p.name not in ("self", "device", "dtype")}
    fields = signature(getattr(impl, name)).parameters
    assert [n for n in fields if n != "training"] == list(given)
    defaults = {n: p.default for n, p in fields.items()}
    assert defaults == contracts.get(name).reference.defaults == given | ({} if "Cell" in name else {"training": True})
    assert defaults["input_size"] is Parameter.empty


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layer_is_its_cell_at_each_step(kind):
    rng = np.random.default_rng(0)
    layer, cell = getattr(impl, kind)(3, 2), getattr(impl, kind + "Cell")(3, 2)
    params = cell.initial_parameters(rng)
    x = rng.standard_normal((4, 5, 3))
    (y, *after), _ = layer(x, **{name + "_l0": a for name, a in params.items()})
    states = {}
    for step in range(4):
        h, _ = cell(x[step], **states, **params)
        states = {"h_0": h[0], "c_0": h[1]} if kind == "LSTM" else {"hx": h}
        np.testing.assert_allclose(y[step], next(iter(states.values())), rtol=1e-14)
    np.testing.assert_allclose([a[0] for a in after], list(states.values()), rtol=1e-14)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_sequences_of_a_batch_do_not_see_each_other_nor_what_is_behind_their_end(kind):
    rng = np.random.default_rng(0)
    layer = getattr(impl, kind)(3, 2, 2, bidirectional=True)
    params = layer.initial_parameters(rng)
    x = rng.standard_normal((6, 5, 3))
    for n, length in enumerate(LENGTHS):
        x[length:, n] = np.nan
    (y, *after), backward = layer(x, lengths=np.array(LENGTHS), **params)
    assert y.shape == (max(LENGTHS), 5, 4)
    dy = rng.standard_normal(y.shape)
    dafter = [rng.standard_normal(a.shape) for a in after]
    grads = backward(dy, *dafter)
    assert np.isfinite(grads["weight_ih_l1"]).all()
    for n, length in enumerate(LENGTHS):
        (alone, *ends), own = layer(x[:length, n], **params)
        np.testing.assert_allclose(y[:length, n], alone, rtol=1e-13)
        assert not y[length:, n].any()
        for end, a in zip(ends, after, strict=True):
            np.testing.assert_allclose(a[:, n], end, rtol=1e-13)
        dx = own(dy[:length, n], *(d[:, n] for d in dafter))["x"]
        np.testing.assert_allclose(grads["x"][:length, n], dx, rtol=1e-12, atol=1e-15)
        assert not grads["x"][length:, n].any()


def test_gru_resets_behind_the_matrix_product():
    # r = σ(0) = 1/2, z = σ(0) = 1/2, n = tanh(0 + (2·3 + 4)/2) and h' = (n + 3)/2.
    params = {"weight_ih": np.zeros((3, 1)), "bias_ih": np.zeros(3), "bias_hh": np.array([0.0, 0.0, 4.0])}
    y, backward = impl.GRUCell(1, 1)(ones(1), np.array([3.0]), weight_hh=np.array([[0.0], [0.0], [2.0]]), **params)
    n = np.tanh(5)
    np.testing.assert_allclose(y, [(n + 3) / 2], rtol=1e-15)
    grads = backward(ones(1))
    np.testing.assert_allclose(grads["bias_hh"] / grads["bias_ih"], [1, 1, 0.5], rtol=1e-15)
    np.testing.assert_allclose(grads["bias_ih"][2], (1 - n * n) / 2, rtol=1e-15)


def test_lstm_gates_are_input_forget_cell_output():
    # Closed but for rounding: the input gate and the output gate; open: the forget gate. The cell state stays.
    bias = np.array([-800.0, 800.0, 0.5, 800.0])
    (h, c), _ = impl.LSTMCell(1, 1)(
        ones(1), ones(1), 2 * ones(1), np.zeros((4, 1)), np.zeros((4, 1)), bias_ih=bias, bias_hh=np.zeros(4)
    )
    np.testing.assert_array_equal([h, c], [[np.tanh(2)], [2]])


def test_saturated_gates_keep_the_digits_of_their_slope():
    bias = np.array([40.0, -800.0, 1.0, 40.0])
    _, backward = impl.LSTMCell(1, 1)(
        ones(1), weight_ih=np.zeros((4, 1)), weight_hh=np.zeros((4, 1)), bias_ih=bias, bias_hh=np.zeros(4)
    )
    slope = backward(np.zeros(1), ones(1))["bias_ih"][0]
    np.testing.assert_allclose(slope, np.tanh(1) * np.exp(-40), rtol=1e-14)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_noise_keeps_the_share_it_is_asked_for_and_plays_no_part_in_eval(name):
    rng = np.random.default_rng(0)
    layer = getattr(impl, name)(3, 4, 3, dropout=0.2, bidirectional=True)
    mask = layer.noise(rng, (50, 20, 3), np.float32)["mask"]
    assert (mask.shape, mask.dtype) == ((2, 50, 20, 8), np.bool_)
    assert abs(mask.mean() - 0.8) < 0.02
    params, x = layer.initial_parameters(rng), rng.standard_normal((50, 20, 3))
    quiet = getattr(impl, name)(3, 4, 3, dropout=0.2, bidirectional=True, training=False)
    plain, _ = quiet(x, **params)
    np.testing.assert_array_equal(quiet(x, mask=mask, **params)[0][0], plain[0])
    assert (layer(x, mask=mask, **params)[0][0] != plain[0]).any()


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fresh_parameters_have_torchs_names_shapes_and_bounds(name, dtype):
    options = {} if "Cell" in name else {"num_layers": 2, "bidirectional": True}
    params = getattr(impl, name)(3, 25, **options).initial_parameters(np.random.default_rng(0), dtype)
    theirs = getattr(torch.nn, name)(3, 25, **options).state_dict()
    assert {n: a.shape for n, a in params.items()} == {n: tuple(t.shape) for n, t in theirs.items()}
    assert all(a.dtype == dtype for a in params.values())
    largest = max(np.abs(a).max() for a in params.values())
    assert 0.19 < largest <= 0.2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert impl.GRUCell(3, 0).initial_parameters(np.random.default_rng(0))["bias_hh"].shape == (0,)


def bad(name, **changed):
    """A good call with some arguments changed, or taken away where they are None."""
    call, inputs = GOOD[name]
    arguments = {n: a for n, a in {**inputs, **changed}.items() if a is not None}
    return lambda: call(**arguments)


def masked(**changed):
    arguments = {"x": ones(5, 4, 2), "mask": ones(1, 5, 4, 2) > 0, **changed}
    layer = impl.GRU(2, 2, 2, dropout=0.5)
    return lambda: layer(**arguments, **layer.initial_parameters(np.random.default_rng(0)))


BAD = [
    (lambda: impl.RNNCell(-1, 2), ValueError, "RNNCell: input_size"),
    (lambda: impl.GRUCell(1, 2.5), TypeError, "GRUCell: hidden_size"),
    (lambda: impl.RNNCell(1, 2, nonlinearity="selu"), ValueError, "RNNCell: nonlinearity"),
    (bad("RNNCell", x=ones(4, 2)), ValueError, "RNNCell: x must have shape"),
    (bad("RNNCell", x=ones(1, 4, 3)), ValueError, "RNNCell: x must have shape"),
    (bad("GRUCell", hx=ones(2)), ValueError, "GRUCell: hx must have shape"),
    (bad("GRUCell", x=ones(3)), ValueError, "GRUCell: hx must have shape"),
    (bad("LSTMCell", c_0=None), ValueError, "LSTMCell: .* c_0 is missing"),
    (bad("LSTM", h_0=None), ValueError, "LSTM: .* h_0 is missing"),
    (bad("GRUCell", weight_hh=None), ValueError, "GRUCell: weight_hh is missing"),
    (bad("GRUCell", weight_hh=ones(6, 3)), ValueError, "GRUCell: weight_hh must have shape"),
    (lambda: impl.RNNCell(3, 2, bias=False)(**GOOD["RNNCell"][1]), ValueError, "RNNCell: bias_ih was given"),
    (lambda: impl.RNN(0, 2), ValueError, "RNN: input_size"),
    (lambda: impl.RNN(1, 0), ValueError, "RNN: hidden_size"),
    (lambda: impl.RNN(1, 2, True), TypeError, "RNN: num_layers"),
    (lambda: impl.RNN(1, 2, nonlinearity="selu"), ValueError, "RNN: nonlinearity"),
    (lambda: impl.GRU(1, 2, bias=1), TypeError, "GRU: bias must be True or False"),
    (lambda: impl.GRU(1, 2, batch_first=None), TypeError, "GRU: batch_first must be True or False"),
    (lambda: impl.GRU(1, 2, bidirectional="x"), TypeError, "GRU: bidirectional must be True or False"),
    (lambda: impl.GRU(1, 2, dropout="x"), TypeError, "GRU: dropout"),
    (lambda: impl.GRU(1, 2, dropout=True), ValueError, "GRU: dropout"),
    (lambda: impl.GRU(1, 2, dropout=-0.1), ValueError, "GRU: dropout"),
    (lambda: impl.GRU(1, 2, dropout=1.1), ValueError, "GRU: dropout"),
    (lambda: impl.LSTM(1, 2, proj_size=2), ValueError, "LSTM: proj_size"),
    (lambda: impl.LSTM(1, 2, proj_size=-1), ValueError, "LSTM: proj_size"),
    (bad("GRU", x=ones(5, 4, 2)), ValueError, "GRU: x must be sequences"),
    (bad("GRU", x=ones(3)), ValueError, "GRU: x must be sequences"),
    (bad("GRU", x=ones(1, 5, 4, 3)), ValueError, "GRU: x must be sequences"),
    (bad("GRU", x=ones(0, 4, 3)), ValueError, "GRU: x must have at least one step"),
    (bad("GRU", x=ones(5, 3)), ValueError, "GRU: hx must have shape"),
    (bad("GRU", hx=ones(1, 2)), ValueError, "GRU: hx must have shape"),
    (bad("LSTM", c_0=ones(1, 4, 3)), ValueError, "LSTM: c_0 must have shape"),
    (bad("GRU", weight_hh_l0=None), ValueError, "GRU: weight_hh_l0 is missing"),
    (bad("GRU", weight_ih_l1=ones(6, 2)), ValueError, "GRU: weight_ih_l1 was given"),
    (bad("GRU", lengths=ones(4)), TypeError, "GRU: lengths must hold integers"),
    (bad("GRU", lengths=ids(3, fill=1)), ValueError, "GRU: lengths must have shape"),
    (bad("GRU", lengths=ids(4)), ValueError, "GRU: lengths must be from 1 to 5"),
    (bad("GRU", lengths=ids(4, fill=6)), ValueError, "GRU: lengths must be from 1 to 5"),
    (bad("GRU", x=ones(5, 3), hx=ones(1, 2), lengths=ids(1, fill=5)), ValueError, "GRU: lengths must be those"),
    (bad("GRU", x=ones(5, 0, 3), hx=None, lengths=ids(0)), ValueError, "GRU: lengths must be those"),
    (masked(mask=None), ValueError, r"GRU: mask is missing.*noise\(rng, x\.shape\)"),
    (masked(mask=ones(1, 5, 4, 2)), TypeError, "GRU: mask must hold truth values"),
    (masked(mask=ones(1, 5, 4, 1) > 0), ValueError, "GRU: mask must have shape"),
]


@pytest.mark.parametrize(
    ("call", "error", "words"), [pytest.param(*row, id=f"{n}-{row[2]}") for n, row in enumerate(BAD)]
)
def test_bad_call_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("form", [(4, 0, 3), (4, 3)])
def test_no_mask_is_needed_where_nothing_is_drawn(form):
    for options in ({"dropout": 0.5}, {"num_layers": 2, "dropout": 0.5, "training": False}):
        layer = impl.LSTM(3, 2, **options)
        assert layer(ones(*form), **layer.initial_parameters(np.random.default_rng(0)))[0][0].shape == (*form[:-1], 2)
