"""Graphs as text and back: the same text, the same results, and what is said about bad text."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pierian as pr
from pierian.base import trees
from pierian.compiler.passes import optimize
from pierian.core.graph import Graph, interpret, verify
from pierian.core.parse import parse_graph
from pierian.core.trace import trace
from tests.compiler.programs import random_program
from tests.ops.cases import CASES

LONG = np.arange(20)


def back(graph: Graph) -> Graph:
    """`graph` by way of its text, which must stay the same."""
    text = repr(graph)
    again = parse_graph(text, graph.constants.values())
    verify(again)
    assert repr(again) == text
    for one, two in zip(graph.constants.values(), again.constants.values(), strict=True):
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        np.testing.assert_array_equal(one, two)
        if one.dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(one.real), np.signbit(two.real))
    return again


@pytest.mark.parametrize("seed", range(60))
def test_random_program_means_the_same_after_parsing(seed: int) -> None:
    program = random_program(seed)
    traced = trace(program.fn, *program.args)
    arrays = [leaf.numpy() for leaf in trees.leaves(program.args)]
    arrays += [tensor.numpy() for tensor in traced.captured]
    for graph in (traced.graph, optimize(traced.graph)):
        for one, two in zip(interpret(graph, arrays), interpret(back(graph), arrays), strict=True):
            np.testing.assert_array_equal(one, two)


def test_every_operation_parses_back() -> None:
    for row in CASES:
        if row.traced:
            graph = trace(row.fn, *map(pr.asarray, row.inputs)).graph
            again = back(graph)
            pairs = zip(graph.equations, again.equations, strict=True)
            assert all(repr(a.params) == repr(b.params) for a, b in pairs), row


DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64"
EDGES = [0, 1, -0.0, np.inf, -np.inf, np.nan, complex(-0.0, -0.0), complex(np.nan, -np.inf), 1e-30,
         2**53 + 1, 2**64 - 1, -(2**63)]  # fmt: skip


@pytest.mark.parametrize("name", [*DTYPES.split(), "complex128"])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_constants_of_each_dtype_keep_their_bits(name: str) -> None:
    graph = Graph()
    for edge in EDGES:
        try:
            value = np.array(edge, name)
        except (TypeError, OverflowError, ValueError):
            continue
        graph.add_constant(value)
        graph.add_constant(np.full((2, 1), value))
    for shape in [(0,), (0, 3), (3, 0), (1, 1), (20,)]:
        graph.add_constant(np.ones(shape, name))
    back(graph)


PARAMS = [{"value": v, "shape": (2,), "dtype": np.dtype("float32")} for v in (1, -1.5, np.inf,
          -np.inf, 1e-30)]  # fmt: skip
PARAMS.append({"value": complex(-0.0, np.inf), "shape": (), "dtype": np.dtype("complex64")})


@pytest.mark.parametrize("params", PARAMS, ids=repr)
def test_parameters_keep_their_values(params: dict[str, object]) -> None:
    graph = Graph()
    graph.add("full", [], params)
    assert repr(back(graph).equations[0].params) == repr(params)


def test_a_parsed_graph_can_grow() -> None:
    graph = parse_graph("graph(%0: float32[2]) {\n  return %0\n}")
    assert graph.add("exp", [graph.inputs[0]], {}).index == 1


GOOD = """graph(%0: float32[2], %2: float32[2]) {
  %1: float32[2] = exp(%0)
  %3: float32[2] = add(%1, %2)
  %4: float32[] = sum(%3, axes=(0,), keepdims=False)
  %5: float32[] = constant(1.5)
  return %4, %5
}"""
BAD = {
    "empty": (GOOD, "", 1, "a graph begins with its inputs"),
    "one line": (GOOD, "graph() {", 2, "the last line gives the outputs"),
    "input missing": (GOOD, "graph(%1: bool[]) {\nreturn\n}", 2, "symbols count up from 0"),
    "no head": ("graph(", "grph(", 1, "a graph begins with its inputs"),
    "junk in the head": ("%0: float32[2], ", "%0: float32[2]; ", 1, "a graph begins with"),
    "dtype": ("%0: float32[2],", "%0: float23[2],", 1, "a type begins with a dtype"),
    "object dtype": ("%5: float32[]", "%5: object[]", 5, "a type begins with a dtype"),
    "no definition": ("= exp(%0)", "exp(%0)", 2, "a line defines a symbol"),
    "unfinished": ("exp(%0)", "exp(%0", 2, "a line defines a symbol"),
    "gap": ("%1: float32[2] =", "%7: float32[2] =", 2, "symbols count up from 0; expected %1, got"),
    "twice": ("%3: float32[2] =", "%1: float32[2] =", 3, "symbols count up from 0"),
    "input of another number": ("%2: float32[2])", "%6: float32[2])", 3, "symbols count up"),
    "undefined": ("add(%1, %2)", "add(%1, %8)", 3, "symbols are defined before use"),
    "primitive": ("exp(", "expp(", 2, "primitives are registered; expected a known name, got expp"),
    "shape": ("%1: float32[2]", "%1: float32[3]", 2, "the type must be what the rule gives"),
    "too few": ("add(%1, %2)", "add(%1)", 3, "add must fit its inputs"),
    "unknown parameter": ("keepdims=", "keepdim=", 4, "sum must fit its inputs"),
    "parameter without name": ("axes=(0,)", "(0,)", 4, "inputs come first, then parameters"),
    "unbalanced": ("(0,)", "(0,", 4, "parameters are Python literals"),
    "code": ("(0,)", "print()", 4, "values are literals"),
    "name": ("False", "Flase", 4, "a type begins with a dtype"),
    "constant": ("(1.5)", "(1.5, 2)", 5, "a constant has one value"),
    "long constant": ("(1.5)", "([1, 2])", 5, "a constant must fit its type"),
    "digest": ("(1.5)", "(sha256='12')", 5, "long constants are printed by their first elements"),
    "digest of a kind": ("(1.5)", "(sha256=[1])", 5, "long constants are printed by"),
    "no return": ("return %4, %5", "retrun", 6, "the last line gives the outputs"),
    "return of nothing known": ("return %4", "return %40", 6, "symbols are defined before use"),
    "no end": ("\n}", "\n)", 7, "a graph ends with a brace"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_refused_by_line(name: str) -> None:
    old, new, line, text = BAD[name]
    assert old in GOOD
    parse_graph(GOOD)
    with pytest.raises(pr.TraceError, match=rf"^parse_graph \(line {line}\): {re.escape(text)}"):
        parse_graph(GOOD.replace(old, new, 1))


def test_a_long_constant_is_found_by_its_digest_or_asked_for() -> None:
    graph = Graph()
    graph.outputs.append(graph.add_constant(LONG))
    wrong = [LONG + 1, LONG.reshape(4, 5), LONG.astype("int32")]
    with pytest.raises(pr.TraceError, match=r"sha256 [0-9a-f]{16} in constants, got 3 others"):
        parse_graph(repr(graph), wrong)
    again = parse_graph(repr(graph), [*wrong, LONG])
    assert interpret(again, [])[0].tolist() == LONG.tolist()


def test_damaged_text_never_ends_in_another_error() -> None:
    rng = np.random.default_rng(0)
    texts = [GOOD] + [repr(trace(p.fn, *p.args).graph) for p in map(random_program, range(4))]
    letters = "".join(sorted(set("".join(texts)))) + "'{\\"
    outcomes = {True: 0, False: 0}
    for _ in range(1500):
        text = texts[rng.integers(len(texts))]
        start = int(rng.integers(len(text)))
        stop = start + int(rng.integers(4))
        put = "".join(letters[i] for i in rng.integers(len(letters), size=rng.integers(4)))
        try:
            graph = parse_graph(text[:start] + put + text[stop:])
        except pr.TraceError as error:
            assert re.match(r"parse_graph \(line \d+\): ", str(error))
            outcomes[False] += 1
        else:
            verify(graph)
            outcomes[True] += 1
    assert min(outcomes.values()) > 50
