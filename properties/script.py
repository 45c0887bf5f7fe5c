"""Reproduction scripts: a failing case that needs only NumPy, torch and the layer.

Exit status 1 while the bug is there, 0 once it is gone, 2 where the layer cannot be found.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from ..oracle.vjp import Case
from .adapt import Adapted, Layer
from .contract import call_arguments
from .literals import array_source

# Helpers that a script holds only where it uses them.
_START_IN_PLACE = """\
def ask_in_place(*case):
    y, later = start(*case[:{count}])
    return y, later(*case[{count}:])"""

_ASK = """\
def ask(*case):
    return ask_in_place(*(np.array(a) for a in case))"""

_PICK = """\
def pick(gradients, number, *names):
    if isinstance(gradients, dict):
        return next((gradients[name] for name in names if name in gradients), None)
    return gradients[number] if isinstance(gradients, (tuple, list)) else gradients"""

_DIFFER = """\
def differ(got, expected, allowed):
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return True
    with np.errstate(all="ignore"):
        near = np.abs(got - expected.astype(float)) <= allowed
    return not (near | (got == expected) | (got != got) & (expected != expected)).all()"""

_SAME = """\
def same(first, second):
    if isinstance(first, dict):
        return all(same(first[key], second.get(key)) for key in first)
    if isinstance(first, (tuple, list)):
        return len(first) == len(second) and all(map(same, first, second))
    return np.asarray(first).tobytes() == np.asarray(second).tobytes()"""


def script_source(adapted: Adapted, case: Case, what: str, decide: list[str], before: Case | None = None) -> str:
    """The source of the script; `what` says what is wrong, `decide` are the lines that set `wrong`.

    `before` is a case that the layer has to be asked first, where it answers wrongly only then.
    """
    layer = adapted.layer
    names = [name.replace(".", "_") for name in case.inputs]
    cotangents = [f"dy{n}" if len(case.cotangents) > 1 else "dy" for n in range(len(case.cotangents))]
    count = len(names)
    arrays = dict(zip([*names, *cotangents], [*case.inputs.values(), *case.cotangents], strict=True))
    data = [f"{name} = {array_source(a)}" for name, a in arrays.items()]
    data.append(f"inputs, cotangents = [{', '.join(names)}], [{', '.join(cotangents)}]")
    data.append("case = inputs + cotangents")
    if before is not None:
        arrays_before = ", ".join(map(array_source, [*before.inputs.values(), *before.cotangents]))
        data.append(f"before = [{arrays_before}]")
        decide = ["ask(*before)  # the layer keeps something from one call to the next", *decide]

    body = "\n".join(decide)
    start = adapted.start(tuple(case.inputs))
    returns = "return (y if isinstance(y, tuple) else (y,)), later"
    functions = [f"def make():\n    return {_construction(layer, case)}"]
    functions.append("\n".join([f"def start({', '.join(names)}):", *(f"    {line}" for line in (*start, returns))]))
    if "pick(" in functions[-1]:
        functions.append(_PICK)
    if "ask(" in body or "ask_in_place(" in body:
        functions.append(_START_IN_PLACE.format(count=count))
    if "ask(" in body:
        functions.append(_ASK)
    if "truth(" in body:
        functions.append(_truth(layer, case, names))
    functions += [helper for name, helper in (("differ(", _DIFFER), ("same(", _SAME)) if name in body]

    end = [f"layer = make()\n{body}"]
    if re.search(r"^got", body, re.MULTILINE) and "expected" in body:
        end.append('print(f"got\\n{got}\\nexpected\\n{expected}")')
    end.append('print("wrong" if wrong else "right")\nsys.exit(1 if wrong else 0)')
    rest = "\n".join(data) + "\n\n\n" + "\n\n\n".join(functions) + "\n\n\n" + "\n".join(end) + "\n"
    return f"{_docstring(what)}\n\n{_imports(layer, rest)}\n\n{rest}"


def write_script(folder: Path, name: str, source: str) -> Path:
    """Write the script whole or not at all; the same finding takes the same name again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^\w.-]+", "_", name) + ".py")
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(source)
    Path(temporary).replace(path)
    return path


def _docstring(what: str) -> str:
    text = textwrap.fill(what.replace("\\", "/").replace('"""', "'''"), 110, break_long_words=False)
    return f'"""{text}\n\nExit status 1 while the bug is there, 0 once it is gone. Written by gradjury.\n"""'


def _imports(layer: Layer, rest: str) -> str:
    lines = ["import copy"] if "copy." in rest else []
    lines += ["import sys", "", "import numpy as np"]
    if re.search(r"(?<![\w.])(nan|inf)\b", rest):
        lines.append("from numpy import inf, nan  # noqa: F401")
    if "torch." in rest:
        lines.append("import torch")
    return "\n".join([*lines, "", *_layer_import(layer.source)])


def _layer_import(source: Any) -> list[str]:
    """Lines that bind `Layer` (or the pair `forward, backward`) to the layer, by its module and name."""
    if isinstance(source, tuple):
        parts = [_layer_import_as(part, name) for part, name in zip(source, ("forward", "backward"), strict=True)]
        return list(dict.fromkeys(line for part in parts for line in part))
    return _layer_import_as(source, "Layer")


def _layer_import_as(source: Any, name: str) -> list[str]:
    qualified = getattr(source, "__qualname__", "")
    module = sys.modules.get(getattr(source, "__module__", "") or "")
    top, *rest = qualified.split(".")
    if module is None or not qualified or "<" in qualified or not hasattr(module, top):
        message = f"{qualified or source!r} cannot be imported by name: bind {name} to your layer in this script"
        return [f"{name} = None", f"if {name} is None:", f"    print({message!r})", "    sys.exit(2)"]
    lines = []
    found = module.__name__
    file = inspect.getsourcefile(source) or ""
    if found == "__main__":
        found = Path(file).stem
    folder = Path(file).resolve().parents[found.count(".") + (Path(file).name == "__init__.py")] if file else None
    if folder is not None and "site-packages" not in folder.parts and found.partition(".")[0] != "gradjury":
        lines.append(f"sys.path.insert(0, {str(folder)!r})")
    if rest:
        return [*lines, f"from {found} import {top}  # noqa: E402", f"{name} = {qualified}"]
    return [*lines, f"from {found} import {top} as {name}  # noqa: E402"]


def _construction(layer: Layer, case: Case) -> str:
    if isinstance(layer.source, tuple):
        return "forward, backward"
    return f"Layer({call_arguments(layer.arguments(case.config))})"


def _truth(layer: Layer, case: Case, names: list[str]) -> str:
    """A function that answers like `ask`, by torch in float64."""
    grads = [name.replace(".", "_") for name in case.differentiable]
    lines = ["def truth(*case):"]
    lines.append("    tensors = [torch.tensor(a, dtype=torch.float64 if a.dtype.kind == 'f' else None) for a in case]")
    lines.append(f"    {', '.join(names)}, *dy = tensors")
    lines.append(f"    wanted = [{', '.join(f'{name}.requires_grad_()' for name in grads)}]")
    lines.append(f"    y = {layer.contract.reference.code(case.config, tuple(case.inputs))}")
    lines.append("    y = y if isinstance(y, tuple) else (y,)")
    lines.append(f"    grads = torch.autograd.grad(y[:{len(case.cotangents)}], wanted, dy, materialize_grads=True)")
    keys = ", ".join(f'"{name}"' for name in case.differentiable)
    lines.append(f"    return [a.detach().numpy() for a in y], dict(zip([{keys}], [g.numpy() for g in grads]))")
    return "\n".join(lines)
