"""Matrix products of the compiler: against wider arithmetic, in memory that ends at guard pages.

A product is wrong when an element is further from the exact sum than rounding can bring it, when
the epilogue does not get each element once, when the way the work units are shared out changes a
bit, or when anything outside of the operands is touched.
"""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import mmap
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.compiler import contraction, llvm
from pierian.compiler import element as el
from pierian.compiler.contraction import Contraction, Plan
from pierian.compiler.element import I32, I64
from pierian.compiler.llvm import Target, ir, target
from pierian.compiler.program import Program
from pierian.compiler.threads import num_threads
from pierian.core.tensor import bind
from pierian.core.trace import trace

ARM = "aarch64-unknown-linux-gnu:neoverse-n1"
SERIAL = itertools.count()
WIDER = {"float32": np.float64, "float64": np.longdouble}

# (m, n, k): ones, primes, sizes of tiles with one more and one less, tall, wide, empty, short
SHAPES = [
    (1, 1, 1), (1, 1, 37), (1, 17, 1), (13, 1, 1), (2, 2, 2), (7, 13, 11), (3, 5, 67),
    (31, 33, 10), (32, 32, 16), (33, 31, 17), (48, 64, 9), (47, 65, 8), (1, 30, 100), (30, 1, 100),
    (97, 3, 5), (3, 97, 5), (130, 10, 23), (10, 130, 23), (40, 40, 300), (0, 5, 3), (5, 0, 3),
    (5, 7, 0), (0, 0, 0),
]  # fmt: skip
LAYOUTS: dict[str, Callable[[int, int, int], tuple[int, int, int, int]]] = {
    "nn": lambda m, n, k: (k, 1, n, 1),
    "nt": lambda m, n, k: (k, 1, 1, k),
    "tn": lambda m, n, k: (1, m, n, 1),
    "tt": lambda m, n, k: (1, m, 1, k),
}
ODD: dict[str, Callable[[int, int, int], tuple[int, int, int, int]]] = {
    "gaps": lambda m, n, k: (2 * k + 1, 2, 3 * n + 1, 3),
    "still": lambda m, n, k: (0, 1, 1, 0),
    "backwards": lambda m, n, k: (-k, -1, n, -1),
}
CASES = {
    f"{layout}_{'_'.join(map(str, shape))}": (shape, *strides(*shape))
    for layouts, shapes in ((LAYOUTS, SHAPES), (ODD, SHAPES[5:10]))
    for layout, strides in layouts.items()
    for shape in shapes
}


@dataclass(frozen=True, eq=False)
class Product:
    """A compiled contraction; `run(A, B, C, counts, scratch, begin, end)` takes addresses.

    It writes C, with contiguous rows, and adds one to the count of each element that it writes.
    """

    c: Contraction
    units: int
    scratch: int
    run: Any
    library: Any


def write(module: ir.Module, name: str, c: Contraction, chosen: Target) -> None:
    """The function of a product."""
    value = el.scalar_type(c.dtype).as_pointer()
    kinds = [value, value, value, I32.as_pointer(), value, I64, I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    a, b, out, counts, scratch, begin, end = function.args
    builder = ir.IRBuilder(function.append_basic_block())

    def finish(builder: ir.IRBuilder, i: Any, j: Any, lanes: int, value: Any) -> None:
        place = builder.add(builder.mul(i, I64(c.n)), j)
        el.store(builder, value, builder.gep(out, [place]), c.dtype)
        count = builder.gep(counts, [place])
        old = el.load(builder, count, np.dtype(np.int32), lanes)
        el.store(builder, builder.add(old, el.like(old, 1)), count, np.dtype(np.int32))

    contraction.emit(builder, c, a, b, scratch, begin, end, finish, chosen)
    builder.ret_void()


def compiled(cases: dict[str, Contraction], chosen: Target) -> dict[str, Product]:
    """All of `cases`, as they are planned at the moment."""
    module = ir.Module()
    for name, c in cases.items():
        write(module, name, c, chosen)
    library = llvm.load(llvm.object_code(module, chosen), cases, f"contraction_{next(SERIAL)}")
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5, ctypes.c_int64, ctypes.c_int64)
    return {
        name: Product(c, contraction.units(c, chosen), contraction.scratch(c, chosen),
                      kind(library.addresses[name]), library)
        for name, c in cases.items()
    }  # fmt: skip


