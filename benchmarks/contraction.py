"""Matrix products of the compiler alone: GFLOP/s, share of the FMA peak, time to compile.

    python -m benchmarks.contraction [--target x86-64-v3] [--threads] [--shape 128,512,784] [--all]

The peak is that of a generated loop of multiply-adds on registers, measured before each row, since
other users of the machine change it.
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
from pierian.compiler.llvm import Library, Target, assembly, ir, load, object_code, target

LAYOUTS = ("nn", "nt", "tn", "tt")  # of A and of B: rows contiguous (n), or columns (t)
SHAPES = ((128, 512, 784), (512, 784, 128), (128, 10, 512), (10, 512, 128), (128, 512, 10),
          (256, 10, 784), (10, 784, 256), (256, 30, 784), (30, 784, 256), (512, 1024, 4096),
          (128, 4096, 4096), (1024, 1024, 1024), (4096, 4096, 128), (1, 30, 784), (30, 784, 1),
          (1, 10, 30), (1, 2, 2), (1, 1024, 1024), (1024, 1, 1024))  # fmt: skip
PEAK_SUMS = 12  # registers of the peak loop: enough to hide the latency, few enough for 16


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled product; `compile_ms` are Python's and LLVM's shares."""

    library: Library
    call: Any
    write_ms: float
    compile_ms: float
    scratch: int
    units: int
    text: str


def strides(layout: str, m: int, n: int, k: int) -> tuple[int, int, int, int]:
    """Of A by row and column, then of B."""
    return (*((k, 1) if layout[0] == "n" else (1, m)), *((n, 1) if layout[1] == "n" else (1, k)))


def compile_product(c: con.Contraction, chosen: Target, listing: bool = False) -> Kernel:
    """void repeat(A, B, C, scratch, begin, end, times), C with contiguous rows."""
    start = time.perf_counter()
    module = ir.Module()
    pointer = el.scalar_type(c.dtype).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer] * 4 + [I64] * 2)
    function = ir.Function(module, kind, "product")
    a, b, out, scratch, begin, end = function.args
    for argument in (a, b, out, scratch):
        argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))

    def store(builder: ir.IRBuilder, i: Any, j: Any, _lanes: int, value: Any) -> None:
        place = builder.gep(out, [builder.add(builder.mul(i, I64(c.n)), j)])
        el.store(builder, value, place, c.dtype)

    con.emit(builder, c, a, b, scratch, begin, end, store, chosen)
    builder.ret_void()
    function.attributes.add("noinline")
    repeated(module, function)
    middle = time.perf_counter()
    code = object_code(module, chosen)
    stop = time.perf_counter()
    library = load(code, ["repeat"], f"product{time.perf_counter_ns()}")
    types = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 3
    call = ctypes.CFUNCTYPE(None, *types)(library.addresses["repeat"])
    text = assembly(module, chosen) if listing else ""
    return Kernel(library, call, (middle - start) * 1e3, (stop - middle) * 1e3,
                  con.scratch(c, chosen), con.units(c, chosen), text)  # fmt: skip


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


def compile_peak(chosen: Target, dtype: np.dtype) -> tuple[Any, int, Library]:
    """A loop of independent multiply-adds: its call, the FLOPs of one round, its code."""
    lanes = chosen.lanes(8 * dtype.itemsize)
    vector = el.vector_type(el.scalar_type(dtype), lanes)
    module = ir.Module()
    kind = ir.FunctionType(ir.VoidType(), [vector.as_pointer(), I64])
    function = ir.Function(module, kind, "peak")
    place, rounds = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    x = b.load(place, align=dtype.itemsize)
    y = b.load(b.gep(place, [I64(1)]), align=dtype.itemsize)
    entry, body, done = b.block, *(function.append_basic_block() for _ in range(2))
    b.branch(body)
    b.position_at_end(body)
    number = b.phi(I64)
    number.add_incoming(I64(0), entry)
    sums = [b.phi(vector) for _ in range(PEAK_SUMS)]
    results = [el.intrinsic(b, "llvm.fmuladd", x, y, total) for total in sums]
    for total, result in zip(sums, results, strict=True):
        total.add_incoming(x, entry)
        total.add_incoming(result, body)
    following = b.add(number, I64(1))
    number.add_incoming(following, body)
    b.cbranch(b.icmp_signed("<", following, rounds), body, done)
    b.position_at_end(done)
    total = results[0]
    for other in results[1:]:
        total = b.fadd(total, other)
    b.store(total, place, align=dtype.itemsize)
    b.ret_void()
    library = load(object_code(module, chosen), ["peak"], f"peak{time.perf_counter_ns()}")
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library.addresses["peak"])
    return call, 2 * PEAK_SUMS * lanes, library


def best(call: Any, seconds: float) -> float:
    """The shortest time of a call, tried for so long."""
    shortest, stop = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        shortest = min(shortest, now - start)
        if now > stop:
            return shortest


def measure(c: con.Contraction, chosen: Target, peak: Any, seconds: float) -> str:
    """One row of the table."""
    kernel = compile_product(c, chosen)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(size, c.dtype) for size in (c.m * c.k, c.k * c.n))
    out = np.empty(c.m * c.n, c.dtype)
    scratch = np.empty(kernel.scratch + 64, np.uint8)
    own = -(-scratch.ctypes.data // 64) * 64
    arguments = (a.ctypes.data, b.ctypes.data, out.ctypes.data, own, 0, kernel.units)
    loop, flops, _ = peak
    buffer = np.zeros(64, c.dtype)
    rounds = 100_000
    top = 0.0
    fastest = float("inf")
    repeats = max(1, 1_000_000 // max(c.m * c.n * c.k, 30))
    for _ in range(3):  # in turns, as the machine's speed changes
        top = max(top, flops * rounds / best(lambda: loop(buffer.ctypes.data, rounds), 0.01))
        fastest = min(fastest, best(lambda: kernel.call(*arguments, repeats), seconds) / repeats)
    rate = 2 * c.m * c.n * c.k / fastest
    p = con._planned(c, chosen)[1]
    shape = f"{p.rows}x{p.columns}{' inner' if p.inner else ''}, {p.source}"
    shape += f", block {p.block}" if p.block < c.k else ""
    shape += f", {p.chains} chains" if p.chains > 1 else ""
    return (f"{fastest * 1e6:10.2f} | {rate / 1e9:7.1f} | {100 * rate / top:4.0f} % | "
            f"{kernel.write_ms:5.1f} + {kernel.compile_ms:5.1f} | {shape}")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="a CPU that LLVM knows; default: this one")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--shape", help="m,n,k; default: those of the usual models")
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--seconds", type=float, default=0.1, help="per row")
    options = parser.parse_args()
    chosen, dtype = target(options.target), np.dtype(options.dtype)
    given = options.shape
    shapes = (tuple(int(x) for x in given.split(",")),) if given else SHAPES
    peak = compile_peak(chosen, dtype)
    print("| m, n, k | layout | µs | GFLOP/s | of peak | compile ms | tile |")
    print("|---|---|---|---|---|---|---|")
    for m, n, k in shapes:
        for layout in options.layouts.split(","):
            c = con.Contraction(m, n, k, *strides(layout, m, n, k), dtype)
            row = measure(c, chosen, peak, options.seconds / 3)
            print(f"| {m}, {n}, {k} | {layout} | {row} |", flush=True)


if __name__ == "__main__":
    main()
