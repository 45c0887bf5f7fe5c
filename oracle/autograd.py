"""PyTorch's reverse mode, as a `Vjp` over NumPy arrays."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

from .vjp import Array, Backward, Outputs


@contextmanager
def deterministic_torch() -> Iterator[None]:
    """One thread and torch's own kernels, restored afterwards.

    oneDNN recompiles for every new shape and NNPACK multiplies by transforms that round far worse; shapes change
    with every draw, and the oracle has to be the accurate one.
    """
    threads, onednn = torch.get_num_threads(), bool(torch.backends.mkldnn.enabled)
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.enabled = onednn  # type: ignore[assignment]
        torch.set_num_threads(threads)


# The derivative of log softmax forms p = exp(y) inside, and dy·(p - 1) where p is all but 1. Batch normalisation adds
# x·r and -m·r, which cancel where the mean m is large; its derivative takes off means that all elements share, and the
# sum of what is left (the gradient of a bias before it) is 0 but for their rounding. GELU forms 1 + erf(x/√2), which
# has no digit left below -9.
FUSED = (
    "aten::_log_softmax_backward_data",
    "aten::native_batch_norm",
    "aten::native_batch_norm_backward",
    "aten::native_layer_norm",
    "aten::native_layer_norm_backward",
    "aten::native_group_norm",
    "aten::native_group_norm_backward",
    "aten::gelu",
    "aten::gelu_backward",
)
# Operations that form p = exp(x) of an argument x, the number of which is given, and cannot be taken apart: rounding p
# is moving x by an absolute amount.
LOGARITHMS = {"aten::_ctc_loss": 0, "aten::_ctc_loss_backward": 1}
# Operations whose second argument is an exponent, and those where it is the order of a norm.
POWERS = ("aten::pow", "aten::pow_")
NORMS = ("aten::norm", "aten::linalg_vector_norm", "aten::_pdist_forward")
# The operations in place that compute something; the LSTM cell's gates are made so.
IN_PLACE = ("aten::sigmoid_", "aten::tanh_")
# Operations that add products or numbers, and so lose digits of what is added where it cancels.
ADDING = (
    "aten::sum",
    "aten::mean",
    "aten::dot",
    "aten::mv",
    "aten::addmv",
    "aten::mm",
    "aten::addmm",
    "aten::bmm",
    "aten::baddbmm",
    "aten::convolution",
)
# How many random signs a disturbed computation has: to draw new ones for each result takes longer than the rest.
POOL = 2**14


def _short(tensor: torch.Tensor) -> torch.Tensor:
    """Where a number needs no more than 20 bits, which one that was rounded hardly ever does."""
    return tensor == _rounded(tensor, 20)


def _rounded(tensor: torch.Tensor, bits: int) -> torch.Tensor:
    """Numbers with no more than so many bits, in the range of the tensor's dtype."""
    mantissa, exponent = torch.frexp(tensor)
    return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent)


def _magnitude(value: Any) -> Any:
    """The absolute values of a tensor; anything else as it is."""
    return value.abs() if isinstance(value, torch.Tensor) else value


def _takes_root(name: str, args: Sequence[Any]) -> bool:
    """Whether an operation takes a root that is no square root: it rounds, even where it is a whole number."""
    if len(args) < 2 or not isinstance(args[1], int | float):
        return False
    exponent = 2 * args[1] if name in POWERS else args[1]
    return (name in POWERS and exponent % 1 != 0) or (name in NORMS and exponent not in (0, 1, 2, math.inf, -math.inf))


def _added_one_by_one(x: torch.Tensor, dim: Any = None, keepdim: bool = False, **options: Any) -> torch.Tensor:
    """torch.sum in the order of the elements, as most programs add; torch adds halves, which loses fewer digits."""
    dims = sorted({d % x.dim() for d in dim or range(x.dim())})
    total = x
    for axis in dims:
        total = total.cumsum(axis, **options).narrow(axis, -1, 1)
    return total if keepdim else total.squeeze(dims)


