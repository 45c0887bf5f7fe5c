"""Training in lockstep: the same network, loss and optimizer as they are and in torch, step by step.

The law: every step, taken from equal state, agrees with torch's within the computed error budget, in the output of
every layer, the updated buffers, the loss and every gradient; and, taken from equal gradients, in what the optimizer
keeps and in every parameter. (Adam divides gradients by their own size: of one that is nothing but rounding it makes a
step of full length, which no two programs share.) Torch also trains all by itself from the same start, for the drift
between the two, which is reported and judged by nobody.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from ..oracle.autograd import deterministic_torch, torch_vjp
from ..oracle.budget import ALLOWED, Reference
from ..oracle.compare import Comparison, compare
from ..oracle.vjp import Array, Case
from . import contracts
from .twins import TensorFunction

Arrays = dict[str, Array]
TorchFunction = Callable[..., tuple[torch.Tensor, ...]]


class Part(NamedTuple):
    """Something a step computes: whose and what; its name in the state, or the parameter it is the gradient of."""

    owner: str
    what: str
    state: str = ""
    gradient: str = ""


LOSS = Part("the loss", "value")


@dataclass(frozen=True)
class Finding:
    """One array of one step against torch's. `owner` is a layer, by number and class, or the loss."""

    step: int
    owner: str
    what: str
    comparison: Comparison

    def __str__(self) -> str:
        found = self.comparison
        where = f" (at {found.index} {found.got!r} for {found.expected!r})" if found.index else ""
        return f"step {self.step}, {self.owner}, {self.what}: {found.ratio:.3g} budgets off{where}"


@dataclass(frozen=True)
class Lockstep:
    """What came of a training in lockstep.

    `losses` and `theirs` are the loss at each step, under test and of torch's own training; `worst` is the array that
    was most budgets off; `departure` the first that left the budget, if any did; `arrays` how many were compared;
    `drift` how far apart the parameters of the two trainings end, in units of the largest; `state` what was learned.
    """

    losses: tuple[float, ...]
    theirs: tuple[float, ...]
    worst: Finding
    departure: Finding | None
    arrays: int
    drift: float
    state: Arrays

    @property
    def holds(self) -> bool:
        """Whether no step left the budget."""
        return self.departure is None

    def __str__(self) -> str:
        drift = f"torch's own training ends {self.drift:.1e} of the largest parameter away"
        if self.departure is not None:
            return f"lockstep is left at {self.departure}, {ALLOWED:g} are allowed; {drift}"
        steps = f"{len(self.losses)} steps in lockstep, {self.arrays:,} arrays"
        return f"{steps}, worst: {self.worst}, {ALLOWED:g} are allowed; {drift}"


