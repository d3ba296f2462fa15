"""What the machine can do, in the same run: FLOP/s of a large product, bytes/s of a copy."""

from __future__ import annotations

import json
import time

import numpy as np


def best(call: object, times: int = 7) -> float:
    """The shortest of several timings, in seconds."""
    results = []
    for _ in range(times):
        start = time.perf_counter()
        call()  # type: ignore[operator]
        results.append(time.perf_counter() - start)
    return min(results)


def main() -> None:
    """Print {"gflops", "gbytes"} as JSON; the thread count comes from the environment."""
    n = 2048  # large enough for any BLAS to run at its peak
    a = np.ones((n, n), np.float32)
    b = np.ones((n, n), np.float32)
    out = np.empty_like(a)
    source = np.ones(1 << 26, np.uint8)  # 64 MiB, beyond any cache
    target = np.empty_like(source)
    flops = 2 * n**3 / best(lambda: np.matmul(a, b, out=out))
    copied = 2 * source.nbytes / best(lambda: np.copyto(target, source))
    print(json.dumps({"gflops": flops / 1e9, "gbytes": copied / 1e9}))


if __name__ == "__main__":
    main()
