"""Layers as strangers write them, in the three styles; none of them knows gradjury."""

import numpy as np


# 1. The closure type, with names of its own.
def dense(in_features, out_features, bias):
    def layer(X, W, b=None):
        def backward(d):
            rows, drows = X.reshape(-1, X.shape[-1]), d.reshape(-1, d.shape[-1])
            return d @ W, drows.T @ rows, drows.sum(0)

        return X @ W.T + (0 if b is None else b), backward

    return layer


# 2. A forward/backward pair with a cache, as functions.
def affine_forward(x, w, b):
    return x @ w.T + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    rows, drows = x.reshape(-1, w.shape[1]), dout.reshape(-1, w.shape[0])
    return dout @ w, drows.T @ rows, drows.sum(axis=0)


def affine_backward_wrong(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, 2 * dw, db


# ... and as an object with two methods.
class LeakyPair:
    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return np.where(x > 0, x, x.dtype.type(self.negative_slope) * x), x

    def backward(self, dy, x):
        return np.where(x > 0, dy, x.dtype.type(self.negative_slope) * dy)


# 3. A stateful class that keeps its parameters and gradients.
class Dense:
    def __init__(self, in_features, out_features):
        self.W = np.zeros((out_features, in_features))
        self.b = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, dy):
        drows = dy.reshape(-1, dy.shape[-1])
        self.dW = drows.T @ self.x.reshape(-1, self.x.shape[-1])
        self.db = drows.sum(axis=0)
        return dy @ self.W


class DenseWrong(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = self.db / max(len(dy), 1)
        return dx


class DenseAccumulates(Dense):
    """Adds to its gradients, which start at zero, as many do."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def backward(self, dy):
        drows = dy.reshape(-1, dy.shape[-1])
        self.dW += drows.T @ self.x.reshape(-1, self.x.shape[-1])
        self.db += drows.sum(axis=0)
        return dy @ self.W


class DenseOddNames(Dense):
    def forward(self, x):
        self.W, self.b = self.mat, self.off
        return super().forward(x)

    def backward(self, dy):
        dx = super().backward(dy)
        self.slope_mat, self.slope_off = self.dW, self.db
        return dx


class NoLayer:
    """None of the styles."""


class Grumpy:
    """Raises where torch answers."""

    def __call__(self, x):
        if x.ndim > 1:
            raise NotImplementedError("only vectors, please")
        return x * 1, lambda dy: {"x": dy * 1}


class Moody:
    """Its answers depend on how often it was asked, in this process."""

    count = 0

    def __call__(self, x):
        Moody.count += 1
        factor = 1.5 if Moody.count == 40 else 1.0
        return np.maximum(x, 0) * factor, lambda dy: {"x": np.where(x > 0, dy, 0)}
