"""The baseline: how each layer fared when it was written, as JSON that a pull request can show line by line.

It is data and nothing else: reading it imports nothing and runs nothing, and whatever is not exactly what `write`
writes is refused.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from ..events import LawResult, Result
from ..files import write_text

FORMAT = 1

# A baseline of a thousand layers has a megabyte; what is larger is none.
LARGEST = 2**24

HOLDS, VACUOUS, BROKEN = STATES = ("holds", "vacuous", "broken")  # from good to bad


class BaselineError(click.ClickException):
    """A file that is no baseline, or one that does not fit this run; the message says why and what to do."""

    exit_code = 2


@dataclass(frozen=True)
class Settings:
    """What a baseline was written with, and what it must be compared with: other examples say other things."""

    examples: int
    seed: int
    all_laws: bool
    fixed: tuple[str, ...]


@dataclass(frozen=True)
class LawRecord:
    """How one law fared.

    `what` is the array that is wrong where the law is broken; there `budgets` (the worst error) and `ulps` (the median
    array's) are None. `sees` has an exponent for each gradient and dtype: 2 to that power is the smallest error that
    would have been caught; None where none was.
    """

    state: str
    what: str
    budgets: float | None
    ulps: float | None
    sees: Mapping[str, int | None]


@dataclass(frozen=True)
class LayerRecord:
    """How one layer fared in so many examples, what these never showed, and which options it accepts and ignores."""

    examples: int
    ignored: tuple[str, ...]
    gaps: tuple[str, ...]
    laws: Mapping[str, LawRecord]


@dataclass(frozen=True)
class Baseline:
    """All of it. `versions` are those of the tools that decide what is drawn and what is true."""

    settings: Settings
    versions: Mapping[str, str]
    layers: Mapping[str, LayerRecord]


def versions() -> dict[str, str]:
    """The tools of this run."""
    tools = {name: version(name) for name in ("gradjury", "hypothesis", "numpy", "torch")}
    return tools | {"python": ".".join(platform.python_version_tuple()[:2]), "machine": platform.machine()}


def layer_record(result: Result, examples: int) -> LayerRecord:
    """What is kept of a result."""
    c = result.coverage
    ignored, gaps = (tuple(sorted(c.ignored)), tuple(sorted(c.gaps))) if c else ((), ())
    return LayerRecord(examples, ignored, gaps, {law.law: _law_record(law) for law in result.laws})


def _law_record(law: LawResult) -> LawRecord:
    if law.failure is not None:
        return LawRecord(BROKEN, law.failure.what, None, None, {})
    sees = {f"{c.name} {c.dtype}": _exponent(c.smallest) for c in law.certificates}
    return LawRecord(VACUOUS if law.vacuous else HOLDS, "", _short(law.worst), _short(law.ulps), sees)


def _exponent(smallest: float) -> int | None:
    return None if math.isinf(smallest) else round(math.log2(smallest))


def _short(number: float) -> float:
    """Three digits say all that is compared, and keep the lines of a file as they were."""
    return float(f"{number:.3g}")


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write it whole or not at all: sorted, one law a line."""
    data = {"baseline": FORMAT, **asdict(baseline)}
    data["layers"] = dict(sorted(data["layers"].items()))
    write_text(file, _lines(data, 4) + "\n")


def _lines(value: Any, levels: int, indent: str = "") -> str:
    """JSON with the outer levels of objects spread over lines."""
    if not levels or not isinstance(value, dict) or not value:
        return json.dumps(value)
    deeper = indent + "  "
    rows = [f"{deeper}{json.dumps(key)}: {_lines(inner, levels - 1, deeper)}" for key, inner in value.items()]
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"


def read_baseline(file: Path) -> Baseline:
    """Read one; BaselineError where there is none, or anything in it is not as it was written."""
    if not file.exists():
        raise BaselineError(f"there is no baseline {file}: write one with --update")
    try:
        return _FILE(_parse(file), "")  # type: ignore[no-any-return]
    except OSError as error:
        raise BaselineError(f"cannot read {file}: {error.strerror}") from error
    except (_WrongError, RecursionError, ValueError) as error:
        why = {RecursionError: "it is nested too deeply", UnicodeDecodeError: "it is not UTF-8"}.get(type(error), error)
        raise BaselineError(
            f"{file} is no baseline of gradjury: {why}. Restore it, or delete it and write a new one with --update"
        ) from None


class _WrongError(Exception):
    """What is not as it should be, and where."""


def _parse(file: Path) -> Any:
    if not file.is_file():
        raise _WrongError("it is not a file")
    with file.open("rb") as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise _WrongError(f"it is larger than {LARGEST >> 20} MiB")

    def no_constant(text: str) -> None:
        raise _WrongError(f"it holds {text}")

    def no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise _WrongError("it has a key twice")
        return found

    return json.loads(raw.decode("utf-8"), parse_constant=no_constant, object_pairs_hook=no_doubles)


# What a value must be: each reader takes it and its place, and answers it or raises.
Reader = Callable[[Any, str], Any]


def _wrong(value: Any, place: str, expected: str) -> _WrongError:
    shown = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return _WrongError(f"{place or 'it'} should be {expected}, not {_short_text(shown)}")


def _short_text(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"


def _one(expected: str, fits: Callable[[Any], bool], *kinds: type) -> Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) not in kinds or not fits(value):
            raise _wrong(value, place, expected)
        return value

    return read


def _or_none(reader: Reader) -> Reader:
    return lambda value, place: None if value is None else reader(value, place)


def _all(reader: Reader) -> Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) is not list:
            raise _wrong(value, place, "a list")
        return tuple(reader(item, f"{place}[{number}]") for number, item in enumerate(value))

    return read


