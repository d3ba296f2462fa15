"""Learning by hand: layers with a forward and a backward that the program itself calls.

May import: base, core, optim, compiler. As textbooks write networks before gradients come by
themselves; compiled all the same, one call for a whole row of layers each way, in memory that
stays. To add a layer: a subclass of `Explicit` that says in `apply` what it computes. Not imported
by the room, since few programs use it: `from pierian.train import explicit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from tqdm import trange

from pierian.base.errors import GradError, ShapeError, message
from pierian.compiler.fixed import Fixed
from pierian.core.tensor import Tensor, assign, make
from pierian.core.transform import value_and_grad, vjp
from pierian.optim.optimizer import Optimizer

Kind = tuple[tuple[int, ...], np.dtype]  # of an array: shape and dtype


class Row:
    """Layers one after the other, as one compiled call forward and one back.

    One thread at a time may call. For other things than arrays as inputs and results: a subclass
    with another `take` and `give`.
    """

    def __init__(self, layers: Sequence[Explicit]) -> None:
        self.layers = layers
        self.passes: dict[Kind, Pass] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.layers,)  # copies of its layers have a row of their own

    @cached_property
    def tensors(self) -> list[Tensor]:
        """What all its layers learn."""
        return [tensor for layer in self.layers for tensor in layer.tensors]

    @staticmethod
    def take(where: str, data: Any) -> np.ndarray:
        """The array of what `where` was called with."""
        return np.asarray(data)

    @staticmethod
    def give(given: Any, result: np.ndarray) -> Any:
        """A result in the form of what was given; its memory is used again, so a copy."""
        return result.copy()

    def at(self, kind: Kind) -> Pass:
        """The compiled passes for inputs of a kind."""
        if kind not in self.passes:
            self.passes[kind] = Pass(self.layers, kind)
        return self.passes[kind]

    def forward(self, x: Any) -> Any:
        """The output of the last layer. Shapes: those of the layers."""
        array = self.take("forward", x)
        found = self.at((array.shape, array.dtype))
        for layer, memory in found.steps:
            layer.enter(memory)
        return self.give(x, found.forward(array)[0])

    def backward(self, g: Any) -> Any:
        """From the gradient by the last output, that by the last input; on the way those by the
        tensors. Shapes: g as the last output -> as the last input.

        Raises:  GradError when no forward pass came before, ShapeError for another shape of g.
        """
        first, *_ = [layer.leave() for layer in self.layers]
        array, found = self.take("backward", g), self.at((first.shape, first.dtype))
        if array.shape != found.shape:
            raise ShapeError(
                message("backward", "gradient must have the shape of the last output",
                        [*found.shape], [*array.shape],
                        "Pass what loss.gradient(predicted, actual) gives")
            )  # fmt: skip
        return self.give(g, found.backward(array)[0])


class Explicit:
    """A layer with forward and backward, which remembers its last input.

    Its gradient is that of `apply`; `tensor.grad` of its tensors is written by the first backward
    pass and overwritten by each one after it.

    Args:  tensors  what it learns.

    >>> import pierian as pr
    >>> class Scale(Explicit):
    ...     def apply(self, x, w):
    ...         return x * w
    >>> w = pr.tensor([2.0, 3.0])
    >>> layer = Scale(w)
    >>> layer.forward(np.array([1, 10], np.float32))
    array([ 2., 30.], dtype=float32)
    >>> layer.backward(np.ones(2, np.float32))
    array([2., 3.], dtype=float32)
    >>> w.grad
    tensor([ 1., 10.], dtype=float32)
    """

    in_row: type[Row] = Row  # what runs it and its neighbours

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors
        self.memory: dict[Kind, Tensor] = {}  # for inputs, by kind; of all rows it is part of
        self.last: Tensor | None = None  # the one of the last forward pass

    def apply(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """The output for an input: a function of tensors, which looks at no value."""
        raise NotImplementedError(
            message(type(self).__name__, "a layer must say what it computes",
                    "def apply(self, x, *tensors)", "no such method", "Define it")
        )  # fmt: skip

    @cached_property
    def row(self) -> Row:
        """This layer as a row of one."""
        return self.in_row([self])

    def forward(self, x: Any) -> Any:
        """The output for an input."""
        return self.row.forward(x)

    def backward(self, g: Any) -> Any:
        """From the gradient by the last output, that by the last input."""
        return self.row.backward(g)

    def enter(self, x: Tensor) -> None:
        """Called before each forward pass with the memory of its input, not yet filled."""
        self.last = x

    def leave(self) -> Tensor:
        """Called before each backward pass; gives the memory of its last input.

        Raises:  GradError when there was no forward pass.
        """
        if self.last is None:
            raise GradError(
                message(f"{type(self).__name__}.backward", "forward must come first",
                        "a call of forward", "none", "Call predicted = model.forward(x) before")
            )  # fmt: skip
        return self.last


class Pass:
    """Inputs of one kind on their way through layers and back."""

    def __init__(self, layers: Sequence[Explicit], kind: Kind) -> None:
        self.steps: list[tuple[Explicit, Tensor]] = []
        for layer in layers:  # a first time, to learn the shapes and have them checked
            x = layer.memory.setdefault(kind, make(np.zeros(*kind)))
            y = layer.apply(x, *layer.tensors)
            self.steps.append((layer, x))
            kind = y.shape, y.dtype
        self.shape, self.dtype = kind
        self.forward = Fixed(self._forward, self.steps[0][1])

    def _forward(self, y: Tensor) -> Tensor:
        for layer, x in self.steps:
            if x is not y:
                assign(x, y)
            y = layer.apply(x, *layer.tensors)
        return y

    def backward(self, g: np.ndarray) -> list[np.ndarray]:
        """From the gradient by the output to that by the input."""
        for layer, _ in self.steps:
            for tensor in layer.tensors:
                if tensor.grad is None:
                    tensor.grad = make(np.zeros_like(tensor.value))
        return self.back(g)

    @cached_property
    def back(self) -> Fixed:
        """The same, compiled, for tensors that have gradients."""
        return Fixed(self._backward, make(np.zeros(self.shape, self.dtype)))

    def _backward(self, g: Tensor) -> Tensor:
        for layer, x in reversed(self.steps):
            _, pull = vjp(layer.apply, x, *layer.tensors)
            g, *found = pull(g)
            for slope, new in zip(gradients("backward", layer.tensors), found, strict=True):
                assign(slope, new)
        return g


def gradients(where: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What backward has left in tensors.

    Raises:  GradError when it has not been called.
    """
    found = [tensor.grad for tensor in tensors if tensor.grad is not None]
    if len(found) < len(tensors):
        raise GradError(
            message(where, "backward must come before gradients are used", "a call of backward",
                    "none", "Call model.backward(loss.gradient(predicted, actual)) before")
        )  # fmt: skip
    return found


