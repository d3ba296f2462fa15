"""Gradients of compiled functions against finite differences, to second order, in float64.

`jit` of a function is differentiated, and the gradient of a function is compiled: both orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.compiler.jit import jit
from pierian.nn import functional as F
from pierian.testing import compare, gradcheck
from tests.ops.inputs import sample

X, V, W = sample((3, 4)), sample((4,), seed=1), sample((4, 2), seed=2)
CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "pointwise": (lambda x: pr.tanh(x) * pr.exp(x) + pr.sigmoid(x), (X,)),
    "broadcast": (lambda x, v: pr.sin(x * v) / (1 + v * v), (X, V)),
    "power": (lambda x, v: pr.abs(x) ** v, (X, V)),
    "softmax": (lambda x: pr.softmax(x, 1), (X,)),
    "variance": (lambda x: (x.var(0), x.std(1)), (X,)),
    "layer": (lambda x, w: pr.gelu(x @ w), (X, W)),
    "product of products": (lambda x, w: (x @ w) @ (x @ w).T, (X, W)),
    "movement": (lambda x: (x.T.flip(0)[1:, ::2] ** 3, pr.pad(x, ((1, 0), (0, 2))) ** 2), (X,)),
    "choice": (lambda x, v: pr.where(x > 0, x * v, v**3), (X, V)),
    "picked": (lambda x: x[pr.tensor([0, 2, 0])] ** 3, (X,)),
    "scan": (lambda x: pr.cumsum(x**2, 1), (X,)),
    "joined": (lambda x, v: pr.concat([x**2, pr.stack([v, v**3])], 0), (X, V)),
    "extremes": (lambda x: (x.max(1) ** 2, x.min() ** 3), (X,)),
    "loss": (lambda x: F.cross_entropy(x, pr.tensor([0, 3, 1])), (X,)),
}


@pytest.mark.parametrize("name", CASES)
def test_compiled_gradients_match_finite_differences_to_second_order(name: str) -> None:
    fn, arrays = CASES[name]
    gradcheck(jit(fn), *map(pr.tensor, arrays), order=2)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_compiled_is_the_gradient_of_the_compiled(name: str) -> None:
    fn, arrays = CASES[name]
    every = tuple(range(len(arrays)))

    def total(fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: sum((pr.sum(pr.sin(y)) for y in pr.base.trees.leaves(fn(*xs))), 0.0)

    xs = tuple(map(pr.tensor, arrays))
    wanted = pr.grad(total(fn), every)(*xs)
    compare("compiled gradient", jit(pr.grad(total(fn), every))(*xs), wanted, 1e-12)
    compare("gradient of the compiled", pr.grad(total(jit(fn)), every)(*xs), wanted, 1e-12)
