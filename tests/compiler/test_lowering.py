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
from pierian.compiler.threads import num_threads
from pierian.core.graph import interpret
from pierian.core.tensor import bind
from pierian.core.trace import trace
from pierian.ops import random
from pierian.testing import compare
from tests.ops.inputs import edges

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
    program, _, _ = native(step, [x.numpy()])
    assert not any(kernel.kind == "host" for kernel in program.fusion.kernels)


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


# Pointwise primitives that have one right answer: the same bits as NumPy's, whatever the arguments

WHOLE = [f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")]
FLOATING = ["float16", "float32", "float64"]
EXACT: dict[str, list[str]] = {  # primitive -> dtypes it takes
    **dict.fromkeys(["add", "sub", "mul"], WHOLE + FLOATING),
    **dict.fromkeys(["div", "sqrt", "floor_divide", "remainder"], FLOATING),
    **dict.fromkeys(["neg", "abs", "sign", "floor", "ceil", "trunc", "round"], WHOLE + FLOATING),
    **dict.fromkeys(["eq", "ne", "lt", "le", "gt", "ge"], ["bool", *WHOLE, *FLOATING]),
    **dict.fromkeys(["logical_and", "logical_or", "logical_xor", "logical_not"],
                    ["bool", *WHOLE, *FLOATING]),
    **dict.fromkeys(["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"],
                    ["bool", *WHOLE]),
    **dict.fromkeys(["left_shift", "right_shift"], WHOLE),
}  # fmt: skip
SIGN_OF_ZERO_IS_FREE = ["maximum", "minimum", "relu"]  # NumPy's depends on the CPU
UNARY = {"sqrt", "neg", "abs", "sign", "floor", "ceil", "trunc", "round", "logical_not",
         "bitwise_not", "relu"}  # fmt: skip


def ends(dtype: np.dtype) -> np.ndarray:
    """Numbers of `dtype` where arithmetic is special."""
    if dtype.kind == "f":
        return edges(dtype)
    if dtype.kind == "b":
        return np.array([False, True])
    info = np.iinfo(dtype)
    numbers = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7]
    return np.array(numbers + [-1, -2, -7] * (dtype.kind == "i"), dtype)


@pytest.mark.parametrize("cpu", ["", "x86-64-v2"])
@pytest.mark.parametrize("name", ["bool", *WHOLE, *FLOATING])
def test_arithmetic_has_the_bits_of_numpy_at_the_ends_of_the_dtype(name: str, cpu: str) -> None:
    x = ends(np.dtype(name))
    pairs = [np.ascontiguousarray(side).reshape(-1) for side in np.meshgrid(x, x)]
    exact = [primitive for primitive, dtypes in EXACT.items() if name in dtypes]
    free = [] if name == "bool" else SIGN_OF_ZERO_IS_FREE

    def each(a: pr.Tensor, b: pr.Tensor) -> list[pr.Tensor]:
        return [bind(p, *((a,) if p in UNARY else (a, b))) for p in exact + free]

    program, arrays, wanted = native(each, pairs, cpu)
    assert not any(kernel.kind == "host" for kernel in program.fusion.kernels)
    found = program.run(arrays)
    for i, primitive in enumerate(exact):
        compare(f"{primitive} of {name}", found[i], wanted[i], within=0.0)
    for i, primitive in enumerate(free, len(exact)):
        np.testing.assert_array_equal(found[i], wanted[i], primitive)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_divide_as_in_numpy_and_by_zero_is_an_error(name: str) -> None:
    x = ends(np.dtype(name))
    pairs = [np.ascontiguousarray(side).reshape(-1) for side in np.meshgrid(x, x[x != 0])]
    divisor = pr.tensor(pairs[1])

    def by_constant(x: pr.Tensor) -> list[pr.Tensor]:
        known = pr.tensor(pairs[1])
        return [x // known, x % known, x // 3, x % 3]

    def by_what_it_gets(x: pr.Tensor) -> list[pr.Tensor]:
        return [x // divisor, x % divisor]

    for fn, kinds in ((by_constant, {"nest"}), (by_what_it_gets, {"host"})):
        program, arrays, wanted = native(fn, pairs[:1])
        assert {kernel.kind for kernel in program.fusion.kernels} == kinds
        same_bits(program.run(arrays), wanted)
    with pytest.raises(ZeroDivisionError, match="cannot be divided by zero"):
        program.run([arrays[0], np.zeros_like(arrays[0])])


@every_level
def test_casts_between_all_dtypes_are_those_of_numpy(cpu: str) -> None:
    """Whole numbers wrap around. Floats that fit are cut; see below for those that do not."""
    names = ["bool", *WHOLE, *FLOATING]
    given = []
    for name in names:
        x = ends(np.dtype(name))
        given.append(x[np.abs(x) <= 100] if x.dtype.kind == "f" else x)

    def cast_all(*xs: pr.Tensor) -> list[list[pr.Tensor]]:
        fits = [name for name in names if not name.startswith("u")]
        return [[x.type(n) for n in (fits if x.is_floating_point() else names)] for x in xs]

    program, arrays, wanted = native(cast_all, given, cpu)
    same_bits(program.run(arrays), wanted)


@every_level
def test_floats_beyond_a_whole_dtype_stop_at_its_ends_and_nan_is_0(cpu: str) -> None:
    """NumPy leaves these to the CPU; here they are the same everywhere."""
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 300.7, -300.7], np.float32)
    program, arrays, _ = native(lambda x: [x.type("int8"), x.type("uint8"), x.long()], [x], cpu)
    info = np.iinfo(np.int64)
    wanted = [
        np.array([0, 127, -128, 127, -128, 127, -128], np.int8),
        np.array([0, 255, 0, 255, 0, 255, 0], np.uint8),
        np.array([0, info.max, info.min, info.max, info.min, 300, -300]),
    ]
    same_bits(program.run(arrays), wanted)
