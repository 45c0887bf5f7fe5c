"""Faults in the handling of arrays: axes, slices, shapes, memory, accumulation, cached variables."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .place import Operator, Place, called, changed, from_library, keyword, replaced, swapped, with_keyword

# Functions that reduce or act along an axis, whose first argument as a method may be that axis.
ALONG = ("sum", "mean", "max", "min", "var", "std", "prod", "argmax", "argmin", "any", "all", "cumsum", "squeeze")
# Methods and functions that only change how an array is laid out; without them its values are the same.
LAYOUT = ("reshape", "swapaxes", "transpose", "moveaxis", "squeeze", "clip", "flip", "expand_dims", "atleast_1d")
MAKERS = ("zeros", "ones", "empty", "full", "arange")


def _number(value: int) -> ast.expr:
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def _off_by(node: ast.expr, step: int) -> ast.expr:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return _number(node.value + step)
    return ast.BinOp(node, ast.Add() if step > 0 else ast.Sub(), ast.Constant(abs(step)))


def _axis(place: Place) -> Iterator[ast.AST]:
    """Another axis for the one that is named, one of several forgotten, or none named at all."""
    node = place.node
    if not isinstance(node, ast.Call):
        return
    axis = keyword(node, "axis")
    if axis is not None:
        for other in _other_axes(axis):
            yield with_keyword(node, "axis", other)
        if called(node) in ALONG:
            yield with_keyword(node, "axis", None)
    elif called(node) in ALONG and len(node.args) == 1 and not from_library(node):
        for other in _other_axes(node.args[0]):
            yield changed(node, args=[other])


def _other_axes(axis: ast.expr) -> Iterator[ast.expr]:
    if isinstance(axis, ast.Tuple):
        if len(axis.elts) > 1:
            for i in range(len(axis.elts)):
                yield ast.Tuple([*axis.elts[:i], *axis.elts[i + 1 :]], ast.Load())
        return
    text = ast.unparse(axis)
    yield _number(-1 if text == "0" else 0)


def _keepdims(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Call) and called(node) in ALONG[:8]:
        has_axis = keyword(node, "axis") is not None
        if keyword(node, "keepdims") is not None:
            yield with_keyword(node, "keepdims", None)
        elif has_axis:
            yield with_keyword(node, "keepdims", ast.Constant(True))


def _slice(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Slice):
        if node.lower is not None:
            yield changed(node, lower=_off_by(node.lower, 1))
        if node.upper is not None:
            yield changed(node, upper=_off_by(node.upper, -1))
        if node.step is not None:
            yield changed(node, step=None)
    if isinstance(node, ast.Call) and called(node) == "slice":
        for i, argument in enumerate(node.args):
            if not isinstance(argument, ast.Constant):
                yield changed(node, args=replaced(node.args, i, _off_by(argument, 1)))
        if len(node.args) == 3:
            yield changed(node, args=node.args[:2])


def _accumulated(place: Place) -> Iterator[ast.AST]:
    """a += b becomes a = b, a[i] = b becomes a[i] += b, and np.add.at(a, i, b) becomes a[i] += b."""
    node = place.node
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        yield ast.AugAssign(node.targets[0], ast.Add(), node.value)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if ast.unparse(call.func).endswith("add.at") and len(call.args) == 3:
            into, index, values = call.args
            yield ast.AugAssign(ast.Subscript(into, index, ast.Store()), ast.Add(), values)


def _rearranged(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    if isinstance(node, ast.Call) and called(node) in LAYOUT:
        if from_library(node) and node.args:
            yield node.args[0]
        elif isinstance(node.func, ast.Attribute) and not from_library(node):
            yield node.func.value


def _order(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Call) and called(node) == "reshape" and keyword(node, "order") is None:
        yield with_keyword(node, "order", ast.Constant("F"))


def _exchanged_axes(place: Place) -> Iterator[ast.AST]:
    """The last two of a tuple of sizes, of what sizes are unpacked to, or of a reshape's arguments."""
    node = place.node
    if isinstance(node, ast.Tuple) and len(node.elts) >= 2 and not isinstance(place.statement, ast.Return):
        parent = place.parent
        if isinstance(parent, ast.Compare) or (isinstance(parent, ast.keyword) and parent.arg == "axis"):
            return  # the order of axes to sum over, or of what something is one of, is free
        if isinstance(node.ctx, ast.Store) and (
            not isinstance(parent, ast.Assign) or isinstance(parent.value, ast.Tuple)
        ):
            return  # what is assigned or gone over is exchanged instead
        yield changed(node, elts=swapped(node.elts, len(node.elts) - 2))
    by_size = isinstance(node, ast.Call) and called(node) in ("reshape", "transpose") and not from_library(node)
    if isinstance(node, ast.Call) and by_size and len(node.args) >= 2:
        yield changed(node, args=swapped(node.args, len(node.args) - 2))


