"""Normalisation of each channel by its mean and variance, over the batch or in each instance, for 1 to 3 axes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from . import _check
from ._check import Array, Backward, Gradients
from ._moments import Axes, dot, inverse_root, moments, nothing, parameter, scaled, size, total


@dataclass(frozen=True)
class _ChannelNorm(ABC):
    """What BatchNorm and InstanceNorm share, with x seen as (N, C, L): they differ in the axes of the statistics."""

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True
    bias: bool = field(default=True, kw_only=True)
    training: bool = field(default=True, kw_only=True)

    _ranks: ClassVar[tuple[int, ...]]
    _axes: ClassVar[Axes]

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check.integer(name, "num_features", self.num_features, least=int(self.affine))
        _check.number(name, "eps", self.eps)
        if self.momentum is not None:
            _check.number(name, "momentum", self.momentum)

    @property
    def _own(self) -> bool:
        """Whether x is normalised by its own statistics, not by the running ones."""
        return self.training or not self.track_running_stats

    @property
    def updated(self) -> tuple[str, ...]:
        """The names of the buffers that come out behind y."""
        changes = self.training and self.track_running_stats
        return ("running_mean", "running_var", "num_batches_tracked") if changes else ()

    @abstractmethod
    def _view(self, x: Array) -> Array:
        """x as (N, C, L), refused where torch refuses its shape."""

    @abstractmethod
    def _tracked(self, batches: Array) -> tuple[Array, float]:
        """num_batches_tracked after a batch, and the weight of that batch's statistics in the running ones."""

    def __call__(
        self,
        x: Array,
        weight: Array | None = None,
        bias: Array | None = None,
        running_mean: Array | None = None,
        running_var: Array | None = None,
        num_batches_tracked: Array | None = None,
    ) -> tuple[Array | tuple[Array, ...], Backward]:
        """y, or (y, running_mean, running_var, num_batches_tracked), and the backward pass."""
        name, axes, track = type(self).__name__, self._axes, self.track_running_stats
        (x,) = _check.real(name, x=x)
        batch = self._view(x)
        shape = (self.num_features,)
        weight = parameter(name, x, "weight", weight, self.affine, shape)
        bias = parameter(name, x, "bias", bias, self.affine and self.bias, shape)
        running_mean = parameter(name, x, "running_mean", running_mean, track, shape)
        running_var = parameter(name, x, "running_var", running_var, track, shape)
        batches = self._count(num_batches_tracked)

        new: list[Any] = [None, None]
        y, backward = x.copy(), nothing(name, x, weight, bias)
        mean: Any
        before: list[Any]
        weight, bias, *before = (
            None if a is None else a[None, :, None] for a in (weight, bias, running_mean, running_var)
        )
        if batch.size:
            with np.errstate(all="ignore"):
                if self._own:
                    centred, mean, var = moments(batch, axes)
                    count = size(batch, axes)
                    new = [mean, var * (count / (count - 1))]
                    mean, root = mean.astype(x.dtype), inverse_root(var, self.eps).astype(x.dtype)
                else:
                    mean, root = before[0], inverse_root(before[1], self.eps)
                    centred = batch - mean
                y = scaled(batch, centred, mean, root, weight, bias).reshape(x.shape)
            backward = self._backward(x, centred, root, weight, bias)
        if not self.updated:
            return y, backward
        batches, factor = self._tracked(batches)
        rows = 1 if 0 in axes else len(batch)
        return (y, *(_updated(a, b, factor, rows) for a, b in zip(before, new, strict=True)), batches), backward

    def _count(self, given: Any) -> Any:
        """num_batches_tracked, an integer, or None where the configuration has none."""
        name = type(self).__name__
        _check.optional(name, "num_batches_tracked", self.track_running_stats, given)
        if given is None:
            return None
        batches = np.asarray(given)
        if batches.dtype.kind not in "iu":
            raise TypeError(f"{name}: num_batches_tracked must hold an integer, got dtype {batches.dtype}")
        _check.shape(name, "num_batches_tracked", batches, ())
        return batches

    def _backward(self, x: Array, centred: Array, root: Array, weight: Any, bias: Any) -> Backward:
        """The backward pass of the normalisation of x."""
        name, axes = type(self).__name__, self._axes

        def backward(dy: Array) -> Gradients:
            dy = _check.cotangent(name, dy, x.shape).reshape(centred.shape)
            with np.errstate(all="ignore"):
                sums, products = total(dy, axes), dot(dy, centred, axes)
                slope = root if weight is None else root * weight
                if self._own:
                    count = size(centred, axes)
                    # The mean goes first: what is left is often small, and then loses no digits to it.
                    dx = dy - (sums / count).astype(x.dtype)
                    dx -= centred * (products * root * root / count).astype(x.dtype)
                    dx *= slope
                else:
                    dx = dy * slope
                grads: Gradients = {"x": dx.reshape(x.shape)}
                if weight is not None:
                    grads["weight"] = total(products * root, (0, 2)).astype(x.dtype).reshape(-1)
                if bias is not None:
                    grads["bias"] = total(sums, (0, 2)).astype(x.dtype).reshape(-1)
            return grads

        return backward

    def initial_parameters(self, rng: np.random.Generator, dtype: type = np.float64) -> dict[str, Array]:  # noqa: ARG002
        """Fresh parameters and statistics: torch draws nothing, weights and variances are 1, the rest is 0."""
        names = []
        if self.affine:
            names += ["weight", "bias"] if self.bias else ["weight"]
        if self.track_running_stats:
            names += ["running_mean", "running_var"]
        state: dict[str, Array] = {
            name: np.full(self.num_features, name in ("weight", "running_var"), dtype) for name in names
        }
        return {**state, "num_batches_tracked": np.array(0)} if self.track_running_stats else state


