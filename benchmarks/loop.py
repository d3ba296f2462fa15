"""`loop`: what the training loop and its callbacks add to the bare compiled step.

`python -m benchmarks.loop WORKLOAD SECONDS` is one process. In it, every way of training takes its
turn in every round on the same rows in the same order: the compiled step repeated by hand, `fit`,
`Learner.fit`, and `fit` with each callback.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Bench, markdown, micro
from benchmarks.workloads import WORKLOADS, Task, Workload, make_task

# Our goals: times the bare step. Callbacks count those that have nothing to do in the step.
GOALS = {"mlp": 1.03, "xor": 1.5}
ROWS = 200_000  # at least, of data with few: an epoch is to be many steps
TURNS = 5


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: per workload the seconds per step of each way."""
    results = []
    for workload in chosen():
        answers = [
            bench.child("pierian", "benchmarks.loop", workload.name, str(bench.seconds))
            for _ in range(bench.rounds)
        ]
        if all(answers):
            names = answers[0]["seconds"]
            times = {name: [t for a in answers for t in a["seconds"][name]] for name in names}
            results.append({"workload": workload.name, "times": times})
    return {"results": results}


def chosen() -> list[Workload]:
    """The workloads with a goal."""
    return [w for w in WORKLOADS if w.name.split()[0] in GOALS]


def table(answer: dict[str, Any]) -> str:
    """One table per workload."""
    parts = []
    for result in answer["results"]:
        goal = GOALS[result["workload"].split()[0]]
        bare = result["times"]["bare step"]
        rows = [
            [name, micro(min(times)), micro(statistics.median(times)),
             f"{min(times) / min(bare):.2f}", f"≤ {goal}" if "fit" in name else None]
            for name, times in result["times"].items()
        ]  # fmt: skip
        head = "way|min µs per step|median µs|× bare step|goal"
        parts.append(f"{result['workload']}.\n\n{markdown(head, rows)}")
    return "\n\n".join(parts)


def main(name: str, seconds: str) -> None:
    """Time every way of training, in turns."""
    task = make_task(next(w for w in WORKLOADS if w.name == name))
    x, y = long(task.x), long(task.y)
    ways = all_ways(task, x, y)
    count = len(x) // task.workload.batch
    for way in ways.values():
        way(1)  # compiles
    started = time.perf_counter()
    ways["bare step"](1)
    epochs = max(int(float(seconds) / (time.perf_counter() - started)), 1)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for way, train in ways.items():
            started = time.perf_counter()
            train(epochs)
            found[way].append((time.perf_counter() - started) / (epochs * count))
    import pierian as pr

    print(json.dumps({"seconds": found, "version": pr.__version__}))


def long(rows: np.ndarray) -> np.ndarray:
    """The rows, again and again up to `ROWS` where there are few."""
    times = -(-ROWS // len(rows)) if len(rows) < 100 else 1
    return np.concatenate([rows] * times)


def all_ways(task: Task, x: np.ndarray, y: np.ndarray) -> dict[str, Callable[[int], Any]]:
    """What trains for so many epochs, by name."""
    import pierian as pr
    from pierian import data, nn, train

    work = task.workload
    acts = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    losses = {"cross_entropy": nn.CrossEntropyLoss, "bce": nn.BCEWithLogitsLoss, "mse": nn.MSELoss}
    loss, batch = losses[work.loss](), work.batch
    whole = len(x) // batch * batch  # no shorter last batch: the bare step has none
    x, y = x[:whole], y[:whole]

    def network() -> Any:
        layers: list[Any] = []
        for weight, bias in zip(task.weights, task.biases, strict=True):
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data, layer.bias.data = pr.tensor(weight.copy()), pr.tensor(bias.copy())
            layers += [layer, acts[work.activation]()]
        return nn.Sequential(*layers[:-1])

    def optimizer(params: Any, lr: float) -> Any:
        if work.optimizer == "adam":
            return pr.optim.Adam(params, lr=lr)
        return pr.optim.SGD(params, lr=lr, momentum=work.momentum)

    def loader() -> Any:
        return data.DataLoader(data.ArrayDataset(x, y), batch, shuffle=True, seed=0)

    def bare() -> Callable[[int], Any]:
        model, batches = network(), loader()
        update = optimizer(model.parameters(), work.lr)
        rows, targets, at = pr.tensor(x), pr.tensor(y), pr.tensor(0)
        order = pr.zeros((len(batches), batch), dtype=pr.int64)

        @pr.jit
        def step() -> None:
            chosen = order[at]
            loss(model(rows[chosen]), targets[chosen]).backward()
            update.step()
            update.zero_grad()
            at.add_(1)

        def run(epochs: int) -> None:
            for epoch in range(epochs):
                order.numpy()[...] = batches.order(epoch).reshape(-1, batch)
                at.numpy()[...] = 0
                step.repeat(len(batches))

        return run

    def fit(*callbacks: Any) -> Callable[[int], Any]:
        model, batches = network(), loader()
        model.compile(optimizer(model.parameters(), work.lr), loss)
        return lambda n: model.fit(batches, epochs=n, verbose=0, callbacks=list(callbacks))

    def learner() -> Callable[[int], Any]:
        dls = data.DataLoaders(loader())
        return train.Learner(dls, network(), loss, optimizer, work.lr, verbose=0).fit

    folder = tempfile.mkdtemp()
    idle = {
        "EarlyStopping": train.EarlyStopping("loss", patience=10**9),
        "ReduceLROnPlateau": train.ReduceLROnPlateau("loss", patience=10**9),
        "Recorder": train.Recorder(),
        "Timer": train.Timer(),
        "TerminateOnNaN": train.TerminateOnNaN(),
        "CSVLogger": train.CSVLogger(f"{folder}/log.csv"),
        "JSONLogger": train.JSONLogger(f"{folder}/log.jsonl"),
    }
    busy = {
        "Scheduler": train.Scheduler("one-cycle"),
        "GradientClip": train.GradientClip(1e3),
        "GradientAccumulation": train.GradientAccumulation(2),
        "ExponentialMovingAverage": train.ExponentialMovingAverage(),
    }
    ways = {"bare step": bare(), "fit": fit(), "Learner.fit": learner()}
    return ways | {f"with {name}": fit(callback) for name, callback in (idle | busy).items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
