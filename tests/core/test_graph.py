"""The graph: how it prints, what verify catches, what interpret refuses."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import pierian as pr
from pierian.core.graph import Equation, Graph, Symbol, interpret, verify
from pierian.core.trace import trace

F32 = np.dtype("float32")


def small() -> Graph:
    """%3 = add(mul(%0, %1), %1) and a constant."""
    graph = Graph()
    x = graph.add_input((2,), F32)
    c = graph.add_constant(np.array([1.0, 2.0], F32))
    y = graph.add("mul", [x, c], {})
    graph.outputs.append(graph.add("add", [y, c], {}))
    return graph


def test_sound_graph_passes_and_runs() -> None:
    graph = small()
    verify(graph)
    (result,) = interpret(graph, [np.array([3.0, 4.0], F32)])
    assert result.tolist() == [4, 10]


def test_print() -> None:
    assert repr(small()) == (
        "graph(%0: float32[2]) {\n"
        "  %1: float32[2] = constant([1.0, 2.0])\n"
        "  %2: float32[2] = mul(%0, %1)\n"
        "  %3: float32[2] = add(%2, %1)\n"
        "  return %3\n"
        "}"
    )
    graph = Graph()
    long = graph.add_constant(np.arange(20))
    graph.outputs.append(graph.add("cast", [long], {"dtype": F32}))
    text = repr(graph)
    assert re.search(r"constant\(sha256='[0-9a-f]{16}', first=\[0, 1, 2, 3, 4, 5, 6, 7\]\)", text)
    assert "cast(%0, dtype=float32)" in text
    assert repr(Graph()) == "graph() {\n  return \n}"


def undefined(graph: Graph) -> None:
    graph.equations.pop(0)


def out_of_order(graph: Graph) -> None:
    graph.equations.reverse()


def twice(graph: Graph) -> None:
    graph.equations.append(graph.equations[0])


def input_twice(graph: Graph) -> None:
    graph.inputs.append(graph.inputs[0])


def input_is_also_computed(graph: Graph) -> None:
    graph.inputs.append(graph.equations[0].output)


def wrong_shape(graph: Graph) -> None:
    graph.equations[1].output.shape = (3,)


def wrong_dtype(graph: Graph) -> None:
    graph.equations[1].output.dtype = np.dtype("float64")


def wrong_constant(graph: Graph) -> None:
    (symbol,) = graph.constants
    graph.constants[symbol] = np.zeros(3, F32)


def wrong_constant_dtype(graph: Graph) -> None:
    (symbol,) = graph.constants
    graph.constants[symbol] = np.zeros(2)


def unknown_primitive(graph: Graph) -> None:
    last = graph.equations[-1]
    graph.equations[-1] = Equation("ad", last.inputs, {}, last.output)


def undefined_output(graph: Graph) -> None:
    graph.outputs.append(graph.symbol((2,), F32))


def foreign_symbol(graph: Graph) -> None:
    other = small()
    last = graph.equations[-1]
    graph.equations[-1] = Equation("add", (other.inputs[0], last.inputs[1]), {}, last.output)


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (undefined, "inputs are defined before use"),
        (out_of_order, "inputs are defined before use"),
        (twice, "a symbol is defined once"),
        (input_twice, "a symbol is defined once"),
        (input_is_also_computed, "a symbol is defined once"),
        (wrong_shape, "an output has the type its rule gives"),
        (wrong_dtype, "an output has the type its rule gives"),
        (wrong_constant, "a constant has its type"),
        (wrong_constant_dtype, "a constant has its type"),
        (unknown_primitive, "primitives are registered"),
        (undefined_output, "outputs are defined"),
        (foreign_symbol, "inputs are defined before use"),
    ],
)
def test_verify_catches_each_kind_of_harm(harm: Callable[[Graph], None], text: str) -> None:
    graph = small()
    harm(graph)
    with pytest.raises(pr.TraceError, match=f"verify: {text}"):
        verify(graph)


def test_verify_catches_inputs_a_primitive_cannot_take() -> None:
    graph = small()
    (c,) = graph.constants
    c.shape = (3,)
    graph.constants[c] = np.zeros(3, F32)
    with pytest.raises(pr.ShapeError, match="mul: shapes must be equal or broadcast"):
        verify(graph)


def test_constants_are_copies() -> None:
    array = np.zeros(2, F32)
    traced = trace(lambda x: x + array, pr.zeros(2))
    array += 1
    assert traced(pr.zeros(2)).tolist() == [0, 0]


def test_interpret_checks_its_arrays() -> None:
    graph = small()
    with pytest.raises(pr.TraceError, match="interpret: one array per input; expected 1, got 2"):
        interpret(graph, [np.zeros(2, F32)] * 2)
    for wrong in (np.zeros(3, F32), np.zeros(2), np.zeros((2, 1), F32)):
        with pytest.raises(pr.TraceError, match="interpret: arrays must fit the inputs"):
            interpret(graph, [wrong])


def test_interpret_leaves_inputs_and_constants_alone() -> None:
    graph = small()
    x = np.array([3.0, 4.0], F32)
    for _ in range(2):
        interpret(graph, [x])
    assert x.tolist() == [3, 4]
    assert next(iter(graph.constants.values())).tolist() == [1, 2]


def test_symbols_are_refused_by_numpy() -> None:
    symbol = Symbol((2,), F32, 0, None)
    with pytest.raises(pr.TraceError, match="a traced tensor has no values yet"):
        np.asarray(symbol)
    with pytest.raises(TypeError):
        np.add(symbol, 1)
    assert repr(symbol) == "%0: float32[2]"
    assert symbol.ndim == 1
