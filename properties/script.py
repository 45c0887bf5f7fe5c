"""Reproduction scripts: a failing case that needs only NumPy, torch and the layer.

Exit status 1 while the bug is there, 0 once it is gone, 2 where the layer cannot be found.

A law says what decides in a few lines that set `wrong`, in these words: `layer`, `Layer(...)`, the arrays by name
and all of them in `case`, `ask(layer, *case)` (outputs, gradients by name, on copies), `ask_in_place` (on the arrays
themselves),
`start` (outputs, and a function of the cotangents), `bits(answer)`; `inputs` and `cotangents` are the parts of `case`.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..oracle.vjp import Array, Case
from .contract import Contract
from .literals import array_source, script_name
from .styles.base import Adapted
from .twins import call_arguments

if TYPE_CHECKING:
    from .adapt import Layer

DECIDE = [
    'print(f"got\\n{got}\\nexpected\\n{expected}")',
    "wrong = got.shape != expected.shape or not all(",
    "    a == np.inf or abs(g - e) <= a or g == e or (g != g and e != e)",
    "    for g, e, a in zip(got.flat, expected.flat, allowed.flat)",
    ")",
]
BITS = "def bits(answer):\n    return [np.asarray(a).tobytes() for a in (*answer[0], *answer[1].values())]"


def decide(allowed: Array) -> list[str]:
    """Lines that compare `got` with `expected`, element by element; an infinite allowance excuses anything."""
    return [f"allowed = {array_source(allowed)}", *DECIDE]


# Only NaN, infinities and integers count: other numbers are all made the same.
SPECIAL = [
    'got, expected = (np.where(np.isfinite(a) & (a.dtype.kind == "f"), 0, a) for a in (got, expected))',
    "allowed = np.zeros(got.shape)",
]


def against_torch(contract: Contract, case: Case, place: str, allowed: Array | None) -> list[str]:
    """Lines that compare one place of the layer's answer, `[0][number]` or `[1]["name"]`, with torch's in float64.

    Without allowed errors only the NaN and the infinities are compared.
    """
    judged = [*SPECIAL, *DECIDE] if allowed is None else decide(allowed)
    names = _safe(case.inputs)
    tensors = [
        f"{n} = {_tensor(n, a, n in _safe(case.differentiable))}"
        for n, a in zip(names, case.inputs.values(), strict=True)
    ]
    source = contract.reference.source.rstrip()
    lines = [f"got = np.asarray(ask(layer, *case){place})", *tensors, *([source] if source else [])]
    lines.append(f"y = {contract.reference.code(case.config, tuple(case.inputs))}")
    if place.startswith("[0]"):
        number = place.removeprefix("[0]")
        output = (
            f"(y if isinstance(y, tuple) else (y,)){number}"
            if number != "[0]"
            else "(y[0] if isinstance(y, tuple) else y)"
        )
        return [*lines, f"expected = {output}.detach().numpy()", *judged]
    several = len(case.cotangents) > 1
    cotangents = ", ".join(_tensor(n, dy, False) for n, dy in zip(_cotangents(case), case.cotangents, strict=True))
    outputs = "y" if several else "y[0] if isinstance(y, tuple) else y"
    name = _safe([place.split('"')[1]])[0]
    grad = f"torch.autograd.grad({outputs}, {name}, [{cotangents}], materialize_grads=True)"
    return [*lines, f"expected = {grad}[0].numpy()", *judged]


def script_source(adapted: Adapted, case: Case, what: str, body: list[str], before: Case | None = None) -> str:
    """The source of the script; `what` says what is wrong, `body` are the lines that set `wrong`.

    `before` is a case that the layer has to be asked first, where it answers wrongly only then.
    """
    layer = adapted.layer
    names, cotangents = _safe(case.inputs), _cotangents(case)
    arrays = zip([*names, *cotangents], [*case.inputs.values(), *case.cotangents], strict=True)
    data = [f"{name} = {array_source(a)}" for name, a in arrays]
    data.append(f"case = [{', '.join([*names, *cotangents])}]")
    builds = any(line.strip().startswith("layer = ") for line in body)
    start = [] if builds else [f"layer = {construction(layer, case)}"]
    if before is not None:
        data.append(f"before = [{', '.join(map(array_source, [*before.inputs.values(), *before.cotangents]))}]")
        start.append("ask(layer, *before)  # the layer keeps something from one call to the next")
    text = "\n".join([*start, *body])
    if re.search(r"\b(inputs|cotangents)\b", text):
        data.append(f"inputs, cotangents = case[:{len(names)}], case[{len(names)}:]")
    functions = _functions(adapted, case, text)
    end = 'print("wrong" if wrong else "right")\nsys.exit(1 if wrong else 0)\n'
    rest = "\n\n\n".join(["\n".join(data), *functions, f"{text}\n{end}"])
    return f"{_docstring(what)}\n\n{_imports(layer, rest)}\n\n{rest}"


def construction(layer: Layer, case: Case) -> str:
    """Source of the layer in the configuration of the case."""
    if isinstance(layer.source, tuple):
        return "forward, backward"
    return f"Layer({call_arguments(layer.arguments(case.config))})"


def write_script(folder: Path, name: str, source: str) -> Path:
    """Write the script whole or not at all; the same finding takes the same name again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^\w.-]+", "_", name) + ".py")
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(source)
    Path(temporary).replace(path)
    return path


