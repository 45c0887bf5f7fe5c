"""Attention and transformers: facts worked out by hand, torch.nn with the noise that it drew, and refusals."""

import numpy as np
import pytest
import torch
from calls import GOOD, ones

from gradjury import contracts, impl

RNG = np.random.default_rng


def test_a_query_that_sees_no_key_is_zero_and_has_no_gradient():
    q = k = v = np.eye(2)
    mask = np.array([[True, False], [False, False]])
    y, backward = impl.ScaledDotProductAttention()(q, k, v, mask)
    np.testing.assert_array_equal(y, [[1, 0], [0, 0]])
    grads = backward(np.ones((2, 2)))
    np.testing.assert_array_equal(grads["query"], np.zeros((2, 2)))
    np.testing.assert_array_equal(grads["value"], [[1, 1], [0, 0]])
    assert "attn_mask" not in grads


def test_the_causal_mask_starts_at_the_first_key():
    v = np.array([[1.0], [2.0], [3.0]])
    y, _ = impl.ScaledDotProductAttention(is_causal=True)(np.zeros((2, 1)), np.zeros((3, 1)), v)
    np.testing.assert_allclose(y, [[1], [1.5]], rtol=1e-15)


def test_a_head_of_keys_serves_a_block_of_queries():
    q, v = np.zeros((4, 1, 1)), np.arange(2.0).reshape(2, 1, 1)
    y, backward = impl.ScaledDotProductAttention(enable_gqa=True)(q, v, v)
    np.testing.assert_array_equal(y.ravel(), [0, 0, 1, 1])
    np.testing.assert_array_equal(backward(np.arange(4.0).reshape(4, 1, 1))["value"].ravel(), [1, 5])


def test_without_features_all_keys_count_alike():
    y, _ = impl.ScaledDotProductAttention()(ones(1, 0), ones(2, 0), np.array([[1.0], [3.0]]))
    np.testing.assert_array_equal(y, [[2]])


@pytest.mark.parametrize(("need_weights", "expected"), [(True, np.nan), (False, 0.0)])
def test_hidden_keys_give_nan_beside_weights_and_zero_without(need_weights, expected):
    layer = impl.MultiheadAttention(1, 1, bias=False, need_weights=need_weights)
    params = {"in_proj_weight": ones(3, 1), "out_proj.weight": ones(1, 1)}
    y, _ = layer(ones(1, 1), ones(2, 1), ones(2, 1), np.array([True, True]), **params)
    np.testing.assert_array_equal(y[0] if need_weights else y, [[expected]])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("zero", [True, False])
def test_added_keys_are_seen_whatever_is_said_of_the_mask(bias, zero):
    rng = RNG(0)
    x = rng.standard_normal((3, 2, 4))
    mask = np.triu(np.ones((3, 3), bool), 1)
    options = {"add_bias_kv": bias, "add_zero_attn": zero, "need_weights": False}
    params = {"in_proj_weight": (12, 4), "in_proj_bias": (12,), "out_proj.weight": (4, 4), "out_proj.bias": (4,)}
    if bias:
        params |= {"bias_k": (1, 1, 4), "bias_v": (1, 1, 4)}
    params = {name: rng.standard_normal(shape) for name, shape in params.items()}
    answers = [
        impl.MultiheadAttention(4, 2, is_causal=told, **options)(x, x, x, attn_mask=mask, **params)[0]
        for told in (False, True)
    ]
    np.testing.assert_allclose(*answers, rtol=1e-14)


