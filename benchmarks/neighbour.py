"""`neighbour`: the mlp step while another process keeps one of the cores busy."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.harness import Bench, markdown, micro, pinned
from benchmarks.peers import NAMES, OURS
from benchmarks.train import run, summary
from benchmarks.workloads import WORKLOADS

GOAL = 2.3  # times slower that we may become


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: per peer the figures without ("alone") and with the other process ("beside")."""
    workload = WORKLOADS[0]
    results = []
    for peer in [name for name in NAMES if bench.wants(name)]:
        alone, beside = [], []
        for _ in range(bench.rounds):
            alone.append(run(bench, peer, workload))
            if alone[-1] is None:
                break
            with busy(bench.cores[-1]):
                beside.append(run(bench, peer, workload))
        if all(alone + beside):
            results.append({"peer": peer, "alone": summary(workload, peer, alone),
                            "beside": summary(workload, peer, beside)})  # fmt: skip
    return {"results": results}


@contextlib.contextmanager
def busy(core: int) -> Iterator[None]:
    """Another process that never rests, on this core."""
    with pinned([core]):
        other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def table(answer: dict[str, Any]) -> str:
    """Medians, since the shortest step may be one that the other process let through."""
    rows = []
    for r in answer["results"]:
        alone, beside = r["alone"]["median"], r["beside"]["median"]
        rows.append([r["peer"], micro(alone), micro(beside), f"{beside / alone:.2f}",
                     f"≤ {GOAL}" if r["peer"] in OURS else None])  # fmt: skip
    return "\n\n".join([
        f"{WORKLOADS[0].name}, median microseconds per step.",
        markdown("peer|alone µs|beside a busy process µs|times slower|goal", rows),
    ])  # fmt: skip
