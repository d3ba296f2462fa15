"""`fit`: MNIST, 784-512-10, 5 epochs, from the start of the process to a trained model.

`python -m benchmarks.fit PEER` is one such process: it reads the arrays, trains, tests and prints
the accuracy.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from benchmarks.harness import Bench, markdown
from benchmarks.peers import FITS
from benchmarks.workloads import mnist

GOAL = 0.5  # of our wall time over Keras'


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: per peer the seconds and test accuracy of each round."""
    rounds: dict[str, list[Any]] = {name: [] for name in FITS if bench.wants(name)}
    for number in range(bench.rounds):
        for name, answers in rounds.items():
            if len(answers) == number:
                answers += filter(None, [bench.child(name, "benchmarks.fit", name)])
    return {
        "results": [
            {"peer": name, "examples": answers[0]["examples"], "cold": answers[0]["wall"],
             "min": min(a["wall"] for a in answers), "accuracy": answers[0]["accuracy"]}
            for name, answers in rounds.items() if answers
        ]
    }  # fmt: skip


def table(answer: dict[str, Any]) -> str:
    """One row per peer."""
    results = answer["results"]
    keras = next((r["min"] for r in results if r["peer"].startswith("keras")), None)
    rows = [
        [r["peer"], r["examples"], f"{r['cold']:.2f}", f"{r['min']:.2f}",
         f"{r['min'] / keras:.2f}" if keras else None, f"{r['accuracy']:.4f}"]
        for r in results
    ]  # fmt: skip
    return "\n\n".join([
        "Seconds of the whole process: import, data, 5 epochs with Adam and batches of 128, "
        f"accuracy on the test data. Goal for ours: at most {GOAL} × Keras.",
        markdown("peer|examples|with empty caches s|min s|ratio to Keras|test accuracy", rows),
    ])  # fmt: skip


def main(peer: str) -> None:
    """Train once with `peer`."""
    module = importlib.import_module(f"benchmarks.peers.with_{peer.split()[0]}")
    data = mnist()
    accuracy = module.fit(data)
    print(json.dumps({"accuracy": accuracy, "examples": len(data[0]), "version": module.VERSION}))


if __name__ == "__main__":
    main(sys.argv[1])
