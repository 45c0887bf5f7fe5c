"""Where an object keeps a parameter and its gradient: found by name and shape, or given as a path.

A path is written with dots, "parameters.W" or "weights.0": each step is an attribute, or else a key or a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from ...oracle.vjp import Array
from .base import StyleError

# Under which names layers keep their parameters, in the order in which they are looked for.
NAMES = {
    "weight": ("weight", "W", "w", "weights", "kernel", "kernels", "filters", "gamma"),
    "bias": ("bias", "b", "biases", "beta"),
    "running_mean": ("running_mean", "moving_mean"),
    "running_var": ("running_var", "running_variance", "moving_var", "moving_variance"),
}
# ... and the gradients of those, with the parameter's name filled in.
GRADIENTS = ("d{}", "d_{}", "grad_{}", "{}_grad", "{}_gradient", "g_{}")


# What is at a place that is not there yet.
ABSENT = object()


class AmbiguousError(StyleError):
    """Several arrays may be one parameter."""


@dataclass(frozen=True)
class Slot:
    """A place in an object: what holds it, how a script spells it, how it is read and written."""

    spelled: str
    get: Callable[[], Any]
    put: Callable[[Any], None]

    def write(self, value: Array) -> None:
        """Put a value in, in the form of the array that is there: a bias may be kept as a row or a column."""
        self.put(_formed(self.get(), value))

    def like(self, value: Array) -> str:
        """The reshaping that `write` does, for scripts."""
        shape = _formed(self.get(), value).shape
        return f".reshape({shape})" if shape != value.shape else ""


def _alike(old: Any, value: Array) -> bool:
    """Whether two arrays have the same shape but for axes of length one."""
    if not isinstance(old, np.ndarray):
        return False
    return [n for n in old.shape if n != 1] == [n for n in value.shape if n != 1]


def _formed(old: Any, value: Array) -> Array:
    """A value with the axes of length one that the array has in its place; the other lengths may have changed."""
    if not isinstance(old, np.ndarray) or old.ndim == value.ndim:
        return value
    if _alike(old, value):
        return value.reshape(old.shape)
    single = [axis for axis, n in enumerate(old.shape) if n == 1]
    return np.expand_dims(value, single) if old.ndim - len(single) == value.ndim else value


def follow(root: Any, path: str) -> Slot:
    """The place that a path names; StyleError where a step leads nowhere.

    An attribute of the object itself need not be there yet.
    """
    if "." not in path and not hasattr(root, path):
        return _attribute(root, path, "layer")
    *steps, last = path.split(".")
    owner, spelled = root, "layer"
    for step in steps:
        slot = _step(owner, step, spelled, path)
        owner, spelled = slot.get(), slot.spelled
    return _step(owner, last, spelled, path)


def beside(root: Any, path: str) -> Found:
    """The place that a path names, and its gradient under the usual names beside it, or else in the object itself."""
    before, _, own = path.rpartition(".")
    found = _found(root, own, follow(root, path))
    if not before:
        return found
    holder = follow(root, before)
    return Found(found.slot, lambda: chain(_near(holder.get(), own, holder.spelled), found.gradients()))


def _step(owner: Any, step: str, spelled: str, path: str) -> Slot:
    if isinstance(owner, MutableMapping) and step in owner:
        return _entry(owner, step, spelled)
    if isinstance(owner, MutableSequence) and step.isdecimal() and int(step) < len(owner):
        return _entry(owner, int(step), spelled)
    if hasattr(owner, step):
        return _attribute(owner, step, spelled)
    has = ", ".join(map(str, _keys(owner))) or "nothing"
    raise StyleError(f"there is no {step} on the path {path!r}: {spelled} has {has}")


def _keys(owner: Any) -> list[Any]:
    if isinstance(owner, Mapping):
        return list(owner)
    if isinstance(owner, MutableSequence):
        return list(range(len(owner)))
    return list(getattr(owner, "__dict__", {}))


def _attribute(owner: Any, name: str, spelled: str) -> Slot:
    return Slot(f"{spelled}.{name}", lambda: getattr(owner, name, ABSENT), lambda value: setattr(owner, name, value))


def _entry(owner: Any, key: Any, spelled: str) -> Slot:
    quoted = f'"{key}"' if isinstance(key, str) else repr(key)

    def put(value: Any) -> None:
        owner[key] = value

    return Slot(f"{spelled}[{quoted}]", lambda: owner[key], put)


@dataclass(frozen=True)
class Found:
    """A parameter's place, and where its gradient will be looked for."""

    slot: Slot
    gradients: Callable[[], Iterator[Slot]]


