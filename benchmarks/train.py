"""`train`: every workload by every peer, in microseconds per step."""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.harness import Bench, markdown, micro
from benchmarks.peers import NAMES, OURS
from benchmarks.workloads import WORKLOADS, Workload

SAME_WORK = 0.01  # the largest relative difference between the losses of two peers
COLD, WARM = 0.6, 0.1  # seconds that the first call of the mlp may take, without and with a cache


def measure(bench: Bench) -> dict[str, Any]:
    """{"limits", "results"}: one result per workload and peer, of all its rounds together."""
    limits: list[Any] = []
    results = []
    for workload in [w for w in WORKLOADS if bench.wants_workload(w.name)]:
        rounds: dict[str, list[Any]] = {name: [] for name in NAMES if bench.wants(name)}
        for number in range(bench.rounds):  # peers take turns, so that noise hits all alike
            limits.append(bench.child("pierian", "benchmarks.limits", str(bench.threads)))
            for name, answers in rounds.items():
                if len(answers) == number:  # it did not fail before
                    answers += filter(None, [run(bench, name, workload)])
        results += [summary(workload, name, a) for name, a in rounds.items() if a]
    fastest = max(filter(None, limits), key=lambda answer: answer["gflops"], default=None)
    return {"limits": fastest, "results": results, "same work": same_work(results)}


def run(bench: Bench, peer: str, workload: Workload) -> Any:
    """One process: the worker's answer, None when the peer cannot."""
    text = json.dumps(asdict(workload))
    what = workload.name.split()[0]
    return bench.child(peer, "benchmarks.worker", peer, text, str(bench.seconds), what=what)


def summary(workload: Workload, peer: str, answers: list[Any]) -> dict[str, Any]:
    """The rounds of one peer in figures; the first of them found empty caches."""
    times = [seconds for answer in answers for seconds in answer["times"]]
    return {
        "workload": workload.name,
        "peer": peer,
        "min": min(times),
        "median": statistics.median(times),
        "cold": answers[0]["first"],
        "warm": min((a["first"] for a in answers[1:]), default=None),
        "memory": max(a["memory"] for a in answers),
        "loss": answers[0]["loss"],
    }


def same_work(results: list[dict[str, Any]]) -> bool:
    """Whether all peers of each workload had the same mean loss over the same steps."""
    good = True
    for name in {r["workload"] for r in results}:
        losses = {r["peer"]: r["loss"] for r in results if r["workload"] == name}
        if max(losses.values()) - min(losses.values()) > SAME_WORK * min(losses.values()):
            print(f"{name}: peers did different work, losses {losses}", file=sys.stderr)
            good = False
    return good


def table(answer: dict[str, Any]) -> str:
    """The goals beside what we reach, then every peer."""
    limits, results = answer["limits"], answer["results"]
    goals, rows = [], []
    for w in WORKLOADS:
        found = sorted((r for r in results if r["workload"] == w.name), key=lambda r: r["min"])
        ours = next((r for r in found if r["peer"] in OURS), None)
        best = next((r for r in found if r["peer"] not in OURS), None)
        if ours and best:
            ratio = ours["min"] / best["min"]
            goals.append([w.name, f"{best['peer']} {micro(best['min'])}",
                          f"{ours['peer']} {micro(ours['min'])}", f"{ratio:.2f}",
                          w.goal and f"≤ {w.goal:.2f}", share(w, ours, limits),
                          w.share and f"≥ {w.share:.0%}"])  # fmt: skip
        for r in found:
            rows.append([w.name, r["peer"], micro(r["min"]), micro(r["median"]),
                         f"{r['min'] / best['min']:.2f}" if best else None,
                         f"{r['cold']:.2f}", None if r["warm"] is None else f"{r['warm']:.2f}",
                         f"{r['memory']:.0f}", share(w, r, limits)])  # fmt: skip
    peak = "The peak was not measured."
    if limits:
        peak = (f"In this run {limits['by']} reached {limits['gflops']:.0f} GFLOP/s and a copy "
                f"{limits['gbytes']:.0f} GB/s.")  # fmt: skip
    parts = [f"Microseconds per step, the shortest of all rounds. {peak}"]
    if goals:
        head = "workload|best peer|ours|ratio|goal|of FMA peak|goal on one thread"
        parts += [markdown(head, goals, 3)]
    head = ("workload|peer|min µs|median µs|ratio to best peer|first call s|with caches s|peak MB|"
            "of FMA peak")  # fmt: skip
    return "\n\n".join([
        *parts,
        f"Goals for the first call of the mlp: {COLD} s with empty caches, {WARM} s with filled "
        "ones. Only what it took longer than a later call is counted.",
        markdown(head, rows, 2),
    ])  # fmt: skip


def share(workload: Workload, result: dict[str, Any], limits: Any) -> str | None:
    """The share of the peak that the matrix products of a step make up."""
    return limits and f"{workload.flops / result['min'] / 1e9 / limits['gflops']:.0%}"
