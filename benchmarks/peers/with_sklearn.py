"""scikit-learn: `partial_fit` over all batches in the given order.

The batches are gathered first, in the time that is measured. The same work with two grains of salt:
Adam's epsilon is added before the bias correction, and the squared error is halved, so its learning
rate is doubled and its loss too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.workloads import Task

VERSION = sklearn.__version__
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
MODELS = {"cross_entropy": MLPClassifier, "bce": MLPClassifier, "mse": MLPRegressor}


def partial_fit(task: Task) -> Callable[[], float]:
    w = task.workload
    scale = 2 if w.loss == "mse" else 1
    model = MODELS[w.loss](
        hidden_layer_sizes=w.sizes[1:-1], activation=ACTIVATIONS[w.activation],
        solver=w.optimizer, learning_rate_init=scale * w.lr, momentum=w.momentum,
        nesterovs_momentum=False, alpha=0, batch_size=w.batch, shuffle=False,
    )  # fmt: skip
    y = task.y.ravel()
    classes = {} if w.loss == "mse" else {"classes": np.unique(y)}
    model.partial_fit(task.x[: w.batch], y[: w.batch], **classes)  # makes weights, replaced below
    for own, given in zip(model.coefs_, task.weights, strict=True):
        own[:] = given.T
    for own, given in zip(model.intercepts_, task.biases, strict=True):
        own[:] = given
    del model._optimizer

    def call() -> float:
        rows = task.order.ravel()
        model.partial_fit(task.x[rows], y[rows])
        return scale * model.loss_

    return call