@cache
def products(cpu: str | None, dtype: str) -> dict[str, Product]:
    """Every shape in every layout."""
    cases = {
        name: Contraction(*shape, *strides, np.dtype(dtype))
        for name, (shape, *strides) in CASES.items()
    }
    return compiled(cases, target(cpu))


@cache
def planned(cpu: str | None) -> dict[str, Product]:
    """A product for every kind of plan that there is, whether it is ever the cheapest or not."""
    chosen = target(cpu)
    found: dict[str, tuple[Contraction, Plan]] = {}
    for layout, shape in itertools.product(("nn", "nt", "tn"), [(29, 43, 601), (6, 8, 5)]):
        c = Contraction(*shape, *LAYOUTS[layout](*shape))
        for p in contraction._plans(c, chosen):
            wide = p.vectors > 1
            kind = f"{p.inner}_{p.packed}_{p.staged}_{p.chains > 1}_{wide}_{p.block < c.k}"
            found.setdefault(f"{layout}_{kind}", (c, p))
    result = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, (c, p) in found.items():
            patch.setattr(contraction, "plan", lambda _c, _target, p=p: p)
            result |= compiled({name: c}, chosen)
    return result


def runnable() -> Iterator[str | None]:
    """This machine's CPU, and the levels of x86-64 that it has."""
    features = set(target().features.split(","))
    levels = {"x86-64-v2": "+sse4.2", "x86-64-v3": "+fma"}
    return (None, *(name for name, feature in levels.items() if feature in features))


HOSTS = [pytest.param(cpu, id=cpu or "host") for cpu in runnable()]
SWEPT = [pytest.param(None, "float64", id="host-float64")]
SWEPT += [pytest.param(*cpu.values, "float32", id=f"{cpu.id}-float32") for cpu in HOSTS]


# Memory


def span(shape: tuple[int, int], strides: tuple[int, int]) -> tuple[int, int]:
    """Elements of memory that a matrix needs, and where its first one is among them."""
    if 0 in shape:
        return 0, 0
    reach = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    before = -sum(min(r, 0) for r in reach)
    return before + sum(max(r, 0) for r in reach) + 1, before


@dataclass(frozen=True, eq=False)
class Operand:
    """Random numbers in memory of just the right size, and the matrix that they are."""

    flat: np.ndarray
    first: int
    matrix: np.ndarray

    @property
    def address(self) -> int:
        return self.flat.ctypes.data + self.first * self.flat.itemsize


def operand(rng: Any, shape: tuple[int, int], strides: tuple[int, int], dtype: Any) -> Operand:
    count, first = span(shape, strides)
    flat = rng.standard_normal(count, dtype)
    steps = [stride * flat.itemsize for stride in strides]
    matrix = np.lib.stride_tricks.as_strided(flat[first:], shape, steps)
    return Operand(flat, first, matrix)


def operands(c: Contraction) -> tuple[Operand, Operand]:
    rng = np.random.default_rng(c.m + 31 * c.n + 997 * c.k)
    a = operand(rng, (c.m, c.k), (c.a_row, c.a_col), c.dtype)
    return a, operand(rng, (c.k, c.n), (c.b_row, c.b_col), c.dtype)


