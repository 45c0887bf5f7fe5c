"""What torch refuses, a layer refuses: bad configurations, bad shapes, bad dtypes, indices out of range."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import numpy as np

from ...oracle.autograd import torch_vjp
from ...oracle.vjp import Array, Case
from ..script import construction
from .law import Bench, Broken, Law

ATTEMPTS = 1


@dataclass(frozen=True)
class Damage:
    """A case made bad in one place, and where."""

    where: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Array]


def judge_refusal(bench: Bench, case: Case) -> None:
    """Damage the case in a few ways; where torch refuses, the layer must refuse with a message.

    Damage that torch accepts says nothing and is counted as excluded.
    """
    rng = np.random.default_rng(zlib.crc32(b"".join(a.tobytes() for a in case.inputs.values())))
    for _ in range(ATTEMPTS):
        damage = damaged(bench, case, rng)
        refusal = torch_refusal(bench, damage, case.differentiable)
        bench.tally.count(1, excluded=int(refusal is None))
        if refusal is None:
            continue
        error = _layer_refusal(bench, damage)
        if error is not None and str(error).strip():
            continue
        bad = Case(damage.config, damage.inputs, (), ())
        how = "the layer accepts it" if error is None else f"the layer raises {type(error).__name__} without a message"
        finding = f"{how}; torch refuses: {refusal}"
        lines = [
            "try:",
            f"    layer = {construction(bench.layer.layer, bad)}",
            "    start(layer, *inputs)",
            "    wrong = True",
            "except Exception as error:",
            "    wrong = not str(error).strip()",
        ]
        raise Broken(damage.where, finding, bad, script=lines)


def torch_refusal(bench: Bench, damage: Damage, differentiable: tuple[str, ...]) -> str | None:
    """torch's message where it refuses, else None."""
    try:
        # With gradients, as everywhere: without, torch takes other kernels, which refuse other things.
        real = tuple(name for name in differentiable if damage.inputs[name].dtype.kind == "f")
        torch_vjp(bench.contract.reference.bind(damage.config), real)(**damage.inputs)
    except Exception as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return None


def _layer_refusal(bench: Bench, damage: Damage) -> Exception | None:
    try:
        bench.make(damage.config)(**{name: a.copy() for name, a in damage.inputs.items()})
    except Exception as error:
        return error
    return None


def damaged(bench: Bench, case: Case, rng: np.random.Generator) -> Damage:
    """One random damage to an option or to an array."""
    defaults = bench.contract.reference.defaults
    options = {n: case.config.get(n, d) for n, d in defaults.items()}
    bad = {n: _bad_values(v) for n, v in options.items() if v is not Parameter.empty}
    bad = {n: values for n, values in bad.items() if values}
    if bad and rng.random() < 0.4:
        name = str(rng.choice(list(bad)))
        value = bad[name][int(rng.integers(len(bad[name])))]
        return Damage(f"option {name}={value!r}", {**case.config, name: value}, case.inputs)
    name = str(rng.choice(list(case.inputs)))
    a = case.inputs[name]
    kinds = _DAMAGES if a.dtype.kind == "f" else [*_DAMAGES, _out_of_range]
    words, change = kinds[int(rng.integers(len(kinds)))](a, rng)
    return Damage(f"{name} {words}", case.config, {**case.inputs, name: change})


def _bad_values(value: Any) -> list[Any]:
    """Values of the kind an option has, most of which torch refuses."""
    if isinstance(value, bool):
        return []
    if isinstance(value, str):
        return ["bogus"]
    if isinstance(value, tuple):
        numbers = [1 if v is None else v for v in value]
        return [
            (*value, 1),
            value[:-1] or (1, 1, 1),
            tuple(-v for v in numbers),
            tuple(v + 0.5 for v in numbers),
            (0,) * len(value),
        ]
    if isinstance(value, float):
        return [-0.5, 1.5, "bogus"]
    return [0, -1, -7, 9, 1.5, "bogus", (1, 2, 3)]


Change = Callable[[Array, np.random.Generator], tuple[str, Array]]


def _one_axis_more(a: Array, rng: np.random.Generator) -> tuple[str, Array]:
    b = np.expand_dims(a, int(rng.integers(a.ndim + 1)))
    return f"of shape {b.shape} for {a.shape}", b


def _one_axis_less(a: Array, rng: np.random.Generator) -> tuple[str, Array]:
    if not a.ndim:
        return _one_axis_more(a, rng)
    axis = int(rng.integers(a.ndim))
    b = np.asarray(a.take(0, axis)) if a.shape[axis] else np.zeros(a.shape[:axis] + a.shape[axis + 1 :], a.dtype)
    return f"of shape {b.shape} for {a.shape}", b


def _longer_axis(a: Array, rng: np.random.Generator) -> tuple[str, Array]:
    if not a.ndim:
        return _one_axis_more(a, rng)
    axis = int(rng.integers(a.ndim))
    shape = list(a.shape)
    shape[axis] += int(rng.choice([-1, 1])) if shape[axis] else 1
    b = np.resize(a, shape) if a.size else np.zeros(shape, a.dtype)
    return f"of shape {b.shape} for {a.shape}", b


def _other_dtype(a: Array, rng: np.random.Generator) -> tuple[str, Array]:
    other = {"float64": "float32", "float32": "float64"}.get(a.dtype.name, "float64")
    dtype = str(rng.choice([other, "int64", "bool"]))
    return f"of dtype {dtype}", np.asarray(np.nan_to_num(a)).astype(dtype)


def _out_of_range(a: Array, rng: np.random.Generator) -> tuple[str, Array]:
    b = a.copy()
    if b.size:
        b.flat[rng.integers(b.size)] = rng.choice([-1, -7, 99])
    return "with an index out of range", b


def _text(a: Array, rng: np.random.Generator) -> tuple[str, Array]:  # noqa: ARG001
    return "of text", np.full(a.shape, "x")


_DAMAGES: list[Change] = [_one_axis_more, _one_axis_less, _longer_axis, _longer_axis, _other_dtype, _text]

REFUSAL = Law("refusal", "what torch refuses is refused, with a message", judge_refusal, strict=True)
