"""Code that only checks arguments: no gradient depends on it, so no fault is planted there.

It is told by what it does, not by where it stands:
- `raise` and `assert`, and an `if` or a loop whose body does nothing else, with its condition;
- a function that may raise, answers nothing and sets nothing; and, where it stands as a statement, a call of any
  function that may raise and sets nothing, or whose body is empty;
- an argument for a parameter that its function uses in such code only, the parameter's default, and a local variable
  that is used so;
- and `__init__`, `__post_init__`, which no forward or backward calls.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .routines import Routine

Function = ast.FunctionDef | ast.AsyncFunctionDef
Resolve = Callable[[ast.Call, Routine], Routine | None]


class Checking:
    """The nodes, in some routines, that only check."""

    def __init__(self, routines: list[Routine], resolve: Resolve) -> None:
        self._resolve = resolve
        self._guards = {id(r.node) for r in routines if _may_raise(r.node) and not _answers(r.node)}
        self._nodes: set[int] = set()
        self._names: dict[int, set[str]] = {}
        functions = [r for r in routines if isinstance(r.node, Function)]
        before = -1
        while before != len(self._nodes):  # each round may show that what it computes is for checks only
            before = len(self._nodes)
            for routine in functions:
                self._mark(routine)

    def __contains__(self, node: ast.AST) -> bool:
        return id(node) in self._nodes or id(node) in self._guards

    def _mark(self, routine: Routine) -> None:
        for node in ast.walk(routine.node):
            if isinstance(node, ast.stmt) and self._only_checks(node, routine):
                self._nodes.add(id(node))
            if isinstance(node, ast.If) and self._all_check(node.body, routine):
                self._nodes.update(map(id, [node.test, *node.body]))
            if isinstance(node, ast.ExceptHandler) and self._all_check(node.body, routine):
                self._nodes.add(id(node))
            if isinstance(node, ast.Call):
                self._mark_arguments(node, routine)
        names = self._checking_names(routine)
        self._names[id(routine.node)] = names
        self._nodes.update(id(default) for name, default in _defaults(routine.node) if name in names)
        for node in ast.walk(routine.node):
            if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) and t.id in names for t in node.targets):
                self._nodes.add(id(node))

    def _mark_arguments(self, call: ast.Call, routine: Routine) -> None:
        goal = self._resolve(call, routine)
        if goal is None or not isinstance(goal.node, Function):
            return
        names = self._names.get(id(goal.node), set())
        parameters = [a.arg for a in (*goal.node.args.posonlyargs, *goal.node.args.args)]
        if parameters[:1] == ["self"]:
            parameters = parameters[1:]
        given = [*zip(parameters, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
        self._nodes.update(id(value) for name, value in given if name in names)

    def _all_check(self, body: list[ast.stmt], routine: Routine) -> bool:
        return all(self._only_checks(node, routine) for node in body)

    def _only_checks(self, node: ast.stmt, routine: Routine) -> bool:
        if isinstance(node, ast.Raise | ast.Assert):
            return True
        if isinstance(node, ast.If):
            return self._all_check(node.body, routine) and self._all_check(node.orelse, routine)
        if isinstance(node, ast.For | ast.While | ast.With):
            return self._all_check(node.body, routine)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            goal = self._resolve(node.value, routine)
            return goal is not None and (_may_raise(goal.node) or _is_empty(goal.node))
        return id(node) in self._nodes

    def _checking_names(self, routine: Routine) -> set[str]:
        """Parameters and local variables that are read, and only by code that checks."""
        read: dict[str, bool] = {}

        def visit(node: ast.AST, checks: bool) -> None:
            checks = checks or node in self
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                read[node.id] = read.get(node.id, True) and checks
            for child in ast.iter_child_nodes(node):
                visit(child, checks)

        visit(routine.node, False)
        return {name for name, checks in read.items() if checks}


def _may_raise(node: ast.AST) -> bool:
    """Whether a function has a raise of its own, and sets no attribute or element."""
    if not isinstance(node, Function):
        return False
    own = list(_own_nodes(node))
    sets = any(isinstance(n, ast.Attribute | ast.Subscript) and isinstance(n.ctx, ast.Store) for n in own)
    return not sets and any(isinstance(n, ast.Raise | ast.Assert) for n in own)


def _is_empty(node: ast.AST) -> bool:
    """Whether a function does nothing: a place for the checks of subclasses."""
    return isinstance(node, Function) and all(
        isinstance(n, ast.Pass) or (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)) for n in node.body
    )


def _answers(node: ast.AST) -> bool:
    """Whether a function answers anything."""
    own = _own_nodes(node)
    return any(isinstance(n, ast.Yield | ast.YieldFrom) or (isinstance(n, ast.Return) and n.value) for n in own)


def _defaults(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The parameters of a function that have a default, with it."""
    if isinstance(node, Function):
        positional = [*node.args.posonlyargs, *node.args.args]
        by_place = zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)
        by_name = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        yield from ((argument.arg, default) for argument, default in (*by_place, *by_name) if default is not None)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions made inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda):
            yield child
            yield from _own_nodes(child)
