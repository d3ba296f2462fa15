"""Losses, optimizers, the loop over examples, and weights in files.

May import: base, core, nn.functional, optim, fixed, tqdm, layer, tensor. To add a loss: a
subclass of `CompiledLoss`; an optimizer: a subclass of `CompiledOptimizer`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tqdm import trange

from pierian.base.errors import CheckpointError, ShapeError, message
from pierian.compat.scratch.fixed import Fixed
from pierian.compat.scratch.layer import Layer, _undefined, check_gradients, empty, like
from pierian.compat.scratch.tensor import argmax, numbers, plain, shape
from pierian.core import tensor as core
from pierian.core.transform import value_and_grad
from pierian.nn import functional as F
from pierian.optim import SGD


class Loss:
    """How wrong a prediction is, and which way it should go."""

    def loss(self, predicted: Any, actual: Any) -> float:
        """One number, the smaller the better."""
        raise NotImplementedError(_undefined(self, "loss(self, predicted, actual)"))

    def gradient(self, predicted: Any, actual: Any) -> Any:
        """The gradient of the loss by the prediction."""
        raise NotImplementedError(_undefined(self, "gradient(self, predicted, actual)"))


class CompiledLoss(Loss):
    """A loss of the engine: value and gradient come from one call and are kept for the other."""

    measure: Callable[[core.Tensor, core.Tensor], core.Tensor]

    def __init__(self) -> None:
        self.known: tuple[bytes, bytes] | None = None
        self.shape: tuple[int, ...] | None = None

    def loss(self, predicted: Any, actual: Any) -> float:
        """One number, the smaller the better. Shapes: predicted [...], actual same."""
        self._look(predicted, actual)
        return self.value.value.item()

    def gradient(self, predicted: Any, actual: Any) -> Any:
        """The gradient of the loss by the prediction. Shapes: predicted [...], actual same."""
        self._look(predicted, actual)
        return like(predicted, self.slope)

    def _look(self, predicted: Any, actual: Any) -> None:
        name = type(self).__name__
        p, a = numbers(name, predicted), numbers(name, actual)
        key = p.tobytes(), a.tobytes()
        if key == self.known and p.shape == a.shape == self.shape:
            return
        if p.shape != a.shape:
            raise ShapeError(
                message(name, "predicted and actual must have one shape", [*p.shape], [*a.shape],
                        "Encode a class as a list with one_hot_encode(i, num_labels)")
            )  # fmt: skip
        if p.shape != self.shape:
            self.p, self.a, self.slope = (empty(p.shape) for _ in range(3))
            self.value, self.shape, self.run = empty(()), p.shape, Fixed(self._run)
        self.p.value[...], self.a.value[...] = p, a
        self.run()
        self.known = key

    def _run(self) -> None:
        value, slope = value_and_grad(self.measure)(self.p, self.a)
        core.assign(self.value, value)
        core.assign(self.slope, slope)


class SSE(CompiledLoss):
    """The sum of squared errors."""

    def measure(self, predicted: core.Tensor, actual: core.Tensor) -> core.Tensor:
        return F.sse_loss(predicted, actual)


class SoftmaxCrossEntropy(CompiledLoss):
    """Minus the log of the probability that softmax(predicted) gives to `actual`, one-hot."""

    def measure(self, predicted: core.Tensor, actual: core.Tensor) -> core.Tensor:
        return F.cross_entropy(predicted, actual, reduction="sum")


class Optimizer:
    """How a layer's params change by its grads."""

    def step(self, layer: Layer) -> None:
        """Change the params of a layer in place."""
        raise NotImplementedError(_undefined(self, "step(self, layer)"))


class CompiledOptimizer(Optimizer):
    """The engine's gradient descent with a running mean of gradients that starts at zero."""

    def __init__(self, learning_rate: float, momentum: float) -> None:
        self.lr, self.mo = learning_rate, momentum
        self.tensors: Sequence[core.Tensor] = ()

    def step(self, layer: Layer) -> None:
        """Change the params of a layer in place."""
        chain = getattr(layer, "chain", None)
        if chain:
            self._step(chain.tensors)
        else:
            self._step_lists([*layer.params()], [*layer.grads()])

    def _step(self, tensors: Sequence[core.Tensor]) -> None:
        if tensors is not self.tensors:
            check_gradients(f"{type(self).__name__}.step", tensors)
            self.tensors, self.set = tensors, (self.lr, self.mo)
            self.engine = SGD(tensors, lr=self.lr, momentum=self.mo, dampening=self.mo)
            self.engine.init_state()
            count = self.engine.state[tensors[0]]["step"]
            core.assign(count, core.as_tensor(1.0, count.dtype))  # only step 1 is without dampening
            self.run = Fixed(self.engine.step)
        if self.set != (self.lr, self.mo):
            self.set = self.lr, self.mo
            self.engine.param_groups[0].update(lr=self.lr, momentum=self.mo, dampening=self.mo)
        self.run()

    def _step_lists(self, params: list[Any], grads: list[Any]) -> None:
        """A step on lists that a user's layer keeps, by way of tensors."""
        where, tensors = f"{type(self).__name__}.step", self.tensors
        shapes, found = [*map(shape, params)], [*map(shape, grads)]
        if shapes != found:
            raise ShapeError(
                message(where, "params() and grads() must have the same shapes in the same order",
                        shapes, found, "Return one gradient per param")
            )  # fmt: skip
        if shapes != [[*tensor.shape] for tensor in tensors]:
            tensors = [empty((*size,)) for size in shapes]
            for tensor in tensors:
                tensor.grad = empty(tensor.shape)
        for tensor, param, grad in zip(tensors, params, grads, strict=True):
            tensor.value[...] = numbers(where, param)
            core.as_tensor(tensor.grad).value[...] = numbers(where, grad)
        self._step(tensors)
        for tensor, param in zip(tensors, params, strict=True):
            param[:] = tensor.tolist()


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


def loop(
    model: Layer, images: Any, labels: Any, loss: Loss, optimizer: Optimizer | None = None
) -> tuple[float, float]:
    """Goes once through examples, one at a time, learning if there is an optimizer.

    Shapes:  images [n, ...], labels [n, classes], one-hot.
    Returns: mean loss and accuracy, which the progress bar shows while it runs.
    """
    if len(images) != len(labels):
        raise ShapeError(
            message("loop", "each image needs a label", len(images), len(labels), "Cut both alike")
        )
    right, total, mean, accuracy = 0, 0.0, float("nan"), float("nan")
    with trange(len(images)) as bar:
        for i in bar:
            predicted = model.forward(images[i])
            right += argmax(predicted) == argmax(labels[i])
            total += loss.loss(predicted, labels[i])
            if optimizer is not None:
                model.backward(loss.gradient(predicted, labels[i]))
                optimizer.step(model)
            mean, accuracy = total / (i + 1), right / (i + 1)
            bar.set_description(f"loss: {mean:.3f}  accuracy: {accuracy:.3f}", refresh=False)
    return mean, accuracy


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
