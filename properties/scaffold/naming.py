"""Which contract a layer seems to answer to, and how its options are torch's under other names."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..contract import Contract
from . import synonyms
from .classes import Parameter
from .reading import Form, Found, Style

_NONE = inspect.Parameter.empty
_BIAS = re.compile(r"^d?b(_?[a-z0-9])?$|bias|beta|intercept")
_TARGET = re.compile(r"true|target|label|^y$|^t$")
_SETTINGS = re.compile(r"(param|params|parameters|config|options)$")


@dataclass(frozen=True)
class Option:
    """An option of torch's that the layer takes.

    `own` is the layer's name for it, `value` the source of what it is given; `default` is torch's, inspect's empty
    where there is none.
    """

    name: str
    own: str
    default: Any
    value: str


@dataclass(frozen=True)
class Plan:
    """How a layer is to be declared.

    `constants` are arguments that are always passed, as source; `plain` says that the layer can be given as it is,
    without a function around it; `swapped` that it is a loss that takes the target first; `no_grad` are inputs that its
    derivative leaves out; `obstacle` is why it cannot be declared yet, empty where it can.
    """

    found: Found
    contract: str | None
    options: tuple[Option, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    plain: bool = True
    swapped: bool = False
    no_grad: tuple[str, ...] = ()
    obstacle: str = ""
    remarks: tuple[str, ...] = ()


def plan(found: Found, contracts: Mapping[str, Contract]) -> Plan:
    """The contract by name, then its options by name; what is doubtful is remarked upon."""
    name = guess_contract(found.name, found.style, contracts)
    if name is None:
        return Plan(found, None, obstacle="no contract: write your own")
    contract = contracts[name]
    taken = {p.name: p for p in found.signature.parameters}
    options: list[Option] = []
    constants: dict[str, str] = {}
    fixed: dict[str, Any] = {}
    remarks = [found.remark, synonyms.REMARKS.get(name, "")]
    for option in _match(found, contract):
        own = _literal(taken[option.own])
        if option.name == "padding" and isinstance(own, str):  # "valid": it takes words, torch's numbers
            constants |= {} if own == "valid" else {option.own: '"valid"'}
        elif (name, option.name) in synonyms.FIXED and isinstance(own, int):
            options.append(replace(option, default=own))
            fixed[option.name] = own
        elif option.default is None and own not in (None, _NONE):
            if option.name == "stride":  # of a pool: torch's None is the size of the window
                options.append(replace(option, value="kernel_size if stride is None else stride"))
            # Of others: what torch means by None, the layer means by its own default.
        else:
            options.append(option)
            if own is not _NONE and not _same(own, option.default):
                remarks.append(f"its own default of {option.own} is {own!r}")
    given = {option.name for option in options}
    for option_name, default in contract.reference.defaults.items():
        if option_name not in given and default is not _NONE:
            fixed[option_name] = synonyms.FIXED.get((name, option_name), default)
    if fixed.get("bias") is True and not any(_BIAS.search(word) for word in found.words):
        fixed["bias"] = False
    loss = found.style in (Style.DERIVATIVE, Style.VALUE_AND_GRAD) and "target" in contract.reference.inputs
    swapped = (
        loss and found.style is Style.DERIVATIVE and len(found.inputs) == 2 and bool(_TARGET.search(found.inputs[0]))
    )
    if not loss and found.inputs and _TARGET.search(found.inputs[0]):
        remarks.append(f"it takes ({', '.join(found.inputs)}), torch's takes the target last")
    return Plan(
        found,
        name,
        tuple(options),
        constants,
        fixed,
        _is_plain(found, options, contract) and not constants and not swapped,
        swapped,
        ("target",) if loss else (),
        _obstacle(found, name, [option.own for option in options]),
        tuple(filter(None, remarks)),
    )


def guess_contract(name: str, style: Style, contracts: Mapping[str, Contract]) -> str | None:
    """The contract that a name seems to mean, None where none does."""
    known = {contract.lower(): contract for contract in contracts}
    known |= {contract.lower().removesuffix("loss"): contract for contract in contracts if contract.endswith("Loss")}
    plain = {other: own for own, others in synonyms.LAYERS.items() for other in others}
    for candidate in _spellings(name.lower().replace("_", "")):
        dimension = re.search(r"([123])d", candidate)
        base = re.sub(r"[123]d", "", candidate)
        base = plain.get(base, base)
        named = f"{base}{dimension[1]}d" if dimension else f"{base}{synonyms.DIMENSIONS.get(base, 0)}d"
        guess = next((known[key] for key in (candidate, named, base) if key in known), None)
        if guess is not None:
            # Among functions with a derivative, the linear one is the activation that changes nothing.
            return "Identity" if guess == "Linear" and style is Style.DERIVATIVE else guess
    return None


def _spellings(name: str) -> list[str]:
    """The name, and what is left of it without words around it."""
    found = [name]
    for spelling in found:
        shorter = [spelling.removesuffix(suffix) for suffix in synonyms.SUFFIXES]
        shorter += [spelling.removeprefix(prefix) for prefix in synonyms.PREFIXES]
        found += [s for s in shorter if s and s not in found]  # the loop goes on over these
    return found


def _match(found: Found, contract: Contract) -> list[Option]:
    """The options of the contract that the layer takes, each under one name."""
    free = {p.name.lower().replace("_", ""): p.name for p in _options_of(found, contract)}
    matched: list[Option] = []
    for exact in (True, False):
        for name, default in contract.reference.defaults.items():
            plain = name.replace("_", "")
            names = [plain] if exact else synonyms.OPTIONS.get(name, ())
            own = next((spelling for spelling in names if spelling in free), None)
            if own is not None and name not in {option.name for option in matched}:
                matched.append(Option(name, free.pop(own), default, value=name))
    order = list(contract.reference.defaults)
    return sorted(matched, key=lambda option: order.index(option.name))


def _options_of(found: Found, contract: Contract) -> list[Parameter]:
    """Those parameters that are options: all of a constructor's, and of a function's those that hold no arrays."""
    if found.form is Form.BUILT:
        return list(found.signature.parameters)
    return [p for p in found.signature.parameters if not _is_array(p.name, contract)]


def _is_array(name: str, contract: Contract) -> bool:
    return len(name) == 1 or name in {*contract.reference.inputs, "weight", "weights", "bias", "gamma", "beta"}


def _is_plain(found: Found, options: list[Option], contract: Contract) -> bool:
    """Whether the layer takes torch's own names, with torch's defaults, and would not mistake one for another."""
    taken = {p.name: p for p in found.signature.parameters}
    same = all(o.name == o.own == o.value and _same(_literal(taken[o.own]), o.default) for o in options)
    others = set(contract.options) - {option.name for option in options}
    mistaken = others & taken.keys() or (others and found.signature.open)
    return same and not mistaken and found.form is not Form.CALLED


def _obstacle(found: Found, contract: str, used: list[str]) -> str:
    """Why the layer cannot be declared without its author."""
    noise = synonyms.NOISE.get(contract)
    if noise and noise not in found.inputs:
        return f"it draws its own noise: {contract}'s is an input, {noise}"
    if found.form is Form.BUILT:
        open_ = [name for name in found.signature.required if name not in used]
    else:
        open_ = [name for name in found.signature.required if _SETTINGS.search(name)]
    return f"say what {', '.join(open_)} should be" if open_ else ""


def _literal(parameter: Parameter) -> Any:
    """The default of a parameter; inspect's empty where there is none, and where it is no literal."""
    try:
        return ast.literal_eval(parameter.default) if parameter.default is not None else _NONE
    except (ValueError, TypeError):
        return _NONE


def _same(own: Any, default: Any) -> bool:
    """Whether two defaults are one; a parameter without one takes torch's."""
    if default is _NONE:
        return True
    if isinstance(own, tuple) and not isinstance(default, tuple):  # (1, 1) for 1
        return all(_same(part, default) for part in own)
    return type(own) in (type(default), int) and own == default
