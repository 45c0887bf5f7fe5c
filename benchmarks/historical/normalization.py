"""Bugs in normalisations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradjury.oracle.vjp import Array, Backward

from . import contracts
from .bug import Bug


@dataclass(frozen=True)
class BatchNorm:
    """y = x̂·w + b, x̂ = (x - mean x)·r, r = 1/√(var x + eps) over all axes but the channels (axis 1), in training.

    dx = r·(g - mean g - x̂·mean(g·x̂)) with g = dy·w; dw = Σ dy·x̂, db = Σ dy.
    """

    eps: float = 1e-5

    def __call__(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        axes = (0, *range(2, x.ndim))
        column = (-1, *(1,) * (x.ndim - 2))
        centred = x - x.mean(axis=axes, keepdims=True)
        count = x.size // x.shape[1]
        variance = (centred * centred).sum(axis=axes, keepdims=True) / self._degrees(count)
        r = 1 / np.sqrt(variance + np.asarray(self.eps, x.dtype))
        normal = centred * r
        y = normal if weight is None else normal * weight.reshape(column)
        y = y if bias is None else y + bias.reshape(column)

        def backward(dy: Array) -> dict[str, Array]:
            g = dy if weight is None else self._scaled(dy, weight.reshape(column))
            along = (g * normal).mean(axis=axes, keepdims=True)
            grads = {"x": r * (g - g.mean(axis=axes, keepdims=True) - normal * along)}
            if weight is not None:
                grads["weight"] = (dy * normal).sum(axis=axes)
            if bias is not None:
                grads["bias"] = dy.sum(axis=axes)
            return grads

        return y, backward

    def _degrees(self, count: int) -> int:
        return count

    def _scaled(self, dy: Array, weight: Array) -> Array:
        return dy * weight


class BatchNormScaleForgotten(BatchNorm):
    """The gradient of x does not know of the weight."""

    def _scaled(self, dy: Array, weight: Array) -> Array:  # noqa: ARG002
        return dy


class BatchNormSampleVariance(BatchNorm):
    """The forward divides the variance by n - 1, the backward takes it to be n."""

    def _degrees(self, count: int) -> int:
        return max(1, count - 1)


@dataclass(frozen=True)
class LayerNorm:
    """Like BatchNorm, over the last axes of each sample: those of `normalized_shape`."""

    normalized_shape: tuple[int, ...]
    eps: float = 1e-5

    def __call__(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> tuple[Array, Backward]:
        """y and its backward pass."""
        width = int(np.prod(self.normalized_shape))
        rows = x.reshape(-1, width)
        mean = rows.mean(axis=1, keepdims=True)
        centred = rows - mean
        r = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.asarray(self.eps, x.dtype))
        scale = np.ones(width, x.dtype) if weight is None else weight.ravel()
        y = centred * r * scale if bias is None else centred * r * scale + bias.ravel()

        def backward(dy: Array) -> dict[str, Array]:
            dx, dscale, dshift = self._gradients(x, dy, mean, r, scale)
            grads = {"x": dx.reshape(x.shape)}
            if weight is not None:
                grads["weight"] = dscale.reshape(weight.shape)
            if bias is not None:
                grads["bias"] = dshift.reshape(bias.shape)
            return grads

        return y.reshape(x.shape), backward

    def _gradients(self, x: Array, dy: Array, mean: Array, r: Array, scale: Array) -> tuple[Array, Array, Array]:
        """Gradients of x as rows, of the weight and of the bias."""
        dy = dy.reshape(-1, scale.size)
        normal, g = (x.reshape(dy.shape) - mean) * r, dy * scale
        along = (g * normal).mean(axis=1, keepdims=True)
        dx = r * (g - g.mean(axis=1, keepdims=True) - normal * along)
        return dx, self._weight_gradient(dy, g, normal), dy.sum(axis=0)

    def _weight_gradient(self, dy: Array, g: Array, normal: Array) -> Array:  # noqa: ARG002
        return np.asarray((dy * normal).sum(axis=0))


class LayerNormTwoAxes(LayerNorm):
    """The backward takes the first axis for the samples and all others for what was normalised."""

    def _gradients(self, x: Array, dy: Array, mean: Array, r: Array, scale: Array) -> tuple[Array, Array, Array]:
        if x.ndim < 2 or not x.size:
            return super()._gradients(x, dy, mean, r, scale)
        samples, width = len(x), scale.size
        dy, rows = dy.reshape(samples, -1), x.reshape(samples, -1)
        normal = (rows - mean[:samples]) * r[:samples]
        g = dy * np.resize(scale, dy.shape[1])
        along = (g * normal).mean(axis=1, keepdims=True)
        dx = r[:samples] * (g - g.mean(axis=1, keepdims=True) - normal * along)
        parts = np.zeros((2, width), dy.dtype)
        for part, rows in zip(parts, (dy * normal, dy), strict=True):
            part[: rows.shape[1]] = rows[:, :width].sum(axis=0)
        return dx, parts[0], parts[1]


class LayerNormWeightTwice(LayerNorm):
    """The weight's gradient is taken from the cotangent that is already multiplied by the weight."""

    def _weight_gradient(self, dy: Array, g: Array, normal: Array) -> Array:  # noqa: ARG002
        return np.asarray((g * normal).sum(axis=0))


