"""`scaling`: what a step costs us over two decades of batch, width and depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench, markdown, micro
from benchmarks.peers import OURS
from benchmarks.train import run, summary
from benchmarks.workloads import Workload

POINTS = (1, 2, 5, 10, 20, 50, 100)


def make(name: str, sizes: tuple[int, ...], batch: int) -> Workload:
    """A network for random examples."""
    return Workload(name, "random", sizes, "relu", "cross_entropy", "sgd", 1e-3, batch=batch,
                    steps=20)  # fmt: skip


# What grows, by how much it makes the work grow, and the network at each size.
AXES: dict[str, tuple[int, int, Callable[[int], Workload]]] = {
    "batch": (8, 1, lambda n: make(f"batch {n}", (256, 256, 256, 10), n)),
    "width": (16, 2, lambda n: make(f"width {n}", (n, n, n, n), 32)),
    "depth": (1, 1, lambda n: make(f"depth {n}", (64,) * (n + 1), 32)),
}


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: one per axis and size, by our best way that is there."""
    results: list[dict[str, Any]] = []
    for axis, (smallest, power, make_workload) in AXES.items():
        for value in (smallest * point for point in POINTS):
            workload = make_workload(value)
            for peer in reversed([name for name in OURS if bench.wants(name)]):
                answers = [run(bench, peer, workload) for _ in range(bench.rounds)]
                if all(answers):
                    results.append({"axis": axis, "value": value, "power": power}
                                   | summary(workload, peer, answers))  # fmt: skip
                    break
    if bench.plot:
        plot(results, bench.plot)
    return {"results": results, "plot": Path(bench.plot).name}


def table(answer: dict[str, Any]) -> str:
    """One row per size; the last column is flat where the cost is linear."""
    rows = [
        [r["axis"], r["value"], micro(r["min"]), f"{r['min'] * 1e9 / r['value'] ** r['power']:.3g}",
         f"{r['cold']:.2f}"]
        for r in answer["results"]
    ]  # fmt: skip
    picture = [f"![Time per step over each axis]({answer['plot']})"] if answer["plot"] else []
    return "\n\n".join([
        "Microseconds per step of a dense ReLU network with SGD. Linear in batch, width² and "
        "depth: where the fixed cost of a step is outgrown, the cost per unit stays.",
        markdown("axis|size|min µs|ns per unit (batch, width², layer)|first call s", rows),
        *picture,
    ])  # fmt: skip


def plot(results: list[dict[str, Any]], path: str) -> None:
    """Cost over size, and a straight line of the expected slope through the largest."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(AXES), figsize=(4 * len(AXES), 4), layout="constrained")
    for panel, (axis, (_, power, _)) in zip(panels, AXES.items(), strict=True):
        points = [(r["value"], r["min"] * 1e6) for r in results if r["axis"] == axis]
        if not points:
            continue
        sizes, costs = zip(*points, strict=True)
        line = [costs[-1] * (size / sizes[-1]) ** power for size in sizes]
        panel.loglog(sizes, line, "--", color="grey", label=f"slope {power}")
        panel.loglog(sizes, costs, "o-", label="measured")
        panel.set(xlabel=axis, ylabel="µs per step")
        panel.legend()
    figure.savefig(path)
