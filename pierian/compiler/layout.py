"""Layout: images inside a program lie with their pixels outermost, (*size, n, c).

May import: passes, convolution, fuse, element, base, core. The pass takes a graph in which images
are (n, c, *size) and makes one in which what convolutions read and write, and everything between
them, is the other way round. Where such a value meets something else it is permuted, which is index
arithmetic in whatever reads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pierian.compiler.convolution import NATIVE, filters, inside, outside
from pierian.compiler.element import pointwise
from pierian.compiler.fuse import REDUCTIONS
from pierian.compiler.passes import rewrite
from pierian.compiler.pooling import CHAINS, is_chain, padded
from pierian.core.graph import Equation, Graph, Symbol

THIN = 4  # channels of an image that are too few to be what is added up, or the rows of a tile
# Moves with a number or a pair for every axis: the parameters that go with the axes
BY_AXIS = {"pad": ("low", "high", "interior"), "slice": ("starts", "stops", "steps")}


def relayout(graph: Graph) -> Graph:
    """`graph` with convolutions as they are computed, and images inside as those want them."""
    if not any(e.primitive in NATIVE or is_chain(e) for e in graph.equations):
        return graph
    return rewrite(graph, _Layout().rule)


class _Layout:
    """For images of the new graph, the value with its pixels outermost."""

    def __init__(self) -> None:
        self.twins: dict[Symbol, Symbol] = {}

    def rule(self, new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        name, output = equation.primitive, equation.output
        order = len(output.shape)
        if name in NATIVE:
            return self.convolution(new, equation, inputs)
        if is_chain(equation):
            operands = [self.twin(new, symbol, order) for symbol in inputs]
            return self.image(new, CHAINS[name](new, equation, operands))
        if not any(symbol in self.twins for symbol in inputs):
            return None
        if name in REDUCTIONS:
            return self.reduction(new, equation, inputs[0])
        (x, *_) = inputs
        same = all(len(symbol.shape) <= order for symbol in inputs)
        if same and (pointwise(name, [s.dtype for s in inputs]) or name in ("where", "cast")):
            return self.pointwise(new, equation, inputs)
        if name in BY_AXIS and x in self.twins:
            axes = inside(order)
            params = dict(equation.params)
            for key in BY_AXIS[name]:
                params[key] = tuple(params[key][axis] for axis in axes)
            return self.image(new, new.add(name, [self.twins[x]], params))
        if name == "expand" and x in self.twins:
            shape = tuple(output.shape[axis] for axis in inside(order))
            return self.image(new, new.add(name, [self.twins[x]], {"shape": shape}))
        return None

    def image(self, new: Graph, twin: Symbol) -> Symbol:
        """What stands for `twin` where images are (n, c, *size)."""
        axes = outside(len(twin.shape))
        symbol = new.add("permute", [twin], {"axes": axes})
        self.twins[symbol] = twin
        return symbol

    def twin(self, new: Graph, symbol: Symbol, order: int) -> Symbol:
        """`symbol`, or one that is broadcast to images, with its pixels outermost."""
        if symbol in self.twins:
            return self.twins[symbol]
        shape = symbol.shape
        if not shape or math.prod(shape) == 1:
            return new.add("reshape", [symbol], {"shape": ()}) if shape else symbol
        if len(shape) < order:
            wide = (1,) * (order - len(shape)) + shape
            symbol = new.add("reshape", [symbol], {"shape": wide})
        return new.add("permute", [symbol], {"axes": inside(order)})

    def pointwise(self, new: Graph, equation: Equation, inputs: Sequence[Symbol]) -> Symbol:
        order = len(equation.output.shape)
        twins = [self.twin(new, symbol, order) for symbol in inputs]
        return self.image(new, new.add(equation.primitive, twins, equation.params))

    def reduction(self, new: Graph, equation: Equation, x: Symbol) -> Symbol:
        twin, params = self.twins[x], equation.params
        order = inside(len(x.shape))
        axes = tuple(sorted(order.index(axis) for axis in params["axes"]))
        found = new.add(equation.primitive, [twin], {**params, "axes": axes})
        if params["keepdims"]:
            return self.image(new, found)
        kept = [axis for axis in order if axis not in params["axes"]]
        if kept == sorted(kept):
            return found
        back = tuple(kept.index(axis) for axis in sorted(kept))
        return new.add("permute", [found], {"axes": back})

    def convolution(self, new: Graph, equation: Equation, inputs: Sequence[Symbol]) -> Symbol:
        name, params = equation.primitive, equation.params
        order, groups = len(equation.output.shape), params["groups"]
        operands = [self.twin(new, symbol, order) for symbol in inputs]
        if name != "conv_weight":
            operands[1] = new.add("permute", [inputs[1]], {"axes": filters(order)})
        if name == "conv_weight" and groups == 1 and operands[0].shape[-1] <= THIN:
            return self.thin(new, equation, operands)
        found = new.add(NATIVE[name], operands, params)
        if groups > 1:  # (…, groups, rows, c) to (…, rows, groups · c)
            lead = tuple(range(order - 2))
            axes = (*lead, order - 1, order - 2, order)
            found = new.add("permute", [found], {"axes": axes})
            *shape, parts, each = found.shape
            found = new.add("reshape", [found], {"shape": (*shape, parts * each)})
        if name != "conv_weight":
            return self.image(new, found)
        axes = (order - 1, order - 2, *range(order - 2))
        return new.add("permute", [found], {"axes": axes})

    def thin(self, new: Graph, equation: Equation, operands: list[Symbol]) -> Symbol:
        """The gradient of a filter of few channels: on a padded image, row by row."""
        params, order = equation.params, len(equation.output.shape)
        x = padded(new, operands[0], params["padding"], 0.0)
        params = {**params, "padding": ((0, 0),) * (order - 2)}
        found = new.add("pixels_thin_weight", [x, operands[1]], params)
        axes = (order - 1, order - 3, *range(order - 3), order - 2)
        return new.add("permute", [found], {"axes": axes})