def result(p: Product, a: Operand, b: Operand, parts: list[tuple[int, int]]) -> np.ndarray:
    """C, computed in these ranges of work units; each element must have come once."""
    out = np.full((p.c.m, p.c.n), np.nan, p.c.dtype)
    counts = np.zeros((p.c.m, p.c.n), np.int32)
    scratch = np.full(p.scratch // out.itemsize, np.nan, p.c.dtype)
    addresses = (out.ctypes.data, counts.ctypes.data, scratch.ctypes.data)
    for begin, end in parts:
        p.run(a.address, b.address, *addresses, begin, end)
    assert (counts == 1).all()
    return out


def check(p: Product) -> None:
    """Right, whole and in parts."""
    a, b = operands(p.c)
    whole = result(p, a, b, [(0, p.units)])
    wide = WIDER[str(p.c.dtype)]
    left, right = a.matrix.astype(wide), b.matrix.astype(wide)
    size = np.abs(left) @ np.abs(right)
    # each of k products and sums is rounded once: Higham, Accuracy and Stability, 3.1
    bound = (p.c.k + 1) * np.finfo(p.c.dtype).eps * size
    assert (np.abs(whole - left @ right) <= bound).all()
    middle = p.units // 2
    singly = [(unit, unit + 1) for unit in reversed(range(p.units))]
    thirds = [(p.units * i // 3, p.units * (i + 1) // 3) for i in range(3)]
    for parts in ([(0, middle), (middle, p.units), (3, 3)], thirds, singly):
        np.testing.assert_array_equal(result(p, a, b, parts), whole)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("cpu", "dtype"), SWEPT)
def test_product_is_right_whole_and_in_parts(cpu: str | None, dtype: str, case: str) -> None:
    check(products(cpu, dtype)[case])


@pytest.mark.parametrize("cpu", HOSTS)
def test_every_kind_of_plan_is_right(cpu: str | None) -> None:
    for name, product in planned(cpu).items():
        try:
            check(product)
        except AssertionError as error:
            raise AssertionError(name) from error


# Guard pages


class Fenced:
    """Memory with a page on either side that cannot be touched."""

    ROOM = 1 << 20

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        self.map = mmap.mmap(-1, self.ROOM + 2 * page)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.map)) + page
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for fence in (self.start - page, self.start + self.ROOM):
            assert protect(ctypes.c_void_p(fence), ctypes.c_size_t(page), 0) == 0

    def place(self, contents: np.ndarray, at_end: bool) -> int:
        """The address of a copy of `contents` that touches a fence."""
        address = self.start + (self.ROOM - contents.nbytes) * at_end
        ctypes.memmove(address, contents.ctypes.data, contents.nbytes)
        return address


def run_fenced(p: Product, rooms: list[Fenced], at_end: bool) -> None:
    a, b = operands(p.c)
    out = np.zeros((p.c.m, p.c.n), p.c.dtype)
    counts = np.zeros((p.c.m, p.c.n), np.int32)
    arrays = (a.flat, b.flat, out, counts, np.zeros(p.scratch, np.uint8))
    places = [room.place(array, at_end) for room, array in zip(rooms, arrays, strict=True)]
    firsts = (places[0] + a.first * out.itemsize, places[1] + b.first * out.itemsize)
    p.run(*firsts, *places[2:], 0, p.units)


def survived(cases: dict[str, Callable[[], None]]) -> tuple[bool, str]:
    """Whether a child of this process came through all of `cases`, and the last one it began."""
    source, sink = os.pipe()
    with warnings.catch_warnings():  # the child calls no more than the code under test
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        faulthandler.disable()
        for name, run in cases.items():
            os.write(sink, f"{name}\n".encode())
            run()
        os._exit(0)
    os.close(sink)
    with os.fdopen(source) as names:
        begun = names.read().splitlines()
    _, status = os.waitpid(child, 0)
    return status == 0, begun[-1]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and mprotect")


def fenced(found: dict[str, Product]) -> tuple[bool, str]:
    rooms = [Fenced() for _ in range(5)]
    return survived({
        f"{name}, {'end' if at_end else 'start'}": partial(run_fenced, product, rooms, at_end)
        for name, product in found.items()
        for at_end in (True, False)
    })  # fmt: skip


@needs_fork
@pytest.mark.parametrize(("cpu", "dtype"), SWEPT)
def test_product_touches_its_operands_only(cpu: str | None, dtype: str) -> None:
    alive, last = fenced(products(cpu, dtype))
    assert alive, last


@needs_fork
@pytest.mark.parametrize("cpu", HOSTS)
def test_no_kind_of_plan_touches_more_than_its_operands(cpu: str | None) -> None:
    alive, last = fenced(planned(cpu))
    assert alive, last