class Chain:
    """Layers one after the other, of any kind with forward and backward.

    Neighbours that are `Explicit` run together, as a `Row`; the list of layers may change.
    """

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers
        self._known: list[Any] = []  # the layers when `parts` put them together
        self._parts: list[Any] = []

    @property
    def parts(self) -> list[Any]:
        """Rows, and layers that must run by themselves. Raises: TypeError for what is no layer."""
        given = [*self.layers] if isinstance(self.layers, list | tuple) else [[self.layers]]
        if given != self._known:
            where = type(self).__name__
            for layer in given:
                check_has(where, layer, "forward", "[Tanh(), Sigmoid()], a list")
            if len({*map(id, given)}) < len(given):
                raise ValueError(
                    message(where, "a layer remembers one input", "each layer once",
                            "one that is there twice", "Make another: [Tanh(), Tanh()]")
                )  # fmt: skip
            self._known, self._parts = given, []
            for together, some in groupby(self._known, _joins):
                layers = [*some]
                self._parts += [layers[0].in_row(layers)] if together else layers
        return self._parts

    @property
    def row(self) -> Row | None:
        """All layers as one row where they can be."""
        parts = self.parts
        return parts[0] if len(parts) == 1 and isinstance(parts[0], Row) else None

    def forward(self, x: Any) -> Any:
        """The output of the last layer."""
        for part in self.parts:
            x = part.forward(x)
        return x

    def backward(self, g: Any) -> Any:
        """From the gradient by the last output, that by the last input."""
        for part in reversed(self.parts):
            g = part.backward(g)
        return g


