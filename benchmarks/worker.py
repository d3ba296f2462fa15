"""One round of one workload by one peer, in a process of its own: prints one JSON line."""

from __future__ import annotations

import importlib
import json
import sys
import time

from benchmarks.workloads import WORKLOADS

WARM_UP = 20  # steps before the clock starts; their last loss shows that peers do the same work


def main(peer: str, index: int) -> None:
    """Time `WORKLOADS[index]` call by call (or in blocks, when a call is below 100 µs)."""
    module = importlib.import_module(f"benchmarks.peers.with_{peer}")
    workload = WORKLOADS[index]
    prepare = getattr(module, workload.kind, None)
    if prepare is None:
        print(json.dumps({"skipped": f"{peer} has no {workload.kind}"}))
        return
    step = prepare(workload)
    loss = None
    for _ in range(WARM_UP):
        loss = step(read=True) if workload.kind == "train" else step()
    block = 1 if workload.kind == "train" else 1000
    times = []
    for _ in range(workload.steps // block):
        start = time.perf_counter()
        for _ in range(block):
            step()
        times.append((time.perf_counter() - start) / block)
    loss = loss if isinstance(loss, float) else None
    print(json.dumps({"times": times, "loss": loss, "version": module.VERSION}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
