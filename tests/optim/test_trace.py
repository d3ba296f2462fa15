"""A whole training step traces to one graph, which does what the step does eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import optim
from pierian.core.graph import verify
from pierian.core.tensor import Tensor
from pierian.core.trace import trace
from tests.optim import cases

RUNS = 5


class Problem:
    """The logistic problem, its optimizer, and its training step."""

    def __init__(self, row: str, dtype: str, clip: float = 0.0) -> None:
        name, settings = cases.RULES[row]
        self.w = pr.tensor(cases.W0, dtype=dtype).requires_grad_()
        self.b = pr.tensor(cases.B0, dtype=dtype).requires_grad_()
        self.x, self.y = pr.tensor(cases.X, dtype=dtype), pr.tensor(cases.Y, dtype=dtype)
        self.optimizer: optim.Optimizer = getattr(optim, name)([self.w, self.b], **settings)
        self.clip = clip

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = cases.logistic(self.w, self.b, x, y)
        loss.backward()
        if self.clip:
            optim.clip_grad_norm_([self.w, self.b], self.clip)
        self.optimizer.step()
        return loss

    def run(self, step: Callable[..., Any], times: int = RUNS) -> None:
        for _ in range(times):
            step(self.x, self.y)

    def everything(self) -> list[np.ndarray]:
        state = [x.numpy() for s in self.optimizer.state.values() for x in s.values()]
        return [self.w.numpy(), self.b.numpy(), *state]


def assert_same(a: Problem, b: Problem) -> None:
    for left, right in zip(a.everything(), b.everything(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", cases.RULES)
def test_traced_step_is_the_eager_step_bit_for_bit(row: str, dtype: str) -> None:
    eager, traced = Problem(row, dtype), Problem(row, dtype)
    eager.run(eager.step)
    step = trace(traced.step, traced.x, traced.y)
    assert traced.w.tolist() == Problem(row, dtype).w.tolist()  # tracing changes nothing
    verify(step.graph)
    traced.run(step)
    assert_same(eager, traced)


@pytest.mark.parametrize("row", cases.RULES)
def test_state_made_before_or_during_the_trace_is_the_same(row: str) -> None:
    early, late = Problem(row, "float32"), Problem(row, "float32")
    early.optimizer.init_state()
    steps = [trace(problem.step, problem.x, problem.y) for problem in (early, late)]
    for problem, step in zip((early, late), steps, strict=True):
        slots = [x for s in problem.optimizer.state.values() for x in s.values()]
        updated = {id(t) for t in step.updated}
        assert {id(x) for x in slots} <= updated
        problem.run(step)
    assert_same(early, late)


def test_learning_rate_changes_without_a_new_trace() -> None:
    eager, traced = Problem("adam", "float32"), Problem("adam", "float32")
    step = trace(traced.step, traced.x, traced.y)
    for lr, betas in ((0.05, (0.9, 0.999)), (0.5, (0.8, 0.9)), (0.01, (0.95, 0.99))):
        for problem in (eager, traced):
            problem.optimizer.lr = lr
            problem.optimizer.param_groups[0]["betas"] = betas
        eager.run(eager.step, 2)
        traced.run(step, 2)
        assert_same(eager, traced)


def test_loaded_state_is_seen_without_a_new_trace() -> None:
    source, traced = Problem("adam", "float32"), Problem("adam", "float32")
    step = trace(traced.step, traced.x, traced.y)
    source.run(source.step)
    with pr.no_grad():
        traced.w.copy_(source.w)
        traced.b.copy_(source.b)
    traced.optimizer.load_state_dict(source.optimizer.state_dict())
    source.run(source.step)
    traced.run(step)
    assert_same(source, traced)


def test_eager_and_traced_steps_can_alternate() -> None:
    eager, mixed = Problem("sgd dampening", "float32"), Problem("sgd dampening", "float32")
    step = trace(mixed.step, mixed.x, mixed.y)
    eager.run(eager.step, 6)
    for _ in range(3):
        mixed.run(mixed.step, 1)
        mixed.run(step, 1)
    assert_same(eager, mixed)


@pytest.mark.parametrize("clip", [0.05, 100.0])
def test_clipping_traces(clip: float) -> None:
    eager, traced = (
        Problem("sgd momentum", "float32", clip),
        Problem("sgd momentum", "float32", clip),
    )
    eager.run(eager.step)
    traced.run(trace(traced.step, traced.x, traced.y))
    assert_same(eager, traced)


def test_step_with_zeroed_gradients_traces() -> None:
    def make() -> tuple[Problem, Callable[..., Tensor]]:
        problem = Problem("rmsprop", "float32")
        problem.step(problem.x, problem.y)

        def step(x: Tensor, y: Tensor) -> Tensor:
            problem.optimizer.zero_grad(set_to_none=False)
            loss = cases.logistic(problem.w, problem.b, x, y)
            loss.backward()
            problem.optimizer.step()
            return loss

        return problem, step

    (eager, eager_step), (traced, traced_step) = make(), make()
    eager.run(eager_step)
    traced.run(trace(traced_step, traced.x, traced.y))
    assert_same(eager, traced)


def test_adam_stays_a_short_chain() -> None:
    """Twelve operations per parameter: what eager speed and fused kernels rest on."""
    size = 50_000
    p = pr.zeros(size).requires_grad_()
    p.grad = pr.ones(size)
    optimizer = optim.Adam([p])

    def step() -> tuple[Tensor, ...]:
        optimizer.step()
        return ()

    equations = trace(step).graph.equations
    wide = [equation.primitive for equation in equations if equation.output.shape == (size,)]
    assert len(wide) == 12, wide