SUMS = ("aten::sum", "aten::sum.dim_IntList")


class RoundingErrors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, every intermediate result of torch is off by ±step, relative to each element; zeros stay zeros.

    The rounding errors of a computation, made large enough to be measured: Monte Carlo arithmetic (Parker, 1997). With
    `exact`, results that need few bits stay, too, unless they are roots: nothing was rounded there; and sums are off by
    ±step relative to what they add, not to what is left of it. With `whole`, nothing is taken apart. With `normwise`,
    elements are off by ±step times the largest of their result: a mean that is taken off twice carries what was lost at
    the largest to all others. Each operation is disturbed with probability `share`, and all results are rounded to so
    many `bits`: what is equal then stays so where nothing is disturbed.
    """

    def __init__(
        self,
        step: float,
        seed: int,
        *,
        exact: bool = False,
        whole: bool = False,
        normwise: bool = False,
        share: float = 1,
        bits: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._step, self._exact, self._whole, self._normwise = step, exact, whole, normwise
        self._share, self._bits = share, bits
        self._random = random.Random(seed)
        self._factors = _pool(step, seed)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here; skipping the compiler would import it first, which takes two seconds.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and disturb what it computed; views and copies are not new.

        An operation that computes inside what may cancel there is taken apart first. So are sums where nothing is to be
        disturbed, but another way of computing to be seen.
        """
        name, fused, computed = _kind(func)
        if not self._step and func.name() in SUMS and args[0].dim() and args[0].numel() and args[0].is_floating_point():
            return _added_one_by_one(*args, **(kwargs or {}))
        if fused and not self._whole:
            from torch._decomp import decomposition_table  # takes a second, and most trials never come here

            with self:
                return decomposition_table[func](*args, **(kwargs or {}))
        place = LOGARITHMS.get(name)
        if place is not None and not self._exact:
            args = (*args[:place], args[place] + (self._factors_for(args[place]) - 1), *args[place + 1 :])
        result = func(*args, **(kwargs or {}))
        if any(computed):
            made = result if isinstance(result, tuple) else (result,)
            for tensor, new in zip(made, computed, strict=False):
                if new and isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and not tensor.is_meta:
                    if self._share == 1 or self._random.random() < self._share:
                        adding = self._exact and name in ADDING
                        size = func(*map(_magnitude, args), **(kwargs or {})) if adding else tensor
                        self._disturb(tensor, size, sparing=self._exact and not _takes_root(name, args))
                    if self._bits:
                        tensor.copy_(_rounded(tensor, self._bits))
        return result

    def _disturb(self, tensor: torch.Tensor, size: torch.Tensor, *, sparing: bool) -> None:
        """Add ±step times the size, or times the largest; where `sparing`, leave what is exact."""
        factors = self._factors_for(tensor)
        if self._normwise:
            largest = torch.where(tensor.isfinite(), tensor, 0).abs().max() if tensor.numel() else 0
            tensor.add_(torch.where(tensor == 0, 0, (factors - 1) * largest))
            return
        if sparing:
            factors = torch.where(_short(tensor) & _short(size), 1, factors)
        if size is tensor:
            tensor.mul_(factors)
        else:
            tensor.add_(torch.where(size.isfinite(), (factors - 1) * size, 0))

    def _factors_for(self, tensor: torch.Tensor) -> torch.Tensor:
        """A factor for each element, those from a random place on, over and over where the tensor is large."""
        start, count = self._random.randrange(POOL), tensor.numel()
        factors = self._factors[start : start + min(count, POOL)]
        if count > POOL:
            factors = factors.repeat(count // POOL + 1)[:count]
        return factors.view(tensor.shape)


@lru_cache(maxsize=128)  # the same few tries are made of every case, and small layers take less time than this
def _pool(step: float, seed: int) -> torch.Tensor:
    """Factors 1 ± step, twice the pool, so that any POOL in a row are at hand."""
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), POOL)
    return torch.from_numpy(1 + step * signs).repeat(2)


