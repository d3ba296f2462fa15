"""Long reductions in two: of blocks, which threads share, and then of what the blocks came to.

May import: passes, base, core. It is also how a sum of millions stays as exact as one of thousands:
rounding grows with the length of a block. The blocks depend on the shape alone, and so do the bits.
"""

from __future__ import annotations

import math

from pierian.compiler.fuse import REDUCTIONS
from pierian.compiler.passes import rewrite
from pierian.core.graph import Equation, Graph, Symbol

LONG = 1 << 14  # elements that are reduced in two steps
BLOCK = 4096  # elements of a block, about
FEW = 4  # rows that are worth summing up for themselves


def split(graph: Graph) -> Graph:
    """`graph` with every reduction of many elements to one made of two."""

    def rule(new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        name, output = equation.primitive, equation.output
        (x, *_) = inputs or (output,)
        halves = output.dtype.kind == "f" and output.dtype.itemsize < 4  # rounded once, at the end
        if name not in REDUCTIONS or halves:
            return None
        if math.prod(output.shape) != 1:
            return _rows_first(new, equation, x)
        while math.prod(x.shape) > LONG:
            shape = blocks(x.shape)
            if shape is None:
                break
            if shape != x.shape:
                x = new.add("reshape", [x], {"shape": shape})
            axes = tuple(range(_kept(shape), len(shape)))
            x = new.add(name, [x], {**equation.params, "axes": axes, "keepdims": False})
        if x is inputs[0]:
            return None
        x = new.add(name, [x], {**equation.params, "axes": tuple(range(len(x.shape))),
                                "keepdims": False})  # fmt: skip
        return new.add("reshape", [x], {"shape": output.shape}) if output.shape else x

    return rewrite(graph, rule)


def _rows_first(new: Graph, equation: Equation, x: Symbol) -> Symbol | None:
    """Sums over the first axis and others (of what belongs to a channel) without the first one,
    and then over that one.
    """
    axes, size = equation.params["axes"], math.prod(equation.output.shape)
    if axes[:2] != (0, 1) or x.shape[0] < FEW or size > LONG or math.prod(x.shape) < LONG:
        return None
    params = {**equation.params, "axes": axes[1:], "keepdims": True}
    found = new.add(equation.primitive, [x], params)
    params = {**equation.params, "axes": (0,), "keepdims": True}
    found = new.add(equation.primitive, [found], params)
    return new.add("reshape", [found], {"shape": equation.output.shape})


def blocks(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """`shape`, with one axis in two where that makes the trailing axes a block; None where no
    divisor does.
    """
    kept = _kept(shape)
    if kept and math.prod(shape[kept:]) <= LONG:
        return shape
    length, rest = shape[kept], math.prod(shape[kept + 1 :])
    parts = [d for d in range(1, min(length, LONG) + 1) if length % d == 0]
    part = min(parts, key=lambda d: abs(math.log(d * rest / BLOCK)))
    if part == length or not BLOCK // 8 <= part * rest <= LONG:
        return None
    return (*shape[:kept], length // part, part, *shape[kept + 1 :])


def _kept(shape: tuple[int, ...]) -> int:
    """How many leading axes are not part of a block: the trailing ones have enough elements."""
    kept = len(shape) - 1
    while kept > 0 and math.prod(shape[kept:]) < BLOCK // 8:
        kept -= 1
    return kept
