"""What in a package looks like a layer, and of which style; told from its source alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ..adapt import BACKWARD, DERIVATIVE, FORWARD
from .classes import Class, Signature, classes, is_self, signature
from .sources import Module


class Style(StrEnum):
    """How a layer is called, by gradjury's words."""

    CLOSURE = "closure"
    PAIR = "pair"
    DERIVATIVE = "derivative"
    VALUE_AND_GRAD = "value_and_grad"
    OBJECT = "object"
    UPDATING = "updating"
    TAPE = "tape"


class Form(StrEnum):
    """What stands in the source."""

    BUILT = "built"  # a class, or a function that answers a layer: it is called with options
    CALLED = "called"  # a function that is the layer itself: it is called with arrays
    COUPLE = "couple"  # two such functions


@dataclass(frozen=True)
class Found:
    """Something that looks like a layer.

    - `signature`: of what takes the options; `inputs`: the names that the forward takes.
    - `methods`: of forward and backward, or the names of the two functions.
    - `says_style`, `says_methods`: whether gradjury has to be told these, for it sees the usual ones by itself.
    - `rate`: where an updating layer has its learning rate from, as source; `tensor`: (module, class) of a tape's.
    - `words`: all names in the source; `remark`: what else the source says.
    """

    module: str
    name: str
    style: Style
    form: Form
    signature: Signature
    inputs: tuple[str, ...]
    methods: tuple[str, str] | None = None
    says_style: bool = False
    says_methods: bool = False
    rate: str = ""
    tensor: tuple[str, str] | None = None
    words: frozenset[str] = frozenset()
    remark: str = ""


# gradjury knows the first ones by itself.
FORWARDS = (*FORWARD, "forward_prop", "fprop", "function", "loss")
BACKWARDS = (*BACKWARD, "backward_prop", "back_prop", "back_propagation")
DERIVATIVES = (*DERIVATIVE, "df")

_LEARNING_RATE = re.compile(r"^(lr|eta|alpha|learn(ing)?_?rate|rate|step_?size)$")
_LOSS = re.compile(r"(?i)loss|cost|error|entropy|mse|mae")
_GRADIENT = re.compile(r"^d_?[a-zA-Z]\w*$|grad")
_CACHE = re.compile(r"^(cache\w*|saved|ctx|context|memory|state|residuals?|intermediates?)$")
# Words in the name of a class, or of what it inherits from, that is no layer though it may have such methods.
_OTHERS = re.compile(
    r"(?i)optimi[sz]er|optim$|scheduler|sequential|model(?!ing)|network|callback|metric|dataset|loader|sampler|"
    r"initiali[sz]er|regulari[sz]er|trainer|tensor|transform$|exception|^nn$"
)
# How the name of a derivative is made of its function's, in lower case and without underscores.
_OF = (
    "{}derivative",
    "{}deriv",
    "{}der",
    "{}prime",
    "{}grad",
    "{}gradient",
    "d{}",
    "derivative{}",
    "deriv{}",
    "grad{}",
)


def find_layers(modules: Sequence[Module]) -> list[Found]:
    """Everything public that looks like a layer, in the order of the source."""
    known = classes(modules)
    tensor = _find_tensor(known)
    by_module: dict[str, list[Found]] = {m.name: _functions(m) for m in modules}
    for cls in known:
        found = None if cls.node.name.startswith("_") else _read_class(cls, tensor)
        if found is not None:
            by_module[cls.module].append(found)
    return [found for module in by_module.values() for found in module]


def _read_class(cls: Class, tensor: Class | None) -> Found | None:
    if cls is tensor or any(_OTHERS.search(name) for name in (cls.node.name, *cls.bases)):
        return None
    forward = _first(cls, FORWARDS)
    backward, derivative = _first(cls, BACKWARDS), _first(cls, DERIVATIVES)
    if forward and backward:
        return _read_object(cls, (forward, backward))
    if forward and derivative:
        same = len(cls.signature(forward).required) == len(cls.signature(derivative).required) > 0
        return _found(cls, Style.DERIVATIVE, (forward, derivative)) if same else None
    call = cls.method("__call__")
    if call is not None and _answers_closure(call):
        return _found(cls, Style.CLOSURE, ("__call__", ""))
    if call is not None and _answers_gradient(call, cls.node.name):
        return replace(_found(cls, Style.VALUE_AND_GRAD, ("__call__", "")), says_style=True)
    if tensor is not None and forward and cls.signature(forward).required and len(cls.line) > 1:
        of = tensor.module, tensor.node.name
        return replace(
            _found(cls, Style.TAPE, (forward, "backward")), tensor=of, says_methods=not cls.method("__call__")
        )
    return None


