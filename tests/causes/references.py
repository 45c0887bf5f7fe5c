"""The layer is right; what it is held against is a torch function whose gradient is wrong, on purpose."""

from __future__ import annotations

import torch

from gradjury import contracts
from gradjury.oracle.referee import Fault
from gradjury.properties.contract import Contract
from gradjury.properties.twins import Function, Module

from . import plain
from .cause import cause


class Twisted(torch.autograd.Function):
    """The identity, with a gradient that is changed on its way back."""

    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        return ctx.change(dy), None


class ForgetsFactor(torch.autograd.Function):
    """A sigmoid whose backward is dy·y."""

    @staticmethod
    def forward(ctx, x):
        y = torch.sigmoid(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * y


class TorchSigmoid(torch.nn.Sigmoid):
    def forward(self, input):  # noqa: A002
        return ForgetsFactor.apply(input)


class TorchTanh(torch.nn.Tanh):
    def forward(self, input):  # noqa: A002
        return Twisted.apply(super().forward(input), torch.neg)


class TorchLinear(torch.nn.Linear):
    def forward(self, input):  # noqa: A002
        y = torch.nn.functional.linear(input, self.weight)
        return y if self.bias is None else y + self.bias.detach()


class TorchConv2d(torch.nn.Conv2d):
    def forward(self, input):  # noqa: A002
        return self._conv_forward(input, Twisted.apply(self.weight, lambda d: d.flip(-1, -2)), self.bias)


class TorchMSELoss(torch.nn.MSELoss):
    def forward(self, input, target):  # noqa: A002
        return Twisted.apply(super().forward(input, target), lambda dy: dy / 2)


class TorchLogSoftmax(torch.nn.LogSoftmax):
    def forward(self, input):  # noqa: A002
        dim = plain.axis_of(self.dim, input.ndim)
        return input - torch.logsumexp(input, dim, keepdim=True).detach()


def multiply_constant(x, other):
    return x * other.detach()


def beside(name: str, wrong: type[torch.nn.Module]) -> Contract:
    """The contract of this name with another reference."""
    return Contract(name, Module(wrong), contracts.get(name).domain)


@cause(Fault.TORCH, to=beside("Sigmoid", TorchSigmoid))
class SigmoidBesideForgottenFactor(plain.Sigmoid):
    """torch's backward (an autograd.Function) lacks the factor 1 - y."""


@cause(Fault.TORCH, to=beside("Tanh", TorchTanh))
class TanhBesideSign(plain.Tanh):
    """torch's backward (an autograd.Function) has the wrong sign."""


@cause(Fault.TORCH, to=beside("Linear", TorchLinear))
class LinearBesideDetachedBias(plain.Linear):
    """torch's bias is detached from the graph, its gradient zero."""


@cause(Fault.TORCH, to=beside("Conv2d", TorchConv2d))
class ConvBesideRotatedWeight(plain.Conv2d):
    """torch's gradient of the weight (an autograd.Function) is rotated by 180°."""


@cause(Fault.TORCH, to=beside("MSELoss", TorchMSELoss))
class MSEBesideTwoForgotten(plain.MSELoss):
    """torch's gradient (an autograd.Function) lacks the 2 of the square."""


@cause(Fault.TORCH, to=beside("LogSoftmax", TorchLogSoftmax))
class LogSoftmaxBesideDetachedSum(plain.LogSoftmax):
    """torch's normaliser is detached from the graph: a function of tensors with a part of its gradient missing."""


@cause(
    Fault.TORCH,
    to=Contract("Multiply", Function(multiply_constant, ("x", "other")), contracts.get("Multiply").domain),
)
class MultiplyBesideConstant(plain.Multiply):
    """torch's second factor is detached from the graph."""