def lockstep(
    network: Any,
    loss: Any,
    optimizer: Any,
    params: Mapping[str, Array],
    batches: Iterable[Mapping[str, Array]],
    *,
    schedule: Callable[[int], float] = lambda step: 1.0,  # noqa: ARG005
) -> Lockstep:
    """Train a network beside torch, whose side is made from the contracts of its layers.

    `network` is Sequential or what works like it: `layers`, each with a contract under the name of its class or of one
    it is made from and with its options as attributes, and a constructor that takes layers. `loss` is such a layer too,
    `optimizer` a frozen configuration with torch.optim's name and arguments. `params` are the parameters and buffers to
    start with. Each batch holds the network's "x", the inputs of the loss by their names ("target"), and what single
    layers need ("2.mask"). `schedule` gives the factor of the optimizer's `lr` at each step.

    It stops at the first step that leaves the budget. Raises TypeError for a layer without a contract and an optimizer
    that torch.optim does not have, ValueError for a name that is no layer's and where there is no batch.
    """
    state, free = dict(params), dict(params)
    losses, theirs, findings = [], [], []
    departure: Finding | None = None
    learned: tuple[str, ...] = ()
    with deterministic_torch():
        for number, batch in enumerate(batches):
            step = _Step(network, loss, replace(optimizer, lr=optimizer.lr * schedule(number)), dict(batch), params)
            passed = step.passes(state)
            trained = {part.gradient for part in passed}
            learned = tuple(name for name in params if name in trained)
            torch_passes, torch_updates = step.torch_passes(learned), step.torch_updates(learned)
            judged = step.judged(torch_passes, state | step.batch, passed)
            findings += [Finding(number, part.owner, part.what, comparison) for part, comparison in judged]
            beside = dict(zip(passed, _run(torch_passes, free | step.batch), strict=True))
            losses.append(float(passed[LOSS]))
            theirs.append(float(beside[LOSS]))
            departure = _departure(findings)
            if departure is None:
                given = step.before_update(state, passed)
                updated = step.updates(given, learned)
                judged = step.judged(torch_updates, given, updated)
                findings += [Finding(number, part.owner, part.what, comparison) for part, comparison in judged]
                departure = _departure(findings)
                state = _advanced(state, {**passed, **updated})
                own = _run(torch_updates, step.before_update(free, beside))
                free = _advanced(free, {**beside, **dict(zip(updated, own, strict=True))})
            if departure is not None:
                break
    if not findings:
        raise ValueError("lockstep: there must be at least one batch")
    worst = max(findings, key=lambda finding: finding.comparison.ratio)
    drift = _apart([(state[name], free[name]) for name in learned])
    return Lockstep(tuple(losses), tuple(theirs), worst, departure, len(findings), drift, state)


def _departure(findings: list[Finding]) -> Finding | None:
    return next((finding for finding in findings if not finding.comparison.agrees), None)


def _advanced(state: Arrays, parts: Mapping[Part, Array]) -> Arrays:
    """The state after what was computed."""
    return state | {part.state: a for part, a in parts.items() if part.state}


def _run(function: TorchFunction, inputs: Arrays) -> list[Array]:
    return [tensor.numpy() for tensor in function(**{name: torch.tensor(a) for name, a in inputs.items()})]


def _apart(pairs: list[tuple[Array, Array]]) -> float:
    """The largest difference, in units of the largest number."""
    largest = max((float(np.abs(a).max(initial=0)) for a, _ in pairs), default=0.0)
    return max((float(np.abs(a - b).max(initial=0)) for a, b in pairs), default=0.0) / (largest or 1.0)


