"""What the machine can do, in the same run: multiply-adds on registers, bytes of a copy per second.

Without llvmlite the arithmetic is that of a large matrix product by NumPy's BLAS.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

ROUNDS = 2_000_000  # of the loop of multiply-adds in one call: some milliseconds
TIMES = 30


def best(call: Callable[[], object], times: int) -> float:
    """The shortest of several timings, in seconds."""
    results = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        results.append(time.perf_counter() - start)
    return min(results)


def fma_loop(threads: int) -> tuple[Callable[[], object], float]:
    """A generated loop on so many threads at once: its call and the FLOPs in it."""
    from benchmarks.contraction import compile_peak
    from pierian.compiler.llvm import target

    loop, flops, library = compile_peak(target(), np.dtype(np.float32))
    buffers = [np.zeros(64, np.float32) for _ in range(threads)]

    def call() -> object:
        others = [threading.Thread(target=loop, args=(b.ctypes.data, ROUNDS)) for b in buffers[1:]]
        for other in others:
            other.start()
        loop(buffers[0].ctypes.data, ROUNDS)
        for other in others:
            other.join()
        return library  # the code, which must outlive the calls

    return call, flops * ROUNDS * threads


def product(_: int) -> tuple[Callable[[], object], float]:
    """A matrix product large enough for any BLAS to run at its peak, and the FLOPs in it."""
    n = 2048
    a, b, out = (np.ones((n, n), np.float32) for _ in range(3))
    return lambda: np.matmul(a, b, out=out), 2 * n**3


def main(threads: int) -> None:
    """Print {"gflops", "by", "gbytes"}."""
    try:
        by, (call, flops) = "a loop of multiply-adds", fma_loop(threads)
    except ImportError:
        by, (call, flops) = "NumPy's BLAS", product(threads)
    gflops = flops / best(call, TIMES) / 1e9
    source = np.ones(1 << 26, np.uint8)  # 64 MiB, beyond any cache
    target = np.empty_like(source)
    copied = 2 * source.nbytes / best(lambda: np.copyto(target, source), 7)
    print(json.dumps({"gflops": gflops, "by": by, "gbytes": copied / 1e9}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
