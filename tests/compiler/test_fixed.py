"""Functions in fixed memory do what they do eagerly, at every call."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.compiler.fixed import Fixed


def affine() -> tuple[Fixed, pr.Tensor]:
    """x -> w x + b, which counts its calls."""
    w, b, count = pr.tensor([[1.0, 2.0], [3.0, 4.0]]), pr.ones(2), pr.zeros()

    def fn(x: pr.Tensor) -> pr.Tensor:
        count.add_(1)
        return w @ x + b

    return Fixed(fn, pr.zeros(2)), count


def uncompiled(fixed: Fixed) -> Fixed:
    fixed.compiled.reason = "nothing to compile with"
    return fixed


@pytest.mark.parametrize("kind", [lambda fixed: fixed, copy.deepcopy, uncompiled])
def test_new_values_in_old_memory_give_new_results(kind: Callable[[Fixed], Fixed]) -> None:
    made, count = affine()
    fixed = kind(made)
    for i in range(4):
        [y] = fixed(np.array([i, 1.0]))
        assert y.tolist() == [i + 3.0, 3.0 * i + 5.0]
    assert fixed.inputs[0].tolist() == [3.0, 1.0]
    assert count == 4


def test_results_stay_in_their_memory() -> None:
    fixed, _ = affine()
    fixed([0.0, 1.0])
    assert fixed([1.0, 0.0])[0] is fixed([0.0, 0.0])[0]


def test_numbers_and_trees_of_results() -> None:
    fixed = Fixed(lambda a, b: {"sum": a + b, "both": (a, b * 2)}, pr.zeros(), pr.zeros())
    for a in range(3):
        assert [float(y) for y in fixed(a, 3)] == [a + 3, a, 6]


def test_a_program_for_several_threads_runs_as_ever() -> None:
    x, w = pr.zeros(64, 512), pr.randn(512, 512)
    fixed = Fixed(lambda x: x @ w, x)
    for seed in range(3):
        new = np.random.default_rng(seed).standard_normal((64, 512)).astype(np.float32)
        np.testing.assert_allclose(fixed(new)[0], new @ w.numpy(), rtol=1e-3, atol=1e-3)


def test_an_index_outside_is_an_error_at_every_call() -> None:
    table = pr.tensor([1.0, 2.0])
    fixed: Any = Fixed(lambda i: table[i], pr.tensor([0]))
    assert fixed([1])[0] == [2.0]
    for wrong in (2, 3):
        with pytest.raises(IndexError):
            fixed([wrong])
    assert fixed([0])[0] == [1.0]


def test_tensors_from_outside_may_get_other_memory() -> None:
    w = pr.tensor([2.0, 3.0])
    forward = Fixed(lambda x: w * x, pr.zeros(2))
    slope = Fixed(lambda x: pr.grad(lambda w: (w * w * x).sum())(w), pr.zeros(2))
    for data in ([2.0, 3.0], [5.0, 7.0], np.array([11.0, 13.0], np.float64), [2.0, 3.0]):
        w.data = pr.tensor(data)
        assert forward([1.0, 10.0])[0].tolist() == [data[0], 10 * data[1]]
        assert slope([1.0, 10.0])[0].tolist() == [2 * data[0], 20 * data[1]]
