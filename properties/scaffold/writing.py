"""The text of a first test file."""

from __future__ import annotations

import builtins
import inspect
import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from .naming import Plan
from .reading import Form, Style

WIDTH = 88  # ruff's and black's own

# What functions in the file call things inside.
_LOCALS = ("function", "derivative", "forward", "loss", "x", "target")

_HEAD = '''"""Gradients on trial, begun by `gradjury init`.

Styles, contracts and options were guessed from the source. Check of each layer:
- to=, the contract, by torch's name, and fixed=, the options it has no choice about;
- whether it needs layout="NHWC" as its channels come last, weight="(in, out)" where
  torch has (out, in), averaged_over="batch" where torch has sums over the samples.
"""
'''

_TEST = """

@gradjury.parametrize(LAYERS)
def test_gradients(check):
    check()
"""


@dataclass(frozen=True)
class Named:
    """A plan with the names it has in the file.

    `imported` says under which name each name of its module is imported; `constant` is the layer's own, `factory` that
    of the function around it.
    """

    plan: Plan
    imported: Mapping[str, str]
    constant: str
    factory: str


def write(plans: Sequence[Plan], local: bool) -> str:
    """The file: imports, a declaration for each layer that can be declared, comments for the others, the test.

    `local`: whether the package is the user's own, whose imports stand apart from those of what is installed.
    """
    named = _name([plan for plan in plans if not plan.obstacle])
    bodies = [_declare(n) for n in named]
    others = [_comment(plan) for plan in plans if plan.obstacle]
    imports = _imports(named)
    partial = ["from functools import partial\n\n"] if any("partial(" in body for body in bodies) else []
    listed = "".join(f"    {n.constant},\n" for n in named)
    return "".join(
        [
            _HEAD,
            "\n",
            *partial,
            "import gradjury\n",
            *(["\n"] if local and imports else []),
            *imports,
            *bodies,
            *(["\n# Not on trial yet:\n", *others] if others else []),
            f"\nLAYERS = [\n{listed}]\n" if listed else "\nLAYERS = []\n",
            _TEST,
        ]
    )


def _name(plans: Sequence[Plan]) -> list[Named]:
    """Names that are all different: where two modules have the same one, with as much of theirs as that needs."""
    taken = {*dir(builtins), *keyword.kwlist, "gradjury", "partial", "LAYERS", "test_gradients"}
    taken |= {*_LOCALS, *(option.name for plan in plans for option in plan.options)}
    taken |= {plan.found.tensor[1] for plan in plans if plan.found.tensor}
    imported = []
    for plan in plans:
        parts, symbols = plan.found.module.split("."), _symbols(plan)
        tries = ({s: _alias(parts[len(parts) - used :], s) for s in symbols} for used in range(len(parts) + 1))
        names = next((names for names in tries if not taken & {*names.values()}), {s: s for s in symbols})
        taken |= {*names.values()}
        imported.append(names)
    named = []
    for plan, names in zip(plans, imported, strict=True):
        own = snake(plan.found.name if plan.found.form is Form.COUPLE else names[plan.found.name])
        constant = _free((own.upper(), f"{own.upper()}_LAYER"), taken)
        factory = _free((own, f"make_{own}"), taken)
        if plan.found.tensor is not None:
            names[plan.found.tensor[1]] = plan.found.tensor[1]
        named.append(Named(plan, names, constant, factory))
    return named


def _symbols(plan: Plan) -> tuple[str, ...]:
    """The names in its module that a layer is made of."""
    found = plan.found
    return found.methods if found.form is Form.COUPLE and found.methods else (found.name,)


def _free(names: Sequence[str], taken: set[str]) -> str:
    """The first of these names that is free, or the last with a number; it is taken then."""
    numbered = (f"{names[-1]}_{n}" for n in count(2))
    name = next(name for name in chain(names, numbered) if name not in taken)
    taken.add(name)
    return name


def snake(name: str) -> str:
    """LeakyReLU as leaky_relu, MSELoss as mse_loss."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])(?=[A-Z][a-z])|(?<=[A-Z0-9][A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _alias(words: Sequence[str], symbol: str) -> str:
    if symbol[:1].isupper():
        return "".join(word.title() for part in words for word in part.split("_")) + symbol
    return "_".join([*words, symbol])


def _imports(named: Iterable[Named]) -> list[str]:
    """One statement for each module, and one for each name that is changed, in isort's order."""
    plain: dict[str, set[str]] = {}
    changed = set()
    for n in named:
        found = n.plan.found
        for symbol, alias in n.imported.items():
            module = found.tensor[0] if found.tensor and symbol == found.tensor[1] else found.module
            if alias == symbol:
                plain.setdefault(module, set()).add(symbol)
            else:
                changed.add((module, symbol, alias))
    ordered = {module: sorted(symbols, key=_order) for module, symbols in plain.items()}
    lines = [(m, _order(s[0]), _wrapped(f"from {m} import ", s, "")) for m, s in ordered.items()]
    lines += [(m, _order(symbol), f"from {m} import {symbol} as {alias}\n") for m, symbol, alias in changed]
    return [line for *_, line in sorted(lines)]


