"""Passes: functions Graph -> Graph that keep the meaning bit for bit and leave less to do.

May import: base, core. To add one: a function that maps an equation to a symbol, a row in
`PASSES`, and nothing else; the tests run every row on every program and compare with the
reference interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.core.graph import Equation, Graph, Symbol
from pierian.core.primitive import REGISTRY

Rule = Callable[[Graph, Equation, tuple[Symbol, ...]], Symbol | None]
FOLDED = 1024  # elements up to which a result of constants is computed once and kept

# Pointwise primitives broadcast their operands, so stretching one beforehand may be left out
POINTWISE_BINARY = {
    "add", "sub", "mul", "div", "pow", "maximum", "minimum", "floor_divide", "remainder", "atan2",
    "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "bitwise_and",
    "bitwise_or", "bitwise_xor", "left_shift", "right_shift",
}  # fmt: skip


def optimize(graph: Graph) -> Graph:
    """`graph` after all passes, twice, since each makes work for the ones before it."""
    for _ in range(2):
        for step in PASSES.values():
            graph = step(graph)
    return graph


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """A new graph: for each equation `rule` names the symbol to use instead, or None to keep it.

    The rule sees the equation and its inputs in the new graph, and may add equations there.
    """
    new = Graph()
    place: dict[Symbol, Symbol] = {}
    for symbol in graph.inputs:
        place[symbol] = new.add_input(symbol.shape, symbol.dtype)
    for symbol, value in graph.constants.items():
        place[symbol] = new.add_constant(value)
    for equation in graph.equations:
        inputs = tuple(place[symbol] for symbol in equation.inputs)
        found = rule(new, equation, inputs)
        if found is None:
            found = new.add(equation.primitive, inputs, equation.params)
        place[equation.output] = found
    new.outputs = [place[symbol] for symbol in graph.outputs]
    return new


def drop_dead(graph: Graph) -> Graph:
    """Without what no output needs. All inputs stay: they are the calling convention."""
    live = set(graph.outputs)
    for equation in reversed(graph.equations):
        if equation.output in live:
            live.update(equation.inputs)
    new = Graph(list(graph.inputs))
    new.constants = {s: value for s, value in graph.constants.items() if s in live}
    new.equations = [equation for equation in graph.equations if equation.output in live]
    new.outputs = list(graph.outputs)
    return rewrite(new, lambda *_: None)  # numbers the symbols anew


def fold(graph: Graph) -> Graph:
    """Equations of constants alone, computed now; `full` becomes a stretched number."""

    def rule(new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        output = equation.output
        if equation.primitive == "full" and output.shape:
            value = np.full((), equation.params["value"], output.dtype)
            return new.add("expand", [new.add_constant(value)], {"shape": output.shape})
        size = int(np.prod(output.shape, dtype=np.int64))
        known = [new.constants.get(symbol) for symbol in inputs]
        small = size <= FOLDED and (size == 1 or equation.primitive != "expand")
        if not small or any(value is None for value in known):
            return None
        if equation.primitive == "arange" and size > 1:
            return None  # counted where it is used
        result = REGISTRY[equation.primitive].run(*known, **equation.params)
        return new.add_constant(np.asarray(result))

    return rewrite(graph, rule)


def share(graph: Graph) -> Graph:
    """Common subexpressions: what is computed twice from the same inputs is computed once."""
    known: dict[Any, Symbol] = {}

    def rule(new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        same = tuple(_constant_key(new, symbol) for symbol in inputs)
        params = tuple((key, repr(value)) for key, value in sorted(equation.params.items()))
        key = (equation.primitive, same, params)
        if key not in known:
            known[key] = new.add(equation.primitive, inputs, equation.params)
        return known[key]

    return rewrite(graph, rule)


def _constant_key(graph: Graph, symbol: Symbol) -> Any:
    """Equal for equal constants, else the symbol itself."""
    value = graph.constants.get(symbol)
    return symbol if value is None else (value.dtype, value.shape, value.tobytes())


def move(graph: Graph) -> Graph:
    """Movement algebra: pairs that cancel or merge, and moves that move nothing."""
    made: dict[Symbol, Equation] = {}

    def rule(new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        name, output = equation.primitive, equation.output
        if name in POINTWISE_BINARY:
            return _broadcast_instead(new, equation, inputs, made)
        if name not in MOVES:
            return None
        x, params = inputs[0], equation.params
        if MOVES[name](x, output, params):
            return x
        before = made.get(x)
        merged = MERGES[name](before, params) if before and before.primitive == name else None
        if merged is not None:
            x, params = before.inputs[0], merged  # type: ignore[union-attr]
            if MOVES[name](x, output, params):
                return x
        symbol = new.add(name, [x], params)
        made[symbol] = new.equations[-1]
        return symbol

    return rewrite(graph, rule)


def _broadcast_instead(
    new: Graph, equation: Equation, inputs: tuple[Symbol, ...], made: dict[Symbol, Equation]
) -> Symbol | None:
    """A stretched operand replaced by what it was stretched from, when the other is as large."""
    shape = equation.output.shape
    for i, symbol in enumerate(inputs):
        source = made.get(symbol)
        if source and source.primitive == "expand" and inputs[1 - i].shape == shape:
            pair = [source.inputs[0], inputs[1]] if i == 0 else [inputs[0], source.inputs[0]]
            return new.add(equation.primitive, pair, equation.params)
    return None


def _identity(axes: tuple[int, ...]) -> bool:
    return axes == tuple(range(len(axes)))


# Whether a move changes nothing, by primitive: (input, output, params) -> bool
MOVES: dict[str, Callable[[Symbol, Symbol, dict[str, Any]], bool]] = {
    "reshape": lambda x, y, _: x.shape == y.shape,
    "expand": lambda x, y, _: x.shape == y.shape,
    "permute": lambda _x, _y, params: _identity(params["axes"]),
    "flip": lambda x, _, params: all(x.shape[axis] <= 1 for axis in params["axes"]),
    "slice": lambda x, y, _: x.shape == y.shape,
    "pad": lambda x, y, _: x.shape == y.shape,
    "cast": lambda x, y, _: x.dtype == y.dtype,
    "copy": lambda _x, _y, _p: True,  # values never change, so nobody can tell a copy
}


def _merge_slices(before: Equation, params: dict[str, Any]) -> dict[str, Any]:
    first = before.params
    starts, stops, steps = [], [], []
    inner = zip(first["starts"], first["steps"], strict=True)
    for (base, by), start, stop, step in zip(
        inner, params["starts"], params["stops"], params["steps"], strict=True
    ):
        count = len(range(start, stop, step))
        starts.append(base + start * by)
        steps.append(by * step)
        stops.append(starts[-1] + (count - 1) * steps[-1] + 1 if count else starts[-1])
    return {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}


def _merge_permutes(before: Equation, params: dict[str, Any]) -> dict[str, Any]:
    return {"axes": tuple(before.params["axes"][axis] for axis in params["axes"])}


def _merge_flips(before: Equation, params: dict[str, Any]) -> dict[str, Any]:
    return {"axes": tuple(sorted(set(before.params["axes"]) ^ set(params["axes"])))}


# One move in place of two of the same kind: (the first, params of the second) -> params or None
MERGES: dict[str, Callable[[Equation, dict[str, Any]], dict[str, Any] | None]] = {
    "reshape": lambda _, params: params,
    "expand": lambda _, params: params,
    "permute": _merge_permutes,
    "flip": _merge_flips,
    "slice": _merge_slices,
    "pad": lambda _before, _params: None,
    "cast": lambda _before, _params: None,  # the first one may lose bits
    "copy": lambda _before, _params: None,
}


def simplify(graph: Graph) -> Graph:
    """Arithmetic that changes no bit: x·1, x/1, x-0, double negation."""
    negated: dict[Symbol, Symbol] = {}

    def rule(new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        name = equation.primitive
        if name == "neg":
            if inputs[0] in negated:
                return negated[inputs[0]]
            output = new.add(name, inputs, equation.params)
            negated[output] = inputs[0]
            return output
        if name not in NEUTRAL:
            return None
        value, places = NEUTRAL[name]
        for place in places:
            constant = new.constants.get(inputs[place])
            other = inputs[1 - place]
            if constant is None or other.shape != equation.output.shape:
                continue
            if constant.dtype.kind in "fiu" and (constant == value).all():
                if value == 0 and np.signbit(constant.astype(np.float64)).any():
                    continue  # x - (-0) turns -0 into 0
                return other
        return None

    return rewrite(graph, rule)


NEUTRAL: dict[str, tuple[int, tuple[int, ...]]] = {"mul": (1, (0, 1)), "div": (1, (1,)),
                                                   "sub": (0, (1,))}  # fmt: skip

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "drop_dead": drop_dead,
    "fold": fold,
    "move": move,
    "simplify": simplify,
    "share": share,
}
