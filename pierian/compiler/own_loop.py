"""Primitives with a loop of their own: running sums, joins, scatters, argmax.

May import: nest, element, affine, fuse, base, core. To add one: an emitter and a row in `OWN`.
Each computes all of its output in one work unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pierian.compiler import element as el
from pierian.compiler.affine import Affine, Var
from pierian.compiler.control import number
from pierian.compiler.element import I32
from pierian.compiler.fuse import Kernel, broadcast_indices, offset
from pierian.compiler.llvm import ir
from pierian.compiler.nest import (
    Order,
    Reader,
    Scope,
    cell,
    combine_into,
    nested,
    orders,
)
from pierian.core.graph import Equation, Symbol


def _longest(shape: tuple[int, ...], prefix: str) -> Order:
    """All of `shape` as one loop."""
    return orders(shape, prefix)[-1]


def _copy(
    b: ir.IRBuilder, scope: Scope, source: Symbol, target: Symbol, order: Order, shift: Affine
) -> None:
    """`source`, walked by `order`, to `target` from the element `shift` on."""
    lanes = scope.width([target.dtype])

    def body(at: dict[Var, Any], vector: Var | None, count: int) -> None:
        reader = Reader(b, scope, at, vector, count)
        value = el.splat(b, reader.value(source, order.indices), reader.lanes)
        place = reader.scalar(offset(target, order.indices) + shift)
        el.store(b, value, b.gep(scope.pointers[target], [place]), target.dtype)

    nested(b, order.outer, order.vector, lanes, body)


def _concat(b: ir.IRBuilder, scope: Scope, equation: Equation) -> None:
    """Each part copied to its place."""
    output, axis = equation.output, equation.params["axis"]
    start = 0
    for part in equation.inputs:
        if math.prod(part.shape):
            stride = math.prod(output.shape[axis + 1 :])
            order = orders(part.shape, "i")[len(part.shape) - axis - 1]
            _copy(b, scope, part, output, order, Affine((), start * stride))
        start += part.shape[axis]


def _cumsum(b: ir.IRBuilder, scope: Scope, equation: Equation) -> None:
    """Running sums, several neighbouring ones at a time where the axis is not the last."""
    output, source, axis = equation.output, equation.inputs[0], equation.params["axis"]
    if not math.prod(output.shape):
        return
    lanes = scope.width([output.dtype, source.dtype])
    variables = [Var(f"i{i}", n) for i, n in enumerate(output.shape)]
    indices = tuple(Affine(((v, 1),)) if v.extent > 1 else Affine() for v in variables)
    down = variables[axis]
    last = variables[-1] if axis < len(variables) - 1 and variables[-1].extent > 1 else None
    outer = [v for v in variables if v not in (down, last) and v.extent > 1]

    def body(at: dict[Var, Any], vector: Var | None, count: int) -> None:
        total = cell(b, el.constant(output.dtype, 0, count))

        def step(place: dict[Var, Any], _vector: Var | None, _count: int) -> None:
            reader = Reader(b, scope, place, vector, count)
            value = el.splat(b, reader.value(source, indices), reader.lanes)
            value = el.convert(b, source.dtype, output.dtype, value)
            combine_into(b, total, value, output.dtype, el.POINTWISE["add"])
            where = reader.scalar(offset(output, indices))
            el.store(b, b.load(total), b.gep(scope.pointers[output], [where]), output.dtype)

        nested(b, (down,), None, 1, step, None, {down: number(0), **at})

    nested(b, outer, last, lanes, body)


def _scatter(b: ir.IRBuilder, scope: Scope, equation: Equation) -> None:
    """A copy of x, then the values one after the other, in order: repeats add up the same way."""
    x, values, *tensors = equation.inputs
    output, adds = equation.output, equation.primitive == "scatter_add"
    if not math.prod(output.shape):
        return
    if scope.pointers[x] is not scope.pointers[output]:  # else it is an update of x itself
        _copy(b, scope, x, output, _longest(output.shape, "c"), Affine())
    if not math.prod(values.shape):
        return
    rest = len(x.shape) - len(tensors)
    lead = len(values.shape) - rest
    variables = [Var(f"i{i}", n) for i, n in enumerate(values.shape)]
    indices = tuple(Affine(((v, 1),)) if v.extent > 1 else Affine() for v in variables)
    vector = variables[-1] if rest and variables[-1].extent > 1 else None
    outer = [v for v in variables if v is not vector and v.extent > 1]

    def body(at: dict[Var, Any], vector: Var | None, count: int) -> None:
        reader = Reader(b, scope, at, vector, count)
        tail = (Affine(),) * len(tensors) + indices[lead:]
        place = reader.scalar(offset(output, tail))
        inside: Any = ir.Constant(el.I1, 1)
        for axis, symbol in enumerate(tensors):
            at_lead = broadcast_indices(symbol.shape, indices[:lead])
            index, good = reader.index_and_whether(symbol, at_lead, x.shape[axis], ())
            if el.lanes_of(index) > 1:
                index, good = (b.extract_element(v, ir.Constant(I32, 0)) for v in (index, good))
            inside = b.and_(inside, good)
            place = b.add(place, b.mul(index, number(math.prod(x.shape[axis + 1 :]))))
        pointer = b.gep(scope.pointers[output], [place])
        value = el.splat(b, reader.value(values, indices), reader.lanes)
        with b.if_then(inside):
            if adds:
                old = el.load(b, pointer, output.dtype, reader.lanes)
                value = el.POINTWISE["add"](b, output.dtype, old, value)
            el.store(b, value, pointer, output.dtype)

    nested(b, outer, vector, scope.width([output.dtype]), body)


def _arg(b: ir.IRBuilder, scope: Scope, equation: Equation) -> None:
    """Where the first largest (or smallest) element is; the first NaN wins, as in NumPy."""
    source, output = equation.inputs[0], equation.output
    (axis,) = equation.params["axes"]
    if not math.prod(output.shape):
        return
    larger = el.POINTWISE["gt" if equation.primitive == "argmax" else "lt"]
    variables = [Var(f"i{i}", n) for i, n in enumerate(source.shape)]
    indices = tuple(Affine(((v, 1),)) if v.extent > 1 else Affine() for v in variables)
    down = variables[axis]
    kept = [Affine() if i == axis else index for i, index in enumerate(indices)]
    if not equation.params["keepdims"]:
        del kept[axis]
    outer = [v for v in variables if v is not down and v.extent > 1]

    def body(at: dict[Var, Any], _vector: Var | None, _count: int) -> None:
        first = Reader(b, scope, {**at, down: number(0)}, None, 1).value(source, indices)
        best, where = cell(b, first), cell(b, number(0))

        def step(place: dict[Var, Any], _v: Var | None, _n: int) -> None:
            value = Reader(b, scope, place, None, 1).value(source, indices)
            known = b.load(best)
            better = larger(b, source.dtype, value, known)
            if source.dtype.kind == "f":
                nan = b.fcmp_unordered("uno", value, value)
                old = b.fcmp_ordered("ord", known, known)
                better = b.and_(b.or_(better, nan), old)
            b.store(b.select(better, value, known), best)
            b.store(b.select(better, place[down], b.load(where)), where)

        nested(b, (down,), None, 1, step, None, {down: number(0), **at})
        reader = Reader(b, scope, at, None, 1)
        place = reader.scalar(offset(output, tuple(kept)))
        el.store(b, b.load(where), b.gep(scope.pointers[output], [place]), output.dtype)

    nested(b, outer, None, 1, body)


OWN: dict[str, Callable[[ir.IRBuilder, Scope, Equation], None]] = {
    "concat": _concat,
    "cumsum": _cumsum,
    "scatter": _scatter,
    "scatter_add": _scatter,
    "argmax": _arg,
    "argmin": _arg,
}


def emit_own(b: ir.IRBuilder, scope: Scope, kernel: Kernel, begin: Any, end: Any) -> None:
    """Compute a kernel of a kind in `OWN`; it has one work unit."""
    if kernel.equation is not None:
        OWN[kernel.kind](b, scope, kernel.equation)
