"""The corpus: every counterexample that was found, as plain data, to be replayed before anything is searched.

One JSON file each, named by contract, layer, law and the structure of the failure, and by nothing of the test that
found it or of Hypothesis; floats are in hexadecimal, every bit of them. Nothing that is read is executed, imported or
trusted: a file that is no counterexample is named and skipped.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..oracle.diagnosis import Diagnosis, Pattern
from ..oracle.vjp import Array, Case
from .files import write_json

if TYPE_CHECKING:
    from .adapt import Layer
    from .events import Failure

FORMAT = 1
DTYPES = ("float64", "float32", "int64", "int32", "uint8", "bool")
# A counterexample is small: more than this is none.
MOST_BYTES, MOST_ELEMENTS = 50_000_000, 1_000_000
DEEPEST = 8


class CorpusError(ValueError):
    """A file that holds no counterexample; the message says what is wrong with it."""


class NotPlainError(ValueError):
    """A configuration that is not made of numbers, words, sequences and dicts."""


@dataclass(frozen=True)
class Entry:
    """A counterexample: the names of layer, contract and law, what was wrong, the case, and the one needed before."""

    layer: str
    contract: str
    law: str
    what: str
    case: Case
    before: Case | None = None
    diagnosis: Diagnosis | None = None
    matters: str | None = None

    @property
    def file_name(self) -> str:
        """The same structure of a failure takes the same name: what is wrong, in which kind of case."""
        kinds = {name: (a.dtype.name, a.ndim) for name, a in self.case.inputs.items()}
        structure = (self.layer, self.contract, self.law, self.what, sorted(self.case.config), sorted(kinds.items()))
        digest = hashlib.sha256(repr(structure).encode()).hexdigest()[:10]
        return re.sub(r"[^\w.-]+", "_", f"{self.contract}-{self.layer}-{self.law}-{digest}") + ".json"

    def concerns(self, layer: Layer) -> bool:
        """Whether it is of this layer."""
        return (self.layer, self.contract) == (layer.name, layer.contract.name)

    def outside(self, layer: Layer) -> str | None:
        """Why the layer, as it is declared now, does not claim to take this case; None where it does."""
        config, contract = self.case.config, layer.contract
        unknown = [name for name in config if name not in contract.options]
        if unknown:
            return f"{contract.name} has no option {', '.join(unknown)}"
        other = [name for name, value in layer.settled.items() if config.get(name, value) != value]
        if other:
            return f"{', '.join(other)} is fixed to another value now"
        if self.case.dtype.name not in contract.dtypes:
            return f"{self.case.dtype.name} is not drawn any more"
        if not contract.takes(config, {name: a.shape for name, a in self.case.inputs.items()}):
            return "where=… leaves it out now"
        return None


def entry_of(failure: Failure, asked: Case, before: Case | None) -> Entry:
    """What is kept of a failure: the case that the law was asked about, which may judge another made from it."""
    return Entry(
        failure.layer,
        failure.contract,
        failure.law,
        failure.what,
        asked,
        before,
        failure.diagnosis,
        failure.matters,
    )


def save(folder: Path, entry: Entry) -> Path:
    """Write an entry, whole or not at all; NotPlainError where its configuration cannot be written as data."""
    data = {
        "format": FORMAT,
        "layer": entry.layer,
        "contract": entry.contract,
        "law": entry.law,
        "what": entry.what,
        "case": _case_as_data(entry.case),
        "before": entry.before and _case_as_data(entry.before),
        "diagnosis": entry.diagnosis and [entry.diagnosis.pattern.value, entry.diagnosis.sentence],
        "matters": entry.matters,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / entry.file_name
    write_json(file, data)
    return file


def load(folder: Path) -> Iterator[tuple[Path, Entry | CorpusError]]:
    """All files of a corpus in order, each with its entry or with what is wrong with it."""
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            yield file, read(file)
        except CorpusError as error:
            yield file, error


def read(file: Path) -> Entry:
    """The entry in a file; CorpusError where there is none."""
    try:
        size = file.stat().st_size
        text = file.read_text(encoding="utf-8") if size <= MOST_BYTES else ""
    except OSError as error:
        raise CorpusError(f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CorpusError("it is not UTF-8") from error
    if size > MOST_BYTES:
        raise CorpusError(f"it is larger than {MOST_BYTES} bytes")
    try:
        return _entry(json.loads(text, parse_constant=_refuse))
    except CorpusError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CorpusError(f"it is damaged: {type(error).__name__}: {error}") from error


KEYS = {"gradjury", "format", "layer", "contract", "law", "what", "case", "before", "diagnosis", "matters"}


def _entry(data: Any) -> Entry:
    fields = _object(data, KEYS)
    if fields["format"] != FORMAT:
        raise CorpusError(f"its format is {fields['format']!r}, this gradjury reads {FORMAT}")
    before, diagnosis, matters = fields["before"], fields["diagnosis"], fields["matters"]
    return Entry(
        _text(fields["layer"], "layer"),
        _text(fields["contract"], "contract"),
        _text(fields["law"], "law"),
        _text(fields["what"], "what"),
        _case_from_data(fields["case"]),
        None if before is None else _case_from_data(before),
        None if diagnosis is None else _diagnosis(diagnosis),
        None if matters is None else _text(matters, "matters"),
    )


def _refuse(constant: str) -> Any:
    raise CorpusError(f"{constant} is no JSON; floats are written in hexadecimal")


def _object(data: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict) or set(data) != keys:
        found = ", ".join(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise CorpusError(f"it should hold {', '.join(sorted(keys))}, and holds {found}")
    return data


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise CorpusError(f"{name} should be text, and is {type(value).__name__}")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise CorpusError(f"{name} should be a list, and is {type(value).__name__}")
    return tuple(_text(item, name) for item in value)


def _diagnosis(value: Any) -> Diagnosis:
    pattern, sentence = _texts(value, "diagnosis")
    return Diagnosis(Pattern(pattern), sentence)


def _case_as_data(case: Case) -> dict[str, Any]:
    return {
        "config": {name: _plain(value) for name, value in case.config.items()},
        "inputs": {name: _array_as_data(a) for name, a in case.inputs.items()},
        "cotangents": [_array_as_data(dy) for dy in case.cotangents],
        "differentiable": list(case.differentiable),
        "kept": list(case.kept),
    }


def _case_from_data(data: Any) -> Case:
    fields = _object(data, {"config", "inputs", "cotangents", "differentiable", "kept"})
    config, inputs = fields["config"], fields["inputs"]
    if not isinstance(config, dict) or not isinstance(inputs, dict) or not isinstance(fields["cotangents"], list):
        raise CorpusError("config and inputs should be objects, cotangents a list")
    case = Case(
        {name: _value(value) for name, value in config.items()},
        {name: _array_from_data(a) for name, a in inputs.items()},
        tuple(_array_from_data(dy) for dy in fields["cotangents"]),
        _texts(fields["differentiable"], "differentiable"),
        _texts(fields["kept"], "kept"),
    )
    if not {*case.differentiable, *case.kept} <= set(case.inputs):
        raise CorpusError("differentiable and kept should name inputs")
    if not any(a.dtype.kind == "f" for a in case.inputs.values()):
        raise CorpusError("no input holds real numbers")
    return case


def _array_as_data(a: Array) -> dict[str, Any]:
    values = [float(v).hex() for v in a.ravel()] if a.dtype.kind == "f" else a.ravel().tolist()
    return {"dtype": a.dtype.name, "shape": list(a.shape), "values": values}


def _array_from_data(data: Any) -> Array:
    fields = _object(data, {"dtype", "shape", "values"})
    dtype, shape, values = fields["dtype"], fields["shape"], fields["values"]
    if dtype not in DTYPES:
        raise CorpusError(f"dtype should be one of {', '.join(DTYPES)}, and is {dtype!r}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise CorpusError(f"shape should be a list of lengths, and is {shape!r}")
    if not isinstance(values, list) or math.prod(shape) != len(values) or len(values) > MOST_ELEMENTS:
        raise CorpusError(f"an array of shape {shape} has not {len(values)} values")
    kind = np.dtype(dtype).kind
    wanted = {"f": str, "b": bool}.get(kind, int)
    if not all(type(v) is wanted for v in values):
        raise CorpusError(f"the values of a {dtype} array should be {wanted.__name__}")
    numbers = [float.fromhex(v) for v in values] if kind == "f" else values
    return np.array(numbers, dtype).reshape(shape)


def _plain(value: Any) -> Any:
    """A value of a configuration as JSON: what JSON has not, in an object of one key that says what it is."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.floating):
        return {"float": float(value).hex(), "dtype": value.dtype.name}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_plain(item) for item in value]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _plain(item) for key, item in value.items()}}
    raise NotPlainError(f"{value!r} cannot be written as data")


def _value(data: Any, depth: int = 0) -> Any:
    """The value that `_plain` wrote."""
    if data is None or isinstance(data, bool | str | int):
        return data
    if depth > DEEPEST or not isinstance(data, dict):
        raise CorpusError(f"{str(data)[:60]} is no value of a configuration")
    if set(data) == {"float"}:
        return float.fromhex(_text(data["float"], "float"))
    if set(data) == {"float", "dtype"} and data["dtype"] in ("float64", "float32"):
        return np.dtype(data["dtype"]).type(float.fromhex(_text(data["float"], "float")))
    if set(data) in ({"tuple"}, {"list"}):
        ((kind, items),) = data.items()
        found = [_value(item, depth + 1) for item in _sequence(items)]
        return tuple(found) if kind == "tuple" else found
    if set(data) == {"dict"} and isinstance(data["dict"], dict):
        return {key: _value(item, depth + 1) for key, item in data["dict"].items()}
    raise CorpusError(f"{str(data)[:60]} is no value of a configuration")


def _sequence(items: Any) -> Sequence[Any]:
    if not isinstance(items, list):
        raise CorpusError(f"{str(items)[:60]} is no list")
    return items
