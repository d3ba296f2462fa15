"""Layers with explicit forward and backward, on lists; those of the engine run compiled in a row.

May import: core, ops, nn.functional, train.explicit, tensor, number. To add a layer: a subclass of
`Compiled` that says in `apply`, in the engine's functions, what it computes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pierian.base.errors import GradError, ShapeError, message
from pierian.base.lists import ListView, numbers
from pierian.compat.scratch.number import nested, random_tensor
from pierian.compat.scratch.tensor import like
from pierian.core import tensor as core
from pierian.nn import functional as F
from pierian.ops.elementwise import mul
from pierian.train.explicit import Chain, Explicit, Row, gradients

__all__ = ["Dropout", "Layer", "Linear", "Relu", "Sequential", "Sigmoid", "Tanh"]


class Layer:
    """What a network is made of. Subclasses define forward and backward, and, if they learn,
    params and grads: lists of equal length with tensors of equal shapes.
    """

    def forward(self, input: Any) -> Any:
        """The output for an input."""
        raise undefined(self, "forward(self, input)")

    def backward(self, gradient: Any) -> Any:
        """From the gradient of the loss by the last output, that by the last input."""
        raise undefined(self, "backward(self, gradient)")

    def params(self) -> Iterable[Any]:
        """What is learned, as lists that the optimizer changes in place."""
        return []

    def grads(self) -> Iterable[Any]:
        """The gradients by params(), in their order."""
        return []


def undefined(thing: object, method: str) -> NotImplementedError:
    """The error of a layer, loss or optimizer without one of its methods."""
    kind = type(thing).__name__
    must, fix = "it must say what it computes", f"Define it in class {kind}"
    return NotImplementedError(message(kind, must, f"def {method}", "no such method", fix))


class ListRow(Row):
    """Layers of the engine in a row, from lists to lists and from arrays to arrays."""

    take = staticmethod(numbers)
    give = staticmethod(like)


class Compiled(Explicit, Layer):
    """A layer of the engine: `apply` is all it says."""

    in_row = ListRow

    def params(self) -> list[Any]:
        return [ListView(tensor.value) for tensor in self.tensors]

    def grads(self) -> list[Any]:
        return [ListView(slope.value) for slope in gradients(type(self).__name__, self.tensors)]


def _pointwise(name: str, function: Callable[[core.Tensor], core.Tensor], doc: str) -> Any:
    def apply(self: Any, x: core.Tensor) -> core.Tensor:
        return function(x)

    return type(name, (Compiled,), {"apply": apply, "__doc__": doc, "__module__": __name__})


Sigmoid = _pointwise("Sigmoid", F.sigmoid, "1 / (1 + e^-x) of every number. Shapes: any.")
Tanh = _pointwise("Tanh", F.tanh, "The hyperbolic tangent of every number. Shapes: any.")
Relu = _pointwise("Relu", F.relu, "Negative numbers become 0. Shapes: any.")


def _part(method: str, number: int) -> property:
    """One of params() or grads() as an attribute; assigning copies into it."""

    def write(layer: Compiled, new: Any) -> None:
        getattr(layer, method)()[number][:] = new

    return property(lambda layer: getattr(layer, method)()[number], write)


class Linear(Compiled):
    """w x + b, with a row of `w` and a number of `b` per output.

    Shapes:  input [input_dim] -> [output_dim]; w, w_grad [output_dim, input_dim]; b, b_grad
             [output_dim].
    Args:    init  how w and b start: see `random_tensor`.
    """

    w, b = _part("params", 0), _part("params", 1)
    w_grad, b_grad = _part("grads", 0), _part("grads", 1)

    def __init__(self, input_dim: int, output_dim: int, init: str = "xavier") -> None:
        self.input_dim, self.output_dim = input_dim, output_dim
        w = random_tensor(output_dim, input_dim, init=init)
        b = random_tensor(output_dim, init=init)
        super().__init__(core.make(np.array(w)), core.make(np.array(b)))

    def apply(self, x: core.Tensor, *tensors: core.Tensor) -> core.Tensor:
        if x.shape[-1:] != (self.input_dim,):
            raise ShapeError(
                message(f"Linear({self.input_dim}, {self.output_dim}).forward",
                        "an input must have input_dim numbers", [self.input_dim], [*x.shape],
                        "Flatten the input to one list, or pass its length to Linear")
            )  # fmt: skip
        return F.linear(x, *tensors)


class Dropout(Compiled):
    """While `train` is True each number becomes 0 with probability p; else all are times 1 - p.

    Shapes:  any.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.kept, self.train = p, 1 - p, True
        self.masks: dict[tuple[int, ...], core.Tensor] = {}

    def apply(self, x: core.Tensor, *tensors: core.Tensor) -> core.Tensor:
        return mul(x, self.masks.setdefault(x.shape, core.make(np.zeros(x.shape))))

    def enter(self, x: core.Tensor) -> None:
        super().enter(x)
        draws = nested(lambda: random.random() >= self.p, x.shape) if self.train else self.kept
        self.masks[x.shape].value[...] = draws

    def leave(self) -> core.Tensor:
        if not self.train:
            raise GradError(
                message("Dropout.backward", "gradients are for training", "train = True", "False",
                        "Set .train = True before forward")
            )  # fmt: skip
        return super().leave()


class Sequential(Chain, Layer):
    """Layers one after the other, users' own among them. Shapes: those of its layers."""

    def params(self) -> list[Any]:
        return [param for layer in self.layers for param in layer.params()]

    def grads(self) -> list[Any]:
        return [grad for layer in self.layers for grad in layer.grads()]
