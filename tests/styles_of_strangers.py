"""Layers as strangers write them in the less usual styles; none of them knows gradjury.

The linear ones differ in where they keep what. `off` is a factor on one gradient: a planted error where it is not 1.
"""

import numpy as np


def off_by(layer, factor):
    """The layer with this error in one of its gradients."""
    return type(f"{layer.__name__}Off", (layer,), {"off": factor})


# A function and its derivative, for activations and losses.
def tanh(x):
    return np.tanh(x)


def tanh_prime(x):
    return 1 - np.tanh(x) ** 2


def tanh_prime_of_the_output(y):
    return 1 - y**2


class Tanh:
    off = 1.0

    def __call__(self, x):
        return np.tanh(x)

    def derivative(self, x):
        return self.off * tanh_prime(x)


class TanhDeriv:
    off = 1.0

    def forward(self, x):
        return np.tanh(x)

    def deriv(self, x):
        return self.off * tanh_prime(x)


class TanhGrad:
    off = 1.0

    def fn(self, x):
        return np.tanh(x)

    def grad(self, x):
        return self.off * tanh_prime(x)


def mse(y_true, y_pred):
    return np.mean((y_pred - y_true) ** 2)


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / y_true.size


def mse_prime_summed(y_true, y_pred):
    return 2 * (y_pred - y_true)


class Mse:
    """Answers both gradients, that of its first argument first."""

    off = 1.0

    def __call__(self, prediction, target):
        return mse(target, prediction)

    def gradient(self, prediction, target):
        slope = mse_prime(target, prediction)
        return self.off * slope, -slope


# Objects for y = x·Wᵀ + b.
class Affine:
    """The mathematics; what is derived from it says where parameters and gradients are."""

    off = 1.0

    def run(self, x, W, b):
        self._seen = [x]  # in a list, where nobody looks for a parameter of that shape
        return x @ W.T + b

    def slopes(self, dy, W):
        x = self._seen.pop()
        rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return dy @ W, self.off * (drows.T @ rows), drows.sum(axis=0)


class Attributes(Affine):
    """W, b, dW and db."""

    def __init__(self, in_features, out_features):
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros(out_features)

    def forward(self, x):
        return self.run(x, self.W, self.b)

    def backward(self, dy):
        dx, self.dW, self.db = self.slopes(dy, self.W)
        return dx


class ForwardPass(Attributes):
    forward_pass, backward_pass = Attributes.forward, Attributes.backward
    forward = backward = None


class Propagate(Attributes):
    propagate, backpropagate = Attributes.forward, Attributes.backward
    forward = backward = None


class CallBackprop(Attributes):
    __call__, backprop = Attributes.forward, Attributes.backward
    forward = backward = None


class ThereAndBack(Attributes):
    there, home = Attributes.forward, Attributes.backward
    forward = backward = None


class InDicts(Affine):
    def __init__(self, in_features, out_features):
        self.parameters = {"W": np.zeros((out_features, in_features)), "b": np.zeros(out_features)}
        self.gradients = {}

    def forward(self, x):
        return self.run(x, self.parameters["W"], self.parameters["b"])

    def backward(self, dy):
        dx, self.gradients["W"], self.gradients["b"] = self.slopes(dy, self.parameters["W"])
        return dx


class InLists(Affine):
    def __init__(self, in_features, out_features):
        self.params = [np.zeros((out_features, in_features)), np.zeros(out_features)]
        self.grads = [None, None]

    def forward(self, x):
        return self.run(x, *self.params)

    def backward(self, dy):
        dx, *self.grads[:] = self.slopes(dy, self.params[0])
        return dx


class Holder:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class InHolders(Affine):
    def __init__(self, in_features, out_features):
        self.weight, self.bias = Holder(np.zeros((out_features, in_features))), Holder(np.zeros(out_features))

    def forward(self, x):
        return self.run(x, self.weight.data, self.bias.data)

    def backward(self, dy):
        dx, dW, db = self.slopes(dy, self.weight.data)
        self.weight.grad += dW
        self.bias.grad += db
        return dx


class OddNames(Affine):
    """Found by their shapes alone; it keeps what it has seen where it might be taken for a parameter."""

    def __init__(self, in_features, out_features):
        self.mat, self.off_set = np.zeros((out_features, in_features)), np.zeros(out_features)

    def forward(self, x):
        self.seen, self.out = x, self.run(x, self.mat, self.off_set)
        return self.out.copy()

    def backward(self, dy):
        dx, self.grad_mat, self.grad_off_set = self.slopes(dy, self.mat)
        return dx


class Nested(Affine):
    """Two levels down."""

    def __init__(self, in_features, out_features):
        self.core = Holder({"kernel": np.zeros((out_features, in_features)), "shift": np.zeros(out_features)})
        self.core.grad = [None, None]

    def forward(self, x):
        return self.run(x, self.core.data["kernel"], self.core.data["shift"])

    def backward(self, dy):
        dx, *self.core.grad = self.slopes(dy, self.core.data["kernel"])
        return dx