def test_attention_is_torchs_with_a_mask_of_numbers_and_the_noise_that_torch_drew():
    rng = RNG(0)
    layer = impl.ScaledDotProductAttention(0.4)
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6), (3, 5))]
    tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
    with Noticed() as noticed:
        y = torch.nn.functional.scaled_dot_product_attention(*tensors, dropout_p=0.4)
    (mask,) = noticed.masks
    assert layer.noise(rng, (2, 3, 5))["dropout_mask"].shape == mask.shape
    ours, backward = layer(*arrays, mask)
    np.testing.assert_allclose(ours, y.detach().numpy(), rtol=1e-12)
    dy = rng.standard_normal(ours.shape)
    grads = torch.autograd.grad(y, tensors, torch.from_numpy(dy))
    for found, grad in zip(backward(dy).values(), grads, strict=True):
        np.testing.assert_allclose(found, grad.numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("average", [True, False])
def test_every_gradient_of_attention_with_everything_added_is_torchs(average):
    rng = RNG(0)
    layer = impl.MultiheadAttention(4, 2, 0.0, True, True, True, 3, 5, average_attn_weights=average)
    module = torch.nn.MultiheadAttention(4, 2, 0.0, True, True, True, 3, 5).double()
    shapes = {
        "query": (3, 2, 4),
        "key": (6, 2, 3),
        "value": (6, 2, 5),
        "key_padding_mask": (2, 6),
        "attn_mask": (4, 3, 6),
    }
    shapes |= {name: tuple(t.shape) for name, t in module.state_dict().items()}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    tensors = {name: torch.from_numpy(a).requires_grad_() for name, a in arrays.items()}
    inputs = {name: tensors[name] for name in list(tensors)[:5]}
    state = {name: t for name, t in tensors.items() if name not in inputs}
    theirs = torch.func.functional_call(module, state, (), {**inputs, "average_attn_weights": average})
    ours, backward = layer(**arrays)
    cotangents = [rng.standard_normal(y.shape) for y in ours]
    grads = torch.autograd.grad(theirs, list(tensors.values()), [torch.from_numpy(d) for d in cotangents])
    found = backward(*cotangents)
    for name, grad in zip(tensors, grads, strict=True):
        np.testing.assert_allclose(found[name], grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_mask_that_is_not_looked_at_has_gradient_zero():
    layer = impl.MultiheadAttention(1, 1, bias=False, is_causal=True, need_weights=False)
    params = {"in_proj_weight": ones(3, 1), "out_proj.weight": ones(1, 1)}
    y, backward = layer(ones(2, 1), ones(2, 1), ones(2, 1), attn_mask=np.ones((2, 2)), **params)
    np.testing.assert_array_equal(backward(y)["attn_mask"], np.zeros((2, 2)))


class Noticed(torch.utils._python_dispatch.TorchDispatchMode):
    """Keeps what torch draws."""

    def __init__(self):
        super().__init__()
        self.masks = []

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.bernoulli_.float:
            self.masks.append(result.numpy() != 0)
        return result


def noisy(name, batch):
    """A layer with dropout, its torch twin, and the shapes of its inputs."""
    x, other = ((3, *batch, 4), (5, *batch, 4))
    if name == "MultiheadAttention":
        return impl.MultiheadAttention(4, 2, 0.5), torch.nn.MultiheadAttention(4, 2, 0.5), [x, other, other]
    if name == "Transformer":
        options = {"num_encoder_layers": 1, "num_decoder_layers": 2, "dim_feedforward": 3, "dropout": 0.5}
        return impl.Transformer(4, 2, **options), torch.nn.Transformer(4, 2, **options), [x, other]
    shapes = [x, other] if "Decoder" in name else [x]
    options = {"dim_feedforward": 3, "dropout": 0.5, "activation": "gelu", "norm_first": "Layer" in name}
    kind = name.removesuffix("Layer") + "Layer"
    ours, theirs = getattr(impl, kind)(4, 2, **options), getattr(torch.nn, kind)(4, 2, **options)
    if kind == name:
        return ours, theirs, shapes
    return getattr(impl, name)(ours, 2), getattr(torch.nn, name)(theirs, 2), shapes


NOISY = [
    "MultiheadAttention",
    *(f"Transformer{kind}" for kind in ("EncoderLayer", "DecoderLayer", "Encoder", "Decoder")),
]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
@pytest.mark.parametrize("name", [*NOISY, "Transformer"])
def test_layers_are_torch_with_the_noise_that_torch_drew(name, batch):
    layer, module, shapes = noisy(name, batch)
    rng = RNG(0)
    module = module.double()
    arrays = [rng.standard_normal(shape) for shape in shapes]
    tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
    state = {word: t.detach().numpy() for word, t in module.state_dict().items()}
    with Noticed() as noticed:
        theirs = module(*tensors)
    drawn = layer.noise(rng, *shapes[:2])
    words = contracts.get(name).reference.noise(config(name))
    masks = {word: mask.reshape(drawn[word].shape) for word, mask in zip(words, noticed.masks, strict=True)}
    assert set(masks) == set(drawn)
    ours, backward = layer(*arrays, **masks, **state)
    several = isinstance(ours, tuple)
    pairs = list(zip(ours, theirs, strict=True)) if several else [(ours, theirs)]
    cotangents = [rng.standard_normal(y.shape) for y, _ in pairs]
    for y, t in pairs:
        np.testing.assert_allclose(y, t.detach().numpy(), rtol=1e-10, atol=1e-12)
    grads = torch.autograd.grad([t for _, t in pairs], tensors, [torch.from_numpy(d) for d in cotangents])
    found = backward(*cotangents)
    for word, grad in zip(contracts.get(name).reference.inputs, grads, strict=False):
        np.testing.assert_allclose(found[word], grad.numpy(), rtol=1e-9, atol=1e-11)


def config(name):
    return {"num_layers": 2, "num_encoder_layers": 1, "num_decoder_layers": 2}


def test_a_layer_may_be_the_activation():
    layer = impl.TransformerEncoderLayer(4, 2, 3, 0.0, impl.PReLU())
    _, inputs = GOOD["TransformerEncoderLayer"]
    inputs = {**inputs, "activation.weight": np.array([0.5])}
    y, backward = layer(**inputs)
    assert backward(y)["activation.weight"].shape == (1,)


def test_custom_encoder_and_decoder_take_the_place_of_the_others():
    _, inputs = GOOD["Transformer"]
    plain = GOOD["Transformer"][0]
    own = {"d_model": 4, "nhead": 2, "dim_feedforward": 3}
    custom = impl.Transformer(
        4,
        custom_encoder={"encoder_layer": own, "num_layers": 1, "norm": {"normalized_shape": 4}},
        custom_decoder=impl.TransformerDecoder(impl.TransformerDecoderLayer(**own), 1, impl.LayerNorm(4)),
        training=False,
    )
    np.testing.assert_array_equal(custom(**inputs)[0], plain(**inputs)[0])


def attend(*shapes, layer=None, **more):
    return (layer or impl.ScaledDotProductAttention())(*(ones(*shape) for shape in shapes), **more)


def heads(layer=None, **changed):
    _, inputs = GOOD["MultiheadAttention"]
    inputs = {**inputs, **changed}
    layer = layer or impl.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3, need_weights=False)
    return layer(**{name: a for name, a in inputs.items() if a is not None})


def other(name, **changed):
    layer, inputs = GOOD[name]
    return layer(**{**inputs, **changed})


SDPA, MHA, LAYER = "ScaledDotProductAttention", "MultiheadAttention", "TransformerEncoderLayer"
CAUSAL, GROUPED = impl.ScaledDotProductAttention(is_causal=True), impl.ScaledDotProductAttention(enable_gqa=True)
BAD = [
    (SDPA, lambda: impl.ScaledDotProductAttention(1.5), ValueError, "dropout_p"),
    (SDPA, lambda: impl.ScaledDotProductAttention(scale="x"), TypeError, "scale"),
    (SDPA, lambda: attend((3,), (2, 3), (2, 3)), ValueError, "query"),
    (SDPA, lambda: attend((2, 3), (3,), (2, 3)), ValueError, "key"),
    (SDPA, lambda: attend((2, 3), (2, 3), (2, 3), layer=GROUPED), ValueError, "query"),
    (SDPA, lambda: attend((2, 3), (2, 4), (2, 3)), ValueError, "key"),
    (SDPA, lambda: attend((2, 3), (2, 3), (4, 3)), ValueError, "value"),
    (SDPA, lambda: attend((2, 1, 3), (3, 1, 3), (1, 3)), ValueError, "key"),
    (SDPA, lambda: attend((2, 1, 3), (2, 1, 3), (3, 1, 3)), ValueError, "value"),
    (SDPA, lambda: attend((4, 1, 3), (3, 1, 3), (1, 1, 3), layer=GROUPED), ValueError, "key"),
    (SDPA, lambda: attend((4, 1, 3), (0, 1, 3), (1, 1, 3), layer=GROUPED), ValueError, "value"),
    (SDPA, lambda: attend((2, 3), (2, 3), (2, 3), attn_mask=ones(2, 2), layer=CAUSAL), ValueError, "attn_mask"),
    (SDPA, lambda: attend((2, 3), (2, 3), (2, 3), attn_mask=ones(3, 2)), ValueError, "attn_mask"),
    (SDPA, lambda: attend((2, 3), (2, 3), (2, 3), attn_mask=ones(1, 2, 2)), ValueError, "attn_mask"),
    (SDPA, lambda: attend((2, 3), (2, 3), (2, 3), attn_mask=ones(2, 2).astype(int)), TypeError, "attn_mask"),
    (
        SDPA,
        lambda: attend((2, 3), (2, 3), (2, 3), layer=impl.ScaledDotProductAttention(0.5)),
        ValueError,
        "dropout_mask",
    ),
    (MHA, lambda: impl.MultiheadAttention(4, 3), ValueError, "embed_dim"),
    (MHA, lambda: impl.MultiheadAttention(4, 0), ValueError, "num_heads"),
    (MHA, lambda: impl.MultiheadAttention(4, 2, kdim=1.5), TypeError, "kdim"),
    (MHA, lambda: impl.MultiheadAttention(4, 2, -0.5), ValueError, "dropout"),
    (MHA, lambda: heads(query=ones(4)), ValueError, "query"),
    (MHA, lambda: heads(key=ones(5, 2, 4)), ValueError, "key"),
    (MHA, lambda: heads(key=ones(5, 3)), ValueError, "key"),
    (MHA, lambda: heads(value=ones(4, 2, 4)), ValueError, "value"),
    (MHA, lambda: heads(query=ones(3, 1, 4)), ValueError, "key"),
    (MHA, lambda: heads(in_proj_weight=ones(12, 4)), ValueError, "in_proj_weight"),
    (MHA, lambda: heads(bias_k=None), ValueError, "bias_k"),
    (MHA, lambda: heads(bias_k=ones(1, 4)), ValueError, "bias_k"),
    (MHA, lambda: heads(attn_mask=ones(4, 5)), ValueError, "attn_mask"),
    (MHA, lambda: heads(key_padding_mask=ones(5, 2)), ValueError, "key_padding_mask"),
    (MHA, lambda: heads(key_padding_mask=ones(2, 5).astype("f4")), TypeError, "key_padding_mask"),
    (
        MHA,
        lambda: heads(impl.MultiheadAttention(4, 2, 0.0, True, True, kdim=3, is_causal=True), attn_mask=None),
        ValueError,
        "attn_mask",
    ),
    (MHA, lambda: heads(impl.MultiheadAttention(4, 2, 0.5, add_bias_kv=True, kdim=3)), ValueError, "dropout_mask"),
    (MHA, lambda: heads()[1](ones(3, 2, 4), ones(2, 3, 6)), ValueError, "dy"),
    (MHA, lambda: heads(impl.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3))[1](ones(3, 2, 4)), ValueError, "dy"),
    (LAYER, lambda: impl.TransformerEncoderLayer(4, 2, activation="tanh"), ValueError, "activation"),
    (LAYER, lambda: impl.TransformerEncoderLayer(4, 2, activation=3), TypeError, "activation"),
    (LAYER, lambda: impl.TransformerEncoderLayer(4, 3), ValueError, "embed_dim"),
    (LAYER, lambda: other(LAYER, weight=ones(1)), ValueError, "weight"),
    (LAYER, lambda: other(LAYER, src_mask=ones(3, 3).astype(int)), TypeError, "src_mask"),
    (LAYER, lambda: other(LAYER, src=ones(3, 2, 5)), ValueError, "self_attn"),
    (LAYER, lambda: other(LAYER, **{"linear1.weight": ones(3, 3)}), ValueError, "linear1.weight"),
    ("TransformerEncoder", lambda: impl.TransformerEncoder(3, 1), TypeError, "encoder_layer"),
    ("TransformerEncoder", lambda: impl.TransformerEncoder({"d_model": 4}, 1), TypeError, "encoder_layer"),
    ("TransformerDecoder", lambda: impl.TransformerDecoder({"d_model": 4, "nhead": 2}, 0), ValueError, "num_layers"),
    ("TransformerDecoder", lambda: impl.TransformerDecoder({"d_model": 4, "nhead": 2}, 1, 3), TypeError, "norm"),
    ("Transformer", lambda: impl.Transformer(custom_encoder=3), TypeError, "custom_encoder"),
    ("Transformer", lambda: impl.Transformer(4, 3), ValueError, "embed_dim"),
    ("Transformer", lambda: other("Transformer", src=ones(5, 2, 3)), ValueError, "src"),
    ("Transformer", lambda: other("Transformer", tgt=ones(4)), ValueError, "tgt"),
]


