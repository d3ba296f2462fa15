"""The way back from a printed graph to a graph, for tests, bug reports and graphs kept as text.

May import: base, graph, primitive. Whatever `repr` of a graph writes, `parse_graph` reads.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from pierian.base.dtypes import as_dtype
from pierian.base.errors import PierianError, TraceError, message
from pierian.core.graph import Graph, Symbol, digest
from pierian.core.primitive import REGISTRY

SYMBOL = r"%(\d+): (\w+)\[([\d,]*)\]"
HEAD = re.compile(r"graph\((.*)\) \{")
DEFINITION = re.compile(rf"{SYMBOL} = (\w+)\(((?:%\d+(?:, |(?=\))))*)(.*)\)")
NUMBERS = {"inf": math.inf, "nan": math.nan, "infj": complex(0, math.inf),
           "nanj": complex(0, math.nan)}  # fmt: skip


def parse_graph(text: str, constants: Iterable[np.ndarray] = ()) -> Graph:
    """The graph that `text` shows: it prints as the same text and computes the same.

    Args:    constants  arrays among which are those that are too long to be printed in full.
    Raises:  TraceError with the number of the line that is not as `repr` writes it, or that asks
             for a constant that is not among `constants`.

    >>> graph = parse_graph('''
    ... graph(%0: float32[2]) {
    ...   %1: float32[2] = exp(%0)
    ...   return %1
    ... }''')
    >>> graph.equations[0].primitive
    'exp'
    """
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    reader = _Reader({digest(array): array for array in constants})
    lines += [(len(text.splitlines()) + 1, "")] * (3 - len(lines))
    first, *middle, last, end = lines
    reader.head(*first)
    for number, line in middle:
        reader.definition(number, line)
    reader.finish(*last)
    if end[1] != "}":
        fail(end[0], "a graph ends with a brace", "}", end[1])
    return reader.graph


class _Reader:
    """The graph so far. Symbols must be numbered as `Graph` numbers them: in order, from 0."""

    def __init__(self, known: dict[str, np.ndarray]) -> None:
        self.known = known
        self.graph = Graph()
        self.symbols: list[Symbol] = []
        self.waiting: list[tuple[int, Symbol]] = []  # inputs: line, symbol as it was written

    def head(self, number: int, line: str) -> None:
        found = HEAD.fullmatch(line)
        symbols = re.findall(SYMBOL, found[1]) if found else []
        written = [self.written(number, *parts) for parts in symbols]
        if found is None or ", ".join(map(repr, written)) != found[1]:
            fail(number, "a graph begins with its inputs", "graph(%0: float32[2]) {", line)
        self.waiting = [(number, symbol) for symbol in written]
        self.inputs_before(len(self.waiting))

    def written(self, number: int, index: str, dtype: str, shape: str) -> Symbol:
        """A symbol as the text has it, of no graph."""
        sizes = tuple(int(n) for n in shape.split(",") if n)
        return Symbol(sizes, self.dtype(number, dtype), int(index), None)

    def dtype(self, number: int, name: str) -> np.dtype:
        try:
            return as_dtype(np.dtype(name))
        except (TypeError, PierianError):
            fail(number, "a type begins with a dtype", "a name like float32", name)

    def inputs_before(self, index: int) -> None:
        """Define the inputs whose turn it is, up to number `index`."""
        while self.waiting and self.waiting[0][1].index == len(self.symbols) <= index:
            symbol = self.waiting.pop(0)[1]
            self.symbols.append(self.graph.add_input(symbol.shape, symbol.dtype))

    def definition(self, number: int, line: str) -> None:
        found = DEFINITION.fullmatch(line)
        if found is None:
            expected = "%2: float32[2] = name(%0, %1, param=value)"
            fail(number, "a line defines a symbol", expected, line)
        symbol = self.written(number, *found.group(1, 2, 3))
        self.inputs_before(symbol.index)
        if symbol.index != len(self.symbols):
            fail(number, "symbols count up from 0", f"%{len(self.symbols)}", f"%{symbol.index}")
        inputs = [self.lookup(number, name) for name in re.findall(r"%(\d+)", found[5])]
        if found[4] == "constant":
            made = self.graph.add_constant(self.constant(number, symbol, found[6]))
        else:
            made = self.equation(number, found[4], inputs, self.params(number, found[6]))
        if repr(made) != repr(symbol):
            fail(number, "the type must be what the rule gives", made, symbol)
        self.symbols.append(made)
        self.inputs_before(len(self.symbols))

    def lookup(self, number: int, index: str) -> Symbol:
        if int(index) >= len(self.symbols):
            fail(number, "symbols are defined before use", "an earlier line for it", f"%{index}")
        return self.symbols[int(index)]

    def equation(
        self, number: int, name: str, inputs: list[Symbol], params: dict[str, Any]
    ) -> Symbol:
        if name not in REGISTRY:
            fail(number, "primitives are registered", "a known name", name)
        try:
            return self.graph.add(name, inputs, params)
        except (PierianError, TypeError, KeyError, ValueError) as error:
            fail(number, f"{name} must fit its inputs", "arguments it takes", error)

    def params(self, number: int, text: str) -> dict[str, Any]:
        call = self.expression(number, f"dict({text})")
        names = [word.arg for word in call.keywords if word.arg]
        if call.args or len(names) != len(call.keywords):
            fail(number, "inputs come first, then parameters by name", "param=value", text)
        return {str(word.arg): self.value(number, word.value) for word in call.keywords}

    def constant(self, number: int, symbol: Symbol, text: str) -> np.ndarray:
        """A value in full, or the array with that digest."""
        call = self.expression(number, f"dict({text})")
        if call.keywords and call.keywords[0].arg == "sha256":
            wanted = self.value(number, call.keywords[0].value)
            if not isinstance(wanted, str) or wanted not in self.known:
                raise TraceError(
                    message(f"parse_graph (line {number})", "long constants are printed by their "
                            "first elements only", f"the array with sha256 {wanted} in constants",
                            f"{len(self.known)} others", "Pass constants=graph.constants.values() "
                            "of the graph that was printed")
                )  # fmt: skip
            return self.known[wanted]
        if len(call.args) != 1 or call.keywords:
            fail(number, "a constant has one value", "constant(1.0)", text)
        value = self.value(number, call.args[0])
        try:
            return np.array(value, symbol.dtype).reshape(symbol.shape)
        except (TypeError, ValueError, OverflowError) as error:
            fail(number, "a constant must fit its type", symbol, error)

    def expression(self, number: int, text: str) -> ast.Call:
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            fail(number, "parameters are Python literals", "axes=(0, 1), value=1.0", text[5:-1])
        if not isinstance(tree, ast.Call):
            fail(number, "a line defines one symbol", "one pair of brackets", text[5:-1])
        return tree

    def value(self, number: int, node: ast.expr) -> Any:
        """A number, bool, None, string, dtype, or a tuple or list of such."""
        if isinstance(node, ast.Tuple):
            return tuple(self.value(number, part) for part in node.elts)
        if isinstance(node, ast.List):
            return [self.value(number, part) for part in node.elts]
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return NUMBERS[node.id] if node.id in NUMBERS else self.dtype(number, node.id)
        text = ast.unparse(node).replace(" ", "")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.value(number, node.operand)
            if isinstance(inner, int | float | complex):
                return -inner
        if isinstance(node, ast.BinOp):
            try:
                return complex(text)  # keeps the signs of zeros, which adding would lose
            except ValueError:
                pass
        fail(number, "values are literals", "numbers, dtypes and tuples of them", text)

    def finish(self, number: int, line: str) -> None:
        if self.waiting:
            written = self.waiting[0][1]
            fail(self.waiting[0][0], "symbols count up from 0", f"%{len(self.symbols)}", written)
        if not re.fullmatch(r"return(?: %\d+(, %\d+)*)?", line):
            fail(number, "the last line gives the outputs", "return %1, %2", line)
        self.graph.outputs = [self.lookup(number, name) for name in re.findall(r"%(\d+)", line)]


def fail(number: int, must: str, expected: object, got: object) -> NoReturn:
    """Say what is wrong with a line."""
    where = f"parse_graph (line {number})"
    raise TraceError(message(where, must, expected, got, "Write it as repr of a graph does"))
