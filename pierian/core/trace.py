"""Tracing: run a Python function once and get a graph of everything it computed.

May import: base, graph, tensor. Tensors from outside that the function uses become inputs of
the graph, read anew at every run; those it assigns to become outputs, written back after it. So
a whole training step, `backward()` and optimizer included, traces to one graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import TraceError, message
from pierian.core.autodiff import no_grad
from pierian.core.graph import Graph, Symbol, interpret
from pierian.core.tensor import Tensor, assign, make, mode


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A traced function: its graph, and where inputs come from and outputs go.

    graph.inputs   the leaves of the arguments, then `captured`.
    graph.outputs  the leaves of the result, then `updated`, then the gradients of `grads`.
    """

    graph: Graph
    captured: list[Tensor]
    updated: list[Tensor]
    grads: list[tuple[Tensor, bool]]  # (leaf, whether it has a gradient after the call)
    structure: trees.Structure  # of the result

    def __call__(self, *args: Any) -> Any:
        """Run by the reference interpreter: the same effects as the function itself."""
        inputs = [leaf.value for leaf in trees.leaves(args) if isinstance(leaf, Tensor)]
        return self.finish(interpret(self.graph, inputs + [t.value for t in self.captured]))

    def finish(self, arrays: list[np.ndarray]) -> Any:
        """Write updates and gradients back; give the result tree."""
        values = iter([make(array) for array in arrays])
        results = [next(values) for _ in range(len(arrays) - len(self.updated) - self._new_grads)]
        with no_grad():
            for tensor in self.updated:
                assign(tensor, next(values))
        for tensor, present in self.grads:
            tensor.grad = next(values) if present else None
        return trees.unflatten(self.structure, results)

    @property
    def _new_grads(self) -> int:
        return sum(present for _, present in self.grads)


class Tracer:
    """The graph being made, and what to undo in the outside world afterwards."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.captured: dict[int, tuple[Tensor, Symbol, np.ndarray]] = {}
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}

    def add(self, primitive: str, inputs: list[Symbol], params: dict[str, Any]) -> Symbol:
        return self.graph.add(primitive, inputs, params)

    def constant(self, array: np.ndarray) -> Symbol:
        return self.graph.add_constant(array)

    def lift(self, tensor: Tensor) -> Symbol:
        """The symbol of `tensor` now; one from outside becomes an input."""
        while tensor.base is not None:
            tensor = tensor.base
        value = tensor.value
        if type(value) is Symbol:
            if value.owner is not self.graph:
                raise TraceError(
                    message("trace", "a traced tensor lives only in its own trace",
                            "a tensor with values", repr(value),
                            "Return it from the traced function instead of keeping it")
                )  # fmt: skip
            return value
        entry = self.captured.get(id(tensor))
        if entry is None:
            symbol = self.graph.add_input(value.shape, value.dtype)
            entry = self.captured[id(tensor)] = (tensor, symbol, value)
        return entry[1]

    def assign(self, target: Tensor, symbol: Symbol) -> None:
        """Make `symbol` the value of `target` and of what it is an alias of."""
        self.lift(target)
        target.value = symbol
        while target.base is not None:
            target = target.base
            target.value = symbol

    def note_grad(self, tensor: Tensor) -> None:
        """Remember the gradient that `tensor` had before the trace."""
        self.grads.setdefault(id(tensor), (tensor, tensor._grad))


def trace(fn: Callable[..., Any], *args: Any) -> Traced:
    """The graph of `fn(*args)`, without any effect on tensors outside.

    Args:    args  trees of tensors; other leaves are passed through as they are.
    Raises:  TraceError where `fn` needs the value of a tensor in Python.

    >>> import pierian as pr
    >>> traced = trace(lambda x: x * x + 1.0, pr.tensor([1.0, 2.0]))
    >>> traced.graph
    graph(%0: float32[2]) {
      %1: float32[2] = mul(%0, %0)
      %2: float32[] = constant(1.0)
      %3: float32[2] = add(%1, %2)
      return %3
    }
    >>> traced(pr.tensor([3.0, 4.0]))
    tensor([10., 17.], dtype=float32)
    """
    tracer = Tracer()
    leaves, structure = trees.flatten(args)
    before = mode.tracer
    mode.tracer = tracer
    try:
        symbols = [_argument(tracer, leaf) for leaf in leaves]
        result = fn(*trees.unflatten(structure, symbols))
        outputs, shape = trees.flatten(result)
        for leaf in outputs:
            if not isinstance(leaf, Tensor):
                raise TraceError(
                    message("trace", "a traced function returns tensors", "a tree of tensors",
                            type(leaf).__name__, "Return numbers from outside the function")
                )  # fmt: skip
        results = [tracer.lift(leaf) for leaf in outputs]
        updated = [
            (tensor, tensor.value)
            for tensor, symbol, _ in tracer.captured.values()
            if type(tensor.value) is Symbol and tensor.value is not symbol
        ]
        grads = [
            t
            for t, old in tracer.grads.values()
            if t._grad is not old and not (type(t.value) is Symbol and id(t) not in tracer.captured)
        ]
        new_grads = [tracer.lift(t._grad) for t in grads if t._grad is not None]
        effects = [(t, t._grad is not None) for t in grads]
    finally:
        mode.tracer = before
        for tensor, old in tracer.grads.values():
            tensor._grad = old
        for tensor, _, value in tracer.captured.values():
            tensor.value = value
    tracer.graph.outputs = [*results, *(symbol for _, symbol in updated), *new_grads]
    captured = [tensor for tensor, _, _ in tracer.captured.values()]
    return Traced(tracer.graph, captured, [t for t, _ in updated], effects, shape)


def _argument(tracer: Tracer, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    tensor = make(tracer.graph.add_input(leaf.shape, leaf.dtype))
    return tensor.requires_grad_() if leaf.requires_grad else tensor
