"""The logarithm of a softmax over very many classes, most of them rare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._parameters import parameters
from ._parts import fresh
from ._reduction import reduce, spread
from .linear import Linear
from .softmax import log_softmax, log_softmax_backward

Outputs = tuple[Array, Array]


def _log_probability(scores: Array, index: Array) -> tuple[Array, Callable[[Array], Array]]:
    """log softmax(scores) of one class a row, and its adjoint."""
    logp, column = log_softmax(scores, 1), index[:, None]

    def backward(d: Array) -> Array:
        g = np.zeros_like(scores)
        np.put_along_axis(g, column, d[:, None], 1)
        return log_softmax_backward(g, logp, 1)

    return np.take_along_axis(logp, column, 1)[:, 0], backward


@dataclass(frozen=True)
class AdaptiveLogSoftmaxWithLoss:
    """The log-probability of each target, and minus their mean, by a softmax in two steps.

    The classes stand in order of how often they occur; `cutoffs` cut them into a shortlist and clusters. The head has a
    score for each class of the shortlist and one for each cluster, x·head.weightᵀ + head.bias; cluster i has scores for
    its own classes, x·tail.i.0.weightᵀ·tail.i.1.weightᵀ, by way of in_features // div_value^(i+1) features. output =
    log softmax(head) at the target, or at its cluster plus log softmax(cluster) at the target; loss = -mean output.

    Shapes: x (N, in_features) with target (N,), or x (in_features,) with target (); head.weight (cutoffs[0] + clusters,
    in_features), head.bias (cutoffs[0] + clusters,) with `head_bias`, tail.i.0.weight (features, in_features),
    tail.i.1.weight (classes, features). Answers (output, loss), of target's shape and ().

    Gradient: with d = doutput - dloss/N, that of log softmax and of the products, each cluster's from its own samples.

    Raises ValueError, IndexError or TypeError for cutoffs, shapes and targets that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html; Grave et al.,
    Efficient softmax approximation for GPUs, 2017.
    """

    in_features: int
    n_classes: int
    cutoffs: Sequence[int]
    div_value: float = 4.0
    head_bias: bool = False

    def __post_init__(self) -> None:
        name = "AdaptiveLogSoftmaxWithLoss"
        _check.integer(name, "in_features", self.in_features, least=0)
        _check.integer(name, "n_classes", self.n_classes, least=0)
        _check.number(name, "div_value", self.div_value)
        if not self.div_value > 0:
            raise ValueError(f"{name}: div_value must be positive, got {self.div_value}")
        if not isinstance(self.cutoffs, Sequence) or not self.cutoffs:
            raise ValueError(f"{name}: cutoffs must be a sequence of integers, not empty, got {self.cutoffs!r}")
        for cutoff in self.cutoffs:
            _check.integer(name, "cutoffs", cutoff, least=1)
        if list(self.cutoffs) != sorted(set(self.cutoffs)) or self.cutoffs[-1] >= self.n_classes:
            raise ValueError(f"{name}: cutoffs must increase and stay below {self.n_classes}, got {self.cutoffs!r}")

    def __call__(self, x: Array, target: Array, **params: Array) -> tuple[Outputs, Callable[[Array, Array], Gradients]]:
        """(output, loss), and the backward pass, which takes a cotangent for each."""
        name = "AdaptiveLogSoftmaxWithLoss"
        (x,) = _check.real(name, x=x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.in_features:
            raise ValueError(
                f"{name}: x must have shape (N, {self.in_features}) or ({self.in_features},), got {x.shape}"
            )
        given: Array = np.asarray(target)
        if not np.issubdtype(given.dtype, np.integer):
            raise TypeError(f"{name}: target must hold class indices, integers, got dtype {given.dtype}")
        _check.shape(name, "target", given, x.shape[:-1])
        if ((given < 0) | (given >= self.n_classes)).any():
            raise IndexError(f"{name}: target must hold class indices in [0, {self.n_classes})")
        parameters(name, params, self._shapes, x=x)
        rows, classes = np.atleast_2d(x), given.reshape(-1)
        cluster = np.searchsorted(self.cutoffs, classes, side="right")

        head, head_backward = self._through(("head",), rows, params)
        output, head_pick = _log_probability(head, np.where(cluster == 0, classes, self.cutoffs[0] + cluster - 1))
        tails = []
        for i, low in enumerate(self.cutoffs):
            own = np.flatnonzero(cluster == i + 1)
            scores, back = self._through((f"tail.{i}.0", f"tail.{i}.1"), rows[own], params)
            found, pick = _log_probability(scores, classes[own] - low)
            output[own] += found
            tails.append((own, pick, back))
        loss = reduce(-output, "mean", len(output))

        def backward(doutput: Array, dloss: Array) -> Gradients:
            d = _check.cotangent(name, doutput, given.shape).reshape(-1)
            d = d - spread(_check.cotangent(name, dloss, ()), "mean", d.shape, len(d))
            grads = head_backward(head_pick(d))
            for own, pick, back in tails:
                found = back(pick(d[own]))
                grads["x"][own] += found.pop("x")
                grads |= found
            return {**grads, "x": grads["x"].reshape(x.shape)}

        return (output.reshape(given.shape), loss), backward

    def _through(self, path: tuple[str, ...], a: Array, params: Mapping[str, Array]) -> tuple[Array, Backward]:
        """One linear layer after the other, and their backward pass."""
        backwards = []
        for name in path:
            own = [params[f"{name}.{kind}"] for kind in ("weight", "bias") if f"{name}.{kind}" in params]
            a, back = self._layers[name](a, *own)
            backwards.append((name, back))

        def backward(da: Array) -> Gradients:
            grads: Gradients = {}
            for name, back in reversed(backwards):
                own = back(da)
                da = own.pop("x")
                grads |= {f"{name}.{kind}": grad for kind, grad in own.items()}
            return {**grads, "x": da}

        return a, backward

    @property
    def _layers(self) -> dict[str, Linear]:
        """The linear layers by torch's names, in the order of its state_dict."""
        layers = {"head": Linear(self.in_features, self.cutoffs[0] + len(self.cutoffs), self.head_bias)}
        for i, size in enumerate(np.diff([*self.cutoffs, self.n_classes])):
            width = int(self.in_features // self.div_value ** (i + 1))
            layers[f"tail.{i}.0"] = Linear(self.in_features, width, bias=False)
            layers[f"tail.{i}.1"] = Linear(width, int(size), bias=False)
        return layers

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for name, linear in self._layers.items():
            shapes[f"{name}.weight"] = (linear.out_features, linear.in_features)
            if linear.bias:
                shapes[f"{name}.bias"] = (linear.out_features,)
        return shapes

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:
        """Fresh parameters, drawn as those of Linear."""
        return fresh(self._layers, rng, dtype)
