"""Matrix products of the compiler alone: time, GFLOP/s, share of the FMA peak, time to compile.

    python -m benchmarks.contraction [--target x86-64-v3] [--dtype float64] [--seconds 0.3]
    python -m benchmarks.contraction --shape 1000,1000,1000 --layouts nn,nt,tn

One thread, and its own time. The peak is that of a generated loop of multiply-adds on registers,
measured in turns with each row, since other users of the machine change it. To add a row: one in
`ROWS`.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.compiler import contraction as con
from pierian.compiler import element as el
from pierian.compiler.element import I64
from pierian.compiler.llvm import Library, Target, ir, load, object_code, target
from pierian.compiler.measure import peak


@dataclass(frozen=True)
class Row:
    """C = A @ B of m rows and n columns.

    Args:  layout  of A and of B: rows contiguous (n), or columns (t).
           adam    C is the gradient of a weight, which is updated instead of storing C.
    """

    what: str
    m: int
    n: int
    k: int
    layout: str
    adam: bool = False


ROWS = (
    Row("mlp 784-512-10, b128: forward", 128, 512, 784, "nt"),
    Row("... second layer", 128, 10, 512, "nt"),
    Row("... gradient of the hidden layer", 128, 512, 10, "nn"),
    Row("... gradient of the weight", 10, 512, 128, "tn"),
    Row("... of the first weight", 512, 784, 128, "tn"),
    Row("... with Adam's update", 512, 784, 128, "tn", adam=True),
    Row("softmax 784-10, b256: forward", 256, 10, 784, "nt"),
    Row("... gradient of the weight", 10, 784, 256, "tn"),
    Row("threes 784-30-1, b256: forward", 256, 30, 784, "nt"),
    Row("... second layer", 256, 1, 30, "nt"),
    Row("... gradient of the weight", 30, 784, 256, "tn"),
    Row("grus 784-30-10-10, b1: forward", 1, 30, 784, "nt"),
    Row("... second layer", 1, 10, 30, "nt"),
    Row("... gradient of the weight", 30, 784, 1, "tn"),
    Row("fizzbuzz 10-25-4, b1: forward", 1, 25, 10, "nt"),
    Row("... second layer", 1, 4, 25, "nt"),
    Row("... gradient of the weight", 25, 10, 1, "tn"),
    Row("xor 2-2-1, b1: forward", 1, 2, 2, "nt"),
    Row("large", 1024, 1024, 1024, "nn"),
    Row("large", 1024, 1024, 1024, "nt"),
    Row("large", 1024, 1024, 1024, "tn"),
    Row("long", 512, 1024, 4096, "nt"),
    Row("wide", 4096, 4096, 128, "nn"),
    Row("vector", 1, 1024, 1024, "nt"),
)
RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # Adam's usual ones


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled product; `compile_ms` are Python's and LLVM's shares."""

    library: Library
    call: Any
    write_ms: float
    compile_ms: float
    scratch: int
    units: int


def strides(layout: str, m: int, n: int, k: int) -> tuple[int, int, int, int]:
    """Of A by row and column, then of B."""
    return (*((k, 1) if layout[0] == "n" else (1, m)), *((n, 1) if layout[1] == "n" else (1, k)))


def compile_product(c: con.Contraction, chosen: Target, adam: bool = False) -> Kernel:
    """void repeat(A, B, C, scratch, begin, end, times), C with contiguous rows.

    With `adam`, C is three arrays of its size: the weight and its two moments.
    """
    start = time.perf_counter()
    module = ir.Module()
    pointer = el.scalar_type(c.dtype).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer] * 4 + [I64] * 2)
    function = ir.Function(module, kind, "product")
    a, b, out, scratch, begin, end = function.args
    for argument in (a, b, out, scratch):
        argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))

    def finish(builder: ir.IRBuilder, i: Any, j: Any, lanes: int, value: Any) -> None:
        place = builder.add(builder.mul(i, I64(c.n)), j)
        if not adam:
            el.store(builder, value, builder.gep(out, [place]), c.dtype)
            return
        places = [
            builder.gep(out, [builder.add(place, I64(slot * c.m * c.n))]) for slot in range(3)
        ]
        old = [el.load(builder, pointer, c.dtype, lanes) for pointer in places]
        for new, pointer in zip(updated(builder, value, *old), places, strict=True):
            el.store(builder, new, pointer, c.dtype)

    con.emit(builder, c, a, b, scratch, begin, end, finish, chosen)
    builder.ret_void()
    function.attributes.add("noinline")
    repeated(module, function)
    middle = time.perf_counter()
    code = object_code(module, chosen)
    stop = time.perf_counter()
    library = load(code, ["repeat"], f"product{time.perf_counter_ns()}")
    types = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 3
    call = ctypes.CFUNCTYPE(None, *types)(library.addresses["repeat"])
    return Kernel(library, call, (middle - start) * 1e3, (stop - middle) * 1e3,
                  con.scratch(c, chosen), con.units(c, chosen))  # fmt: skip


