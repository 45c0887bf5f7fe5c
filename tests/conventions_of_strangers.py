"""Layers that are right, but mean something else than torch: written as torch's, with their arrays turned."""

import numpy as np

from gradjury import impl


def meant(make, home, there, factor=1.0):
    """The layer as a class, called with arrays that `home` brings into torch's order by name, and `there` back again.

    The output goes by the name y. `factor` is a planted error in the first gradient of a parameter.
    """

    class Foreign:
        def __init__(self, **config):
            self.config = config

        def __call__(self, x, *parameters):
            names = ["x", *self.names(len(parameters))]
            arrays = {n: home.get(n, same)(a) for n, a in zip(names, [x, *parameters], strict=True)}
            y, backward = make(**self.config)(**arrays)

            def turned(dy):
                gradients = backward(home.get("y", same)(dy))
                planted = {n: gradients[n] * gradients[n].dtype.type(factor) for n in names[1:2]}
                return {n: there.get(n, same)(g) for n, g in (gradients | planted).items()}

            return there.get("y", same)(y), turned

        @staticmethod
        def names(count):
            if make is impl.RNNCell:
                return ("hx", "weight_ih", "weight_hh", "bias_ih", "bias_hh")[:count]
            return ("weight", "bias")[:count]

    Foreign.__name__ = Foreign.__qualname__ = f"{make.__name__}Meant"
    return Foreign


def same(a):
    return a


def channels_first(rank):
    """From (N, *, C) or (*, C) with so many spatial axes."""
    return lambda a: np.moveaxis(a, -1, a.ndim - 1 - rank)


def channels_last(rank):
    return lambda a: np.moveaxis(a, a.ndim - 1 - rank, -1)


def axes(*order):
    return lambda a: a.transpose(order)


def transposed(a):
    return a.T


def column(a):
    return a.reshape(-1, 1)


def flat(a):
    return a.reshape(-1)


def rotated(a):
    return np.flip(a, tuple(range(2, a.ndim)))


class Averaged:
    """A linear layer whose parameters' gradients are means."""

    factor = 1.0

    def __init__(self, in_features, out_features, bias=True):
        pass

    def __call__(self, x, weight, bias=None):
        y = x @ weight.T + (0 if bias is None else bias)

        def backward(dy):
            rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
            count = self.count(x)
            dw, db = self.factor * (drows.T @ rows) / count, drows.sum(axis=0) / count
            return (dy @ weight, dw) if bias is None else (dy @ weight, dw, db)

        return y, backward

    def count(self, x):
        return len(x)


class AveragedOverRows(Averaged):
    def count(self, x):
        return x[..., 0].size


class AveragedOff(Averaged):
    factor = 1 + 1e-6


class AveragedOverRowsOff(AveragedOverRows):
    factor = 1 + 1e-6


def scribbling(layer):
    """A layer that changes its first argument in place."""

    class Scribbler(layer):
        def __call__(self, x, *parameters):
            answer = super().__call__(x.copy(), *parameters)
            x *= 2
            return answer

    return Scribbler


def scribbling_on_dy(layer):
    """A layer that changes the cotangent in place."""

    class Scribbler(layer):
        def __call__(self, x, *parameters):
            y, backward = super().__call__(x, *parameters)

            def scribble(dy):
                gradients = backward(dy.copy())
                dy *= 2
                return gradients

            return y, scribble

    return Scribbler


def reading_memory(layer):
    """A layer that reads the memory of its first argument, in whatever order it is."""

    class Reader(layer):
        def __call__(self, x, *parameters):
            return super().__call__(x.ravel(order="K").reshape(x.shape), *parameters)

    return Reader
