"""Contracts of layers that gradjury has none for yet: as many options as the bugs need, any inputs within them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from gradjury.oracle.vjp import Array
from gradjury.properties.contract import Contract
from gradjury.properties.contracts.arithmetic import broadcast_pair
from gradjury.properties.contracts.common import REDUCTIONS, number_or_each, pair
from gradjury.properties.domain import Draft
from gradjury.properties.twins import Module
from gradjury.properties.values import Brush, Index, Probabilities, Real, Shape, Spec

from .expression import Expression


def _any_shape(d: Draft) -> dict[str, Spec]:
    return {"x": Real(d.shape())}


def _with(**options: st.SearchStrategy[object]) -> Callable[[Draft], dict[str, Spec]]:
    """The domain of an elementwise function with these options."""

    def domain(d: Draft) -> dict[str, Spec]:
        for name, strategy in options.items():
            d.option(name, strategy)
        return _any_shape(d)

    return domain


def _conv_transpose2d(d: Draft) -> dict[str, Spec]:
    groups = d.option("groups", st.sampled_from((1, 1, 2, 3)))
    n_in, n_out = d.size(3) * groups, d.size(3)
    kernel = d.size(4), d.size(4)
    sizes = d.size(4), d.size(4)
    stride = pair(d.option("stride", number_or_each(1, 3, 2)))
    dilation = pair(d.option("dilation", number_or_each(1, 3, 2)))
    # torch wants less extra than a stride or a dilation.
    extra = [max(s, e) - 1 for s, e in zip(stride, dilation, strict=True)]
    each = st.tuples(*(st.integers(0, e) for e in extra))
    more = pair(d.option("output_padding", st.one_of(st.integers(0, min(extra)), each)))
    geometry = zip(sizes, stride, dilation, kernel, more, strict=True)
    limits = [((n - 1) * s + e * (k - 1) + o) // 2 for n, s, e, k, o in geometry]  # a cell has to be left
    d.option("padding", st.tuples(*(st.integers(0, min(3, limit)) for limit in limits)))
    specs: dict[str, Spec] = {"x": Real((*d.batch(), n_in, *sizes)), "weight": Real((n_in, n_out, *kernel))}
    if d(st.booleans()):
        specs["bias"] = Real((n_out * groups,))
    return specs


def _adaptive_avg_pool2d(d: Draft) -> dict[str, Spec]:
    side = st.integers(1, 5) | st.none()
    d.option("output_size", st.integers(1, 5) | st.tuples(side, side))
    return {"x": Real((*d.batch(), d.size(3), d.size(7), d.size(7)))}


def _interpolate(d: Draft) -> dict[str, Spec]:
    mode = d.option("mode", st.sampled_from(("nearest", "linear", "bilinear")))
    rank = {"nearest": d(st.integers(1, 2)), "linear": 1, "bilinear": 2}[mode]
    sizes = tuple(d.size() for _ in range(rank))
    if d(st.booleans()):  # twice or three times the size is what most people ask for
        d.option("size", st.tuples(*(st.sampled_from((n, 2 * n, 3 * n)) for n in sizes)))
    else:
        d.option("size", st.tuples(*(st.integers(1, 12) for _ in sizes)))
    d.option("align_corners", st.none() if mode == "nearest" else st.sampled_from((None, True, False)))
    return {"x": Real((d.size(3), d.size(3), *sizes))}


def _prelu(d: Draft) -> dict[str, Spec]:
    shape = d.shape(least=2)
    return {"x": Real(shape), "weight": Real((d(st.sampled_from((1, shape[1]))) if shape[1] else 1,))}


def _batch_norm(d: Draft) -> dict[str, Spec]:
    d.option("eps", EPSILONS)
    channels, spatial = d.size(4), tuple(d.size(4) for _ in range(d(st.integers(0, 2))))
    # torch refuses a single value a channel.
    n = d(st.integers(1 if int(np.prod(spatial)) > 1 else 2, 5))
    return {"x": Real((n, channels, *spatial))} | _affine(d, (channels,))


def _layer_norm(d: Draft) -> dict[str, Spec]:
    d.option("eps", EPSILONS)
    shape = tuple(d.size() for _ in range(d(st.integers(1, 2))))
    d.option("normalized_shape", st.just(shape))
    return {"x": Real((*d.shape(most=2), *shape))} | _affine(d, shape)


def _affine(d: Draft, shape: Shape) -> dict[str, Spec]:
    """Weight and bias, weight alone, or neither."""
    names = d(st.sampled_from((("weight", "bias"), ("weight",), ())))
    return {name: Real(shape) for name in names}


def _normalize(d: Draft) -> dict[str, Spec]:
    d.option("eps", EPSILONS)
    return {"x": Real((*d.shape(most=2), d.size()))}


def _rnn(d: Draft) -> dict[str, Spec]:
    layers, steps, n, hidden = d.size(3), d.size(4), d.size(3), d.size(4)
    square = Real((layers, hidden, hidden))
    return {
        "x": Real((steps, n, hidden)),
        "h": Real((layers, n, hidden)),
        "weight_ih": square,
        "weight_hh": square,
        "bias_ih": Real((layers, hidden)),
        "bias_hh": Real((layers, hidden)),
    }


def _lstm_cell(d: Draft) -> dict[str, Spec]:
    n, features, hidden = d.size(3), d.size(4), d.size(4)
    state, gates = Real((n, hidden)), Real((4 * hidden,))
    return {
        "x": Real((n, features)),
        "h": state,
        "c": state,
        "weight_ih": Real((4 * hidden, features)),
        "weight_hh": Real((4 * hidden, hidden)),
        "bias_ih": gates,
        "bias_hh": gates,
    }


def _embedding(d: Draft) -> dict[str, Spec]:
    rows = d.size(6)
    return {"x": Index(d.shape(), rows), "weight": Real((rows, d.size()))}


def _gather(d: Draft) -> dict[str, Spec]:
    shape = tuple(d.size() for _ in range(d(st.integers(1, 3))))
    dim = d.option("dim", st.integers(-len(shape), len(shape) - 1)) % len(shape)
    # Along the other axes the index may be shorter than x.
    index = tuple(d.size() if axis == dim else d(st.integers(1, n)) for axis, n in enumerate(shape))
    return {"x": Real(shape), "index": Index(index, shape[dim])}


def _index_fill(d: Draft) -> dict[str, Spec]:
    shape = tuple(d.size() for _ in range(d(st.integers(1, 3))))
    dim = d.option("dim", st.integers(-len(shape), len(shape) - 1))
    return {"x": Real(shape), "index": Index((d.size(),), shape[dim]), "value": Real(())}


def _pack_segments(d: Draft) -> dict[str, Spec]:
    lengths = d.option("lengths", st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple))
    d.option("max_length", st.integers(1, 4))
    return {"x": Real((sum(lengths), d.size(3)))}


def _slice(d: Draft) -> dict[str, Spec]:
    n = d.size(7)
    for name in ("start", "stop"):
        d.option(name, st.none() | st.integers(-n - 1, n + 1))
    d.option("step", st.integers(1, 4))
    return {"x": Real((n, *d.shape(most=2)))}


def _pad(d: Draft) -> dict[str, Spec]:
    shape = tuple(d.size() for _ in range(d(st.integers(1, 3))))
    sides = 2 * d(st.integers(1, len(shape)))
    d.option("widths", st.lists(st.integers(0, 3), min_size=sides, max_size=sides).map(tuple))
    d.option("value", st.sampled_from((0.0, 1.5)))
    return {"x": Real(shape)}


def _along_dim(d: Draft) -> dict[str, Spec]:
    shape = tuple(d.size() for _ in range(d(st.integers(1, 3))))
    d.option("dim", st.integers(-len(shape), len(shape) - 1))
    return {"x": Real(shape)}


def _matmul(d: Draft) -> dict[str, Spec]:
    m, k, n = d.size(4), d.size(4), d.size(4)
    left, right = broadcast_pair(d, d.shape())
    x = d(st.sampled_from(((k,), (m, k), (*left[-2:], m, k))))
    other = d(st.sampled_from(((k,), (k, n), (*right[-2:], k, n))))
    return {"x": Real(x), "other": Real(other)}


def _kl_div(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS | st.just("batchmean"))
    shape = d.shape(least=1)
    # The gradient of the target does not exist where a probability is zero; it is a constant here.
    if d.option("log_target", st.booleans()):
        return {"x": Real(shape), "target": Real(shape, grad=False)}
    return {"x": Real(shape), "target": Probabilities(shape, axis=-1, grad=False)}


def _bce_with_logits(d: Draft) -> dict[str, Spec]:
    d.option("reduction", REDUCTIONS)
    shape = d.shape()
    return {"x": Real(shape), "target": Real(shape)}


@dataclass(frozen=True)
class Labels:
    """Classes that are not the blank one."""

    shape: Shape
    classes: int
    blank: int
    grad: bool = False

    def make(self, brush: Brush) -> Array:
        """Uniform labels; those from the blank on are one higher."""
        labels = brush.rng.integers(0, self.classes - 1, self.shape)
        return np.asarray(labels + (labels >= self.blank))


def _ctc(d: Draft) -> dict[str, Spec]:
    steps, n, classes, longest = d.size(5), d.size(3), d(st.integers(2, 4)), d.size(3)
    d.option("reduction", REDUCTIONS)
    d.option("input_lengths", st.tuples(*(st.integers(1, steps) for _ in range(n))))
    d.option("target_lengths", st.tuples(*(st.integers(0, longest) for _ in range(n))))
    blank = d.option("blank", st.integers(0, classes - 1))
    return {"x": Real((steps, n, classes)), "targets": Labels((n, longest), classes, blank)}


EPSILONS = st.sampled_from((1e-5, 1e-3, 0.1, 1.0))

ConvTranspose2d = Contract(
    "ConvTranspose2d",
    Expression(
        "lambda x, weight, bias=None, *, stride=1, padding=0, output_padding=0, groups=1, dilation=1: "
        "torch.nn.functional.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)"
    ),
    _conv_transpose2d,
)
AdaptiveAvgPool2d = Contract("AdaptiveAvgPool2d", Module(torch.nn.AdaptiveAvgPool2d), _adaptive_avg_pool2d)
Interpolate = Contract(
    "interpolate",
    Expression(
        "lambda x, *, size, mode='nearest', align_corners=None: "
        "torch.nn.functional.interpolate(x, size, mode=mode, align_corners=align_corners)"
    ),
    _interpolate,
)
# By its definition: torch.nn.Softplus is infinite where exp overflows below the threshold.
Softplus = Contract(
    "Softplus",
    Expression(
        "lambda x, *, beta=1.0, threshold=20.0: "
        "torch.where(beta * x > threshold, x, torch.logaddexp(beta * x, torch.zeros_like(x)) / beta)"
    ),
    _with(beta=st.sampled_from((1.0, 0.5, 2.0)), threshold=st.sampled_from((20.0, 1.0, 100.0, 1000.0))),
)
ELU = Contract("ELU", Module(torch.nn.ELU), _with(alpha=st.sampled_from((1.0, 0.5, 2.0, 0.0, -0.5))))
# By its definition: in torch 2.13, the backward of torch.nn.Hardsigmoid multiplies float64 by 1/6 in single precision.
Hardsigmoid = Contract("Hardsigmoid", Expression("lambda x: torch.nn.functional.relu6(x + 3) / 6"), _any_shape)
PReLU = Contract("prelu", Expression("lambda x, weight: torch.nn.functional.prelu(x, weight)"), _prelu)
Erf = Contract("erf", Expression("lambda x: torch.erf(x)"), _any_shape)
# Spelled out, not torch's fused kernels: those hide their intermediate results from the error budget.
_NORMAL = "(x - x.mean(axes, True)) * torch.rsqrt(x.var(axes, correction=0, keepdim=True) + eps)"
BatchNorm = Contract(
    "batch_norm",
    Expression(
        "lambda x, weight=None, bias=None, *, eps=1e-5: (lambda axes, column: "
        f"{_NORMAL} * (1 if weight is None else weight.reshape(column)) + (0 if bias is None else bias.reshape(column))"
        ")((0, *range(2, x.dim())), (-1, *[1] * (x.dim() - 2)))"
    ),
    _batch_norm,
)
LayerNorm = Contract(
    "layer_norm",
    Expression(
        "lambda x, weight=None, bias=None, *, normalized_shape, eps=1e-5: (lambda axes: "
        f"{_NORMAL} * (1 if weight is None else weight) + (0 if bias is None else bias)"
        ")(tuple(range(-len(normalized_shape), 0)))"
    ),
    _layer_norm,
)
Normalize = Contract(
    "normalize",
    Expression("lambda x, *, eps=1e-5: x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + eps)"),
    _normalize,
)
RNN = Contract(
    "RNN",
    Expression(
        "lambda x, h, weight_ih, weight_hh, bias_ih, bias_hh: torch.rnn_tanh(x, h, [p for layer in "
        "zip(weight_ih, weight_hh, bias_ih, bias_hh) for p in layer], True, len(h), 0.0, False, False, False)"
    ),
    _rnn,
)
LSTMCell = Contract(
    "LSTMCell",
    Expression(
        "lambda x, h, c, weight_ih, weight_hh, bias_ih, bias_hh: "
        "torch.lstm_cell(x, (h, c), weight_ih, weight_hh, bias_ih, bias_hh)"
    ),
    _lstm_cell,
)
Embedding = Contract("embedding", Expression("lambda x, weight: torch.nn.functional.embedding(x, weight)"), _embedding)
Gather = Contract("gather", Expression("lambda x, index, *, dim: torch.gather(x, dim, index)"), _gather)
IndexFill = Contract(
    "index_fill", Expression("lambda x, index, value, *, dim: torch.index_fill(x, dim, index, value)"), _index_fill
)
PackSegments = Contract(
    "pack_segments",
    Expression(
        "lambda x, *, lengths, max_length: torch.stack([torch.nn.functional.pad(rows[:max_length], "
        "(0, 0, 0, max(max_length - len(rows), 0))) for rows in x.split(list(lengths))])"
    ),
    _pack_segments,
)
Slice = Contract("slice", Expression("lambda x, *, start=None, stop=None, step=1: x[start:stop:step]"), _slice)
Pad = Contract(
    "pad", Expression("lambda x, *, widths, value=0.0: torch.nn.functional.pad(x, widths, value=value)"), _pad
)
Prod = Contract("prod", Expression("lambda x, *, dim: torch.prod(x, dim)"), _along_dim)
CumProd = Contract("cumprod", Expression("lambda x, *, dim: torch.cumprod(x, dim)"), _along_dim)
Amax = Contract("amax", Expression("lambda x, *, dim: torch.amax(x, dim)"), _along_dim)
Pow = Contract(
    "pow",
    Expression("lambda x, *, exponent: torch.pow(x, exponent)"),
    _with(exponent=st.sampled_from((2.0, 3.0, 1.0, 0.5, 0.0, -1.0))),
)
Matmul = Contract("matmul", Expression("lambda x, other: torch.matmul(x, other)"), _matmul)
KLDivLoss = Contract("KLDivLoss", Module(torch.nn.KLDivLoss), _kl_div)
# Spelled out, as above; torch's own form of it loses all digits of a small loss.
BCEWithLogits = Contract(
    "BCEWithLogits",
    Expression(
        "lambda x, target, *, reduction='mean': (lambda y: y if reduction == 'none' else getattr(y, reduction)())"
        "(torch.logaddexp(x, torch.zeros_like(x)) - x * target)"
    ),
    _bce_with_logits,
)
# Over logits, because torch's gradient of the log-probabilities is only right behind a log-softmax.
CTC = Contract(
    "ctc",
    Expression(
        "lambda x, targets, *, input_lengths, target_lengths, blank=0, reduction='mean': torch.nn.functional.ctc_loss("
        "x.log_softmax(-1), targets, input_lengths, target_lengths, blank, reduction, zero_infinity=True)"
    ),
    _ctc,
)