def updated(b: ir.IRBuilder, g: Any, w: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
    """Adam's new weight and moments."""
    m = b.fadd(m, b.fmul(b.fsub(g, m), el.like(g, 1 - BETA1)))
    v = b.fadd(v, b.fmul(b.fsub(b.fmul(g, g), v), el.like(g, 1 - BETA2)))
    root = b.fadd(el.intrinsic(b, "llvm.sqrt", v), el.like(g, EPSILON))
    return b.fsub(w, b.fmul(b.fdiv(m, root), el.like(g, RATE))), m, v


def repeated(module: ir.Module, function: Any) -> None:
    """void repeat(…, times): calls `function` so often, as a call from Python takes longer."""
    kind = function.function_type
    outer = ir.Function(module, ir.FunctionType(kind.return_type, [*kind.args, I64]), "repeat")
    *arguments, times = outer.args
    b = ir.IRBuilder(outer.append_basic_block("entry"))
    body, done = (outer.append_basic_block() for _ in range(2))
    b.branch(body)
    b.position_at_end(body)
    number = b.phi(I64)
    number.add_incoming(I64(0), outer.entry_basic_block)
    b.call(function, arguments)
    following = b.add(number, I64(1))
    number.add_incoming(following, body)
    b.cbranch(b.icmp_signed("<", following, times), body, done)
    b.position_at_end(done)
    b.ret_void()


def best(call: Any, seconds: float) -> float:
    """A short time of a call, tried for so long: one that a tenth of the tries stay below.

    Only the thread's own time counts; what a busy system takes away from it is now and then wrong,
    which spoils the very shortest.
    """
    times: list[float] = []
    stop = time.perf_counter() + seconds
    while not times or time.perf_counter() < stop:
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return sorted(times)[len(times) // 10]


def measure(row: Row, chosen: Target, dtype: np.dtype, seconds: float) -> str:
    """One row of the table."""
    c = con.Contraction(row.m, row.n, row.k, *strides(row.layout, row.m, row.n, row.k), dtype)
    kernel = compile_product(c, chosen, row.adam)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(size, c.dtype) for size in (c.m * c.k, c.k * c.n))
    out = np.ones(c.m * c.n * 3, c.dtype)
    scratch = np.empty(kernel.scratch + 64, np.uint8)
    own = -(-scratch.ctypes.data // 64) * 64
    arguments = (a.ctypes.data, b.ctypes.data, out.ctypes.data, own, 0, kernel.units)
    fastest = float("inf")
    repeats = max(1, 1_000_000 // max(c.m * c.n * c.k, 30))
    for _ in range(3):  # in turns, as the machine's speed changes
        top = peak(chosen, 1, again=True).flops[c.dtype.itemsize]
        fastest = min(fastest, best(lambda: kernel.call(*arguments, repeats), seconds) / repeats)
    rate = 2 * c.m * c.n * c.k / fastest
    p = con.planned(c, chosen)[1]
    notes = [f"{p.rows}x{p.columns}"]
    notes += ["lanes along k"] * p.inner + ["copied"] * p.packed + ["staged"] * p.staged
    notes += [f"{c.k} in steps of {p.block}"] * (p.block < c.k)
    return (f"{row.what} | {c.m}, {c.n}, {c.k} | {row.layout} | {fastest * 1e6:.3g} | "
            f"{rate / 1e9:.4g} | {100 * rate / top:.0f} % | "
            f"{kernel.write_ms:.1f} + {kernel.compile_ms:.1f} | {', '.join(notes)}")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="a CPU that LLVM knows; default: this one")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--shape", help="m,n,k; default: the rows of this file")
    parser.add_argument("--layouts", default="nn,nt,tn", help="of --shape")
    parser.add_argument("--seconds", type=float, default=0.2, help="per row")
    options = parser.parse_args()
    chosen, dtype = target(options.target), np.dtype(options.dtype)
    rows: tuple[Row, ...] = ROWS
    if options.shape:
        m, n, k = (int(size) for size in options.shape.split(","))
        rows = tuple(Row("given", m, n, k, layout) for layout in options.layouts.split(","))
    print(f"{chosen.cpu}, {8 * chosen.vector} bits, {dtype}, one thread\n")
    print("| what | m, n, k | layout | µs | GFLOP/s | of peak | write + compile ms | tile |")
    print("|---|---|---|--:|--:|--:|--:|---|")
    for row in rows:
        print(f"| {measure(row, chosen, dtype, options.seconds / 3)} |", flush=True)


if __name__ == "__main__":
    main()