@dataclass(frozen=True)
class Normalize:
    """y = x/(|x| + eps) along the last axis; dx = dy/(|x| + eps) - x·<x, dy>/(|x|·(|x| + eps)²)."""

    eps: float = 1e-5

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        length = norm + np.asarray(self.eps, x.dtype)

        def backward(dy: Array) -> dict[str, Array]:
            unit = x / np.where(norm > 0, self._length(norm, length), 1)  # no direction at zero, so no slope of |x|
            return {"x": (dy - unit * (dy * (x / length)).sum(axis=-1, keepdims=True)) / length}

        return x / length, backward

    def _length(self, norm: Array, length: Array) -> Array:  # noqa: ARG002
        return norm


class NormalizeWithoutEps(Normalize):
    """The slope of |x| is taken to be x/(|x| + eps)."""

    def _length(self, norm: Array, length: Array) -> Array:  # noqa: ARG002
        return length


BUGS = [
    Bug(
        "batch norm: scale forgotten",
        "Knet.jl",
        "https://github.com/denizyuret/Knet.jl/issues/288",
        "The cotangent was multiplied by the scale after the gradient of x had been formed from it.",
        BatchNorm,
        BatchNormScaleForgotten,
        contracts.BatchNorm,
    ),
    Bug(
        "batch norm: variance over n - 1",
        "tiny-dnn",
        "https://github.com/tiny-dnn/tiny-dnn/blob/master/tiny_dnn/util/math_functions.h",
        "The forward normalised by the sample variance, over n - 1, while the backward is that of the one over n.",
        BatchNorm,
        BatchNormSampleVariance,
        contracts.BatchNorm,
    ),
    Bug(
        "layer norm: two axes assumed",
        "FlagGems",
        "https://github.com/flagos-ai/FlagGems/issues/5392",
        "The backward took all axes but the first for the normalised ones: wrong for (batch, sequence, features).",
        LayerNorm,
        LayerNormTwoAxes,
        contracts.LayerNorm,
    ),
    Bug(
        "layer norm: weight twice",
        "PyTorch (TorchScript)",
        "https://github.com/pytorch/pytorch/pull/18233",
        "The cotangent was overwritten with its product with the weight before the weight's gradient was formed.",
        LayerNorm,
        LayerNormWeightTwice,
        contracts.LayerNorm,
    ),
    Bug(
        "normalize: eps in the backward",
        "Chainer",
        "https://github.com/chainer/chainer/pull/4190",
        "The backward of x/(|x| + eps) was right for eps = 0 only.",
        Normalize,
        NormalizeWithoutEps,
        contracts.Normalize,
    ),
]
