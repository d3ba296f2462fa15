"""What the machine can do, in the same run: multiply-adds on registers, bytes of a copy per second.

Without llvmlite the arithmetic is that of a large matrix product by NumPy's BLAS.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

TIMES = 30


def best(call: Callable[[], object], times: int) -> float:
    """The shortest of several timings, in seconds."""
    results = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        results.append(time.perf_counter() - start)
    return min(results)


def multiply_adds(threads: int) -> float:
    """FLOP/s of generated multiply-adds on registers, on so many threads."""
    from pierian.compiler.llvm import target
    from pierian.compiler.measure import peak

    return peak(target(), threads).flops[4]


def product() -> float:
    """FLOP/s of a matrix product large enough for any BLAS to run at its peak."""
    n = 2048
    a, b, out = (np.ones((n, n), np.float32) for _ in range(3))
    return 2 * n**3 / best(lambda: np.matmul(a, b, out=out), TIMES)


def main(threads: int) -> None:
    """Print {"gflops", "by", "gbytes"}."""
    try:
        by, flops = "a loop of multiply-adds", multiply_adds(threads)
    except ImportError:
        by, flops = "NumPy's BLAS", product()
    source = np.ones(1 << 26, np.uint8)  # 64 MiB, beyond any cache
    target = np.empty_like(source)
    copied = 2 * source.nbytes / best(lambda: np.copyto(target, source), 7)
    print(json.dumps({"gflops": flops / 1e9, "by": by, "gbytes": copied / 1e9}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
