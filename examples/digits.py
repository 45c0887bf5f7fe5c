"""A CNN learns handwritten digits with our layers; torch takes every step beside it and has to agree.

Two comparisons, of which only the first is judged:
- lockstep: at every step torch starts from OUR parameters, and the loss, every gradient and every parameter after the
  step must agree within the computed error budget;
- drift: torch also trains on its own, from the same start on the same batches, and nothing brings it back to ours.
  Rounding errors add up over the steps, so how far apart the two end is worth knowing but blames nobody.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (what everybody calls it)
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from gradjury.impl import SGD, Conv2d, CrossEntropyLoss, Flatten, Linear, MaxPool2d, ReLU, Sequential
from gradjury.oracle.autograd import deterministic_torch, torch_vjp
from gradjury.oracle.budget import ALLOWED, Reference
from gradjury.oracle.compare import Comparison, compare
from gradjury.oracle.vjp import Array, Case

HELD_OUT = 360

Params = dict[str, Array]


def our_step(network: Sequential, lr: float, x: Array, target: Array, params: Params) -> tuple[Array, Params, Params]:
    """The loss, its gradient for every parameter, and every parameter after one step of gradient descent."""
    y, network_backward = network(x, **params)
    loss, loss_backward = CrossEntropyLoss()(y, target)
    grads = network_backward(loss_backward(np.array(1.0))["x"])
    return loss, grads, SGD(lr=lr)(params, grads)[0]


def torch_step(lr: float, x: torch.Tensor, target: torch.Tensor, **params: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What `our_step` answers, by torch's functions, autograd and optimiser, in the same order."""
    p = {name: value.clone().requires_grad_() for name, value in params.items()}
    y = F.conv2d(x, p["0.weight"], p["0.bias"], padding=1)
    y = F.max_pool2d(F.relu(y), 2)
    y = F.linear(y.flatten(1), p["4.weight"], p["4.bias"])
    loss = F.cross_entropy(y, target)
    loss.backward()  # type: ignore[no-untyped-call]
    grads = [value.grad for value in p.values() if value.grad is not None]
    torch.optim.SGD(p.values(), lr=lr).step()
    return loss.detach(), *grads, *(value.detach() for value in p.values())


@dataclass(frozen=True)
class Finding:
    """One array of one step against torch's."""

    step: int
    name: str
    comparison: Comparison

    def __str__(self) -> str:
        return f"step {self.step}, {self.name}, {self.comparison.ratio:.3g} budgets"


@dataclass(frozen=True)
class Result:
    """The share of held-out digits told right, every finding of the lockstep, and the drift."""

    accuracy: float
    findings: tuple[Finding, ...]
    drift: float

    @property
    def worst(self) -> Finding:
        """The finding that is most budgets off."""
        return max(self.findings, key=lambda finding: finding.comparison.ratio)

    @property
    def disagreements(self) -> tuple[Finding, ...]:
        """The findings beyond what rounding explains, in the order of training."""
        return tuple(finding for finding in self.findings if not finding.comparison.agrees)

    @property
    def holds(self) -> bool:
        """The claim: at least 97 % right, and not one disagreement on the way."""
        return self.accuracy >= 0.97 and not self.disagreements


def main(*, channels: int = 16, epochs: int = 12, batch: int = 32, lr: float = 0.5, seed: int = 0) -> Result:
    """Train ours, judge every step, let torch drift."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8) / 16
    rng = np.random.default_rng(seed)
    held_out, train = np.split(rng.permutation(len(labels)), [HELD_OUT])
    batches = [
        part for _ in range(epochs) for part in np.split(rng.permutation(train), range(batch, len(train), batch))
    ]

    network = Sequential(Conv2d(1, channels, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(16 * channels, 10))
    params = network.initial_parameters(rng)
    free = {name: torch.tensor(p) for name, p in params.items()}
    findings: list[Finding] = []
    for step, chosen in enumerate(batches):
        x, target = images[chosen], labels[chosen]
        rate = lr * (1 - step / len(batches))
        loss, grads, after = our_step(network, rate, x, target, params)
        ours = {"loss": loss}
        ours |= {f"gradient of {name}": grads[name] for name in params}
        ours |= {f"{name} after the step": after[name] for name in params}

        beside = partial(torch_step, rate)
        with deterministic_torch():
            case = Case(config={}, inputs={"x": x, "target": target, **params}, cotangents=(), differentiable=())
            reference = Reference(torch_vjp(beside, differentiable=()), case)
            for number, (name, array) in enumerate(ours.items()):
                findings.append(Finding(step, name, compare(array, reference.output(number))))
            _, *rest = beside(torch.tensor(x), torch.tensor(target), **free)

        params, free = after, dict(zip(params, rest[len(params) :], strict=True))

    y, _ = network(images[held_out], **params)
    largest = max(np.abs(p).max() for p in params.values())
    apart = max(np.abs(params[name] - free[name].numpy()).max() for name in params)
    accuracy = np.mean(y.argmax(axis=1) == labels[held_out])
    result = Result(float(accuracy), tuple(findings), drift=float(apart / largest))

    print(
        f"{result.accuracy:.1%} of {HELD_OUT} held-out digits right after {len(batches)} steps of up to {batch} digits."
    )
    print(f"In lockstep with torch, worst: {result.worst} ({ALLOWED:g} are allowed).")
    if result.disagreements:
        print(f"{len(result.disagreements)} of {len(findings)} arrays disagree, first: {result.disagreements[0]}.")
    print(f"Torch's own training ends {result.drift:.1e} of the largest parameter away from ours.")
    return result


if __name__ == "__main__":
    sys.exit(0 if main().holds else 1)
