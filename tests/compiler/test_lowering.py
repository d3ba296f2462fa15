"""What single primitives become: random draws, casts, whole numbers, halves, on every kind of CPU.

To add a check of a lowering: a row in the table it belongs to. Whole programs are in test_program,
all public functions in tests/ops/test_sweeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.compiler.jit import jit
from pierian.compiler.llvm import target
from pierian.compiler.program import Program
from pierian.compiler.runtime import num_threads
from pierian.core.graph import interpret
from pierian.core.trace import trace
from pierian.ops import random
from pierian.testing import compare

LEVELS = ["", "x86-64-v3", "x86-64-v2"]
every_level = pytest.mark.parametrize("cpu", LEVELS)


def native(fn: Callable[..., Any], arrays: list[np.ndarray], cpu: str = "") -> Any:
    """The program of `fn`, its inputs, and what the interpreter gives for them.

    Tensors from outside that `fn` reads come after `arrays`.
    """
    traced = trace(fn, *map(pr.tensor, arrays))
    arrays = arrays + [tensor.numpy() for tensor in traced.captured]
    with np.errstate(all="ignore"):
        wanted = interpret(traced.graph, arrays)
    return Program(traced.graph, chosen=target(cpu)), arrays, wanted


def same_bits(found: list[np.ndarray], wanted: list[np.ndarray], what: str = "bits") -> None:
    compare(what, found, wanted, within=0.0)


# Random draws


STREAM = random.Generator(2**40 + 123)
STREAM.state.numpy()[1] = 2**64 - 3  # the counter passes 2^64 within the draws
DRAWS = {
    "bits": lambda shape: random.bits(shape, STREAM),
    "rand": lambda shape: pr.rand(shape, generator=STREAM),
    "rand of float64": lambda shape: pr.rand(shape, dtype="float64", generator=STREAM),
    "rand of float16": lambda shape: pr.rand(shape, dtype="float16", generator=STREAM),
    "randn": lambda shape: pr.randn(shape, generator=STREAM),
    "randn of float64": lambda shape: pr.randn(shape, dtype="float64", generator=STREAM),
    "randn of float16": lambda shape: pr.randn(shape, dtype="float16", generator=STREAM),
    "turned": lambda shape: pr.randn(shape, generator=STREAM).transpose() * 2,
    "flipped": lambda shape: pr.rand(shape, generator=STREAM).flip(),
    "summed": lambda shape: random.bits(shape, STREAM).sum(),
    "randint": lambda shape: pr.randint(-5, 1000, shape, generator=STREAM),
    "bernoulli": lambda shape: pr.bernoulli(0.3, shape, generator=STREAM),
    "two": lambda shape: (pr.rand(shape, generator=STREAM), pr.randn(shape, generator=STREAM)),
}
SHAPES = [(), (3,), (64,), (7, 33), (0, 3), (100, 257)]


@every_level
def test_draws_have_the_bits_of_the_interpreter_and_need_no_numpy(cpu: str) -> None:
    def draws() -> list[Any]:
        return [draw(shape) for draw in DRAWS.values() for shape in SHAPES]

    program, arrays, wanted = native(draws, [], cpu)
    assert not any(kernel.kind == "host" for kernel in program.fusion.kernels)
    for threads in (1, 3):
        with num_threads(threads):
            same_bits(program.run(arrays), wanted, f"{threads} threads")


def test_every_normal_number_of_the_tails_has_its_bits() -> None:
    program, arrays, wanted = native(lambda: pr.randn(1 << 21, generator=STREAM), [])
    assert np.abs(wanted[0]).max() > 4.9
    same_bits(program.run(arrays), wanted)


def test_a_step_with_dropout_draws_as_eager_does_and_needs_no_numpy() -> None:
    def step(x: pr.Tensor) -> Any:
        dropped = pr.grad(lambda x: (pr.nn.functional.dropout(x, 0.5) * x).sum())
        return dropped(x), dropped(x)

    x = pr.ones(130, 70)
    pr.manual_seed(3)
    eager = [step(x) for _ in range(2)]
    pr.manual_seed(3)
    jitted = jit(step)
    compare("dropout", [jitted(x) for _ in range(2)], eager, within=0.0)
    (entry,) = jitted.entries.values()
    assert not any(kernel.kind == "host" for kernel in entry.program.fusion.kernels)


# Halves: conversions are rounded once, with and without instructions for them


@every_level
def test_halves_convert_as_in_numpy(cpu: str) -> None:
    rng = np.random.default_rng(0)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    near = halves[np.isfinite(halves)].astype(np.float64)[:, None]
    ties = near * (1 + np.array([2.0**-11, 2.0**-12, 2.0**-11 + 2.0**-50, 2.0**-11 - 2.0**-50]))
    double = np.concatenate([ties.ravel(), rng.integers(0, 2**64, 2**16, np.uint64).view("f8")])
    single = rng.integers(0, 2**32, 2**16, np.uint32).view(np.float32)

    def convert(half: pr.Tensor, single: pr.Tensor, double: pr.Tensor) -> Any:
        return half.float(), half.double(), single.half(), double.half(), half * half + half

    program, arrays, wanted = native(convert, [halves, single, double], cpu)
    same_bits(program.run(arrays), wanted)