@cache
def _kind(func: Any) -> tuple[str, bool, tuple[bool, ...]]:
    """An operation's name without that of its variant, whether it is taken apart, and which results are new numbers."""
    name = func.name()
    new = tuple(kind.alias_info is None or name in IN_PLACE for kind in func._schema.returns)
    return name.partition(".")[0], name in FUSED, new


@dataclass(frozen=True)
class TorchVjp:
    """A function of torch tensors as a `Vjp`, and its forward mode beside it.

    `function` takes the inputs by name and answers a tensor or a tuple of tensors; gradients are taken with respect to
    the inputs named in `differentiable`. An input the outputs do not depend on has gradient zero.
    """

    function: Callable[..., Any]
    differentiable: tuple[str, ...]

    def __call__(self, **inputs: Array) -> tuple[Outputs, Backward]:
        """The outputs, and reverse mode."""
        tensors = self._tensors(inputs)
        result = self.function(**tensors)
        outputs, real = _outputs(result)

        def backward(*cotangents: Array) -> Mapping[str, Array]:
            wanted = [tensors[name] for name in self.differentiable]
            found: tuple[torch.Tensor | None, ...] = (None,) * len(wanted)
            if any(y.requires_grad for y in real):
                found = torch.autograd.grad(
                    real[: len(cotangents)],
                    wanted,
                    [_tensor(dy) for dy in cotangents],
                    allow_unused=True,
                    retain_graph=True,
                )
            return {
                name: np.zeros_like(inputs[name]) if grad is None else grad.numpy().copy()
                for name, grad in zip(self.differentiable, found, strict=True)
            }

        arrays = tuple(y.detach().numpy().copy() for y in outputs)
        return (arrays if isinstance(result, tuple) else arrays[0]), backward

    def _tensors(self, inputs: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        return {name: _tensor(a).requires_grad_(name in self.differentiable) for name, a in inputs.items()}

    def cotangent_shapes(self, inputs: Mapping[str, Array]) -> list[tuple[int, ...]]:
        """The shapes of the outputs that take a cotangent: floating-point, and reached by gradients (no buffers)."""
        _, real = _outputs(self.function(**self._tensors(inputs)))
        reached = [y for y in real if y.requires_grad]
        return [tuple(y.shape) for y in reached or real]

    def pushforward(self, inputs: Mapping[str, Array], direction: Mapping[str, Array]) -> list[Array]:
        """J v of each floating-point output by forward mode, for the direction v through the named inputs.

        Raises NotImplementedError or RuntimeError where an operation has no forward mode.
        """
        make_dual, unpack_dual = cast(Any, forward_ad.make_dual), cast(Any, forward_ad.unpack_dual)  # untyped
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what torch itself loads
            tensors = {name: _tensor(a) for name, a in inputs.items()}
            duals = {n: make_dual(tensors[n], _tensor(v).to(tensors[n])) for n, v in direction.items()}
            _, real = _outputs(self.function(**{**tensors, **duals}))
            tangents = [unpack_dual(y).tangent for y in real]
            return [
                np.zeros(tuple(y.shape)) if t is None else t.detach().numpy().copy()
                for y, t in zip(real, tangents, strict=True)
            ]


def _outputs(result: Any) -> tuple[tuple[torch.Tensor, ...], list[torch.Tensor]]:
    """What a function answered as a tuple, and the floating-point ones of it."""
    outputs: tuple[torch.Tensor, ...] = result if isinstance(result, tuple) else (result,)
    return outputs, [y for y in outputs if y.is_floating_point()]


def torch_vjp(function: Callable[..., Any], differentiable: tuple[str, ...]) -> TorchVjp:
    """A function of torch tensors, by name, as a `Vjp` that answers the gradients of the inputs in `differentiable`."""
    return TorchVjp(function, differentiable)


def _tensor(array: Array) -> torch.Tensor:
    """A tensor that shares nothing with the array."""
    return torch.from_numpy(np.array(array, order="C", copy=True))
