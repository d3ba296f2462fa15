"""Layout: images inside a program lie with their pixels outermost, (*size, n, c).

May import: passes, convolution, fuse, element, base, core. The pass takes a graph in which images
are (n, c, *size) and makes one in which what convolutions read and write, and everything between
them, is the other way round. Where such a value meets something else it is permuted, which is index
arithmetic in whatever reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pierian.compiler.convolution import NATIVE, Sizes, filters, inside
from pierian.compiler.element import pointwise
from pierian.compiler.fuse import REDUCTIONS
from pierian.compiler.passes import rewrite
from pierian.compiler.pooling import CHAINS, is_chain, padded
from pierian.core.graph import Equation, Graph, Symbol

THIN = 4  # channels of an image that are too few to be what is added up, or the rows of a tile
# Moves with a number or a pair for every axis: the parameters that go with the axes
BY_AXIS = {"pad": ("low", "high", "interior"), "slice": ("starts", "stops", "steps")}


def reorder(graph: Graph, updates: Mapping[int, int], orders: Mapping[int, Sizes]) -> Graph:
    """`graph` for inputs with their axes in other orders, and what replaces them in those too."""
    if not orders:
        return graph
    new = Graph()
    place: dict[Symbol, Symbol] = {}
    for i, symbol in enumerate(graph.inputs):
        shape = tuple(symbol.shape[axis] for axis in orders.get(i, range(len(symbol.shape))))
        place[symbol] = new.add_input(shape, symbol.dtype)
    for symbol, value in graph.constants.items():
        place[symbol] = new.add_constant(value)
    for i, axes in orders.items():
        symbol = graph.inputs[i]
        place[symbol] = new.add("permute", [place[symbol]], {"axes": _inverse(axes)})
    for equation in graph.equations:
        inputs = [place[symbol] for symbol in equation.inputs]
        place[equation.output] = new.add(equation.primitive, inputs, equation.params)
    new.outputs = [place[symbol] for symbol in graph.outputs]
    for output, i in updates.items():
        if i in orders:
            new.outputs[output] = new.add("permute", [new.outputs[output]], {"axes": orders[i]})
    return new


def relayout(graph: Graph) -> Graph:
    """`graph` with convolutions as they are computed, and all between them in their layout."""
    layout = _Layout()
    found = rewrite(graph, layout.rule)
    return found if layout.twins else graph


class _Layout:
    """For values of the new graph that are computed with their axes in another order: the twin
    that has them so, and that order.
    """

    def __init__(self) -> None:
        self.twins: dict[Symbol, tuple[Symbol, Sizes]] = {}

    def rule(self, new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        name, output = equation.primitive, equation.output
        order = len(output.shape)
        if name == "permute" and inputs[0] in new.inputs and order > 2:  # see `reorder`
            return self.turned(new, inputs[0], _inverse(equation.params["axes"]))
        if name in NATIVE:
            return self.convolution(new, equation, inputs)
        if is_chain(equation):
            operands = [self.twin(new, symbol, inside(order)) for symbol in inputs]
            return self.turned(new, CHAINS[name](new, equation, operands), inside(order))
        known = [symbol for symbol in inputs if symbol in self.twins]
        if not known:
            return None
        if name in REDUCTIONS:
            return self.reduction(new, equation, inputs[0])
        twin, axes = self.twins[known[0]]
        if len(axes) != order:
            return None
        if pointwise(name, [s.dtype for s in inputs]) or name in ("where", "cast"):
            twins = [self.twin(new, symbol, axes) for symbol in inputs]
            return self.turned(new, new.add(name, twins, equation.params), axes)
        params = dict(equation.params)
        if name in BY_AXIS:
            for key in BY_AXIS[name]:
                params[key] = tuple(params[key][axis] for axis in axes)
            return self.turned(new, new.add(name, [twin], params), axes)
        if name == "expand":
            shape = tuple(output.shape[axis] for axis in axes)
            return self.turned(new, new.add(name, [twin], {"shape": shape}), axes)
        return None

    def turned(self, new: Graph, twin: Symbol, axes: Sizes) -> Symbol:
        """What stands for `twin`, which has its axes in that order, where they are as usual."""
        symbol = new.add("permute", [twin], {"axes": _inverse(axes)})
        self.twins[symbol] = twin, axes
        return symbol

    def twin(self, new: Graph, symbol: Symbol, axes: Sizes) -> Symbol:
        """`symbol`, or one that is broadcast, with its axes in that order."""
        known = self.twins.get(symbol)
        if known is not None and known[1] == axes:
            return known[0]
        shape = symbol.shape
        if len(shape) < len(axes) and math.prod(shape) == 1:
            return new.add("reshape", [symbol], {"shape": ()}) if shape else symbol
        if len(shape) < len(axes):
            wide = (1,) * (len(axes) - len(shape)) + shape
            symbol = new.add("reshape", [symbol], {"shape": wide})
        return new.add("permute", [symbol], {"axes": axes})

    def reduction(self, new: Graph, equation: Equation, x: Symbol) -> Symbol:
        (twin, order), params = self.twins[x], equation.params
        axes = tuple(sorted(order.index(axis) for axis in params["axes"]))
        found = new.add(equation.primitive, [twin], {**params, "axes": axes})
        if params["keepdims"]:
            return self.turned(new, found, order)
        kept = [axis for axis in order if axis not in params["axes"]]
        if kept == sorted(kept):
            return found
        back = tuple(kept.index(axis) for axis in sorted(kept))
        return new.add("permute", [found], {"axes": back})

    def convolution(self, new: Graph, equation: Equation, inputs: Sequence[Symbol]) -> Symbol:
        name, params = equation.primitive, equation.params
        order, groups = len(equation.output.shape), params["groups"]
        second = inside(order) if name == "conv_weight" else filters(order)
        operands = [
            self.twin(new, symbol, axes)
            for symbol, axes in zip(inputs, (inside(order), second), strict=True)
        ]
        if name == "conv_weight" and groups == 1 and operands[0].shape[-1] <= THIN:
            found = _thin(new, equation, operands)
        else:
            found = new.add(NATIVE[name], operands, params)
        if groups > 1:  # (…, groups, rows, c) to (…, rows, groups · c)
            lead = tuple(range(order - 2))
            axes = (*lead, order - 1, order - 2, order)
            found = new.add("permute", [found], {"axes": axes})
            *shape, parts, each = found.shape
            found = new.add("reshape", [found], {"shape": (*shape, parts * each)})
        return self.turned(new, found, filters(order) if name == "conv_weight" else inside(order))


def _thin(new: Graph, equation: Equation, operands: list[Symbol]) -> Symbol:
    """The gradient of a filter of few channels: on a padded image, row by row."""
    params, order = equation.params, len(equation.output.shape)
    x = padded(new, operands[0], params["padding"], 0.0)
    params = {**params, "padding": ((0, 0),) * (order - 2)}
    found = new.add("pixels_thin_weight", [x, operands[1]], params)
    axes = (*range(order - 3), order - 2, order - 3, order - 1)
    return new.add("permute", [found], {"axes": axes})


def _inverse(axes: Sizes) -> Sizes:
    return tuple(int(axis) for axis in np.argsort(axes))
