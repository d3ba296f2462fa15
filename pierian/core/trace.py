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
from pierian.core.primitive import REGISTRY
from pierian.core.tensor import Tensor, assign, leaked, make, memory, mode, user_line


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
        written = {id(memory(tensor.value)) for tensor in self.updated}
        updates = [next(values) for _ in self.updated]
        with no_grad():
            for new in updates:  # one may lie in the memory that another is written to
                if id(memory(new.value)) in written:
                    new.value = new.value.copy()
            for tensor, new in zip(self.updated, updates, strict=True):
                assign(tensor, new)
        for tensor, present in self.grads:
            tensor.grad = next(values) if present else None
        return trees.unflatten(self.structure, results)

    @property
    def _new_grads(self) -> int:
        return sum(present for _, present in self.grads)


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A tensor from outside: its symbol, and the value and history to give back to it."""

    tensor: Tensor
    symbol: Symbol
    value: np.ndarray
    node: Any


class Tracer:
    """The graph being made, and what to undo in the outside world afterwards."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.arguments: list[Tensor] = []
        self.captured: dict[int, Captured] = {}
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.views: dict[Symbol, Symbol] = {}  # a view -> what lies in the memory it shows
        self.stale: set[Symbol] = set()  # values whose memory has been written to since
        self.written: list[np.ndarray] = []  # memory from outside that has been
        self.halfway: dict[Symbol, Symbol] = {}  # between the two halves of x[i] += 1

    def add(self, primitive: str, inputs: list[Symbol], params: dict[str, Any]) -> Symbol:
        output = self.graph.add(primitive, inputs, params)
        if REGISTRY[primitive].view:
            self.views[output] = self.views.get(inputs[0], inputs[0])
        return output

    def constant(self, array: np.ndarray) -> Symbol:
        return self.graph.add_constant(array)

    def root(self, tensor: Tensor) -> Tensor:
        """The tensor whose memory `tensor` has, through `.data` and `.detach()`."""
        while tensor.base is not None:
            entry = self.captured.get(id(tensor.base))
            value = tensor.base.value if entry is None else entry.value
            if type(tensor.value) is not Symbol and tensor.value is not value:
                break  # the other one has got new memory since
            tensor = tensor.base
        return tensor

    def lift(self, tensor: Tensor) -> Symbol:
        """The symbol of `tensor` now; one from outside becomes an input."""
        tensor = self.root(tensor)
        value = tensor.value
        if type(value) is Symbol:
            if value.owner is not self.graph:
                raise leaked("trace", value)
            if value in self.halfway:
                self.stale.discard(self.halfway.pop(value))
            self.check_fresh(value, self.views.get(value, value) in self.stale)
            return value
        entry = self.captured.get(id(tensor))
        if entry is None:
            symbol = self.graph.add_input(value.shape, value.dtype)
            entry = self.captured[id(tensor)] = Captured(tensor, symbol, value, tensor.node)
        overlaps = any(np.may_share_memory(value, other) for other in self.written)
        self.check_fresh(entry.symbol, overlaps or entry.symbol in self.stale)
        return entry.symbol

    def check_fresh(self, symbol: Symbol, stale: bool) -> None:
        """Refuse values whose memory has been written to since: a graph holds only the old ones."""
        if stale:
            raise TraceError(
                message(f"trace ({user_line()})", "a view must be taken after the change of what "
                        "it views", "a fresh x[i], x.T or alias", f"an old one, {symbol!r}",
                        "Take it again, or .clone() it before to keep the old values")
            )  # fmt: skip

    def assign(self, target: Tensor, symbol: Symbol, moved: bool) -> None:
        """Make `symbol` the value of `target` and of what it is an alias of.

        `moved` says that eagerly the value would get new memory, and not overwrite the old.
        """
        before = self.lift(target)
        if (symbol.shape, symbol.dtype) != (before.shape, before.dtype):
            raise TraceError(
                message(f"trace ({user_line()})", "a new value must have the type of the old",
                        repr(before), repr(symbol), "Make a new tensor instead of changing one")
            )  # fmt: skip
        root = self.root(target)
        if any(root is argument for argument in self.arguments):
            raise TraceError(
                message(f"trace ({user_line()})", "an argument must stay as it is",
                        "a function that changes only tensors from outside",
                        f"an in-place change of {before!r}", "Write x = x + 1 for x += 1")
            )  # fmt: skip
        if not moved:
            self.stale.add(self.views.get(before, before))
            if before in self.views:
                self.halfway[symbol] = self.views[before]
            if type(root.value) is not Symbol:
                self.written.append(root.value)
        self.views.pop(symbol, None)  # from now on it is the memory of `root`
        root.value = symbol

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
            (entry.tensor, entry.tensor.value)
            for entry in tracer.captured.values()
            if type(entry.tensor.value) is Symbol and entry.tensor.value is not entry.symbol
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
        for entry in tracer.captured.values():
            entry.tensor.value, entry.tensor.node = entry.value, entry.node
    tracer.graph.outputs = [*results, *(symbol for _, symbol in updated), *new_grads]
    captured = [entry.tensor for entry in tracer.captured.values()]
    return Traced(tracer.graph, captured, [t for t, _ in updated], effects, shape)


def _argument(tracer: Tracer, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    tensor = make(tracer.graph.add_input(leaf.shape, leaf.dtype))
    tracer.arguments.append(tensor)
    return tensor.requires_grad_() if leaf.requires_grad else tensor