def check_has(where: str, thing: Any, method: str, right: str) -> None:
    """Raises TypeError unless `thing` is an object with a method, such as `right` has."""
    if isinstance(thing, type) or not hasattr(thing, method):
        raise TypeError(
            message(where, f"it needs an object with a method {method}", right, thing,
                    "Make one, with parentheses, and put layers into a list")
        )  # fmt: skip


def _joins(layer: Any) -> bool:
    """Whether a layer can be part of a row: a subclass may have changed its passes."""
    kind = type(layer)
    passes = kind.forward, kind.backward
    return isinstance(layer, Explicit) and passes == (Explicit.forward, Explicit.backward)


class Measured:
    """A loss and its gradient by the prediction, in one compiled call.

    Arrays that it gives are overwritten by its next call; one thread at a time may call.

    Args:  measure  the loss, (prediction, target) -> a single number, in functions of tensors.

    >>> loss = Measured(lambda p, t: ((p - t) ** 2).sum())
    >>> loss(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    [array(9.), array([ 0., -6.])]
    """

    def __init__(self, measure: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.measure = measure
        self.runs: dict[tuple[Kind, ...], Fixed] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.measure,)

    def __call__(self, predicted: np.ndarray, actual: np.ndarray) -> list[np.ndarray]:
        """The loss and its gradient. Shapes: predicted [...], actual -> (), [...]."""
        kinds = (predicted.shape, predicted.dtype), (actual.shape, actual.dtype)
        if kinds not in self.runs:
            places = (make(np.zeros(*kind)) for kind in kinds)
            self.runs[kinds] = Fixed(value_and_grad(self.measure), *places)
        return self.runs[kinds](predicted, actual)


class Steps:
    """Steps of an optimizer that is told its tensors and settings at each one; compiled.

    It begins anew for another list of tensors, and goes on with changed settings.

    Args:  rule  (tensors, **settings) -> an optimizer.

    >>> import pierian as pr
    >>> w = pr.tensor([1.0])
    >>> w.grad = pr.tensor([2.0])
    >>> step, tensors = Steps(pr.optim.SGD), [w]
    >>> step(tensors, lr=0.1)
    >>> step(tensors, lr=0.25)
    >>> w
    tensor([0.3], dtype=float32)
    """

    def __init__(self, rule: Callable[..., Optimizer]) -> None:
        self.rule = rule
        self.tensors: Sequence[Tensor] | None = None

    def __call__(self, tensors: Sequence[Tensor], **settings: float) -> None:
        if tensors is not self.tensors:
            gradients("step", tensors)
            self.tensors, self.settings = tensors, settings
            self.optimizer = self.rule(tensors, **settings)
            self.run = Fixed(self.optimizer.step)
        if settings != self.settings:
            self.settings = settings
            for group in self.optimizer.param_groups:
                group.update(settings)
        self.run()


def loop(model: Any, xs: Any, ys: Any, loss: Any, optimizer: Any = None) -> tuple[float, float]:
    """Goes once through examples, one at a time, learning if there is an optimizer.

    Shapes:  xs [n, ...], ys [n, classes], one-hot.
    Args:    model      anything with forward(x) and backward(g).
             loss       anything with loss(predicted, actual) and gradient(predicted, actual).
             optimizer  anything with step(model).
    Returns: mean loss and accuracy, which the progress bar shows while it runs.
    """
    if len(xs) != len(ys):
        raise ShapeError(
            message("loop", "each image needs a label", len(xs), len(ys), "Cut both alike")
        )
    check_has("loop", loss, "gradient", "a loss like SSE()")
    if optimizer is not None:
        check_has("loop", optimizer, "step", "an optimizer like GradientDescent(0.1)")
    right, total, mean, accuracy = 0, 0.0, float("nan"), float("nan")
    with trange(len(xs)) as bar:
        for i in bar:
            predicted = model.forward(xs[i])
            right += int(np.argmax(predicted) == np.argmax(ys[i]))
            total += loss.loss(predicted, ys[i])
            if optimizer is not None:
                model.backward(loss.gradient(predicted, ys[i]))
                optimizer.step(model)
            mean, accuracy = total / (i + 1), right / (i + 1)
            bar.set_description(f"loss: {mean:.3f}  accuracy: {accuracy:.3f}", refresh=False)
    return mean, accuracy
