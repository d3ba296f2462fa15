"""Pierian: eager, `jit` step by step, many steps in one native call, and `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pierian as pr
from benchmarks.workloads import Task
from pierian import nn, optim

VERSION = pr.__version__
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
LOSSES = {
    "cross_entropy": nn.functional.cross_entropy,
    "bce": nn.functional.binary_cross_entropy_with_logits,
    "mse": nn.functional.mse_loss,
}


def make_step(task: Task) -> Callable[[Any, Any], Any]:
    """One step of training on a batch, giving the loss. No gradient outlives it: one that does
    must be written to memory.
    """
    w = task.workload
    layers: list[Any] = []
    for weight, bias in zip(task.weights, task.biases, strict=True):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data.copy_(weight)
        layer.bias.data.copy_(bias)
        layers += [layer, ACTIVATIONS[w.activation]()]
    model = nn.Sequential(*layers[:-1])
    if w.optimizer == "adam":
        optimizer = optim.Adam(model.parameters(), lr=w.lr)
    else:
        optimizer = optim.SGD(model.parameters(), lr=w.lr, momentum=w.momentum)

    def step(x: Any, y: Any) -> Any:
        loss = LOSSES[w.loss](model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def by_step(task: Task, step: Callable[[Any, Any], Any]) -> Callable[[], float]:
    def call() -> float:
        total = 0.0
        for rows in task.order:
            total += step(pr.tensor(task.x[rows]), pr.tensor(task.y[rows])).item()
        return total / task.workload.steps

    return call


def eager(task: Task) -> Callable[[], float]:
    return by_step(task, make_step(task))


def jit(task: Task) -> Callable[[], float]:
    return by_step(task, pr.jit(make_step(task)))


def scan(task: Task) -> Callable[[], float]:
    x, y, order = pr.tensor(task.x), pr.tensor(task.y), pr.tensor(task.order)
    position, total = pr.tensor(0), pr.tensor(0.0)
    step = make_step(task)

    def advance() -> None:
        rows = order[position]
        total.add_(step(x[rows], y[rows]))
        position.add_(1)

    program = pr.jit(advance)

    def call() -> float:
        position.zero_()
        total.zero_()
        program.repeat(task.workload.steps)
        return total.item() / task.workload.steps

    return call


def fit(data: list[np.ndarray]) -> float:
    x, y, xt, yt = data
    pr.manual_seed(0)
    model = nn.Sequential(nn.Dense(512, activation="relu"), nn.Dense(10))
    model.compile(optimizer="adam", loss="cross_entropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=128, epochs=5, verbose=0)
    return float(model.evaluate(xt, yt, verbose=0)[1])