def _functions(adapted: Adapted, case: Case, text: str) -> list[str]:
    """The helpers that the text uses."""
    names, cotangents = _safe(case.inputs), _cotangents(case)
    forward, backward, gradients = adapted.spell(tuple(case.inputs), cotangents)
    only = re.search(r'\bask\(layer, \*case\)\[(?:0\]|1\]\["(.+?)"\])', text) if text.count("ask(") == 1 else None
    if only:  # what is not looked at is not read, for that may fail for a reason of its own
        gradients = {name: place for name, place in gradients.items() if name == only[1]}
    inner = ", ".join(f'"{name}": {place}' for name, place in gradients.items())
    outputs = "y if isinstance(y, tuple) else (y,)"
    functions = []
    if "start(" in text:
        head = f"def start({', '.join(['layer', *names])}):"
        later = [f"def later({', '.join(cotangents)}):", f"    g = {backward}", f"    return {{{inner}}}"]
        functions.append(_function(head, [*forward, "", *later, "", f"return {outputs}, later"]))
    asked, in_place = re.search(r"\bask\(", text), "ask_in_place(" in text
    everything = ", ".join([*names, *cotangents])
    lines = [*forward, *([f"g = {backward}"] if gradients or not only else []), f"return ({outputs}), {{{inner}}}"]
    # Where axes stand in another order, what is done to an array must be done to the argument.
    on_views = [line.replace("np.ascontiguousarray(", "np.asarray(") for line in lines]
    if in_place:
        functions.append(_function(f"def ask_in_place(layer, {everything}):", on_views))
    if asked and in_place and on_views == lines:
        functions.append("def ask(layer, *case):\n    return ask_in_place(layer, *(a.copy() for a in case))")
    elif asked:
        copies = [f"{everything}, = (a.copy() for a in ({everything},))"] if in_place or text.count("ask(") > 1 else []
        functions.append(_function(f"def ask(layer, {everything}):", [*copies, *lines]))
    if "bits(" in text:
        functions.append(BITS)
    return functions


def _function(head: str, lines: list[str]) -> str:
    return "\n".join([head, *(f"    {line}" if line else "" for line in lines)])


def _tensor(name: str, a: Array, grad: bool) -> str:
    if a.dtype.kind != "f":
        return f"torch.tensor({name})"
    return f"torch.tensor({name}, dtype=torch.float64{', requires_grad=True' if grad else ''})"


def _safe(names: Iterable[str]) -> list[str]:
    return [script_name(name) for name in names]


def _cotangents(case: Case) -> list[str]:
    return [f"dy{n}" if len(case.cotangents) > 1 else "dy" for n in range(len(case.cotangents))]


def _docstring(what: str) -> str:
    text = textwrap.fill(what.replace("\\", "/").replace('"""', "'''"), 115, break_long_words=False)
    return f'"""{text}\n\nExit status 1 while the bug is there, 0 once it is gone. Written by gradjury.\n"""'


def _imports(layer: Layer, rest: str) -> str:
    lines = ["import sys", "", "import numpy as np"]
    if re.search(r"(?<![\w.])(nan|inf)\b", rest):
        lines.append("from numpy import inf, nan")
    if "torch." in rest:
        lines.append("import torch")
    tensor = [] if layer.tensor is None else _import_as(layer.tensor, "Tensor")
    return "\n".join([*lines, "", *_layer_import(layer.source), *tensor])


def _layer_import(source: Any) -> list[str]:
    """Lines that bind `Layer` (or the pair `forward, backward`) to the layer, by its module and name."""
    if isinstance(source, tuple):
        parts = [_import_as(part, name) for part, name in zip(source, ("forward", "backward"), strict=True)]
        return list(dict.fromkeys(line for part in parts for line in part))
    return _import_as(source, "Layer")


def _import_as(source: Any, name: str) -> list[str]:
    qualified = getattr(source, "__qualname__", "")
    module = sys.modules.get(getattr(source, "__module__", "") or "")
    top, *rest = qualified.split(".")
    if module is None or not qualified or "<" in qualified or not hasattr(module, top):
        message = f"{qualified or source!r} cannot be imported by name: bind {name} to your layer in this script"
        return [f"{name} = None", f"if {name} is None:", f"    print({message!r})", "    sys.exit(2)"]
    lines = []
    found = module.__name__
    file = Path(inspect.getsourcefile(source) or "")
    if found == "__main__":
        found = file.stem
    folder = file.resolve().parents[found.count(".") + (file.name == "__init__.py")]
    if "site-packages" not in folder.parts and found.partition(".")[0] != "gradjury":
        lines.append(f"sys.path.insert(0, {str(folder)!r})")
    if rest:
        return [*lines, f"from {found} import {top}", f"{name} = {qualified}"]
    return [*lines, f"from {found} import {top} as {name}"]
