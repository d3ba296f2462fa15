"""Every pass, on random programs: the graph stays valid and its results stay the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import pierian as pr
from pierian.base import trees
from pierian.compiler.passes import PASSES, optimize
from pierian.core.graph import Graph, interpret, verify
from pierian.core.trace import trace
from tests.compiler.programs import random_program

SEEDS = range(150)


def graph_of(seed: int) -> tuple[Graph, list[np.ndarray]]:
    program = random_program(seed)
    traced = trace(program.fn, *program.args)
    arrays = [leaf.numpy() for leaf in trees.leaves(program.args)]
    return traced.graph, arrays + [t.numpy() for t in traced.captured]


def same_bits(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(np.signbit(x), np.signbit(y))


@pytest.mark.parametrize("name", PASSES)
def test_pass_keeps_results_bit_for_bit(name: str) -> None:
    for seed in SEEDS:
        graph, arrays = graph_of(seed)
        after = PASSES[name](graph)
        verify(after)
        same_bits(interpret(graph, arrays), interpret(after, arrays))


def test_optimize_keeps_results_and_settles() -> None:
    fewer = 0
    for seed in SEEDS:
        graph, arrays = graph_of(seed)
        after = optimize(graph)
        verify(after)
        same_bits(interpret(graph, arrays), interpret(after, arrays))
        fewer += len(after.equations) < len(graph.equations)
        assert len(optimize(after).equations) <= len(after.equations)
    assert fewer > len(SEEDS) // 2


def equations(fn: object, *args: pr.Tensor) -> list[str]:
    return [equation.primitive for equation in optimize(trace(fn, *args).graph).equations]


X = pr.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
CANCELS = [
    (lambda x: x.transpose().transpose(), []),
    (lambda x: x.reshape(3, 2).reshape(6).reshape(2, 3), []),
    (lambda x: x.flip(0).flip(0), []),
    (lambda x: x.flip(0).flip(1), ["flip"]),
    (lambda x: x[1:][:, 1:], ["slice"]),
    (lambda x: pr.neg(pr.neg(x)), []),
    (lambda x: x.clone() * 1.0 / 1.0 - 0.0, []),
    (lambda x: pr.exp(x) + pr.exp(x), ["exp", "add"]),
    (lambda x: x * (pr.tensor(2.0) * 3.0), ["mul"]),
    (lambda x: x + pr.zeros(2, 3), ["add"]),
    (lambda x: (pr.exp(x), x * 2.0)[1], ["mul"]),
    (lambda x: x.double().float(), ["cast", "cast"]),
    (lambda x: x - -0.0, ["sub"]),
]


@pytest.mark.parametrize(("fn", "left"), CANCELS)
def test_optimize_leaves_only_what_does_work(fn: object, left: list[str]) -> None:
    assert equations(fn, X) == left