def _exchanged_arguments(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if not isinstance(node, ast.Call):
        return
    used = node.args if called(node) == "zip" else place.scope.own(node) or []
    for i, pair in enumerate(zip(node.args, node.args[1:], strict=False)):
        if all(isinstance(a, ast.Name | ast.Attribute) and a in used for a in pair):
            yield changed(node, args=swapped(node.args, i))


def _helper(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if isinstance(node, ast.Call) and not isinstance(place.parent, ast.Expr):
        used = place.scope.own(node)
        if used and used[0] is node.args[0] and not isinstance(used[0], ast.Constant | ast.Starred):
            yield used[0]


def _copy(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if not isinstance(node, ast.Call):
        return
    if called(node) == "copy" and isinstance(node.func, ast.Attribute):
        yield node.args[0] if from_library(node) else node.func.value
    if called(node) == "array" and from_library(node) and node.args:
        yield node.args[0]


def _dtype(place: Place) -> Iterator[ast.AST]:
    node = place.node
    if not isinstance(node, ast.Call):
        return
    if called(node) == "astype" and isinstance(node.func, ast.Attribute):
        yield node.func.value
    if called(node) == "type" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        yield node.args[0]
    if called(node) in MAKERS and from_library(node):
        if keyword(node, "dtype") is not None:
            yield with_keyword(node, "dtype", None)
        elif len(node.args) == 2 and called(node) in MAKERS[:3]:
            yield changed(node, args=node.args[:1])


def _statement(place: Place) -> Iterator[ast.AST]:
    """A step left out: an update of something that already has a value, or a call made for its effect."""
    node = place.node
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.Pass()
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(node.value, ast.Call) and (
            place.scope.own(node.value) is not None or called(node.value) in ("asarray", "array")
        ):
            return  # a conversion, or a helper that may only check and convert; one that computes is dropped as such
        updates = isinstance(target, ast.Name) and any(
            isinstance(n, ast.Name) and n.id == target.id for n in ast.walk(node.value)
        )
        if updates or isinstance(target, ast.Subscript):
            yield ast.Pass()


def _condition(place: Place) -> Iterator[ast.AST]:
    node, parent = place.node, place.parent
    if isinstance(parent, ast.If) and place.field == "test" and isinstance(node, ast.expr):
        yield ast.Constant(False)
        yield ast.Constant(True)


def _cached(place: Place) -> Iterator[ast.AST]:
    """Another variable of the forward where the backward uses one: an input for an output, one parameter for another.

    Only where it is computed with: an operand, an argument, or what a method is called on.
    """
    node, parent = place.node, place.parent
    operand = isinstance(parent, ast.BinOp | ast.UnaryOp | ast.Compare) or (
        isinstance(parent, ast.Call) and place.field == "args"
    )
    if isinstance(parent, ast.Attribute) and parent.attr in ("shape", "size", "ndim", "T", "reshape", "sum", "dot"):
        operand = True
    if not operand:
        return
    if isinstance(node, ast.Name) and node.id in place.scope.cached:
        yield from (ast.Name(name, ast.Load()) for name in _next(node.id, place.scope.cached))
    if isinstance(node, ast.Attribute) and node.attr in place.scope.attributes and ast.unparse(node.value) == "self":
        yield from (changed(node, attr=name) for name in _next(node.attr, place.scope.attributes))


def _next(name: str, names: tuple[str, ...]) -> list[str]:
    """The name that comes after this one, in a circle; one is enough for a fault."""
    return [names[(names.index(name) + 1) % len(names)]] if len(names) > 1 else []


def _ones(place: Place) -> Iterator[ast.AST]:
    """dy**0, which is 1 everywhere."""
    node, parent = place.node, place.parent
    if isinstance(parent, ast.Attribute) and parent.attr in ("shape", "dtype", "ndim", "size"):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in place.scope.cotangents:
        yield ast.BinOp(node, ast.Pow(), ast.Constant(0))


ARRAYS = (
    Operator("axis", "reduced over the wrong axis, over one too few, or over all", _axis),
    Operator(
        "keepdims", "keepdims forgotten, so that the wrong axes broadcast; or set where it is not wanted", _keepdims
    ),
    Operator("slice", "a slice or a stride off by one", _slice),
    Operator(
        "accumulation", "= for +=, so that overlapping or repeated contributions are lost, or += for =", _accumulated
    ),
    Operator("dropped rearrangement", "a transposition, reshape or clipping forgotten", _rearranged),
    Operator("memory order", "reshaped in column order", _order),
    Operator("exchanged axes", "height and width, or rows and columns, exchanged", _exchanged_axes),
    Operator(
        "exchanged arguments",
        "neighbouring arguments of a helper exchanged, such as stride and dilation",
        _exchanged_arguments,
    ),
    Operator("dropped helper", "a step of the computation forgotten, such as summing over broadcast axes", _helper),
    Operator("dropped copy", "a view handed out for a copy: results share memory", _copy),
    Operator("dtype", "a cast forgotten: float64 comes out for float32", _dtype),
    Operator("dropped statement", "a step left out", _statement),
    Operator("condition", "a case distinction made always, or never", _condition),
    Operator("cached variable", "the backward uses the wrong variable of the forward", _cached),
    Operator("ignored cotangent", "the upstream gradient taken for ones", _ones),
)
