"""PyTorch: eager, and with model, loss and optimizer compiled by Inductor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.workloads import Task

VERSION = torch.__version__
ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
LOSSES = {
    "cross_entropy": torch.nn.functional.cross_entropy,
    "bce": torch.nn.functional.binary_cross_entropy_with_logits,
    "mse": torch.nn.functional.mse_loss,
}
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def train(task: Task, compile: Callable[[Any], Any]) -> Callable[[], float]:
    w = task.workload
    layers: list[Any] = []
    for weight, bias in zip(task.weights, task.biases, strict=True):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data.copy_(torch.from_numpy(weight))
        layer.bias.data.copy_(torch.from_numpy(bias))
        layers += [layer, ACTIVATIONS[w.activation]()]
    model = torch.nn.Sequential(*layers[:-1])
    if w.optimizer == "adam":
        optimizer: Any = torch.optim.Adam(model.parameters(), lr=w.lr)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=w.lr, momentum=w.momentum)
    x, y, order = (torch.from_numpy(array) for array in (task.x, task.y, task.order))
    forward = compile(lambda x, y: LOSSES[w.loss](model(x), y))
    update = compile(optimizer.step)

    def call() -> float:
        losses = []
        for rows in order:
            optimizer.zero_grad()
            loss = forward(x[rows], y[rows])
            loss.backward()
            update()
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    return call


def eager(task: Task) -> Callable[[], float]:
    return train(task, lambda function: function)


def compiled(task: Task) -> Callable[[], float]:
    return train(task, torch.compile)
