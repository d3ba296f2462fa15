"""Layers with explicit forward and backward; a row of them runs as one compiled call each way.

May import: core, ops, nn.functional, fixed, tensor, number. To add a layer: a subclass of
`Compiled` that says in `apply`, in the engine's functions, what it computes. Backward is autodiff.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pierian.base.errors import GradError, ShapeError, message
from pierian.compat.scratch.fixed import Fixed
from pierian.compat.scratch.number import nested, random_tensor
from pierian.compat.scratch.tensor import Values, numbers
from pierian.core import tensor as core
from pierian.core.transform import vjp
from pierian.nn import functional as F
from pierian.ops.elementwise import mul

OWN = ("_chain", "_known")  # what copies of a layer do not share


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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in OWN}


def _undefined(layer: object, method: str) -> str:
    name = type(layer).__name__
    return message(name, "a layer or loss must say what it computes", f"def {method}", "no such "
                   "method", f"Define it in class {name}")  # fmt: skip


class Compiled(Layer):
    """A layer of the engine: `apply` is all it says."""

    tensors: Sequence[core.Tensor] = ()
    slopes: Sequence[core.Tensor] = ()  # memory for their gradients
    input: Any = None  # the last one, a tensor
    mask: Any = None  # the last random numbers, a tensor
    draws = False  # whether it needs random numbers

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        """The output for tensors."""
        raise NotImplementedError(_undefined(self, "apply(self, x, mask, *tensors)"))

    def draw(self, shape: tuple[int, ...]) -> Any:
        """The mask for an input of a shape, if it `draws`."""

    def came(self) -> core.Tensor:
        """The last input; a RuntimeError when there is nothing to go back from."""
        if self.input is None:
            raise GradError(
                message(f"{type(self).__name__}.backward", "forward must come first",
                        "a call of forward", "none", "Call predicted = model.forward(x) before")
            )  # fmt: skip
        return self.input

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
        check_gradients(type(self).__name__, self.tensors)
        return [Values(slope.value) for slope in self.slopes]


class Chain:
    """Layers of the engine one after the other, as one compiled call forward and one back."""

    def __init__(self, layers: Sequence[Compiled]) -> None:
        self.layers = layers
        self.tensors = [tensor for layer in layers for tensor in layer.tensors]
        self.slopes = [slope for layer in layers for slope in layer.slopes]
        self.ways: dict[tuple[int, ...], Way] = {}
        self.been_back = False

    def way(self, shape: tuple[int, ...]) -> Way:
        """What inputs of a shape go."""
        if shape not in self.ways:
            self.ways[shape] = Way(self.layers, shape)
        return self.ways[shape]

    def forward(self, input: Any) -> Any:
        x = numbers("forward", input)
        way = self.way(x.shape)
        way.inputs[0].value[...] = x
        for layer, mask in way.drawn:
            mask.value[...] = layer.draw(mask.shape)
            layer.mask = mask
        way.ahead()
        for layer, tensor in way.seen:
            layer.input = tensor
        return like(input, way.output)

    def backward(self, gradient: Any) -> Any:
        way, g = self.way(self.layers[0].came().shape), numbers("backward", gradient)
        if g.shape != way.gradient.shape:
            raise ShapeError(
                message("backward", "gradient must have the shape of the last output",
                        [*way.gradient.shape], [*g.shape],
                        "Pass what loss.gradient(predicted, actual) gives")
            )  # fmt: skip
        for layer, tensor in way.seen:
            if layer.input is not tensor:  # it has been called by itself since
                tensor.value[...] = layer.came().value
        for layer, mask in way.drawn:
            layer.came()
            if layer.mask is not mask:
                mask.value[...] = layer.mask.value
        way.gradient.value[...] = g
        way.back()
        if not self.been_back:
            self.been_back = True
            for tensor, slope in zip(self.tensors, self.slopes, strict=True):
                tensor.grad = slope
        return like(gradient, way.result)


class Way:
    """The memory of examples of one shape on their way through a chain, and the compiled passes.

    All values stay in the same memory, which is what makes a call cheap; so one thread at a time.
    """

    def __init__(self, layers: Sequence[Compiled], shape: tuple[int, ...]) -> None:
        self.layers = layers
        values = [empty(shape)]
        self.masks: list[Any] = []
        for layer in layers:  # a first time, to learn the shapes and have them checked
            x = values[-1]
            self.masks.append(empty(x.shape) if layer.draws else None)
            values.append(empty(layer.apply(x, self.masks[-1], *layer.tensors).shape))
        *self.inputs, self.output = values
        self.gradient, self.result = empty(self.output.shape), empty(shape)
        self.seen = [*zip(layers, self.inputs, strict=True)]
        self.drawn = [pair for pair in zip(layers, self.masks, strict=True) if pair[1] is not None]
        self.ahead, self.back = Fixed(self._ahead), Fixed(self._back)

    def _ahead(self) -> None:
        outputs = [*self.inputs[1:], self.output]
        for layer, x, mask, y in zip(self.layers, self.inputs, self.masks, outputs, strict=True):
            core.assign(y, layer.apply(x, mask, *layer.tensors))

    def _back(self) -> None:
        g = self.gradient
        for layer, x, mask in reversed([*zip(self.layers, self.inputs, self.masks, strict=True)]):
            _, pull = vjp(lambda x, *ps, f=layer.apply, m=mask: f(x, m, *ps), x, *layer.tensors)
            g, *found = pull(g)
            for slope, gradient in zip(layer.slopes, found, strict=True):
                core.assign(slope, gradient)
        core.assign(self.result, g)


def empty(shape: tuple[int, ...]) -> core.Tensor:
    """A tensor with memory of its own, of zeros."""
    return core.make(np.zeros(shape))


def check_gradients(where: str, tensors: Sequence[core.Tensor]) -> None:
    """Raises a RuntimeError when backward has not been called."""
    if any(tensor.grad is None for tensor in tensors):
        raise GradError(
            message(where, "backward must come before gradients are used", "a call of backward",
                    "none", "Call model.backward(loss.gradient(predicted, actual)) before")
        )  # fmt: skip


def like(given: Any, result: core.Tensor) -> Any:
    """A copy of a result, as an array for an array, else as a list."""
    copy = result.value.copy()
    return copy if isinstance(given, np.ndarray) else Values(copy)


class Pointwise(Compiled):
    """The same function of every number. Shapes: any."""

    function: Any  # of the engine

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        return type(self).function(x)


class Sigmoid(Pointwise):
    """1 / (1 + e^-x) of every number. Shapes: any."""

    function = F.sigmoid


class Tanh(Pointwise):
    """The hyperbolic tangent of every number. Shapes: any."""

    function = F.tanh


class Relu(Pointwise):
    """Negative numbers become 0. Shapes: any."""

    function = F.relu


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

    w, b, w_grad, b_grad = (_part(*which) for which in (
        ("params", 0), ("params", 1), ("grads", 0), ("grads", 1)))  # fmt: skip

    def __init__(self, input_dim: int, output_dim: int, init: str = "xavier") -> None:
        self.input_dim, self.output_dim = input_dim, output_dim
        w = random_tensor(output_dim, input_dim, init=init)
        b = random_tensor(output_dim, init=init)
        self.tensors = [core.make(np.array(w)), core.make(np.array(b))]
        self.slopes = [empty(tensor.shape) for tensor in self.tensors]

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
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

    draws = True

    def __init__(self, p: float) -> None:
        self.p, self.train = p, True

    def draw(self, shape: tuple[int, ...]) -> Any:
        return nested(lambda: random.random() >= self.p, shape) if self.train else 1 - self.p

    def apply(self, x: core.Tensor, mask: Any, *tensors: core.Tensor) -> core.Tensor:
        return mul(x, mask)

    def came(self) -> core.Tensor:
        if not self.train:
            raise GradError(
                message("Dropout.backward", "gradients are for training", "train = True", "False",
                        "Set .train = True before forward")
            )  # fmt: skip
        return super().came()


class Sequential(Layer):
    """Layers one after the other, users' own among them. Shapes: those of its layers."""

    _known: list[Layer] | None = None  # the layers of _chain
    _chain: Chain | None = None

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers

    @property
    def chain(self) -> Chain | None:
        """All layers as one row when the engine has written them all, else None."""
        if self.layers != self._known:
            self._known = [*self.layers]
            ours = [layer for layer in self._known if isinstance(layer, Compiled) and _ours(layer)]
            self._chain = Chain(ours) if ours and len(ours) == len(self._known) else None
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
