"""NumPy by hand: gradients and updates written out, in place where it helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Task

VERSION = np.__version__
Update = Callable[[list[np.ndarray]], None]

# The function and its slope, from its result.
ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda y: y > 0),
    "tanh": (np.tanh, lambda y: 1 - y * y),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda y: y * (1 - y)),
}


def cross_entropy(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(y))
    shifted = z - z.max(1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(1, keepdims=True)
    loss = (np.log(total[:, 0]) - shifted[rows, y]).mean()
    e /= total
    e[rows, y] -= 1
    e /= np.float32(len(y))
    return loss, e


def bce(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    loss = (np.logaddexp(np.float32(0), z) - y * z).mean()
    return loss, (1 / (1 + np.exp(-z)) - y) / np.float32(len(y))


def mse(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e = z - y
    return (e * e).mean(), e * np.float32(2 / len(y))


LOSSES = {"cross_entropy": cross_entropy, "bce": bce, "mse": mse}


def adam(params: list[np.ndarray], task: Task) -> Update:
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    t = 0

    def update(grads: list[np.ndarray]) -> None:
        nonlocal t
        t += 1
        rate = np.float32(task.workload.lr / (1 - 0.9**t))
        root = np.float32((1 - 0.999**t) ** -0.5)
        for p, g, m, v in zip(params, grads, first, second, strict=True):
            m *= np.float32(0.9)
            m += np.float32(0.1) * g
            v *= np.float32(0.999)
            np.multiply(g, g, out=g)
            g *= np.float32(0.001)
            v += g
            np.sqrt(v, out=g)
            g *= root
            g += np.float32(1e-8)
            np.divide(m, g, out=g)
            g *= rate
            p -= g

    return update


def sgd(params: list[np.ndarray], task: Task) -> Update:
    rate, momentum = np.float32(task.workload.lr), np.float32(task.workload.momentum)
    velocity = [np.zeros_like(p) for p in params]

    def update(grads: list[np.ndarray]) -> None:
        for p, g, v in zip(params, grads, velocity, strict=True):
            if momentum:
                v *= momentum
                v += g
                np.multiply(v, rate, out=g)
            else:
                g *= rate
            p -= g

    return update


OPTIMIZERS = {"adam": adam, "sgd": sgd}


def loop(task: Task) -> Callable[[], float]:
    w = task.workload
    weights, biases = task.weights, task.biases
    activate, slope = ACTIVATIONS[w.activation]
    loss_of = LOSSES[w.loss]
    update = OPTIMIZERS[w.optimizer]([*weights, *biases], task)
    last = len(weights) - 1

    def step(x: np.ndarray, y: np.ndarray) -> float:
        inputs = [x]
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            z = inputs[-1] @ weight.T
            z += bias
            inputs.append(activate(z) if i < last else z)
        loss, g = loss_of(inputs.pop(), y)
        grads_w, grads_b = [], []
        for i in reversed(range(len(weights))):
            grads_w.append(g.T @ inputs[i])
            grads_b.append(g.sum(0))
            if i:
                g = (g @ weights[i]) * slope(inputs[i])
        update(grads_w[::-1] + grads_b[::-1])
        return float(loss)

    def call() -> float:
        return sum(step(task.x[rows], task.y[rows]) for rows in task.order) / w.steps

    return call