def _first(cls: Class, names: Sequence[str]) -> str | None:
    return next((name for name in names if cls.implements(name)), None)


def _read_object(cls: Class, methods: tuple[str, str]) -> Found | None:
    forward, backward = methods
    taken = cls.signature(backward)
    method = cls.method(backward)
    if method is None or (method.args.args and method.args.args[0].arg in ("ctx", "context")):
        return None  # an operation of a tape is no layer by itself
    rate = next((p for p in taken.parameters[1:] if _LEARNING_RATE.match(p.name)), None)
    if rate is not None:
        found = _found(cls, Style.UPDATING, methods, f"{backward} takes {rate.name}")
        number = isinstance(rate.default, ast.Constant) and isinstance(rate.default.value, int | float)
        return replace(found, rate=ast.unparse(rate.default) if rate.default and number else "", says_style=True)
    if len(taken.required) >= 2 and _takes_cache(cls, forward, taken.required[1]):
        return _found(cls, Style.PAIR, methods)
    changed = _updated(cls, forward, backward)
    if changed:
        found = _found(cls, Style.UPDATING, methods, f"{backward} changes {changed}")
        return replace(found, rate=_rate(cls, backward), says_style=True)
    # A second argument would be taken for a cache.
    return replace(_found(cls, Style.OBJECT, methods), says_style=len(taken.required) >= 2)


def _found(cls: Class, style: Style, methods: tuple[str, str], remark: str = "") -> Found:
    words = frozenset(word for node in cls.line for word in _words(node))
    taken, inputs = cls.signature("__init__"), tuple(cls.signature(methods[0]).names)
    seconds = DERIVATIVE if style is Style.DERIVATIVE else BACKWARD
    # gradjury takes the first that is there, be it a stub.
    seen = tuple(next((n for n in names if cls.method(n)), "") for names in (FORWARD, seconds))
    says = style not in (Style.CLOSURE, Style.VALUE_AND_GRAD) and seen != methods
    found = Found(cls.module, cls.node.name, style, Form.BUILT, taken, inputs, methods, words=words)
    return replace(found, says_methods=says, remark=remark)


def _rate(cls: Class, backward: str) -> str:
    """The path of the attribute that holds the learning rate, as source; empty where none looks like it."""
    attributes = [node for f in cls.reached(backward) for node in ast.walk(f) if isinstance(node, ast.Attribute)]
    paths = [ast.unparse(node) for node in attributes if _LEARNING_RATE.match(node.attr)]
    return next((f'"{path.removeprefix("self.")}"' for path in paths if re.fullmatch(r"self(\.\w+)+", path)), "")


def _takes_cache(cls: Class, forward: str, name: str) -> bool:
    """Whether a backward's second argument is what the forward answered beside its output."""
    method = cls.method(forward)
    return bool(_CACHE.match(name)) or (
        method is not None and name in cls.signature(forward).names and any(len(r) == 2 for r in _returned(method))
    )


def _updated(cls: Class, forward: str, backward: str) -> str:
    """The attributes that the forward reads and the backward makes anew from themselves; empty where there are none."""
    reads: set[str | None] = set()
    writes: set[str | None] = set()
    for method in cls.reached(forward):
        for node in ast.walk(method):
            if isinstance(node, ast.Attribute) and is_self(node.value):
                (reads if isinstance(node.ctx, ast.Load) else writes).add(node.attr)
    changed: list[ast.expr] = []
    for method in cls.reached(backward):
        for node in ast.walk(method):
            if isinstance(node, ast.AugAssign):
                moved = isinstance(node.op, ast.Sub) or any(_LEARNING_RATE.match(w) for w in _words(node.value))
                changed += [node.target] if moved else []
            elif isinstance(node, ast.Assign):
                changed += [target for target in node.targets if ast.unparse(target) in ast.unparse(node.value)]
    names = {_attribute(target) for target in changed if not any("grad" in word for word in _words(target))}
    return ", ".join(sorted(f"self.{name}" for name in names & (reads - writes)))


def _attribute(target: ast.expr) -> str | None:
    """The X of `self.X`, `self.X[...]` and `self.X.data`."""
    while isinstance(target, ast.Attribute | ast.Subscript):
        if isinstance(target, ast.Attribute) and is_self(target.value):
            return target.attr
        target = target.value
    return None


