"""Two small tapes as strangers write them, and layers that are played on them."""

import numpy as np


class Tensor:
    """Gradients are arrays, and backward takes the gradient to start from."""

    def __init__(self, data, parents=(), back=None):
        self.data, self.grad = np.asarray(data), None
        self.parents, self.back = parents, back

    def __add__(self, other):
        return type(self)(self.data + other.data, (self, other), lambda d: (d, _to_shape(d, other.data.shape)))

    def __mul__(self, other):
        return type(self)(self.data * other.data, (self, other), lambda d: (d * other.data, d * self.data))

    def sum(self):
        return type(self)(self.data.sum(), (self,), lambda d: (np.broadcast_to(d, self.data.shape).copy(),))

    def linear(self, weight):
        def back(d):
            rows, drows = self.data.reshape(-1, self.data.shape[-1]), d.reshape(-1, d.shape[-1])
            return d @ weight.data, drows.T @ rows

        return type(self)(self.data @ weight.data.T, (self, weight), back)

    def tanh(self):
        y = np.tanh(self.data)
        return type(self)(y, (self,), lambda d: (d * (1 - y**2),))

    def nudged(self):
        """The same, with a wrong derivative."""
        return type(self)(self.data * 1, (self,), lambda d: (d * self.data.dtype.type(1 + 1e-6),))

    def backward(self, grad):
        self.take(grad)
        if self.back is not None:
            for parent, part in zip(self.parents, self.back(grad), strict=True):
                parent.backward(part)

    def take(self, grad):
        self.grad = grad if self.grad is None else self.grad + grad


class Scalar(Tensor):
    """Gradients are tensors, backward starts from one number, and who needs none must say so."""

    def __init__(self, data, parents=(), back=None, requires_grad=False):
        super().__init__(data, parents, back)
        self.requires_grad = requires_grad or any(parent.requires_grad for parent in parents)

    def backward(self):
        if self.data.size != 1:
            raise RuntimeError("only a single number can be differentiated")
        self._spread(np.ones_like(self.data))

    def _spread(self, grad):
        if not self.requires_grad:
            return
        self.grad = Scalar(grad if self.grad is None else self.grad.data + grad)
        if self.back is not None:
            for parent, part in zip(self.parents, self.back(grad), strict=True):
                parent._spread(part)


def _to_shape(d, shape):
    return d.reshape(-1, *shape).sum(axis=0)


class TapeTanh:
    def __call__(self, x):
        return x.tanh()


class TapeTanhWrong:
    def __call__(self, x):
        return x.tanh().nudged()


class TapeLinear:
    """Its parameters are its own, and are set."""

    tensor = Tensor

    def __init__(self, in_features, out_features):
        self.weight = self.tensor(np.zeros((out_features, in_features)))
        self.bias = self.tensor(np.zeros(out_features))

    def forward(self, x):
        return x.linear(self.weight) + self.bias

    __call__ = forward


class TapeLinearWrong(TapeLinear):
    def forward(self, x):
        return x.linear(self.weight.nudged()) + self.bias

    __call__ = forward


class ScalarLinear(TapeLinear):
    tensor = Scalar


class ScalarLinearWrong(TapeLinearWrong):
    tensor = Scalar