@needs_fork
@pytest.mark.parametrize("at_end", [True, False])
def test_the_fence_catches_one_element_too_many(at_end: bool) -> None:
    room = Fenced()
    address = room.place(np.zeros(8, np.uint8), at_end)
    beyond = address + (8 if at_end else -1)
    assert survived({"inside": lambda: ctypes.string_at(address, 8) and None}) == (True, "inside")
    alive, _ = survived({"outside": lambda: ctypes.string_at(beyond, 1) and None})
    assert not alive


# Other CPUs

EXPECTED = {ARM: "fmla", "x86-64": "mulps", "x86-64-v3": "%ymm", "x86-64-v4": "%zmm"}


@pytest.mark.parametrize("cpu", EXPECTED)
@pytest.mark.parametrize("layout", ["nn", "nt"])
def test_product_assembles_for_other_cpus(cpu: str, layout: str) -> None:
    chosen = target(cpu if ":" in cpu else f"x86_64-unknown-linux-gnu:{cpu}")
    module = ir.Module()
    for shape in [(33, 31, 17), (40, 40, 300)]:
        write(module, f"rows_{shape[0]}", Contraction(*shape, *LAYOUTS[layout](*shape)), chosen)
    assert EXPECTED[cpu] in llvm.assembly(module, chosen)


# In programs

BATCHES = [((), (2,)), ((3,), ()), ((3,), (3,)), ((2, 1), (1, 3)), ((4, 1), (2,)), ((0,), (1,))]
FLAGS = list(itertools.product((False, True), repeat=2))


def matrices(batch: tuple[int, ...], rows: int, columns: int, turned: bool, seed: int) -> pr.Tensor:
    shape = (*batch, *((columns, rows) if turned else (rows, columns)))
    return pr.tensor(np.random.default_rng(seed).standard_normal(shape, np.float32))


@pytest.mark.parametrize(("ta", "tb"), FLAGS)
@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_batches_with_what_follows_in_the_tiles(
    left: tuple[int, ...], right: tuple[int, ...], ta: bool, tb: bool
) -> None:
    m, n, k = 19, 37, 41
    a, b = matrices(left, m, k, ta, 0), matrices(right, k, n, tb, 1)
    bias, scale = matrices((), 1, n, False, 2), matrices((2,)[: len(left) > 1], m, 1, False, 3)
    if len(left) > 1:
        scale = scale[0]

    def fn(a: pr.Tensor, b: pr.Tensor, bias: pr.Tensor, scale: pr.Tensor) -> Any:
        product = bind("matmul", a, b, ta=ta, tb=tb)
        return product, pr.relu(product + bias) * scale

    arguments = (a, b, bias, scale)
    program = Program(trace(fn, *arguments).graph)
    x, y, z, w = (t.numpy().astype(np.float64) for t in arguments)
    product = (x.swapaxes(-1, -2) if ta else x) @ (y.swapaxes(-1, -2) if tb else y)
    wanted = (product, np.maximum(product + z, 0) * w)
    runs = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            runs.append(program.run([t.numpy() for t in arguments]))
    for found, expected in zip(runs[0], wanted, strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    for run in runs[1:]:
        for found, expected in zip(run, runs[0], strict=True):
            np.testing.assert_array_equal(found, expected)


def test_an_update_of_the_weight_reads_the_old_one_only() -> None:
    """The gradient of a weight and its update in one kernel, in the weight's own memory."""
    x, g = matrices((), 60, 90, False, 0), matrices((), 60, 70, False, 1)
    start = matrices((), 90, 70, False, 2)
    graph = trace(lambda x, g, w: w - bind("matmul", x, g, ta=True, tb=False) * 0.5, x, g, start)
    program = Program(graph.graph, {0: 2})
    assert program.memory
    results = []
    for threads in (1, 2, 3):
        w = start.numpy().copy()
        with num_threads(threads):
            program.run([x.numpy(), g.numpy(), w])
        results.append(w)
    wanted = start.numpy() - x.numpy().T.astype(np.float64) @ g.numpy() * 0.5
    np.testing.assert_allclose(results[0], wanted, rtol=1e-4, atol=1e-4)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