class NestedBeside(Nested):
    """Two levels down, the gradients beside the parameters."""

    def backward(self, dy):
        dx, self.core.data["d_kernel"], self.core.data["d_shift"] = self.slopes(dy, self.core.data["kernel"])
        return dx


class BuiltByCall(Attributes):
    """Its parameters are None before the first call."""

    def __init__(self, out_features):
        self.out_features = out_features
        self.W = self.b = None

    def forward(self, x):
        if self.W is None:
            self.W, self.b = np.ones((self.out_features, x.shape[-1])), np.ones(self.out_features)
        return super().forward(x)


class BuiltAbsent(Attributes):
    """It has no parameters before the first call."""

    def __init__(self, out_features):
        self.out_features = out_features

    def forward(self, x):
        if not hasattr(self, "W"):
            self.W, self.b = np.ones((self.out_features, x.shape[-1])), np.ones(self.out_features)
        return super().forward(x)


class BuiltByFlag(Attributes):
    """Its parameters are made anew by the first call, whatever was there."""

    def __init__(self, out_features):
        self.out_features, self.built = out_features, False

    def forward(self, x):
        if not self.built:
            self.W, self.b, self.built = np.ones((self.out_features, x.shape[-1])), np.ones(self.out_features), True
        return super().forward(x)


class BuiltOver(BuiltByFlag):
    def __init__(self, out_features, in_features):
        super().__init__(out_features)
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros(out_features)


class BiasAsRow(Attributes):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.b = np.zeros((1, out_features))

    def forward(self, x):
        assert self.b.ndim == 2
        return self.run(x, self.W, self.b[0])

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = self.db.reshape(self.b.shape)
        return dx


class BiasAsColumn(BiasAsRow):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.b = np.zeros((out_features, 1))

    def forward(self, x):
        assert self.b.ndim == 2
        return self.run(x, self.W, self.b[:, 0])


class MustBeReset(Attributes):
    """Will not add to gradients that nobody has set back, and lets nobody write them."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.zero_grad()

    grad_w = property(lambda self: self._grads and self._grads[0])
    grad_b = property(lambda self: self._grads and self._grads[1])

    def zero_grad(self):
        self._grads = None

    def backward(self, dy):
        if self._grads is not None:
            raise RuntimeError("zero_grad() first")
        dx, *self._grads = self.slopes(dy, self.W)
        return dx


class AnswersAll(Attributes):
    """Keeps no gradients: it answers them."""

    def backward(self, dy):
        return self.slopes(dy, self.W)


# Objects that update their parameters inside backward.
class Updates(Attributes):
    def backward(self, dy, learning_rate):
        dx, dW, db = self.slopes(dy, self.W)
        self.W = self.W - learning_rate * dW
        self.b = self.b - learning_rate * db
        return dx


class UpdatesInPlace(Attributes):
    def backward(self, dy, lr):
        dx, dW, db = self.slopes(dy, self.W)
        self.W -= lr * dW
        self.b -= lr * db
        return dx


class UpdatesByItsRate(Attributes):
    """The rate is two levels down; the bias is a row, updated in place."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.b = np.zeros((1, out_features))
        self.optimizer = {"rate": 0.01}

    def forward(self, x):
        return self.run(x, self.W, self.b[0])

    def backward(self, dy):
        dx, dW, db = self.slopes(dy, self.W)
        self.W -= self.optimizer["rate"] * dW
        self.b -= self.optimizer["rate"] * db
        return dx


class UpdatesByANumber(Attributes):
    def backward(self, dy):
        dx, dW, db = self.slopes(dy, self.W)
        self.W, self.b = self.W - 0.05 * dW, self.b - 0.05 * db
        return dx


# State that comes out.
class BatchNorm:
    """Batch norm of (N, C) in training, with the statistics that it keeps; `blend` is how much of the new it takes."""

    off, blend = 1.0, 0.1

    def __init__(self, num_features):
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)

    def forward(self, x):
        n, blend = len(x), x.dtype.type(self.blend)
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - blend) * self.running_mean + blend * mean
        self.running_var = (1 - blend) * self.running_var + blend * var * x.dtype.type(n / (n - 1))
        self._kept = [(x - mean) / np.sqrt(var + x.dtype.type(1e-5)), 1 / np.sqrt(var + x.dtype.type(1e-5))]
        return self._kept[0] * self.gamma + self.beta

    def backward(self, dy):
        normal, scale = self._kept
        self.dgamma, self.dbeta = self.off * (dy * normal).sum(axis=0), dy.sum(axis=0)
        d = dy * self.gamma
        return scale * (d - d.mean(axis=0) - normal * (d * normal).mean(axis=0))