def find_by_name(root: Any, name: str) -> Found | None:
    """The parameter under one of its usual names; None where there is none yet."""
    for candidate in NAMES.get(name, (name,)):
        if hasattr(root, candidate) and not _holds_many(getattr(root, candidate)):
            return _found(root, candidate, _attribute(root, candidate, "layer"))
        for attribute, container in _containers(root):
            if isinstance(container, Mapping) and candidate in container and not _is_gradients(attribute):
                return _found(root, candidate, _entry(container, candidate, f"layer.{attribute}"))
    return None


def find_by_shape(root: Any, name: str, shape: tuple[int, ...], taken: Sequence[str]) -> Found | None:
    """The only array of the parameter's shape, but for those that are taken; None where there is none yet."""
    alike = [found for found in _arrays(root) if _fits(found.slot.get(), shape) and found.slot.spelled not in taken]
    same = [found for found in alike if found.slot.get().shape == shape] or alike
    if len(same) > 1:
        several = ", ".join(found.slot.spelled for found in same)
        raise AmbiguousError(f"{name} of shape {shape} may be any of {several}: {_say(name)}")
    return same[0] if same else None


def _say(name: str) -> str:
    return f'name the places of parameter and gradient, parameters={{"{name}": ("W", "dW")}}'


def missing(root: Any, layer: str, name: str) -> StyleError:
    """The error where an object keeps no such parameter."""
    candidates = ", ".join(NAMES.get(name, (name,)))
    return StyleError(f"{layer} keeps no {name} under any of {candidates}; {_say(name)}. It has {_has(root)}")


def no_gradient(root: Any, layer: str, name: str, slot: Slot) -> str:
    """The error's text where an object keeps no gradient of a parameter that it has."""
    own = slot.spelled.removeprefix("layer.")
    return (
        f"{layer} keeps no gradient of {own} under a name like d{own} or grad_{own}; name both: "
        f'parameters={{"{name}": ("{own}", "its gradient")}}. It has {_has(root)}'
    )


def _has(root: Any) -> str:
    return ", ".join(vars(root)) if hasattr(root, "__dict__") else "no attributes"


def _holds_many(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _containers(root: Any) -> Iterator[tuple[str, Any]]:
    """The dicts and lists that an object has."""
    for name, value in list(getattr(root, "__dict__", {}).items()):
        if isinstance(value, MutableMapping | MutableSequence):
            yield name, value


def _is_gradients(attribute: str) -> bool:
    return "grad" in attribute.lower() or attribute in ("d", "derivatives")


def _arrays(root: Any) -> Iterator[Found]:
    """All arrays that might be parameters: attributes, and entries of dicts and lists."""
    for name, value in list(getattr(root, "__dict__", {}).items()):
        if isinstance(value, np.ndarray) and not any(name.startswith(p.format("")) for p in GRADIENTS if p[0] != "{"):
            yield _found(root, name, _attribute(root, name, "layer"))
    for attribute, container in _containers(root):
        if _is_gradients(attribute):
            continue
        keys = list(container) if isinstance(container, Mapping) else range(len(container))
        for key in keys:
            if isinstance(container[key], np.ndarray):
                yield _found(root, str(key), _entry(container, key, f"layer.{attribute}"))


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and _alike(value, np.empty(shape))


def _found(root: Any, own: str, slot: Slot) -> Found:
    """The place, or the array inside what is there, if that holds its gradient beside it."""
    holder = slot.get()
    if not isinstance(holder, np.ndarray) and hasattr(holder, "data") and hasattr(holder, "grad"):
        return Found(_attribute(holder, "data", slot.spelled), lambda: iter([_attribute(holder, "grad", slot.spelled)]))
    return Found(slot, lambda: _gradients(root, own))


def _near(owner: Any, own: str, spelled: str) -> Iterator[Slot]:
    """The places where the gradient of a parameter may be: attributes of an object, entries of a dict."""
    names = [pattern.format(name) for name in dict.fromkeys((own, own.lower())) for pattern in GRADIENTS]
    if isinstance(owner, MutableMapping):
        yield from (_entry(owner, name, spelled) for name in names if name in owner)
    else:
        yield from (_attribute(owner, name, spelled) for name in names if hasattr(owner, name))


def _gradients(root: Any, own: str) -> Iterator[Slot]:
    """The same in the object itself, then in its dicts and lists."""
    yield from _near(root, own, "layer")
    for attribute, container in _containers(root):
        if isinstance(container, Mapping):
            yield from _near(container, own, f"layer.{attribute}")
            if own in container and _is_gradients(attribute):
                yield _entry(container, own, f"layer.{attribute}")
        elif _is_gradients(attribute) and own.isdecimal() and int(own) < len(container):
            yield _entry(container, int(own), f"layer.{attribute}")
