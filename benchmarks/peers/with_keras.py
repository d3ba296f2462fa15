"""Keras on JAX: `fit`, with many steps in one execution.

The batches are gathered in the given order before `fit` is called with shuffle=False, in the time
that is measured. Its logs are means over the call, as ours are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

from benchmarks.workloads import Task

VERSION = f"{keras.__version__} on jax {jax.__version__}"
STEPS = 16  # in one execution: Keras unrolls them, and more take long to compile
LOSSES: dict[str, Callable[[], Any]] = {
    "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "bce": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
    "mse": keras.losses.MeanSquaredError,
}


def network(sizes: tuple[int, ...], activation: str) -> Any:
    names = [activation] * (len(sizes) - 2) + [None]
    layers = [keras.layers.Dense(n, name) for n, name in zip(sizes[1:], names, strict=True)]
    return keras.Sequential([keras.Input((sizes[0],)), *layers])


def steps_per_execution(task: Task) -> Callable[[], float]:
    w = task.workload
    model = network(w.sizes, w.activation)
    for layer, weight, bias in zip(model.layers, task.weights, task.biases, strict=True):
        layer.set_weights([weight.T, bias])
    if w.optimizer == "adam":
        optimizer = keras.optimizers.Adam(w.lr, epsilon=1e-8)
    else:
        optimizer = keras.optimizers.SGD(w.lr, momentum=w.momentum)
    model.compile(optimizer, LOSSES[w.loss](), steps_per_execution=STEPS)

    def call() -> float:
        rows = task.order.ravel()
        history = model.fit(task.x[rows], task.y[rows], w.batch, shuffle=False, verbose=0)
        return float(history.history["loss"][0])

    return call


def fit(data: list[np.ndarray]) -> float:
    x, y, xt, yt = data
    keras.utils.set_random_seed(0)
    model = network((784, 512, 10), "relu")
    model.compile("adam", LOSSES["cross_entropy"](), metrics=["accuracy"],
                  steps_per_execution=STEPS)  # fmt: skip
    model.fit(x, y, batch_size=128, epochs=5, verbose=0)
    return float(model.evaluate(xt, yt, verbose=0)[1])
