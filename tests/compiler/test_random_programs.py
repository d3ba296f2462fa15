"""Random programs: compiled = interpreted = eager, on every kind of CPU, at 1, 2 and 3 threads.

The suite runs a few hundred; `PIERIAN_PROGRAMS=3000` runs as many as that says.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from pierian.base import trees
from pierian.compiler import program as compiler
from pierian.compiler.llvm import target
from pierian.compiler.threads import num_threads
from pierian.core.graph import Graph, interpret
from pierian.core.trace import trace
from pierian.testing import compare
from tests.compiler.programs import random_program

SEEDS = range(int(os.environ.get("PIERIAN_PROGRAMS", "300")))
LEVELS = ["", "x86-64-v3", "x86-64-v2"]
# Per operation a few ulp; a program multiplies them by how much it magnifies any error, which is
# measured by changing its arguments by NUDGE.
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-13}
NUDGE = {"float16": 1e-3, "float32": 1e-6, "float64": 3e-15}


@pytest.fixture(autouse=True)
def _threads_for_small_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("WORTH", "TOGETHER"):
        monkeypatch.setattr(compiler, limit, 0)


def nudged(arrays: list[np.ndarray], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        x * (1 + NUDGE[x.dtype.name] * rng.choice([-1, 1], x.shape)).astype(x.dtype)
        if x.dtype.kind == "f" else x
        for x in arrays
    ]  # fmt: skip


def allowed(graph: Graph, arrays: list[np.ndarray], wanted: list[np.ndarray]) -> list[np.ndarray]:
    """How far each element of the results may be off: infinitely where it is not finite."""
    widest = max((TOLERANCE[s.dtype.name] for s in every(graph) if s.dtype.kind == "f"), default=0)
    spread = [np.zeros(x.shape) for x in wanted]
    for seed in range(4):
        for old, x, y in zip(spread, wanted, interpret(graph, nudged(arrays, seed)), strict=True):
            if x.dtype.kind == "f":
                np.maximum(old, np.abs(x.astype(float) - y.astype(float)), out=old)
    found = []
    for x, s in zip(wanted, spread, strict=True):
        size = np.abs(x.astype(float)) if x.dtype.kind == "f" else np.zeros(x.shape)
        scale = size[np.isfinite(size)].max(initial=0.0)
        limit = 10 * widest * scale + 100 * s
        found.append(np.where(np.isfinite(limit), limit, np.inf))
    return found


def every(graph: Graph) -> list[Any]:
    return [*graph.inputs, *graph.constants, *(equation.output for equation in graph.equations)]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_program_is_the_same_compiled_interpreted_and_eager(seed: int) -> None:
    case = random_program(seed)
    traced = trace(case.fn, *case.args)
    arrays = [leaf.numpy() for leaf in trees.leaves(case.args)]
    arrays += [tensor.numpy().copy() for tensor in traced.captured]
    with np.errstate(all="ignore"):
        wanted = interpret(traced.graph, arrays)
        limits = allowed(traced.graph, arrays, wanted)
    case.generator.manual_seed(seed)
    eager = trees.leaves(case.fn(*case.args))
    compare("eager", [x.numpy() for x in eager], wanted[: len(eager)], within=0.0)

    native = compiler.Program(traced.graph, chosen=target(LEVELS[seed % len(LEVELS)]))
    before = [array.copy() for array in arrays]
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            results.append(native.run(arrays))
    compare("arguments after the run", arrays, before, within=0.0)
    compare("2 threads", results[1], results[0], within=0.0)
    compare("3 threads", results[2], results[0], within=0.0)
    for found, expected, limit in zip(results[0], wanted, limits, strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        with np.errstate(all="ignore"):
            gap = np.abs(found.astype(float) - expected.astype(float))
        same = (found == expected) | ((found != found) & (expected != expected))
        bad = ~(same | (gap <= limit) | (limit == np.inf))
        assert not bad.any(), f"{found[bad][:3]} for {expected[bad][:3]}, off by {gap[bad][:3]}"
