"""Layers with explicit forward and backward; a row of them runs as one compiled call each way.

May import: core, ops, nn.functional, compiler.jit, tensor, number. To add a layer: a subclass of
`Compiled` that says in `apply`, in the engine's functions, what it computes. Backward is autodiff.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pierian.base.errors import GradError, ShapeError, message
from pierian.compat.scratch.number import nested, random_tensor
from pierian.compat.scratch.tensor import Values, numbers
from pierian.compiler.jit import jit
from pierian.core import tensor as core
from pierian.core.transform import vjp
from pierian.nn import functional as F
from pierian.ops.elementwise import mul


class Layer:
    """What a network is made of. Subclasses define forward and backward, and, if they learn,
    params and grads: lists of equal length with tensors of equal shapes.
    """

    def forward(self, input: Any) -> Any:
        """The output for an input."""
        raise NotImplementedError(_undefined(self, "forward(self, input)"))

    def backward(self, gradient: Any) -> Any:
        """From the gradient of the loss by the last output, that by the last input."""
        raise NotImplementedError(_undefined(self, "backward(self, gradient)"))

    def params(self) -> Iterable[Any]:
        """What is learned, as lists that the optimizer changes in place."""
        return []

    def grads(self) -> Iterable[Any]:
        """The gradients by params(), in their order."""
        return []


def _undefined(layer: object, method: str) -> str:
    name = type(layer).__name__
    return message(name, "a layer or loss must say what it computes", f"def {method}", "no such "
                   "method", f"Define it in class {name}")  # fmt: skip


class Compiled(Layer):
    """A layer of the engine: `apply` is all it says."""

    tensors: Sequence[core.Tensor] = ()
    input: core.Tensor | None = None  # the last one
    mask: np.ndarray | None = None  # random numbers of the last forward

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        """The output for tensors."""
        raise NotImplementedError(_undefined(self, "apply(self, x, mask, *tensors)"))

    def draw(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The mask for an input of a shape."""
        return None

    def check_backward(self) -> None:
        """Raises a RuntimeError when there is nothing to go back from."""
        if self.input is None:
            raise GradError(
                message(f"{type(self).__name__}.backward", "forward must come first",
                        "a call of forward", "none", "Call predicted = model.forward(x) before")
            )  # fmt: skip

    @property
    def chain(self) -> Chain:
        """This layer as a row of one."""
        if "_chain" not in self.__dict__:
            self._chain = Chain([self])
        return self._chain

    def forward(self, input: Any) -> Any:
        """The output for a list or array of numbers, in kind."""
        return self.chain.forward(input)

    def backward(self, gradient: Any) -> Any:
        """From the gradient of the loss by the last output, that by the last input."""
        return self.chain.backward(gradient)

    def params(self) -> list[Any]:
        return [Values(tensor.value) for tensor in self.tensors]

    def grads(self) -> list[Any]:
        self.check_backward()
        return [Values(tensor._grad.value) for tensor in self.tensors if tensor._grad]


class Chain:
    """Layers of the engine one after the other, as one compiled call forward and one back."""

    def __init__(self, layers: Sequence[Compiled]) -> None:
        self.layers = layers
        self.tensors = [tensor for layer in layers for tensor in layer.tensors]
        self.shapes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}  # of each layer's input
        self.ahead, self.back = jit(self._forward), jit(self._backward)

    def forward(self, input: Any) -> Any:
        x = core.make(numbers("forward", input))
        if x.shape not in self.shapes:
            dry = self._forward(core.make(np.zeros(x.shape)), [np.ones(()) for _ in self.layers])
            self.shapes[x.shape] = [x.shape, *(inner.shape for inner in dry[1:])]
        masks = [layer.draw(shape) for layer, shape in
                 zip(self.layers, self.shapes[x.shape], strict=True)]  # fmt: skip
        output, *inner = self.ahead(x, masks)
        for layer, seen, mask in zip(self.layers, [x, *inner], masks, strict=True):
            layer.input, layer.mask = seen, mask
        return like(input, output)

    def backward(self, gradient: Any) -> Any:
        for layer in self.layers:
            layer.check_backward()
        g = core.make(numbers("backward", gradient))
        inputs = [layer.input for layer in self.layers]
        return like(gradient, self.back(g, inputs, [layer.mask for layer in self.layers]))

    def _forward(self, x: core.Tensor, masks: list[Any]) -> list[core.Tensor]:
        inner = []
        for layer, mask in zip(self.layers, masks, strict=True):
            x = layer.apply(x, mask, *layer.tensors)
            inner.append(x)
        return [x, *inner[:-1]]

    def _backward(self, g: core.Tensor, inputs: list[Any], masks: list[Any]) -> core.Tensor:
        for layer, x, mask in reversed([*zip(self.layers, inputs, masks, strict=True)]):
            y, pull = vjp(lambda x, *ps, f=layer.apply, m=mask: f(x, m, *ps), x, *layer.tensors)
            if g.shape != y.shape:
                raise ShapeError(
                    message(f"{type(layer).__name__}.backward", "gradient must have the shape of "
                            "the last output", [*y.shape], [*g.shape],
                            "Pass loss.gradient(predicted, actual)")
                )  # fmt: skip
            g, *found = pull(g)
            for tensor, gradient in zip(layer.tensors, found, strict=True):
                core.assign(tensor._grad, gradient)
        return g


