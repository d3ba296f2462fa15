"""`python -m benchmarks`: every workload, every peer that is installed, as a Markdown table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import NAMES, REFERENCE
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
SAME_WORK = 0.01  # the largest relative difference between losses of two peers after the warm-up


@dataclass
class Result:
    """All rounds of one workload by one peer, in microseconds per call."""

    workload: str
    peer: str
    version: str
    minimum: float
    median: float
    loss: float | None


def main() -> int:
    """Run what the command line asks for; 1 when peers did different work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="processes per peer and workload")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    where = "the interpreter a peer is installed for, if it is another"
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help=where)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    interpreters = dict(text.split("=", 1) for text in options.python)
    environment = os.environ | {f"{name}_NUM_THREADS": str(options.threads) for name in THREADS}
    environment["PYTHONPATH"] = str(ROOT)

    def child(peer: str, *arguments: str) -> Any:
        python = interpreters.get(peer, sys.executable)
        done = subprocess.run([python, "-m", *arguments], cwd=ROOT, env=environment, text=True,
                              capture_output=True, check=False)  # fmt: skip
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            return {"skipped": last[0]}
        return json.loads(done.stdout.splitlines()[-1])

    limits = child("numpy", "benchmarks.limits")
    results: list[Result] = []
    skipped: dict[str, str] = {}
    for index, workload in enumerate(WORKLOADS):
        if options.only not in workload.name:
            continue
        rounds: dict[str, list[Any]] = {name: [] for name in NAMES}
        for _ in range(options.rounds):  # peers take turns, so that noise hits all alike
            for name in NAMES:
                if name not in skipped:
                    answer = child(name, "benchmarks.worker", name, str(index))
                    if "times" in answer:
                        rounds[name].append(answer)
                    elif "has no" not in answer["skipped"]:
                        skipped[name] = answer["skipped"]
        for name, answers in rounds.items():
            if answers:
                times = [t * 1e6 for answer in answers for t in answer["times"]]
                results.append(Result(workload.name, name, answers[0]["version"], min(times),
                                      statistics.median(times), answers[0]["loss"]))  # fmt: skip
    if options.json:
        print(json.dumps({"limits": limits, "threads": options.threads, "skipped": skipped,
                          "results": [asdict(r) for r in results]}))  # fmt: skip
    else:
        print(table(results, limits, options.threads, skipped))
    return 0 if same_work(results) else 1


def same_work(results: list[Result]) -> bool:
    """Whether all peers of each workload had the same loss after the warm-up."""
    good = True
    for workload in {r.workload for r in results}:
        losses = [r.loss for r in results if r.workload == workload and r.loss is not None]
        if losses and max(losses) - min(losses) > SAME_WORK * max(map(abs, losses)):
            print(f"{workload}: peers did different work, losses {losses}", file=sys.stderr)
            good = False
    return good


def table(results: list[Result], limits: Any, threads: int, skipped: dict[str, str]) -> str:
    """The results as Markdown."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    lines = [
        f"{cpu}, {threads} threads, Python {platform.python_version()}; in this run NumPy's BLAS "
        f"reached {limits['gflops']:.0f} GFLOP/s and a copy {limits['gbytes']:.0f} GB/s.",
        "",
        f"| workload | peer | min µs | median µs | min, ratio to {REFERENCE} | of BLAS peak |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for workload in WORKLOADS:
        rows = [r for r in results if r.workload == workload.name]
        reference = next((r.minimum for r in rows if r.peer == REFERENCE), None)
        for r in rows:
            ratio = f"{r.minimum / reference:.2f}" if reference else "–"
            peak = workload.flops / r.minimum / 1e3 / limits["gflops"]
            share = f"{peak:.0%}" if workload.flops else "–"
            lines.append(f"| {r.workload} | {r.peer} {r.version} | {r.minimum:.2f} | "
                         f"{r.median:.2f} | {ratio} | {share} |")  # fmt: skip
        goals = []
        if workload.goal is not None:
            goals.append(f"at most {workload.goal:g} × {REFERENCE}")
        if workload.limit is not None:
            goals.append(f"at most {workload.limit:g} µs")
        if rows and goals:
            lines.append(f"| | *goal for pierian: {', '.join(goals)}* | | | | |")
    lines += [f"\n{name} was left out: {why}" for name, why in skipped.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