def _find_tensor(known: Sequence[Class]) -> Class | None:
    """The class whose objects have `backward()` and `.grad`; the one that is called so, where there are several."""
    tensors = [
        cls
        for cls in known
        if cls.method("backward") is not None
        and not cls.signature("backward").required
        and not any(cls.implements(name) for name in FORWARDS)
        and any(_attribute(t) == "grad" for node in ast.walk(cls.node) for t in _targets(node))
    ]
    return min(tensors, key=lambda cls: cls.node.name not in ("Tensor", "Variable", "Value"), default=None)


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else []


def _functions(module: Module) -> list[Found]:
    """Closures, and functions that come in twos."""
    public = {f.name: f for f in module.tree.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")}
    plain = {name.replace("_", "").lower(): name for name in public}
    found = []
    for name, function in public.items():
        couple = _couple(name, function, public, plain)
        nested = _nested(function)
        if couple is not None:
            style, other = couple
            shown = re.sub(r"_?forward$", "", name) or module.name.rpartition(".")[2]
            found.append(_function(module, function, style, Form.COUPLE, shown, (name, other)))
        elif _answers_closure(function):
            found.append(_function(module, function, Style.CLOSURE, Form.CALLED, name))
        elif _answers_gradient(function, name):
            found.append(_function(module, function, Style.VALUE_AND_GRAD, Form.CALLED, name))
        elif any(_answers_closure(f) and f.name in _answers(function) for f in nested):
            found.append(_function(module, function, Style.CLOSURE, Form.BUILT, name))
    return found


def _function(
    module: Module,
    function: ast.FunctionDef,
    style: Style,
    form: Form,
    name: str,
    methods: tuple[str, str] | None = None,
) -> Found:
    taken, words = signature(function), frozenset(_words(function))
    said = style in (Style.DERIVATIVE, Style.VALUE_AND_GRAD)
    return Found(module.name, name, style, form, taken, tuple(taken.names), methods, says_style=said, words=words)


def _couple(
    name: str, function: ast.FunctionDef, public: dict[str, ast.FunctionDef], plain: dict[str, str]
) -> tuple[Style, str] | None:
    """The style and the second function of two that belong together."""
    if "forward" in name and (other := name.replace("forward", "backward")) in public:
        return Style.PAIR, other
    own = name.replace("_", "").lower()
    if (other := plain.get(f"{own}backward", "")) and any(len(r) == 2 for r in _returned(function)):
        return Style.PAIR, other
    other = next((plain[key] for pattern in _OF if (key := pattern.format(own)) in plain), "")
    count = len(signature(function).required)
    if other and count == len(signature(public[other]).required) > 0:
        return Style.DERIVATIVE, other
    return None


def _answers_closure(function: ast.FunctionDef) -> bool:
    """Whether it answers `(y, backward)`, the second a function of its own that takes something."""
    inner = {f.name for f in _nested(function) if signature(f).parameters or f.args.vararg}
    pairs = [r for r in _returned(function) if len(r) == 2]
    return any(
        isinstance(second, ast.Lambda) or (isinstance(second, ast.Name) and second.id in inner) for _, second in pairs
    )


def _answers_gradient(function: ast.FunctionDef, name: str) -> bool:
    """Whether it is a loss by its name and answers `(loss, dx)`."""
    seconds = [r[1] for r in _returned(function) if len(r) == 2]
    return bool(_LOSS.search(name)) and any(
        isinstance(s, ast.BinOp) or (isinstance(s, ast.Name) and _GRADIENT.search(s.id)) for s in seconds
    )


def _nested(function: ast.FunctionDef) -> list[ast.FunctionDef]:
    return [node for node in function.body if isinstance(node, ast.FunctionDef)]


def _returned(function: ast.FunctionDef) -> list[list[ast.expr]]:
    """The tuples that a function itself returns, not those of the functions in it."""
    answers = [node.value for node in _own_nodes(function) if isinstance(node, ast.Return)]
    return [answer.elts for answer in answers if isinstance(answer, ast.Tuple)]


def _answers(function: ast.FunctionDef) -> list[str]:
    """The names that a function returns."""
    answers = [node.value for node in _own_nodes(function) if isinstance(node, ast.Return)]
    return [answer.id for answer in answers if isinstance(answer, ast.Name)]


def _own_nodes(function: ast.FunctionDef) -> list[ast.AST]:
    waiting: list[ast.AST] = [*function.body]
    found = []
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return found


def _words(node: ast.AST) -> list[str]:
    """All names in a piece of source: variables, attributes, parameters."""
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.append(part.id)
        elif isinstance(part, ast.Attribute):
            found.append(part.attr)
        elif isinstance(part, ast.arg):
            found.append(part.arg)
    return found
