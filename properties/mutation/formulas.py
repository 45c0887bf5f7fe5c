"""Faults in the formula: signs, terms, factors, constants, comparisons, functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import cast

from .place import Operator, Place, called, changed, from_library, keyword, swapped, with_keyword

SIGNS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
FACTORS: dict[type[ast.operator], type[ast.operator]] = {ast.Mult: ast.Div, ast.Div: ast.Mult}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
PAIRS = (
    ("sum", "mean"),
    ("any", "all"),
    ("var", "std"),
    ("floor", "ceil"),
    ("max", "min"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
)
SIBLINGS = dict([*PAIRS, *(pair[::-1] for pair in PAIRS)])
ELEMENTWISE = (
    "exp",
    "abs",
    "log",
    "log1p",
    "expm1",
    "sqrt",
    "square",
    "sign",
    "tanh",
    "erf",
    "sin",
    "cos",
    "reciprocal",
)
SMALL = 1e-3


def _sign(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in SIGNS:
        yield changed(node, op=SIGNS[type(node.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield node.operand


def _negated(place: Place) -> Iterator[ast.AST]:
    """Each gradient that a backward answers."""
    node, parent = place.node, place.parent
    if not place.scope.backward or not isinstance(place.statement, ast.Return) or not isinstance(node, ast.expr):
        return
    value = place.statement.value
    if (isinstance(parent, ast.Dict) and place.field == "values" and parent is value) or (
        isinstance(parent, ast.Tuple) and parent is value
    ):
        yield ast.UnaryOp(ast.USub(), node)
    if node is value and not isinstance(node, ast.Dict | ast.Tuple | ast.Name):
        yield ast.UnaryOp(ast.USub(), node)


def _factor(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in FACTORS:
        yield changed(node, op=FACTORS[type(node.op)]())


def _dropped(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.BinOp) and isinstance(
        node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.FloorDiv | ast.Mod | ast.Pow
    ):
        yield node.left
        if isinstance(node.op, ast.Add | ast.Mult):
            yield node.right


def _exchanged(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
        yield changed(node, left=node.right, right=node.left)


def _rounded(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
        negative = ast.BinOp(ast.UnaryOp(ast.USub(), node.left), ast.FloorDiv(), node.right)
        yield ast.UnaryOp(ast.USub(), negative)


def _constant(place: Place) -> Iterator[ast.AST]:
    """Not those of axes and slices, which have faults of their own."""
    node, parent = place.node, place.parent
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool | str | bytes | complex | None):
        return
    if isinstance(parent, ast.Slice) or (isinstance(parent, ast.keyword) and parent.arg in ("axis", "ddof", "axes")):
        return
    if _is_free_length(place):
        return
    if isinstance(node.value, int):
        yield ast.Constant(node.value - 1 if node.value > 1 else node.value + 1)
    elif isinstance(node.value, float):
        yield ast.Constant(node.value * 10 if node.value else 1.0)
        if node.value:
            yield ast.Constant(node.value * 1.001)


def _is_free_length(place: Place) -> bool:
    """Whether a number is that of -1 in a reshape: NumPy takes any negative one for it."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reshape"
        and any(argument is place.parent for argument in node.args)
        for node in ast.walk(place.statement)
        if isinstance(place.parent, ast.UnaryOp)
    )


def _default(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, bool)
        and isinstance(place.parent, ast.AnnAssign | ast.arguments)
    ):
        yield ast.Constant(not node.value)


def _comparison(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield changed(node, ops=[other()])


def _logic(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if called(place.parent) == "isinstance":
        return  # list | tuple: which types are taken, not which case it is
    if isinstance(node, ast.BoolOp):
        yield changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        yield changed(node, op=ast.BitOr() if isinstance(node.op, ast.BitAnd) else ast.BitAnd())
        yield node.left
        yield node.right
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        yield node.operand


def _branch(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    if isinstance(node, ast.Call) and called(node) == "where" and len(node.args) == 3:
        yield node.args[1]
        yield node.args[2]
        yield changed(node, args=swapped(node.args, 1))


def _function(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Call) and called(node) in SIBLINGS:
        other = SIBLINGS[called(node)]
        if isinstance(node.func, ast.Attribute):
            if other in ("min", "max", "mean", "std", "argmin") and keyword(node, "initial") is not None:
                return  # the identity of another reduction: the call would not make sense
            yield changed(node, func=changed(node.func, attr=other))
        elif other in ("min", "max"):
            yield changed(node, func=ast.Name(other, ast.Load()))


def _elementwise(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Call) and called(node) in ELEMENTWISE and len(node.args) == 1 and from_library(node):
        yield node.args[0]


def _ddof(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Call) and called(node) in ("var", "std"):
        yield with_keyword(node, "ddof", ast.Constant(1) if keyword(node, "ddof") is None else None)


def _is_eps(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float) and 0 < abs(node.value) <= SMALL
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return "eps" in name.lower()


def _eps(place: Place) -> Iterator[ast.AST]:
    """√(a + eps) becomes √a + eps; b/(a + eps) becomes b/a + eps; a**-0.5 likewise."""
    node = place.node
    if isinstance(node, ast.Call) and called(node) == "sqrt" and len(node.args) == 1:
        inner = node.args[0]
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add) and _is_eps(inner.right):
            yield ast.BinOp(cast(ast.expr, changed(node, args=[inner.left])), ast.Add(), inner.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Pow):
        side = "right" if isinstance(node.op, ast.Div) else "left"
        inner = getattr(node, side)
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add) and _is_eps(inner.right):
            yield ast.BinOp(cast(ast.expr, changed(node, **{side: inner.left})), ast.Add(), inner.right)


FORMULAS = (
    Operator("sign", "a plus for a minus, a minus forgotten", _sign),
    Operator("negated gradient", "the whole gradient with the wrong sign", _negated),
    Operator("factor", "multiplied where it is divided, or the other way round", _factor),
    Operator(
        "dropped term", "a term or factor of the derivative forgotten, as by a product rule half applied", _dropped
    ),
    Operator("exchanged operands", "a - b for b - a; a product of matrices in the wrong order", _exchanged),
    Operator("rounded up", "the ceiling for the floor in an output size", _rounded),
    Operator("constant", "a number off by one, by a decimal place, or by a mistyped digit", _constant),
    Operator("default", "an option that is on by default in torch and off here, or the other way round", _default),
    Operator("comparison", "the wrong side of a kink, or a kink's own point on the wrong side", _comparison),
    Operator("logic", "and for or, a condition half forgotten, a mask inverted", _logic),
    Operator("branch", "one case of a piecewise function taken for all, or the cases exchanged", _branch),
    Operator("function", "mean for sum, min for max, std for var", _function),
    Operator("dropped function", "the exponential, root or absolute value forgotten", _elementwise),
    Operator("ddof", "the unbiased variance for the biased one, or the other way round", _ddof),
    Operator("eps", "eps outside the root or the quotient instead of inside", _eps),
)