def _updated(before: Array, new: Any, factor: float, rows: int) -> Array:
    """A running statistic after a batch: the mean over `rows` of (1 - factor)·before + factor·new.

    A batch without elements has no statistics and changes nothing; without rows the mean is NaN.
    """
    with np.errstate(all="ignore"):
        mixed = before if new is None else (1 - factor) * before + factor * new
        after = total(np.broadcast_to(mixed, (rows, *before.shape[1:])), (0,)) / rows
    return np.asarray(after.astype(before.dtype).reshape(-1))


class _BatchNorm(_ChannelNorm):
    _axes = (0, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eps < 0 or (self._own and self.eps <= 0):
            least = "positive" if self._own else "at least 0"
            raise ValueError(f"{type(self).__name__}: eps must be {least} in this configuration, got {self.eps}")

    def _view(self, x: Array) -> Array:
        name = type(self).__name__
        if x.ndim not in self._ranks:
            raise ValueError(
                f"{name}: x must have {' or '.join(map(str, self._ranks))} dimensions, got shape {x.shape}"
            )
        batch = x.reshape(*x.shape[:2], size(x, tuple(range(2, x.ndim))))
        if self._own and len(batch) * batch.shape[2] == 1:
            raise ValueError(f"{name}: x must have more than 1 value a channel to have a variance, got shape {x.shape}")
        used = self.affine or self.track_running_stats
        if used and x.size and x.shape[1] != self.num_features:
            raise ValueError(f"{name}: x must have {self.num_features} channels, got shape {x.shape}")
        return batch

    def _tracked(self, batches: Array) -> tuple[Array, float]:
        after = np.asarray(batches + 1)
        if self.momentum is not None:
            return after, self.momentum
        if not after:
            raise ValueError(
                f"{type(self).__name__}: num_batches_tracked must not be -1 where momentum is None, got -1"
            )
        return after, 1 / float(after)


class BatchNorm1d(_BatchNorm):
    """y = (x - mean)/√(var + eps) · weight + bias, mean and biased variance of each channel over batch and positions.

    Shapes: x (N, C) or (N, C, L), y the same; weight, bias, running_mean and running_var (C,), num_batches_tracked (),
    an integer. Each is given where the configuration has it: weight with `affine`, bias with `affine` and `bias`, the
    others with `track_running_stats`. Arrays share one floating dtype.

    In training with `track_running_stats` the outputs are (y, running_mean, running_var, num_batches_tracked), brought
    up to date: running = (1 - momentum)·running + momentum·new, where the new variance is the unbiased one. `momentum`
    None weighs all batches alike: 1/num_batches_tracked. In eval mode the running statistics normalise; without them,
    those of x do.

    Gradient, with x̂ = (x - mean)·r and r = 1/√(var + eps): dx = r·weight·(dy - mean dy - x̂·mean(dy·x̂)), the means
    those of the channel; with running statistics dx = r·weight·dy. dweight = Σ dy·x̂, dbias = Σ dy.

    An empty x is answered as it is; only num_batches_tracked changes. Raises ValueError or TypeError for configurations
    and shapes that torch refuses, among them a single value a channel where a variance is to be taken.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html; Ioffe, Szegedy, Batch
    Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift, 2015.
    """

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for x (N, C, H, W): y = (x - mean)/√(var + eps) · weight + bias, statistics over N, H and W.

    Gradient, state, conventions and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for x (N, C, D, H, W): y = (x - mean)/√(var + eps) · weight + bias, statistics over all but C.

    Gradient, state, conventions and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
    """

    _ranks = (5,)


@dataclass(frozen=True)
class _InstanceNorm(_ChannelNorm):
    affine: bool = False
    track_running_stats: bool = False

    _axes = (2,)

    def _view(self, x: Array) -> Array:
        name, (rank,) = type(self).__name__, self._ranks
        whole = _check.spatial(name, "x", x, rank)
        batch = whole.reshape(*whole.shape[:2], size(whole, tuple(range(2, whole.ndim))))
        if self._own and batch.shape[2] == 1:
            raise ValueError(f"{name}: x must have more than 1 position to have a variance, got shape {x.shape}")
        if (self.affine or self.track_running_stats) and batch.shape[1] != self.num_features:
            raise ValueError(f"{name}: x must have {self.num_features} channels, got shape {x.shape}")
        if self.affine and not len(batch):
            raise ValueError(f"{name}: x must not have an empty batch with affine=True, got shape {x.shape}")
        return batch

    def _tracked(self, batches: Array) -> tuple[Array, float]:
        return batches.copy(), 0.0 if self.momentum is None else self.momentum


class InstanceNorm1d(_InstanceNorm):
    """y = (x - mean)/√(var + eps) · weight + bias, mean and biased variance of each channel of each instance.

    Shapes: x (N, C, L) or (C, L), y the same; the rest, and which arguments a configuration has, as for `BatchNorm1d`,
    but `affine` and `track_running_stats` are off by default. Without both, x may have any number of channels.

    In training with `track_running_stats` the outputs are (y, running_mean, running_var, num_batches_tracked): the
    statistics mixed as by `BatchNorm1d`, with each instance's mean and unbiased variance, and then averaged over the
    batch; num_batches_tracked stays as it is, and `momentum` None is 0. In eval mode the running statistics normalise.

    Gradient: that of `BatchNorm1d`, with the means of each instance.

    Raises ValueError or TypeError for configurations and shapes that torch refuses, among them a single position where
    a variance is to be taken. An empty batch gives NaN statistics, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html; Ulyanov, Vedaldi, Lempitsky,
    Instance Normalization: The Missing Ingredient for Fast Stylization, 2016.
    """

    _ranks = (1,)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for x (N, C, H, W) or (C, H, W): y = (x - mean)/√(var + eps) · weight + bias over H and W.

    Gradient, state, conventions and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
    """

    _ranks = (2,)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for x (N, C, D, H, W) or (C, D, H, W): y = (x - mean)/√(var + eps) · weight + bias over D, H, W.

    Gradient, state, conventions and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html
    """

    _ranks = (3,)
