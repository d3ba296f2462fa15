"""The way back from a printed graph to a graph, for tests, bug reports and graphs kept as text.

May import: base, graph, primitive. Whatever `repr` of a graph writes, `parse_graph` reads.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from pierian.base import dtypes
from pierian.base.errors import PierianError, TraceError, message
from pierian.core.graph import Graph, Symbol, digest
from pierian.core.primitive import REGISTRY

SYMBOL = r"%(\d+): (\w+)\[([\d,]*)\]"
# What a shape rule raises for parameters of another kind than it was written for
RULE_ERRORS = (PierianError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
DTYPES = {str(kind): kind for kind in vars(dtypes).values() if isinstance(kind, np.dtype)}
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
    middle = [reader.definition] * (len(lines) - 3)
    reads = [reader.head, *middle, reader.outputs, reader.end]
    for (reader.line, line), read in zip(lines, reads, strict=True):
        read(line)
    return reader.graph


class _Reader:
    """The graph so far. Symbols must be numbered as `Graph` numbers them: in order, from 0."""

    def __init__(self, known: dict[str, np.ndarray]) -> None:
        self.known = known
        self.graph = Graph()
        self.symbols: list[Symbol] = []
        self.waiting: list[Symbol] = []  # inputs as they were written
        self.line = 1

    def head(self, line: str) -> None:
        found = HEAD.fullmatch(line)
        symbols = re.findall(SYMBOL, found[1]) if found else []
        written = [self.written(*parts) for parts in symbols]
        if found is None or ", ".join(map(repr, written)) != found[1]:
            self.fail("a graph begins with its inputs", "graph(%0: float32[2]) {", line)
        self.waiting = written
        self.inputs_before(len(self.waiting))

    def written(self, index: str, dtype: str, shape: str) -> Symbol:
        """A symbol as the text has it, of no graph."""
        sizes = tuple(int(n) for n in shape.split(",") if n)
        return Symbol(sizes, self.dtype(dtype), int(index), None)

    def dtype(self, name: str) -> np.dtype:
        if name not in DTYPES:
            self.fail("a type begins with a dtype", "a name like float32", name)
        return DTYPES[name]

    def inputs_before(self, index: int) -> None:
        """Define the inputs whose turn it is, up to number `index`."""
        while self.waiting and self.waiting[0].index == len(self.symbols) <= index:
            symbol = self.waiting.pop(0)
            self.symbols.append(self.graph.add_input(symbol.shape, symbol.dtype))

    def definition(self, line: str) -> None:
        found = DEFINITION.fullmatch(line)
        if found is None:
            expected = "%2: float32[2] = name(%0, %1, param=value)"
            self.fail("a line defines a symbol", expected, line)
        symbol = self.written(*found.group(1, 2, 3))
        self.inputs_before(symbol.index)
        if symbol.index != len(self.symbols):
            self.fail("symbols count up from 0", f"%{len(self.symbols)}", f"%{symbol.index}")
        inputs = [self.lookup(name) for name in re.findall(r"%(\d+)", found[5])]
        if found[4] == "constant":
            made = self.graph.add_constant(self.constant(symbol, found[6]))
        else:
            made = self.equation(found[4], inputs, self.params(found[6]))
        if repr(made) != repr(symbol):
            self.fail("the type must be what the rule gives", made, symbol)
        self.symbols.append(made)
        self.inputs_before(len(self.symbols))

    def lookup(self, index: str) -> Symbol:
        if int(index) >= len(self.symbols):
            self.fail("symbols are defined before use", "an earlier line for it", f"%{index}")
        return self.symbols[int(index)]

    def equation(self, name: str, inputs: list[Symbol], params: dict[str, Any]) -> Symbol:
        if name not in REGISTRY:
            self.fail("primitives are registered", "a known name", name)
        try:
            made = self.graph.add(name, inputs, params)
            repr(made)  # a shape that is none shows here
        except RULE_ERRORS as error:
            self.fail(f"{name} must fit its inputs", "arguments it takes", error)
        return made

    def params(self, text: str) -> dict[str, Any]:
        call = self.expression(f"dict({text})")
        names = [word.arg for word in call.keywords if word.arg]
        if call.args or len(names) != len(call.keywords):
            self.fail("inputs come first, then parameters by name", "param=value", text)
        return {str(word.arg): self.value(word.value) for word in call.keywords}

    def constant(self, symbol: Symbol, text: str) -> np.ndarray:
        """A value in full, or the array with that digest."""
        call = self.expression(f"dict({text})")
        if call.keywords and call.keywords[0].arg == "sha256":
            return self.known_constant(self.value(call.keywords[0].value))
        if len(call.args) != 1 or call.keywords:
            self.fail("a constant has one value", "constant(1.0)", text)
        value = self.value(call.args[0])
        try:
            return np.array(value, symbol.dtype).reshape(symbol.shape)
        except (TypeError, ValueError, OverflowError) as error:
            self.fail("a constant must fit its type", symbol, error)

    def known_constant(self, wanted: Any) -> np.ndarray:
        if isinstance(wanted, str) and wanted in self.known:
            return self.known[wanted]
        must = "long constants are printed by their first elements only"
        expected = f"the array with sha256 {wanted} in constants"
        fix = "Pass constants=graph.constants.values() of the graph that was printed"
        return self.fail(must, expected, f"{len(self.known)} others", fix)

    def expression(self, text: str) -> ast.Call:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python's, of text that it will not take for long
                tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            self.fail("parameters are Python literals", "axes=(0, 1), value=1.0", text[5:-1])
        if not isinstance(tree, ast.Call):
            self.fail("a line defines one symbol", "one pair of brackets", text[5:-1])
        return tree

    def value(self, node: ast.expr) -> Any:
        """A number, bool, None, string, dtype, or a tuple or list of such."""
        if isinstance(node, ast.Tuple):
            return tuple(self.value(part) for part in node.elts)
        if isinstance(node, ast.List):
            return [self.value(part) for part in node.elts]
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return NUMBERS[node.id] if node.id in NUMBERS else self.dtype(node.id)
        text = ast.unparse(node).replace(" ", "")
        try:
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                return -self.value(node.operand)
            return complex(text)  # keeps the signs of zeros, which adding would lose
        except (TypeError, ValueError):
            must = "values are literals"
            return self.fail(must, "numbers, dtypes and tuples of them", text)

    def outputs(self, line: str) -> None:
        if self.waiting:
            self.fail("symbols count up from 0", f"%{len(self.symbols)}", self.waiting[0])
        if not re.fullmatch(r"return(?: %\d+(, %\d+)*)?", line):
            self.fail("the last line gives the outputs", "return %1, %2", line)
        self.graph.outputs = [self.lookup(name) for name in re.findall(r"%(\d+)", line)]

    def end(self, line: str) -> None:
        if line != "}":
            self.fail("a graph ends with a brace", "}", line)

    def fail(
        self,
        must: str,
        expected: object,
        got: object,
        fix: str = "Write it as repr of a graph does",
    ) -> NoReturn:
        """Say what is wrong with the line."""
        raise TraceError(message(f"parse_graph (line {self.line})", must, expected, got, fix))
