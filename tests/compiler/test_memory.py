"""The memory plan: nothing that is alive shares its place, updates go over what they replace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.base.dtypes import float32
from pierian.compiler.memory import LINE, Life, arena
from pierian.compiler.program import Program
from pierian.core.graph import Symbol
from pierian.core.trace import trace


def lives(*rows: tuple[int, int, int]) -> list[Life]:
    """Values of so many floats, from one kernel to another."""
    return [Life(Symbol((n,), float32, i, None), first, last)
            for i, (n, first, last) in enumerate(rows)]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_values_that_are_alive_together_have_places_of_their_own(seed: int) -> None:
    draw = np.random.default_rng(seed)
    first = draw.integers(0, 20, 40)
    rows = lives(*zip(draw.integers(0, 300, 40).tolist(), first.tolist(),
                      (first + draw.integers(0, 6, 40)).tolist(), strict=True))  # fmt: skip
    starts, total = arena(rows)
    for i, one in enumerate(rows):
        start = starts[one.symbol]
        assert start % LINE == 0
        assert start + one.bytes <= total
        for other in rows[:i]:
            at = starts[other.symbol]
            apart = start + one.bytes <= at or at + other.bytes <= start
            assert apart or not one.meets(other)
    alive = [sum(life.bytes for life in rows if life.first <= k <= life.last) for k in range(26)]
    assert max(alive) <= total <= sum(life.bytes for life in rows)


def test_values_one_after_the_other_share_a_place() -> None:
    assert arena(lives((16, 0, 1), (16, 2, 3), (16, 4, 4)))[1] == LINE
    assert arena(lives((16, 0, 1), (16, 1, 2)))[1] == 2 * LINE
    assert arena([]) == ({}, 0)


def program(fn: Any, *args: pr.Tensor) -> tuple[Program, list[np.ndarray], list[np.ndarray]]:
    """The program of `fn`, its inputs, and the arrays of those that it replaces."""
    traced = trace(fn, *args)
    place = {id(t): len(args) + i for i, t in enumerate(traced.captured)}
    count = len(traced.graph.outputs) - len(traced.updated)
    updates = {count + i: place[id(t)] for i, t in enumerate(traced.updated)}
    arrays = [t.numpy() for t in (*args, *traced.captured)]
    return Program(traced.graph, updates), arrays, [t.value for t in traced.updated]


def ones(*shape: int) -> pr.Tensor:
    return pr.tensor(np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape))


def chain(x: pr.Tensor) -> pr.Tensor:
    """Each product needs the one before it."""
    for _ in range(8):
        x = pr.softmax(x @ x, 1)
    return x


def test_a_long_chain_needs_the_memory_of_a_short_one() -> None:
    native, arrays, _ = program(chain, ones(32, 32) / 1024)
    assert native.arena <= 4 * 32 * 32 * 4
    (found,) = native.run(arrays)
    np.testing.assert_allclose(found, chain(ones(32, 32) / 1024).numpy(), rtol=1e-5)


def step(kind: str) -> tuple[Any, list[pr.Tensor]]:
    """A function that assigns to tensors from outside, and these."""
    a, b = ones(3, 4), ones(3, 4) * 10
    square = ones(4, 4) / 16

    def run(x: pr.Tensor) -> pr.Tensor:
        if kind == "in place":
            a.add_(x)
        elif kind == "swapped":
            kept = a.clone()
            a.copy_(b)
            b.copy_(kept)
        elif kind == "read by its own product":
            square.copy_(square @ square)
        elif kind == "transposed":
            square.copy_(square.T * 2)
        elif kind == "read later":
            total = a.sum()
            a.add_(total)
            b.add_(total)
        elif kind == "a constant":
            a.copy_(pr.full((3, 4), 7.0))
        elif kind == "the argument":
            a.copy_(x)
        elif kind == "in rows":
            a[pr.tensor([2, 0])] = x[:2]
        elif kind == "in rows, the old ones are the result":
            kept = a * 2
            a[pr.tensor([2, 0])] = x[:2]
            return kept
        return x + a.sum() + b.sum() + square.sum()

    return run, [a, b, square]


STEPS = ("in place", "swapped", "read by its own product", "transposed", "read later",
         "a constant", "the argument", "in rows",
         "in rows, the old ones are the result")  # fmt: skip


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("times", [1, 2, 5])
def test_updates_and_repeats_are_those_of_the_function(kind: str, times: int) -> None:
    fn, state = step(kind)
    x = ones(3, 4) / 2
    native, arrays, _ = program(fn, x)
    found = native.run([a.copy() if a is x.numpy() else a for a in arrays], times)
    after = [t.numpy().copy() for t in state]
    fn, state = step(kind)
    for _ in range(times):
        wanted = fn(x)
    np.testing.assert_allclose(found[0], wanted.numpy(), rtol=1e-5)
    for array, tensor in zip(after, state, strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-5)


def test_inputs_that_overlap_what_is_replaced_are_taken_first() -> None:
    a = ones(8)
    native, arrays, (target,) = program(lambda x: a.copy_(x * 2) + x, ones(8))
    memory = np.arange(12, dtype=np.float32)
    index = next(i for i, array in enumerate(arrays) if array is target)
    given = [memory[:8], memory[:8]]
    given[index], given[1 - index] = memory[4:], memory[:8]
    old = memory[:8].copy()
    (found,) = native.run(given)
    np.testing.assert_array_equal(memory[4:], old * 2)
    np.testing.assert_array_equal(found, old * 3)


@pytest.mark.parametrize("make", [
    lambda a: np.asfortranarray(a), lambda a: np.repeat(a, 2, 1)[:, ::2], lambda a: a[::-1][::-1],
    lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
])  # fmt: skip
def test_arrays_with_gaps_or_out_of_line_are_inputs_like_others(make: Any) -> None:
    x = ones(6, 5)
    native, _, _ = program(lambda x: x * 2, x)
    (found,) = native.run([make(x.numpy())])
    np.testing.assert_array_equal(found, x.numpy() * 2)