@pytest.mark.parametrize(
    ("layer", "call", "error", "word"), [pytest.param(*row, id=f"{row[0]}-{n}-{row[3]}") for n, row in enumerate(BAD)]
)
def test_bad_call_is_refused_by_name(layer, call, error, word):
    with pytest.raises(error, match=rf"^{layer}: .*\b{word}\b"):
        call()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MultiheadAttention", {"embed_dim": 48, "num_heads": 4, "add_bias_kv": True}),
        ("MultiheadAttention", {"embed_dim": 48, "num_heads": 4, "kdim": 24, "vdim": 12, "bias": False}),
        ("TransformerEncoderLayer", {"d_model": 48, "nhead": 4, "dim_feedforward": 30}),
        ("TransformerDecoderLayer", {"d_model": 48, "nhead": 4, "dim_feedforward": 30, "bias": False}),
        ("Transformer", {"d_model": 48, "nhead": 4, "dim_feedforward": 30, "batch_first": True}),
    ],
)
def test_fresh_parameters_are_spread_as_those_of_torch(name, options):
    ours = getattr(impl, name)(**options).initial_parameters(np.random.default_rng(0), np.float32)
    torch.manual_seed(0)
    theirs = {n: t.numpy() for n, t in getattr(torch.nn, name)(**options).state_dict().items()}
    assert {n: a.shape for n, a in ours.items()} == {n: a.shape for n, a in theirs.items()}
    for word, a in ours.items():
        assert a.dtype == np.float32
        if a.size < 1000:  # spread is told only by many
            continue
        np.testing.assert_allclose([a.std(), abs(a).max()], [theirs[word].std(), abs(theirs[word]).max()], rtol=0.05)