def _by_name(reader: Reader) -> Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) is not dict:
            raise _wrong(value, place, "an object")
        return {_TEXT(name, f"a key of {place}"): reader(item, f"{place}[{name!r}]") for name, item in value.items()}

    return read


def _object(make: Callable[..., Any], **readers: Reader) -> Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) is not dict:
            raise _wrong(value, place, "an object")
        for name in (*readers, *value):
            if name not in readers or name not in value:
                state = "unknown" if name in value else "missing"
                raise _WrongError(f"the key {_short_text(repr(name))} is {state}{f' in {place}' if place else ''}")
        try:
            return make(**{name: reader(value[name], f"{place} {name}".strip()) for name, reader in readers.items()})
        except _InconsistentError as error:
            raise _WrongError(f"{place}: {error}") from None

    return read


class _InconsistentError(Exception):
    """Values that are right by themselves and impossible together."""


def _law(**parts: Any) -> LawRecord:
    law = LawRecord(**parts)
    broken = law.state == BROKEN
    if (law.budgets is None) != broken or (law.ulps is None) != broken or bool(law.what) != broken:
        raise _InconsistentError("a law that is broken names what is wrong and has no numbers, any other the reverse")
    return law


def _file(baseline: int, **parts: Any) -> Baseline:  # noqa: ARG001
    return Baseline(**parts)


# Printable: what is read here is shown on terminals.
_TEXT = _one("a text of a line", lambda value: value.isprintable() and len(value) <= 1000, str)
_COUNT = _one("a whole number from 0", lambda value: 0 <= value < 2**63, int)
_EXAMPLES = _one("a whole number from 1", lambda value: 0 < value < 2**31, int)
_SIZE = _one("a number from 0", lambda value: 0 <= value < 2.0**1000, float, int)
_EXPONENT = _one("an exponent of two", lambda value: -1100 < value < 1100, int)
_STATE = _one(f"one of {', '.join(STATES)}", lambda value: value in STATES, str)
_FLAG = _one("true or false", lambda value: True, bool)  # noqa: ARG005
_FORMAT = _one(f"{FORMAT}, the format that this gradjury writes", lambda value: value == FORMAT, int)

_LAW = _object(
    _law,
    state=_STATE,
    what=_TEXT,
    budgets=_or_none(_SIZE),
    ulps=_or_none(_SIZE),
    sees=_by_name(_or_none(_EXPONENT)),
)
_LAYER = _object(LayerRecord, examples=_EXAMPLES, ignored=_all(_TEXT), gaps=_all(_TEXT), laws=_by_name(_LAW))
_SETTINGS = _object(Settings, examples=_EXAMPLES, seed=_COUNT, all_laws=_FLAG, fixed=_all(_TEXT))
_FILE = _object(_file, baseline=_FORMAT, settings=_SETTINGS, versions=_by_name(_TEXT), layers=_by_name(_LAYER))
