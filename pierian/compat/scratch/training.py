"""Losses, optimizers, and weights in files.

May import: base, core, nn.functional, optim, train.explicit, layer, tensor. To add a
loss: a subclass of `CompiledLoss`; an optimizer: a subclass of `CompiledOptimizer`.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np

from pierian.base.errors import CheckpointError, ShapeError, message
from pierian.base.lists import numbers, plain
from pierian.compat.scratch.layer import Compiled, Layer, Sequential, undefined
from pierian.compat.scratch.tensor import like, shape
from pierian.core.tensor import Tensor, make
from pierian.nn import functional as F
from pierian.optim import SGD
from pierian.train.explicit import Measured, Steps, gradients, loop

__all__ = [
    "SSE", "GradientDescent", "Loss", "Momentum", "Optimizer", "SoftmaxCrossEntropy",
    "load_weights", "loop", "save_weights",
]  # fmt: skip


class Loss:
    """How wrong a prediction is, and which way it should go."""

    def loss(self, predicted: Any, actual: Any) -> float:
        """One number, the smaller the better."""
        raise undefined(self, "loss(self, predicted, actual)")

    def gradient(self, predicted: Any, actual: Any) -> Any:
        """The gradient of the loss by the prediction."""
        raise undefined(self, "gradient(self, predicted, actual)")


class CompiledLoss(Loss):
    """A loss of the engine. Shapes: predicted [...], actual same."""

    measured: Measured

    def loss(self, predicted: Any, actual: Any) -> float:
        return self._measured(predicted, actual)[0].item()

    def gradient(self, predicted: Any, actual: Any) -> Any:
        return like(predicted, self._measured(predicted, actual)[1])

    def _measured(self, predicted: Any, actual: Any) -> list[np.ndarray]:
        name = type(self).__name__
        p, a = numbers(name, predicted), numbers(name, actual)
        if p.shape != a.shape:
            raise ShapeError(
                message(name, "predicted and actual must have one shape", [*p.shape], [*a.shape],
                        "Encode a class as a list with one_hot_encode(i, num_labels)")
            )  # fmt: skip
        return self.measured(p, a)


class SSE(CompiledLoss):
    """The sum of squared errors."""

    def __init__(self) -> None:
        self.measured = Measured(F.sse_loss)


class SoftmaxCrossEntropy(CompiledLoss):
    """Minus the log of the probability that softmax(predicted) gives to `actual`, one-hot."""

    def __init__(self) -> None:
        self.measured = Measured(partial(F.cross_entropy, reduction="sum"))


class Optimizer:
    """How a layer's params change by its grads."""

    def step(self, layer: Layer) -> None:
        """Change the params of a layer in place."""
        raise undefined(self, "step(self, layer)")


class CompiledOptimizer(Optimizer):
    """The engine's gradient descent with a running mean of gradients that starts at zero."""

    def __init__(self, learning_rate: float, momentum: float) -> None:
        self.lr, self.mo = learning_rate, momentum
        self.engine = Steps(_from_zero)
        self.copies: list[Tensor] = []

    def step(self, layer: Layer) -> None:
        """Change the params of a layer in place."""
        row = layer.row if isinstance(layer, Compiled | Sequential) else None
        tensors = self._copied(layer) if row is None else row.tensors
        self.engine(tensors, lr=self.lr, momentum=self.mo, dampening=self.mo)
        if row is None:
            for tensor, param in zip(tensors, layer.params(), strict=True):
                param[:] = tensor.tolist()

    def _copied(self, layer: Layer) -> list[Tensor]:
        """Tensors with the numbers of lists that a user's layer keeps."""
        where, params, grads = type(self).__name__, [*layer.params()], [*layer.grads()]
        shapes, found = [*map(shape, params)], [*map(shape, grads)]
        if shapes != found:
            raise ShapeError(
                message(where, "params() and grads() must have the same shapes in the same order",
                        shapes, found, "Return one gradient per param")
            )  # fmt: skip
        if shapes != [[*tensor.shape] for tensor in self.copies]:
            self.copies = [make(np.zeros(size)) for size in shapes]
            for tensor in self.copies:
                tensor.grad = make(np.zeros(tensor.shape))
        slopes = gradients(where, self.copies)
        for tensor, slope, param, grad in zip(self.copies, slopes, params, grads, strict=True):
            tensor.value[...], slope.value[...] = numbers(where, param), numbers(where, grad)
        return self.copies


def _from_zero(tensors: list[Tensor], lr: float, momentum: float, dampening: float) -> SGD:
    engine = SGD(tensors, lr, momentum, dampening)
    engine.init_state(step=1)  # the engine's own first step is without dampening
    return engine


class GradientDescent(CompiledOptimizer):
    """Steps of learning_rate (`.lr`) times the gradient."""

    def __init__(self, learning_rate: float = 0.1) -> None:
        super().__init__(learning_rate, 0.0)


class Momentum(CompiledOptimizer):
    """Steps of learning_rate (`.lr`) times a running mean of gradients, which keeps the share
    `momentum` (`.mo`) of itself at each step and starts at zero.
    """

    def __init__(self, learning_rate: float, momentum: float = 0.9) -> None:
        super().__init__(learning_rate, momentum)


def save_weights(model: Layer, filename: Any) -> None:
    """Write the params of a model as JSON, every digit of them."""
    with open(filename, "w", encoding="utf-8") as file:
        json.dump([plain(param) for param in model.params()], file)


def load_weights(model: Layer, filename: Any) -> None:
    """Read into a model the params that `save_weights` has written.

    Raises:  CheckpointError when they are not as many, or not of the same shapes, or no numbers;
             then the model has not changed.
    """
    with open(filename, encoding="utf-8") as file:
        saved = json.load(file)
    params = [*model.params()]
    have, need = [shape(numbers("load_weights", t)) for t in saved], [*map(shape, params)]
    if have != need:
        raise CheckpointError(
            message("load_weights", "weights must have the shapes of the model's params", need,
                    have, "Nothing was loaded; build the model as it was when saved")
        )  # fmt: skip
    for param, new in zip(params, saved, strict=True):
        param[:] = new