def _order(name: str) -> tuple[int, str, str]:
    """Constants, classes, functions."""
    return 2 - name[:1].isupper() - (name.isupper() and len(name) > 1), name.lower(), name


def _wrapped(start: str, items: Sequence[str], end: str) -> str:
    """On one line where it fits, else with a line for each."""
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= WIDTH:
        return f"{line}\n"
    indent = " " * (len(line) - len(line.lstrip()))
    open_, close = ("(", ")") if start.endswith(" ") else ("", "")  # an import has no brackets of its own
    return f"{start}{open_}\n" + "".join(f"{indent}    {item},\n" for item in items) + f"{indent}{close}{end}\n"


def _declare(n: Named) -> str:
    """The function that builds the layer, where it needs one, and its declaration."""
    plan, found = n.plan, n.plan.found
    source = n.factory
    if plan.plain:
        names = [n.imported[symbol] for symbol in _symbols(plan)]
        source = names[0] if len(names) == 1 else f"({', '.join(names)})"
    arguments = [source, f'to="{plan.contract}"']
    if found.says_style or plan.swapped:
        arguments.append(f'style="{found.style}"')
    if found.says_methods and not plan.swapped:
        arguments.append(f"methods={literal(found.methods)}")
    if found.rate:
        arguments.append(f"learning_rate={found.rate}")
    if found.tensor is not None:
        arguments.append(f"tensor={found.tensor[1]}")
    if plan.no_grad:
        arguments.append(f"no_grad={literal(plan.no_grad)}")
    if plan.fixed:
        arguments.append(f"fixed={_dict(plan.fixed)}")
    body = "".join(f"    {argument},\n" for argument in arguments)
    remarks = "".join(f"# {remark}.\n" for remark in (f"{found.module}:{found.name}: {found.style}", *plan.remarks))
    factory = "" if plan.plain else f"\n{_factory(n)}\n"
    return f"{factory}\n{remarks}{n.constant} = gradjury.adapt(\n{body})\n"


def _factory(n: Named) -> str:
    """A function that takes torch's names and answers the layer, or its two functions."""
    plan, found = n.plan, n.plan.found
    options = sorted(plan.options, key=lambda o: o.default is not inspect.Parameter.empty)
    taken = [o.name if o.default is inspect.Parameter.empty else f"{o.name}={literal(o.default)}" for o in options]
    passed = [f"{o.own}={o.value}" for o in plan.options]
    passed += [f"{name}={source}" for name, source in plan.constants.items()]
    names = [n.imported[symbol] for symbol in _symbols(plan)]
    head = "\n" + _wrapped(f"def {n.factory}(", taken, "):")
    if found.form is Form.BUILT and plan.swapped and found.methods:
        built = _wrapped(f"    loss = {names[0]}(", passed, ")")
        return head + built + _swapped([_method("loss", name) for name in found.methods], [])
    if found.form is Form.BUILT:
        return head + _wrapped(f"    return {names[0]}(", passed, ")")
    if plan.swapped:
        return head + _swapped(names, passed)
    # A derivative takes the options of its function; a backward has its cache.
    locals_ = ("function", "derivative") if found.style is Style.DERIVATIVE else ("forward",)
    lines = [_wrapped(f"    {own} = partial(", [name, *passed], ")") for own, name in zip(locals_, names, strict=False)]
    answers = [*locals_, *names[len(locals_) :]] if passed else names
    return head + "".join(lines if passed else []) + f"    return {', '.join(answers)}\n"


def _swapped(functions: Sequence[str], passed: Sequence[str]) -> str:
    """Two functions that take the target last, as torch's do."""
    calls = [f"{function}({', '.join(['target', 'x', *passed])})" for function in functions]
    return "    return (\n" + "".join(f"        lambda x, target: {call},\n" for call in calls) + "    )\n"


def _method(name: str, method: str) -> str:
    return name if method == "__call__" else f"{name}.{method}"


def _comment(plan: Plan) -> str:
    to = f" {plan.contract}:" if plan.contract else ""
    return f"# - {plan.found.module}:{plan.found.name} ({plan.found.style}):{to} {plan.obstacle}.\n"


def _dict(values: Mapping[str, Any]) -> str:
    items = [f'"{name}": {literal(value)}' for name, value in values.items()]
    line = f"{{{', '.join(items)}}}"
    if len(line) + len("    fixed=,") <= WIDTH:
        return line
    return "{\n" + "".join(f"        {item},\n" for item in items) + "    }"


def literal(value: Any) -> str:
    """A value as Python, with the quotes that formatters want."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)
