"""The graph: a flat program of primitives. Verify it, print it, interpret it.

May import: base, primitive. A graph is a list of plain records in the order they run; every
compiler pass is a function Graph -> Graph, and `interpret` is the oracle that each must match.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pierian.base.errors import TraceError, message
from pierian.core.primitive import REGISTRY, Spec

PRINTED = 8  # elements of a constant; longer ones are printed by a digest and their first ones
DIGITS = 16  # of the digest


class Symbol:
    """A value of a graph: a shape and a dtype, no data. Each is defined once."""

    __slots__ = ("shape", "dtype", "index", "owner")
    __array_ufunc__ = None  # NumPy must refuse a symbol, never wrap it in an object array

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, index: int, owner: object) -> None:
        self.shape, self.dtype, self.index, self.owner = shape, dtype, index, owner

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TraceError(
            message("trace", "a traced tensor has no values yet", "a use inside the traced "
                    "function only", f"a look at {self!r} from outside",
                    "Return the tensor from the function instead of keeping it")
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"%{self.index}: {_type(self)}"


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """`output = primitive(*inputs, **params)`."""

    primitive: str
    inputs: tuple[Symbol, ...]
    params: dict[str, Any]
    output: Symbol


@dataclass(slots=True, eq=False)
class Graph:
    """Inputs, constants, equations in the order they run, outputs."""

    inputs: list[Symbol] = field(default_factory=list)
    constants: dict[Symbol, np.ndarray] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    outputs: list[Symbol] = field(default_factory=list)

    def symbol(self, shape: tuple[int, ...], dtype: np.dtype) -> Symbol:
        """A new symbol of this graph, not yet defined by anything."""
        index = len(self.inputs) + len(self.constants) + len(self.equations)
        return Symbol(shape, dtype, index, self)

    def add_input(self, shape: tuple[int, ...], dtype: np.dtype) -> Symbol:
        """A new input."""
        symbol = self.symbol(shape, dtype)
        self.inputs.append(symbol)
        return symbol

    def add_constant(self, value: np.ndarray) -> Symbol:
        """A new constant; the array is copied, so that later changes to it are not seen."""
        symbol = self.symbol(value.shape, value.dtype)
        self.constants[symbol] = value.copy()
        return symbol

    def add(self, primitive: str, inputs: Sequence[Symbol], params: dict[str, Any]) -> Symbol:
        """A new equation; its shape and dtype come from the primitive's shape rule."""
        spec = REGISTRY[primitive].shape(*inputs, **params)
        output = self.symbol(spec.shape, spec.dtype)
        self.equations.append(Equation(primitive, tuple(inputs), params, output))
        return output

    def __repr__(self) -> str:
        return print_graph(self)


def verify(graph: Graph) -> None:
    """Check that every symbol is defined once, before use, with the shape the rules give.

    Raises:  TraceError naming the equation and both sides.
    """
    defined: set[Symbol] = set()
    known = REGISTRY

    def check(good: bool, must: str, expected: object, got: object) -> None:
        if not good:
            raise TraceError(message("verify", must, expected, got, "Mend the pass that made it"))

    def define(symbol: Symbol) -> None:
        check(symbol not in defined, "a symbol is defined once", "one definition", symbol)
        defined.add(symbol)

    for symbol in graph.inputs:
        define(symbol)
    for symbol, value in graph.constants.items():
        found = Spec(value.shape, value.dtype)
        check(Spec(symbol.shape, symbol.dtype) == found, "a constant has its type", symbol, found)
        define(symbol)
    for equation in graph.equations:
        line = print_equation(equation)
        check(equation.primitive in known, "primitives are registered", "a known name", line)
        for symbol in equation.inputs:
            check(symbol in defined, "inputs are defined before use", repr(symbol), line)
        spec = known[equation.primitive].shape(*equation.inputs, **equation.params)
        found = Spec(equation.output.shape, equation.output.dtype)
        check(spec == found, "an output has the type its rule gives", spec, line)
        define(equation.output)
    for symbol in graph.outputs:
        check(symbol in defined, "outputs are defined", "a symbol of this graph", repr(symbol))


def interpret(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run `graph` with the NumPy executors; the reference that compiled code must match.

    Raises:  TraceError when `arrays` do not have the shapes and dtypes of the graph's inputs.
    """
    if len(arrays) != len(graph.inputs):
        raise TraceError(
            message("interpret", "one array per input", len(graph.inputs), len(arrays),
                    "Pass them in the order of graph.inputs")
        )  # fmt: skip
    values: dict[Symbol, np.ndarray] = dict(graph.constants)
    for symbol, array in zip(graph.inputs, arrays, strict=True):
        if array.shape != symbol.shape or array.dtype != symbol.dtype:
            raise TraceError(
                message("interpret", "arrays must fit the inputs", repr(symbol),
                        f"{array.dtype}{list(array.shape)}", "Trace again for other shapes")
            )  # fmt: skip
        values[symbol] = array
    last = {symbol: i for i, eq in enumerate(graph.equations) for symbol in eq.inputs}
    kept = set(graph.outputs)
    for i, equation in enumerate(graph.equations):
        run = REGISTRY[equation.primitive].run
        result = run(*[values[s] for s in equation.inputs], **equation.params)
        values[equation.output] = np.asarray(result)
        for symbol in set(equation.inputs):
            if last[symbol] == i and symbol not in kept:
                del values[symbol]
    return [values[symbol] for symbol in graph.outputs]


def print_graph(graph: Graph) -> str:
    """`graph` as text, a line an equation; `parse.parse_graph` reads it back.

    >>> graph = Graph()
    >>> x = graph.add_input((2,), np.dtype("float32"))
    >>> graph.outputs.append(x)
    >>> print(print_graph(graph))
    graph(%0: float32[2]) {
      return %0
    }
    """
    lines = [f"graph({', '.join(map(repr, graph.inputs))}) {{"]
    definitions = {s.index: f"{s!r} = constant({_literal(v)})" for s, v in graph.constants.items()}
    definitions |= {eq.output.index: print_equation(eq) for eq in graph.equations}
    lines += [f"  {definitions[index]}" for index in sorted(definitions)]
    lines.append(f"  return {', '.join(f'%{s.index}' for s in graph.outputs)}")
    return "\n".join([*lines, "}"])


def print_equation(equation: Equation) -> str:
    """One line of a printed graph."""
    arguments = [f"%{s.index}" for s in equation.inputs]
    arguments += [f"{key}={_param(value)}" for key, value in equation.params.items()]
    return f"{equation.output!r} = {equation.primitive}({', '.join(arguments)})"


def _type(symbol: Symbol) -> str:
    return f"{symbol.dtype}[{','.join(map(str, symbol.shape))}]"


def _param(value: Any) -> str:
    return str(value) if isinstance(value, np.dtype) else repr(value)


def _literal(value: np.ndarray) -> str:
    if value.size <= PRINTED:
        return str(value.tolist())
    return f"sha256='{digest(value)}', first={value.reshape(-1)[:PRINTED].tolist()}"


def digest(value: np.ndarray) -> str:
    """A name for a long constant, by which `parse_graph` finds it again."""
    whole = hashlib.sha256(f"{value.dtype}{value.shape}".encode())
    whole.update(np.ascontiguousarray(value).data)
    return whole.hexdigest()[:DIGITS]