def learned(arrays: list[np.ndarray]) -> Sequence[core.Tensor]:
    """Tensors of these arrays, each with a gradient of zeros to be written into."""
    tensors = [core.make(array) for array in arrays]
    for tensor in tensors:
        tensor.grad = core.make(np.zeros(tensor.shape))
    return tensors


def like(given: Any, result: core.Tensor) -> Any:
    """A result as an array for an array, else as a list."""
    return result.value if isinstance(given, np.ndarray) else Values(result.value)


class Sigmoid(Compiled):
    """1 / (1 + e^-x) of every number. Shapes: any."""

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        return F.sigmoid(x)


class Tanh(Compiled):
    """The hyperbolic tangent of every number. Shapes: any."""

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        return F.tanh(x)


class Relu(Compiled):
    """Negative numbers become 0. Shapes: any."""

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        return F.relu(x)


class Linear(Compiled):
    """w x + b, with a row of `w` and a number of `b` per output.

    Shapes:  input [input_dim] -> [output_dim].
    Args:    init  how w and b start: see `random_tensor`.
    """

    def __init__(self, input_dim: int, output_dim: int, init: str = "xavier") -> None:
        self.input_dim, self.output_dim = input_dim, output_dim
        w = random_tensor(output_dim, input_dim, init=init)
        b = random_tensor(output_dim, init=init)
        self.tensors = learned([np.array(w), np.array(b)])

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        if x.shape[-1:] != (self.input_dim,):
            raise ShapeError(
                message(f"Linear({self.input_dim}, {self.output_dim}).forward",
                        "an input must have input_dim numbers", [self.input_dim], [*x.shape],
                        "Flatten the input to one list, or pass its length to Linear")
            )  # fmt: skip
        return F.linear(x, *tensors)

    @property
    def w(self) -> Any:
        """The weights, [output_dim, input_dim]; assigning copies into them."""
        return self.params()[0]

    @w.setter
    def w(self, new: Any) -> None:
        self.params()[0][:] = new

    @property
    def b(self) -> Any:
        """The biases, [output_dim]; assigning copies into them."""
        return self.params()[1]

    @b.setter
    def b(self, new: Any) -> None:
        self.params()[1][:] = new

    @property
    def w_grad(self) -> Any:
        """The gradient by w of the last backward."""
        return self.grads()[0]

    @property
    def b_grad(self) -> Any:
        """The gradient by b of the last backward."""
        return self.grads()[1]


class Dropout(Compiled):
    """While `train` is True each number becomes 0 with probability p; else all are times 1 - p.

    Shapes:  any.
    """

    def __init__(self, p: float) -> None:
        self.p, self.train = p, True

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        if not self.train:
            return np.array(1 - self.p)
        return np.array(nested(lambda: float(random.random() >= self.p), shape))

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        return mul(x, mask)

    def check_backward(self) -> None:
        if not self.train:
            raise GradError(
                message("Dropout.backward", "gradients are for training", "train = True", "False",
                        "Set .train = True before forward")
            )  # fmt: skip
        super().check_backward()


class Sequential(Layer):
    """Layers one after the other, users' own among them. Shapes: those of its layers."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self._known: list[Layer] | None = None
        self._chain: Chain | None = None

    @property
    def chain(self) -> Chain | None:
        """All layers as one row when the engine has written them all, else None."""
        if self.layers != self._known:
            self._known = [*self.layers]
            ours = [layer for layer in self._known if isinstance(layer, Compiled) and _ours(layer)]
            self._chain = Chain(ours) if len(ours) == len(self._known) else None
        return self._chain

    def forward(self, input: Any) -> Any:
        """The output of the last layer."""
        if self.chain:
            return self.chain.forward(input)
        for layer in self.layers:
            input = layer.forward(input)
        return input

    def backward(self, gradient: Any) -> Any:
        """The gradient by the input of the first layer."""
        if self.chain:
            return self.chain.backward(gradient)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return gradient

    def params(self) -> list[Any]:
        return [param for layer in self.layers for param in layer.params()]

    def grads(self) -> list[Any]:
        return [grad for layer in self.layers for grad in layer.grads()]


def _ours(layer: Compiled) -> bool:
    """Whether a layer runs as the engine wrote it; a user may have changed its passes."""
    kind = type(layer)
    return kind.forward is Compiled.forward and kind.backward is Compiled.backward
