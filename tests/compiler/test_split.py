"""Long reductions in two: same values, better rounding, threads that share."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pierian as pr
from pierian.compiler.passes import optimize
from pierian.compiler.split import BLOCK, LONG, blocks, split
from pierian.compiler.threads import num_threads
from pierian.core.graph import interpret, verify
from pierian.core.trace import trace

SHAPES = [(LONG + 1,), (1 << 16,), (100_000, 3), (300, 301), (3, 100_000), (7, 1, 65_536), (5, 5),
          (1, 1 << 17), (1_000_003,), (2, 3, 5, 7, 11, 13, 17), (0, 1 << 20)]  # fmt: skip
REDUCE = {
    "sum": lambda x: x.sum(), "mean": lambda x: (x * x).mean(keepdims=True),
    "max": lambda x: x.max(), "min": lambda x: x.min(keepdims=True),
    "any": lambda x: (x > 0.99999).any(), "all": lambda x: (x > -1).all(),
    "prod": lambda x: (1 + x * 1e-6).prod(),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", REDUCE)
def test_split_reductions_give_the_same(name: str, shape: tuple[int, ...]) -> None:
    if 0 in shape and name in ("max", "min"):
        return
    x = np.random.default_rng(0).random(shape)
    graph = optimize(trace(REDUCE[name], pr.tensor(x)).graph)
    after = split(graph)
    verify(after)
    (found,), (wanted,) = interpret(after, [x]), interpret(graph, [x])
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    divisible = math.prod(shape) > LONG and blocks(shape) is not None
    assert (len(after.equations) > len(graph.equations)) == divisible


@pytest.mark.parametrize("shape", [s for s in SHAPES if math.prod(s) > LONG], ids=str)
def test_blocks_have_the_same_elements(shape: tuple[int, ...]) -> None:
    found = blocks(shape)
    if found is None:
        assert shape in [(1_000_003,), (LONG + 1,)]  # no divisor is near
        return
    assert math.prod(found) == math.prod(shape)
    assert found == shape or min(BLOCK // 8, math.prod(shape)) <= math.prod(found[-2:])


def test_sum_of_millions_is_as_exact_as_that_of_thousands() -> None:
    x = np.random.default_rng(1).random(4_000_000, dtype=np.float32)
    wanted = np.square(x.astype(np.float64)).mean()
    found = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            found.append(pr.jit(lambda x: (x * x).mean())(pr.tensor(x)).item())
    assert len(set(found)) == 1
    assert abs(found[0] - wanted) < 3e-7 * wanted
