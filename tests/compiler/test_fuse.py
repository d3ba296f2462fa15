"""Fusion: what shares a loop, what gets memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.compiler.fuse import Fusion
from pierian.compiler.passes import optimize
from pierian.core.trace import trace


def kinds(fn: Callable[..., Any], *args: pr.Tensor) -> list[str]:
    """The kernels of a function."""
    return [kernel.kind for kernel in Fusion(optimize(trace(fn, *args).graph)).kernels]


x = pr.tensor(np.linspace(-1, 1, 200, dtype=np.float32).reshape(10, 20))
w = pr.tensor(np.linspace(-1, 1, 100, dtype=np.float32).reshape(20, 5))
FUSED: dict[str, tuple[Callable[..., Any], tuple[pr.Tensor, ...], list[str]]] = {
    "a chain": (lambda x: pr.exp(x * 2 + 1).tanh() - x, (x,), ["nest"]),
    "several results": (lambda x: (x + 1, x * 2, pr.sin(x)), (x,), ["nest"]),
    "movement": (lambda x: x.T.reshape(10, 20)[::-1] + x, (x,), ["nest"]),
    "into a sum": (lambda x: (x * x + 1).sum(1), (x,), ["reduce"]),
    "after a product": (lambda x, w: pr.relu(x @ w + 1), (x, w), ["matmul"]),
    "a product of a reshape": (lambda x, w: x.reshape(5, 40)[:, :20] @ w, (x, w),
                               ["nest", "matmul"]),
    "a product through a reshape": (lambda x, w: x.reshape(2, 5, 20).reshape(10, 20) @ w, (x, w),
                                    ["matmul"]),
    "a sum between": (lambda x: x - x.sum(1, keepdims=True), (x,), ["reduce", "nest"]),
    "costly, used twice": (lambda x: (pr.exp(x).sum(1), pr.exp(x) / 2), (x,),
                           ["nest", "reduce"]),
    "no lowering": (lambda x: pr.sort(x, 1).values + 1, (x,), ["host", "nest"]),
}  # fmt: skip


@pytest.mark.parametrize(("fn", "args", "wanted"), FUSED.values(), ids=FUSED)
def test_kernels(fn: Any, args: tuple[pr.Tensor, ...], wanted: list[str]) -> None:
    assert kinds(fn, *args) == wanted


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_update_of_a_weight_is_in_the_product_that_computes_its_gradient(name: str) -> None:
    model = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 5))
    optimizer = optim.get(name, model.parameters())

    def step(x: pr.Tensor, y: pr.Tensor) -> pr.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    y = pr.tensor(np.arange(10) % 5)
    traced = trace(step, x, y)
    fusion = Fusion(optimize(traced.graph))
    count = len(traced.graph.outputs) - len(traced.updated)
    place = {id(t): i for i, t in enumerate(traced.updated)}
    for weight in (model[0].weight, model[2].weight):
        new = fusion.graph.outputs[count + place[id(weight)]]
        home = fusion.kernels[fusion.home[new]]
        assert home.kind == "matmul"
        assert home.space == weight.shape
        assert home.equation is not None
        assert home.equation.output in fusion.passing()  # the gradient is never in memory