class _Recorder:
    """A layer that remembers what it answered last, and calls its input x."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._first = next(iter(inspect.signature(layer).parameters))
        self.updated: tuple[str, ...] = getattr(layer, "updated", ())
        self.y: Array
        self.dx: Array

    def __call__(self, x: Array, **share: Array) -> tuple[Any, Callable[..., Any]]:
        answered, back = self._layer(x, **share)
        self.y = np.array(answered[0] if isinstance(answered, tuple) else answered)

        def backward(*dy: Array) -> Mapping[str, Array]:
            grads = {"x" if name == self._first else name: grad for name, grad in back(*dy).items()}
            self.dx = np.array(grads.get("x", np.nan))
            return grads

        return answered, backward


@dataclass(frozen=True)
class _Step:
    """One step of training: forward and backward, which are a pass, and the optimizer's update; here and in torch.

    A pass computes the outputs, each layer's updated buffers behind it, the loss, and the gradients from the last layer
    to the first; an update computes, layer by layer, what the optimizer keeps and the parameters. `start` holds the
    parameters and buffers.
    """

    network: Any
    loss: Any
    optimizer: Any
    batch: Arrays
    start: Mapping[str, Array]

    def passes(self, state: Arrays) -> dict[Part, Array]:
        """The pass under test.

        Parameters are the real arrays that the forward does not change, or that have a gradient all the same.
        """
        recorders = [_Recorder(layer) for layer in self.network.layers]
        network = type(self.network)(*recorders)
        inputs = {name: state[name] for name in self.start}
        answered, backward = network(self.batch["x"], **inputs, **self._of_layers)
        y, *buffers = answered if isinstance(answered, tuple) else (answered,)
        value, loss_backward = self.loss(y, **self._of_loss)
        grads = backward(loss_backward(np.ones((), y.dtype))["x"])
        changed = dict(zip(network.updated, buffers, strict=True))
        learned = [n for n, a in inputs.items() if a.dtype.kind == "f" and (n not in changed or n in grads)]
        missing = [name for name in learned if name not in grads]
        if missing:
            raise KeyError(f"lockstep: no gradient for {', '.join(missing)}")

        parts: dict[Part, Array] = {}
        for number, recorder in enumerate(recorders):
            parts[self._part(number, "output")] = recorder.y
            for leaf in recorder.updated:
                name = f"{number}.{leaf}"
                parts[self._part(number, f"{leaf} after the forward", state=name)] = np.asarray(changed[name])
        parts[LOSS] = np.asarray(value)
        for number, recorder in reversed(list(enumerate(recorders))):
            for name in _own(number, learned):
                parts[self._part(number, f"gradient of {_leaf(name)}", gradient=name)] = np.asarray(grads[name])
            if self._has_gradient(number):
                parts[self._part(number, "gradient of x")] = recorder.dx
        return parts

    def torch_passes(self, learned: tuple[str, ...]) -> TorchFunction:
        """The pass in torch, a function of state and batch by name."""
        twins = [_twin(layer) for layer in self.network.layers]
        criterion = _twin(self.loss)

        def run(**tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            leaves = {name: tensors[name].clone().requires_grad_() for name in learned}
            given = {name: leaves.get(name, tensors[name]) for name in (*self.start, *self._of_layers)}
            x = tensors["x"].clone()
            xs = [x.requires_grad_(x.is_floating_point())]
            parts: list[torch.Tensor] = []
            for number, twin in enumerate(twins):
                result = twin(x=xs[-1], **{_leaf(name): given[name] for name in _own(number, given)})
                outputs = result if isinstance(result, tuple) else (result,)
                changed = len(getattr(self.network.layers[number], "updated", ()))
                parts += [outputs[0], *outputs[len(outputs) - changed :]]
                xs.append(outputs[0])
            value = criterion(x=xs[-1], **{name: tensors[name] for name in self._of_loss})
            wanted = [*(x for x in xs[:-1] if x.requires_grad), *leaves.values()]
            found = torch.autograd.grad(value, wanted, allow_unused=True)
            grads = {id(t): torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)}
            parts.append(value)
            for number in reversed(range(len(twins))):
                parts += [grads[id(leaves[name])] for name in _own(number, leaves)]
                if self._has_gradient(number):
                    parts.append(grads[id(xs[number])])
            return tuple(part.detach() for part in parts)

        return run

    def before_update(self, state: Arrays, passed: Mapping[Part, Array]) -> Arrays:
        """What the optimizer gets: parameters and what it kept of them by name, and the gradients."""
        after = _advanced(state, passed)
        grads = {part.gradient: a for part, a in passed.items() if part.gradient}
        kept = {name: a for name, a in after.items() if name not in self.start}
        return {n: after[n] for n in grads} | kept | {f"gradient of {name}": a for name, a in grads.items()}

    def updates(self, given: Arrays, learned: tuple[str, ...]) -> dict[Part, Array]:
        """The optimizer's update under test."""
        grads = {name: given[f"gradient of {name}"] for name in learned}
        kept = {name: a for name, a in given.items() if name.startswith(tuple(f"{n}." for n in learned))}
        stepped, slots = self.optimizer({name: given[name] for name in learned}, grads, kept)
        parts: dict[Part, Array] = {}
        for name in learned:
            for kind in (*_slots(name, slots), name):
                array = np.asarray(slots[kind] if kind in slots else stepped[kind])
                number = int(name.partition(".")[0])
                parts[self._part(number, f"{_leaf(kind)} after the step", state=kind)] = array
        return parts

    def torch_updates(self, learned: tuple[str, ...]) -> TorchFunction:
        """The update in torch, a function of what the optimizer gets."""
        cls, options = _torch_class(self.optimizer), _options(self.optimizer)

        def run(**tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            parameters = {name: tensors[name].clone().requires_grad_() for name in learned}
            optimizer = cls(parameters.values(), **options)
            for name, parameter in parameters.items():
                parameter.grad = tensors[f"gradient of {name}"].clone()
                slots = {_slot(name, kind): tensors[kind].clone() for kind in _slots(name, tensors)}
                if slots:
                    optimizer.state[parameter] = {n: t.float() if n == "step" else t for n, t in slots.items()}
            optimizer.step()
            parts: list[torch.Tensor] = []
            for parameter in parameters.values():
                parts += [t for t in optimizer.state[parameter].values() if t is not None]
                parts.append(parameter.detach())
            return tuple(parts)

        return run

    def judged(
        self, reference: TorchFunction, given: Arrays, ours: Mapping[Part, Array]
    ) -> Iterator[tuple[Part, Comparison]]:
        """Each part against torch's from the same inputs; one of another shape is wrong throughout."""
        # How many steps there were is a whole number, which no rounding moves.
        inputs = {name: a.astype(np.int64) if name.endswith(".step") else a for name, a in given.items()}
        truth = Reference(torch_vjp(reference, ()), Case({}, inputs, (), ()))
        for place, (part, array) in enumerate(ours.items()):
            expected = truth.expected(place)
            if array.shape != expected.value.shape:
                array = np.full(expected.value.shape, np.nan)
            yield part, compare(array, expected, enough=ALLOWED)

    @property
    def _of_layers(self) -> Arrays:
        """What of a batch single layers need."""
        return {name: a for name, a in self.batch.items() if name[0].isdecimal()}

    @property
    def _of_loss(self) -> Arrays:
        return {name: a for name, a in self.batch.items() if name != "x" and not name[0].isdecimal()}

    def _part(self, number: int, what: str, **names: str) -> Part:
        return Part(f"layer {number} ({type(self.network.layers[number]).__name__})", what, **names)

    def _has_gradient(self, number: int) -> bool:
        """Whether the input of a layer has a gradient: indices have none."""
        return number > 0 or self.batch["x"].dtype.kind == "f"


def _own(number: int, names: Iterable[str]) -> list[str]:
    """Those names that are a layer's."""
    return [name for name in names if name.startswith(f"{number}.")]


def _leaf(name: str) -> str:
    return name.partition(".")[2]


def _slots(name: str, names: Iterable[str]) -> list[str]:
    """What is kept of a parameter."""
    return [kind for kind in names if kind.startswith(f"{name}.")]


def _slot(name: str, kind: str) -> str:
    return kind[len(name) + 1 :]


def _twin(layer: Any) -> TensorFunction:
    """Torch's side of a layer: by the contract of its class, or of the nearest one it is made from that has any."""
    for cls in type(layer).__mro__:
        if cls.__name__ in contracts.ALL:
            reference = contracts.ALL[cls.__name__].reference
            function = reference.bind({name: getattr(layer, name) for name in reference.defaults})
            return lambda x, **others: function(**{reference.inputs[0]: x}, **others)
    raise TypeError(f"lockstep: {type(layer).__name__} has no contract, which would say what it is in torch")


def _torch_class(optimizer: Any) -> Any:
    for cls in type(optimizer).__mro__[:-1]:
        if hasattr(torch.optim, cls.__name__):
            return getattr(torch.optim, cls.__name__)
    raise TypeError(f"lockstep: torch.optim has no {type(optimizer).__name__}")


def _options(optimizer: Any) -> dict[str, Any]:
    return {option.name: getattr(optimizer, option.name) for option in fields(optimizer)}
