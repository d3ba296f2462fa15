"""One round of one workload by one peer, in a process of its own: prints one line of JSON.

May import: workloads, and the peer's file by name.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time

from benchmarks.workloads import Workload, make_task

FEWEST = 3  # calls: one that compiles, and two


def main(peer: str, text: str, seconds: str) -> None:
    """Train with `peer` for at least so many seconds after the first call.

    Prints {"times" (seconds per step of each call but the first), "first" (seconds that the first
    call took longer), "loss" (mean of all steps of two calls), "memory" (peak, MB), "version"}.
    """
    workload = Workload(**json.loads(text))
    file, way = peer.split()
    module = importlib.import_module(f"benchmarks.peers.with_{file}")
    call = getattr(module, way)(make_task(workload))
    walls, losses = [], []
    stop = None
    while stop is None or len(walls) < FEWEST or time.perf_counter() < stop:
        start = time.perf_counter()
        losses.append(call())
        walls.append(time.perf_counter() - start)
        stop = stop or time.perf_counter() + float(seconds)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    answer = {
        "times": [wall / workload.steps for wall in walls[1:]],
        "first": max(0.0, walls[0] - min(walls[1:])),
        "loss": (losses[0] + losses[1]) / 2,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6,
        "version": module.VERSION,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
