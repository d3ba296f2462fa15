"""Compiled programs against the reference interpreter, on chosen ones; see test_random_programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.base import trees
from pierian.compiler.program import Program
from pierian.compiler.threads import num_threads
from pierian.core.graph import interpret
from pierian.core.trace import trace

TOLERANCE = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}


def close(found: np.ndarray, wanted: np.ndarray, factor: float = 1.0) -> None:
    """Equal dtype, shape and, within the tolerance of the dtype, values."""
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    tolerance = TOLERANCE.get(str(wanted.dtype), 0.0) * factor
    finite = np.abs(wanted[np.isfinite(wanted)]) if wanted.dtype.kind == "f" else np.zeros(0)
    scale = float(finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


def compiled(fn: Callable[..., Any], *args: pr.Tensor) -> tuple[Program, list[np.ndarray], Any]:
    traced = trace(fn, *args)
    arrays = [leaf.numpy() for leaf in trees.leaves(args)]
    arrays += [tensor.numpy() for tensor in traced.captured]
    return Program(traced.graph), arrays, interpret(traced.graph, arrays)


x = pr.tensor(np.linspace(-2.9, 3.1, 35, dtype=np.float32).reshape(5, 7))
big = pr.tensor(np.random.default_rng(0).standard_normal((300, 257)).astype(np.float32))
labels = pr.tensor([1, 0, 6, 6, 2])
CHOSEN = {
    "nothing": (lambda x: x, x),
    "twice": (lambda x: (x, x, x + 1), x),
    "constant": (lambda x: pr.tensor([1.0, 2.0]), x),
    "softmax": (pr.softmax, x),
    "bias": (lambda x: pr.relu(x + pr.arange(7).float()), x),
    "transposed": (lambda x: x.T * 2 + x.T, x),
    "flipped": (lambda x: x[::-1, ::-1] - x[:, ::2].sum(), x),
    "strided": (lambda x: x[::2, 1::3].exp(), x),
    "reshaped": (lambda x: pr.tanh(x.reshape(7, 5)) + x.reshape(7, 5), x),
    "padded": (lambda x: pr.pad(x, ((1, 2), (3, 0)), 7.0).cos(), x),
    "dilated": (pr.grad(lambda x: (x[::2, ::3] ** 2).sum()), x),
    "concat": (lambda x: pr.concat([x, x[:2] * 2, x[:1]], 0), x),
    "concat inside": (lambda x: pr.concat([x, x * 2], 1), x),
    "argmax": (lambda x: (x.argmax(1), x.argmin(0, keepdims=True), (-x).argmax()), x),
    "cumsum": (lambda x: (pr.cumsum(x, 0), pr.cumsum(x, 1)), x),
    "picked": (lambda x: pr.take_along_axis(x, labels.unsqueeze(1), 1), x),
    "scattered": (pr.grad(lambda x: (x[pr.arange(5), labels] * pr.arange(5)).sum()), x),
    "rows": (pr.grad(lambda x: (x[pr.tensor([0, 0, 4, -1])] ** 2).sum()), x),
    "bools": (lambda x: ((x > 0) & (x < 2), (x > 9).any(), (x < 9).all(1), ~(x > 0)), x),
    "integers": (lambda x: (x.int() * 3 - 1, x.long() << 2, abs(x.int()), x.int().max()), x),
    "halves": (lambda x: (x.half() + 1).exp(), x),
    "rounding": (lambda x: (x.floor(), x.ceil(), x.round(), x.trunc(), x.int().floor()), x),
    "sorted": (lambda x: pr.sort(x * -1.0, 1).values + 1, x),
    "reductions": (lambda x: (x.max(0), x.min(1), x.prod(), x.sum((0, 1)), x.mean(0)), x),
    "large": (lambda x: (x.sum(0), x.sum(1), x.max(), (x * 2 + 1).exp(), x.T.sum(0)), big),
    "large product": (lambda x: (x @ x.T).sum(0), big),
    "variance": (lambda x: (x.var(0), x.std(1)), big),
    "empty": (lambda x: (x[:0].sum(0), x[:0] * 2, pr.concat([x[:0], x])), x),
    "scalar": (lambda x: x[0, 0] * x[1, 1] + 3, x),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_chosen_program_gives_what_the_interpreter_gives(name: str) -> None:
    fn, argument = CHOSEN[name]
    native, arrays, wanted = compiled(fn, argument)
    for found, expected in zip(native.run(arrays), wanted, strict=True):
        close(found, expected, 10.0)
    kept = [array.copy() for array in arrays]
    native.run(arrays)
    for array, copy in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", ["large", "large product", "variance", "softmax"])
def test_bits_do_not_depend_on_the_number_of_threads(name: str) -> None:
    fn, argument = CHOSEN[name]
    native, arrays, _ = compiled(fn, argument)
    results = []
    for n in (1, 2, 3, 7):
        with num_threads(n):
            results.append(native.run(arrays))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("bad", [7, -8, 10**12])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_index_outside_its_axis_is_an_error_and_nothing_is_read(bad: int, threads: int) -> None:
    def pick(x: pr.Tensor, i: pr.Tensor) -> pr.Tensor:
        return pr.take(x, i, 1).sum() + pr.grad(lambda x: pr.take(x, i, 1).sum())(x).sum()

    native, arrays, _ = compiled(pick, x, pr.tensor([0, 6, -7]))
    with num_threads(threads):
        before = native.run(arrays)
        with pytest.raises(IndexError, match="indices must lie inside their axis"):
            native.run([arrays[0], np.array([0, bad, 1])])
        np.testing.assert_array_equal(native.run(arrays)[0], before[0])


def test_results_are_fresh_memory() -> None:
    native, arrays, _ = compiled(lambda x: (x * 2, x), x)
    first, second = native.run(arrays), native.run(arrays)
    assert not any(np.shares_memory(a, b) for a in first for b in (*second, *arrays))
