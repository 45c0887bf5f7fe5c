"""The mutants of a layer: every fault that the operators can plant in what the layer runs."""

from __future__ import annotations

import ast
import marshal
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .arrays import ARRAYS
from .checking import Checking
from .formulas import FORMULAS
from .place import Operator, Place, Scope
from .routines import Routine, Routines

OPERATORS: tuple[Operator, ...] = (*FORMULAS, *ARRAYS)

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Own = Callable[[ast.Call], list[ast.expr] | None]


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, what stood there and what stands there now, and the module's code with it.

    `before` and `after` are the node that was changed; `minus` and `plus` the line it is part of. `same` says that it
    compiles to the original's code, `at_import` that the code runs when the module is imported: outside of functions,
    or in the head of one.
    """

    module: str
    path: str
    operator: str
    before: str
    after: str
    number: int
    file: str
    lines: tuple[int, int]
    minus: str
    plus: str
    same: bool
    at_import: bool
    code: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """A name that an edit elsewhere does not change; `number` counts the same change in the same function."""
        return f"{self.module}:{self.path} [{self.operator}] {self.before} -> {self.after} #{self.number}"


def mutants_of(layer: Any) -> list[Mutant]:
    """All mutants of a layer that is a class, a function, or a pair of functions; no two with the same code."""
    return mutants_in(Routines.of(layer))


def mutants_in(routines: Routines) -> list[Mutant]:
    """All mutants of these routines; no two with the same code."""
    checking = Checking(routines.found, routines.function_of)
    found: list[Mutant] = []
    seen: dict[str, set[Any]] = {}
    counts: dict[str, int] = {}
    for routine in routines.found:
        source = routine.source
        original = _fingerprint(_compiled(source.tree, source.file))
        known = seen.setdefault(source.module, set())
        for place in _places(routine, routines, checking):
            for operator in OPERATORS:
                for node in operator.change(place):
                    try:
                        mutant = _mutant(routine, place, operator, node, original)
                    except SyntaxError:
                        continue  # it is no Python any more
                    fingerprint = _fingerprint(marshal.loads(mutant.code))
                    if fingerprint in known:
                        continue
                    known.add(fingerprint)
                    counts[mutant.id] = counts.get(mutant.id, 0) + 1
                    found.append(_numbered(mutant, counts[mutant.id]))
    return found


def _numbered(mutant: Mutant, number: int) -> Mutant:
    return Mutant(**(vars(mutant) | {"number": number}))


def _mutant(routine: Routine, place: Place, operator: Operator, node: ast.AST, original: Any) -> Mutant:
    """Plant a fault, compile, and take it out again."""
    source, old = routine.source, place.node
    statement = ast.unparse(place.statement)
    for new in ast.walk(node):
        if not hasattr(new, "lineno"):
            ast.copy_location(new, old)
    place.put(node)
    try:
        # A statement that was replaced as a whole is no longer what the place says it is.
        now = ast.unparse(node if old is place.statement else place.statement)
        code = _compiled(source.tree, source.file)
    finally:
        place.put(old)
    minus, plus = _line_that_differs(statement, now)
    return Mutant(
        module=source.module,
        path=place.scope.path,
        operator=operator.name,
        before=_snippet(old),
        after=_snippet(node),
        number=0,
        file=source.file,
        lines=(old.lineno, old.end_lineno or old.lineno),  # type: ignore[attr-defined]
        minus=minus,
        plus=plus,
        same=_fingerprint(code) == original,
        at_import=routine.function is None or isinstance(place.statement, Function),
        code=marshal.dumps(code),
    )


def _snippet(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).partition("\n")[0]


def _line_that_differs(before: str, after: str) -> tuple[str, str]:
    pairs = list(zip(before.splitlines(), after.splitlines(), strict=False))
    first, second = next(((a, b) for a, b in pairs if a != b), pairs[0])
    return first.strip(), second.strip()


def _compiled(tree: ast.Module, file: str) -> types.CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a number that is called or indexed: the fault is meant
        return compile(tree, file, "exec", dont_inherit=True)


def _fingerprint(code: Any) -> Any:
    """What code does, without where it stands in the file."""
    if not isinstance(code, types.CodeType):
        return repr(code)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_argcount, code.co_flags)
    return (code.co_code, names, tuple(map(_fingerprint, code.co_consts)))


def _places(routine: Routine, routines: Routines, checking: Checking) -> Iterator[Place]:
    def own(call: ast.Call) -> list[ast.expr] | None:
        if routines.function_of(call, routine) is None:
            return None
        return [argument for argument in call.args if argument not in checking]

    node = routine.node
    if node in checking:
        return
    statement = node if isinstance(node, ast.stmt) else ast.Expr(node)
    if isinstance(node, ast.ClassDef):
        scope = Scope(routine.path, own)
        for held in node.body:
            if isinstance(held, ast.AnnAssign | ast.Assign) and isinstance(held.value, ast.Constant):
                yield Place(held.value, held, "value", None, held, scope)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        yield from _below(node, statement, Scope(routine.path, own), checking)
    else:
        yield from _below(node, statement, _scope(node, routine.path, own, routine, None, checking), checking)


def _below(node: ast.AST, statement: ast.stmt, scope: Scope, checking: Checking) -> Iterator[Place]:
    """The places under a node, leaving out docstrings, annotations, messages, and what only checks."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if not isinstance(child, ast.AST) or child in checking or isinstance(child, ast.JoinedStr):
                continue
            inside = child if isinstance(child, ast.stmt) else statement
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if not isinstance(child, ast.expr_context | ast.operator | ast.arguments | Function):
                yield Place(child, node, name, index, inside, scope)
            below = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                below = _scope(child, f"{scope.path}.{child.name}", scope.own, None, node, checking)
            yield from _below(child, inside, below, checking)


def _scope(
    node: ast.AST, path: str, own: Own, routine: Routine | None, forward: ast.AST | None, checking: Checking
) -> Scope:
    """What the operators need to know of a function; one made inside another, or named so, is a backward."""
    name = getattr(node, "name", "")
    backward = forward is not None or "backward" in name or "grad" in name
    if not backward or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return Scope(path, own)
    parameters = [a.arg for a in node.args.args if a.arg != "self"]
    known = _assigned(forward if forward is not None else node)
    attributes: list[str] = []
    if routine is not None and routine.owner is not None:
        attributes = [n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "self"]
    operands = [n for n in known if _is_operand(n, node, checking)]
    return Scope(
        path,
        own,
        backward=True,
        cached=tuple(operands),
        attributes=tuple(dict.fromkeys(attributes)),
        cotangents=frozenset(parameters if forward is not None else parameters[:1]),
    )


def _assigned(node: ast.AST) -> list[str]:
    """The names that a function takes or assigns, in order, those of functions made inside it left out."""
    names: list[str] = []

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.arg):
                names.append(child.arg)
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names.append(child.id)
            if not isinstance(child, Function | ast.comprehension | ast.GeneratorExp | ast.ListComp):
                visit(child)

    visit(node)
    return [n for n in dict.fromkeys(names) if n not in ("self", "_")]


def _is_operand(name: str, function: ast.AST, checking: Checking) -> bool:
    """Whether a function computes with a variable."""
    for node in ast.walk(function):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Name) and child.id == name and isinstance(child.ctx, ast.Load):
                if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare):
                    return True
                if isinstance(node, ast.Attribute) and node.attr in ("T", "sum", "reshape", "dot", "shape"):
                    return True
                if isinstance(node, ast.Call) and child in node.args and child not in checking:
                    return True
    return False
