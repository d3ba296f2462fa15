"""NumPy by hand: the gradients of a ReLU network and Adam, written out, in place where it helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Workload, arrays

VERSION = np.__version__


def train(workload: Workload) -> Callable[..., Any]:
    data = arrays(workload)
    x, y, rows = data.x, data.y, np.arange(workload.batch)
    weights, biases = data.weights, data.biases
    params = [*weights, *biases]
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    t = 0

    def step(read: bool = False) -> float | None:
        nonlocal t
        inputs = [x]
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = inputs[-1] @ w.T + b
            inputs.append(np.maximum(z, 0) if i < len(weights) - 1 else z)
        logits = inputs.pop()
        shifted = logits - logits.max(1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(1, keepdims=True)
        g = e / total
        g[rows, y] -= 1
        g /= workload.batch
        grads_w, grads_b = [], []
        for i in reversed(range(len(weights))):
            grads_w.append(g.T @ inputs[i])
            grads_b.append(g.sum(0))
            if i:
                g = (g @ weights[i]) * (inputs[i] > 0)
        t += 1
        rate = np.float32(workload.lr / (1 - 0.9**t))
        root = np.float32((1 - 0.999**t) ** -0.5)
        for p, g, m, v in zip(params, grads_w[::-1] + grads_b[::-1], first, second, strict=True):
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
        return float((np.log(total[:, 0]) - shifted[rows, y]).mean()) if read else None

    return step
