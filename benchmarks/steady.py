"""`steady`: a million steps of xor must not add memory.

`python -m benchmarks.steady PEER STEPS` is one process: it prints its memory before and after.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench, markdown, micro
from benchmarks.peers import OURS
from benchmarks.workloads import WORKLOADS, make_task

STEPS = 1_000_000
WARM_UP = 5  # calls until every buffer that will ever be there is


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: by our best way that is there."""
    for peer in reversed([name for name in OURS if bench.wants(name)]):
        answer = bench.child(peer, "benchmarks.steady", peer, str(STEPS))
        if answer:
            return {"results": [answer | {"peer": peer}]}
    return {"results": []}


def table(answer: dict[str, Any]) -> str:
    """One row."""
    rows = [
        [r["peer"], r["steps"], f"{r['before']:.1f}", f"{r['after']:.1f}",
         f"{r['after'] - r['before']:+.1f}", micro(r["seconds"] / r["steps"])]
        for r in answer["results"]
    ]  # fmt: skip
    head = "peer|steps of xor|MB before|MB after|growth|µs per step"
    return "Goal: no growth.\n\n" + markdown(head, rows)


def main(peer: str, steps: str) -> None:
    """Take so many steps."""
    workload = next(w for w in WORKLOADS if w.data == "xor")
    file, way = peer.split()
    call = getattr(importlib.import_module(f"benchmarks.peers.with_{file}"), way)(
        make_task(workload)
    )
    for _ in range(WARM_UP):
        call()
    before, start = memory(), time.perf_counter()
    calls = -(-int(steps) // workload.steps)
    for _ in range(calls):
        call()
    answer = {"steps": calls * workload.steps, "seconds": time.perf_counter() - start}
    print(json.dumps(answer | {"before": before, "after": memory()}))


def memory() -> float:
    """Resident now, in MB; its peak where the system does not tell."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
