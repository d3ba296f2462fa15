"""`record`: one small operation, eager and with gradients on: what any step pays per operation.

`python -m benchmarks.record PEER` is one process; its peer is a module with `ones`.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from typing import Any

from benchmarks.harness import Bench, markdown, micro

MODULES = ("pierian", "torch")
GOAL = 4e-6  # seconds for ours
CALLS, BLOCK = 20_000, 1_000


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: per peer the shortest and median seconds of a + b."""
    results = []
    for peer in [name for name in MODULES if bench.wants(name)]:
        answers = [bench.child(peer, "benchmarks.record", peer) for _ in range(bench.rounds)]
        if all(answers):
            times = [seconds for answer in answers for seconds in answer["times"]]
            results.append({"peer": peer, "min": min(times), "median": statistics.median(times)})
    return {"results": results}


def table(answer: dict[str, Any]) -> str:
    """One row per peer."""
    rows = [[r["peer"], micro(r["min"]), micro(r["median"])] for r in answer["results"]]
    goal = f"a + b of 10 elements, eager. Goal for ours: at most {GOAL * 1e6:.0f} µs."
    return goal + "\n\n" + markdown("peer|min µs|median µs", rows)


def main(peer: str) -> None:
    """Time `a + b` in blocks, since one call is too short for the clock."""
    module = importlib.import_module(peer)
    a, b = (module.ones(10, requires_grad=True) for _ in range(2))
    times = []
    for _ in range(CALLS // BLOCK):
        start = time.perf_counter()
        for _ in range(BLOCK):
            a + b
        times.append((time.perf_counter() - start) / BLOCK)
    print(json.dumps({"times": times, "version": module.__version__}))


if __name__ == "__main__":
    main(sys.argv[1])
