"""PyTorch, eager: the same program as `with_pierian`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.workloads import Workload, arrays

VERSION = torch.__version__
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def train(workload: Workload) -> Callable[..., Any]:
    data = arrays(workload)
    layers: list[Any] = []
    for weight, bias in zip(data.weights, data.biases, strict=True):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data.copy_(torch.from_numpy(weight))
        layer.bias.data.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=workload.lr)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)

    def step(read: bool = False) -> float | None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item() if read else None

    return step


def record(workload: Workload) -> Callable[..., Any]:
    a = torch.ones(workload.sizes[0], requires_grad=True)
    b = torch.ones(workload.sizes[0], requires_grad=True)
    return lambda: a + b
