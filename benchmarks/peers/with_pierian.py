"""Pierian, eager: a `Sequential`, `nn.functional.cross_entropy`, `optim.Adam`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pierian as pr
from benchmarks.workloads import Workload, arrays
from pierian import nn, optim

VERSION = pr.__version__


def train(workload: Workload) -> Callable[..., Any]:
    data = arrays(workload)
    layers: list[Any] = []
    for weight, bias in zip(data.weights, data.biases, strict=True):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data.copy_(weight)
        layer.bias.data.copy_(bias)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = optim.Adam(model.parameters(), lr=workload.lr)
    x, y = pr.tensor(data.x), pr.tensor(data.y)

    def step(read: bool = False) -> float | None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item() if read else None

    return step


def record(workload: Workload) -> Callable[..., Any]:
    a = pr.ones(workload.sizes[0], requires_grad=True)
    b = pr.ones(workload.sizes[0], requires_grad=True)
    return lambda: a + b
