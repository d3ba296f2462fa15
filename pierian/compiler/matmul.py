"""Matrix products: contractions with the pointwise values that follow written into their tiles.

May import: contraction, convolution, nest, element, affine, fuse, llvm. An optimizer's update of a
weight is such a value, so that the gradient of a weight need not touch memory. A product has one
matrix for every place of the leading axes of its output: a batch, or the pixels of a convolution.
"""

from __future__ import annotations

import math
from typing import Any

from pierian.compiler import contraction, convolution
from pierian.compiler import element as el
from pierian.compiler.affine import Affine, Var, linear, row_major, unflatten, variable
from pierian.compiler.contraction import Contraction
from pierian.compiler.control import loop, number
from pierian.compiler.fuse import Kernel, broadcast_indices, offset, unshaped
from pierian.compiler.llvm import ir
from pierian.compiler.nest import Reader, Scope
from pierian.core.graph import Equation, Symbol

LINE = 64  # bytes; scratch begins on a cache line


def contraction_of(equation: Equation) -> Contraction:
    """One matrix of the batch."""
    if equation.primitive in convolution.PRODUCTS:
        return convolution.contraction_of(equation)
    a, b = equation.inputs
    ta, tb = equation.params["ta"], equation.params["tb"]
    m, n = equation.output.shape[-2:]
    k = a.shape[-2] if ta else a.shape[-1]
    a_row, a_col = (1, a.shape[-1]) if ta else (a.shape[-1], 1)
    b_row, b_col = (1, b.shape[-1]) if tb else (b.shape[-1], 1)
    return Contraction(m, n, k, a_row, a_col, b_row, b_col, equation.output.dtype)


def terms(equation: Equation) -> int:
    """How many products each element of the output is the sum of, at most."""
    c = contraction_of(equation)
    return c.k * max(c.terms, 1)


def matmul_units(scope: Scope, kernel: Kernel) -> int:
    """How many work units a product has: tiles, for each matrix of the batch."""
    if kernel.equation is None or math.prod(kernel.space) == 0:
        return 0
    batch = math.prod(kernel.space[:-2])
    return batch * contraction.units(contraction_of(kernel.equation), scope.target)


def emit_matmul(b: ir.IRBuilder, scope: Scope, kernel: Kernel, begin: Any, end: Any) -> None:
    """Compute the tiles begin … end-1, and the roots of the kernel on each."""
    equation = kernel.equation
    if equation is None or math.prod(kernel.space) == 0:
        return
    c = contraction_of(equation)
    each = contraction.units(c, scope.target)
    element = el.scalar_type(c.dtype)
    with b.goto_entry_block():
        count = max(contraction.scratch(c, scope.target) // c.dtype.itemsize, 1)
        scratch = b.alloca(element, count)
        scratch.align = LINE
    batch_shape = kernel.space[:-2]
    batch = Var("batch", math.prod(batch_shape))
    lead = unflatten(variable(batch), batch_shape)

    def one(at: dict[Var, Any], first: Any, last: Any) -> None:
        reader = Reader(b, scope, at, None, 1)
        finish = _epilogue(scope, kernel, equation.output, lead, at)
        taps: contraction.Taps = ()
        if equation.primitive in convolution.PRODUCTS:
            product = convolution.product_of(b, equation, [reader.scalar(i) for i in lead])
            bases = [scope.pointers[unshaped(s, scope.made)] for s in equation.inputs]
            left, right = b.gep(bases[0], [product.a]), b.gep(bases[1], [product.b])
            taps = product.taps
        else:
            left, right = [_matrix(reader, scope, s, lead) for s in equation.inputs]
        contraction.emit(b, c, left, right, scratch, first, last, finish, scope.target, taps)

    if batch.extent == 1:
        one({}, begin, end)
        return
    size = number(each)
    stop = b.udiv(b.add(end, number(each - 1)), size)
    with loop(b, b.udiv(begin, size), stop) as i:
        start = b.mul(i, size)
        first = b.select(b.icmp_signed(">", begin, start), b.sub(begin, start), number(0))
        rest = b.sub(end, start)
        one({batch: i}, first, b.select(b.icmp_signed("<", rest, size), rest, size))


def _matrix(reader: Reader, scope: Scope, symbol: Symbol, lead: tuple[Affine, ...]) -> Any:
    """The address of the matrix of `symbol` for one place of the batch."""
    own = broadcast_indices(symbol.shape[:-2], lead)
    strides = row_major(symbol.shape)[: len(own)]
    return reader.b.gep(
        scope.pointers[unshaped(symbol, scope.made)], [reader.scalar(linear(own, strides))]
    )


def _epilogue(
    scope: Scope, kernel: Kernel, product: Symbol, lead: tuple[Affine, ...], at: dict[Var, Any]
) -> Any:
    """What is done with a piece of a row of the product."""
    row, column = (Var(name, n) for name, n in zip("mn", product.shape[-2:], strict=True))
    indices = (*lead, variable(row), variable(column))

    def write(b: ir.IRBuilder, i: Any, j: Any, lanes: int, value: Any) -> None:
        vector = column if lanes > 1 else None
        reader = Reader(b, scope, {**at, row: i, column: j}, vector, lanes)
        reader.known[product, indices, ()] = value
        values = [(product, value)]
        values += [(root, reader.value(root, indices, own=True)) for root in kernel.roots]
        for symbol, result in values:
            if symbol in scope.pointers:
                pointer = b.gep(scope.pointers[symbol], [reader.scalar(offset(symbol, indices))])
                el.store(b, el.splat(b, result, reader.lanes), pointer, symbol.dtype)

    return write