def test_the_layers_of_a_stack_begin_as_copies_that_share_no_memory():
    layer = impl.TransformerDecoderLayer(4, 2, 3)
    params = impl.TransformerDecoder(layer, 2, impl.LayerNorm(4)).initial_parameters(np.random.default_rng(0))
    first, second = params["layers.0.linear1.weight"], params["layers.1.linear1.weight"]
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)
    assert list(params)[-2:] == ["norm.weight", "norm.bias"]


def test_an_empty_batch_of_values_has_no_gradient_though_scores_are_infinite():
    query, key, value = np.full((2, 3), np.inf), np.ones((4, 3)), np.ones((0, 4, 2))
    tensors = [torch.tensor(a, requires_grad=True) for a in (query, key, value)]
    torch.nn.functional.scaled_dot_product_attention(*tensors).sum().backward()
    y, backward = impl.ScaledDotProductAttention()(query, key, value)
    for gradient, tensor in zip(backward(np.zeros(y.shape)).values(), tensors, strict=True):
        np.testing.assert_array_equal(gradient, tensor.grad.numpy())
        assert not gradient.any()


@pytest.mark.parametrize("told", [None, True, False])
def test_a_mask_that_looks_causal_is_taken_for_it_unless_the_opposite_is_told(told):
    options = {"d_model": 2, "nhead": 1, "dim_feedforward": 3, "dropout": 0.0}
    x, mask = RNG(0).standard_normal((3, 1, 2)), np.triu(np.full((3, 3), -np.inf), 1)
    encoder = impl.TransformerEncoder(options, 1, is_causal=told)
    decoder = impl.TransformerDecoder(options, 1, tgt_is_causal=told)
    for stack, inputs, name in ((encoder, (x,), "mask"), (decoder, (x, x), "tgt_mask")):
        params = stack.initial_parameters(RNG(1))
        y, backward = stack(*inputs, **{name: mask}, **params)
        assert backward(RNG(2).standard_normal(y.shape))[name].any() == (told is False)
        # Another mask is looked at whatever is told, where nothing is.
        y, backward = stack(*inputs, **{name: mask * 2 + 1}, **params)
        assert backward(RNG(2).standard_normal(y.shape))[name].any() == (not told)
