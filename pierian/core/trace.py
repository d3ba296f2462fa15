"""Tracing: run a Python function once and get a graph of everything it computed.

May import: base, graph, tensor. Tensors from outside that the function uses become inputs of
the graph, read anew at every run; those it assigns to become outputs, written back after it. So
a whole training step, `backward()` and optimizer included, traces to one graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import TraceError, message
from pierian.core.autodiff import CustomNode, no_grad, reachable
from pierian.core.graph import Graph, Symbol, interpret
from pierian.core.primitive import REGISTRY
from pierian.core.tensor import (
    Leaf,
    Mode,
    Node,
    Tensor,
    assign,
    clock,
    leaked,
    make,
    memory,
    mode,
    user_line,
)

Owner = Tensor | int
Attribute = tuple[dict[str, Any], str, Any]  # the `__dict__` it is in, its name, its value


def changed() -> None:
    """Note that Python state that a trace may have read has changed, in whatever thread."""
    Mode.version = next(clock)


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A traced function: its graph, and where inputs come from and outputs go.

    graph.inputs   the leaves of the arguments, then `captured`.
    graph.outputs  the leaves of the result, then `updated`, then the gradients of `grads`.

    An owner of a gradient is a tensor from outside, or the number of a leaf of the arguments.
    """

    graph: Graph
    captured: list[Tensor]
    updated: list[Tensor]
    grads: list[tuple[Owner, bool]]  # (owner, whether it has a gradient after the call)
    structure: trees.Structure  # of the result
    open: list[bool]  # of each leaf of the result, whether gradients can be asked for
    before: list[tuple[Owner, Tensor | None]]  # the gradients there were that were looked at
    reads: list[Attribute]  # what was read of Python state that may change
    changes: list[Attribute]  # and what was changed

    def __call__(self, *args: Any) -> Any:
        """Run by the reference interpreter: the same effects as the function itself."""
        leaves = [leaf for leaf in trees.leaves(args) if isinstance(leaf, Tensor)]
        inputs = [t.value for t in (*leaves, *self.captured)]
        return self._finish(leaves, interpret(self.graph, inputs))

    def _finish(self, leaves: list[Tensor], arrays: list[np.ndarray]) -> Any:
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
        self.leave(leaves, list(values))
        return trees.unflatten(self.structure, results)

    def leave(self, leaves: list[Tensor], grads: list[Tensor]) -> None:
        """Put the new gradients on their owners, and change the Python state that was changed."""
        values = iter(grads)
        for owner, present in self.grads:
            tensor = leaves[owner] if isinstance(owner, int) else owner
            tensor._grad = next(values) if present else None
        for state, name, value in self.changes:
            state[name] = value
            changed()

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
        self.grads: dict[int, tuple[Tensor, Tensor | None, bool]] = {}
        self.views: dict[Symbol, Symbol] = {}  # a view -> what lies in the memory it shows
        self.stale: set[Symbol] = set()  # values whose memory has been written to since
        self.written: list[np.ndarray] = []  # memory from outside that has been
        self.halfway: dict[Symbol, Symbol] = {}  # between the two halves of x[i] += 1
        self.reads: dict[tuple[int, str], Attribute] = {}  # attributes as they were found
        self.changes: dict[tuple[int, str], Attribute] = {}  # and what was there before a change

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

    def note_grad(self, tensor: Tensor, read: bool = False) -> None:
        """Remember the gradient that `tensor` had before the trace, and if it matters."""
        self.grads.setdefault(id(tensor), (tensor, tensor._grad, read))

    def note(self, state: dict[str, Any], names: Iterable[str]) -> None:
        """Remember attributes that the trace depends on from now on."""
        for name in names:
            key = id(state), name
            if key not in self.changes:
                self.reads.setdefault(key, (state, name, state.get(name)))

    def note_change(self, state: dict[str, Any], name: str) -> None:
        """Remember an attribute that is about to change, to be put back after the trace."""
        self.changes.setdefault((id(state), name), (state, name, state.get(name)))

    def owner(self, tensor: Tensor) -> Owner | None:
        """Whose gradient `tensor.grad` is; None for a tensor of the trace itself."""
        for number, argument in enumerate(self.arguments):
            if argument is tensor:
                return number
        known = id(tensor) in self.captured or type(tensor.value) is not Symbol
        return tensor if known else None


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
    before = mode.tracer, mode.reader, mode.watch
    mode.tracer, mode.reader, mode.watch = tracer, tracer, None
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
        for tensor in (*tracer.arguments, *(e.tensor for e in [*tracer.captured.values()])):
            if id(tensor._grad) in tracer.captured:  # `backward` has added to it
                tracer.note_grad(tensor, read=True)
        noted = [(tracer.owner(t), t, old) for t, old, _ in tracer.grads.values()]
        looked_at = [
            (owner, old)
            for t, old, read in tracer.grads.values()
            if read and (owner := tracer.owner(t)) is not None
        ]
        left = [(owner, t._grad) for owner, t, old in noted
                if owner is not None and t._grad is not old]  # fmt: skip
        new_grads = [tracer.lift(g) for _, g in left if g is not None]
        effects = [(owner, g is not None) for owner, g in left]
        open_ = [_open(leaf) for leaf in outputs]
        reads = [
            (state, name, value)
            for (state, name, value) in tracer.reads.values()
            if state.get(name) is value or (id(state), name) in tracer.changes
        ]
        changes = [
            (state, name, state[name])
            for state, name, old in tracer.changes.values()
            if state[name] is not old
        ]
    finally:
        mode.tracer, mode.reader, mode.watch = before
        for tensor, old, _ in tracer.grads.values():
            tensor._grad = old
        for entry in tracer.captured.values():
            entry.tensor.value, entry.tensor.node = entry.value, entry.node
        for state, name, old in tracer.changes.values():
            state[name] = old
    tracer.graph.outputs = [*results, *(symbol for _, symbol in updated), *new_grads]
    captured = [entry.tensor for entry in tracer.captured.values()]
    new = [tensor for tensor, _ in updated]
    graph = tracer.graph
    return Traced(graph, captured, new, effects, shape, open_, looked_at, reads, changes)


def _open(result: Tensor) -> bool:
    """Whether gradients of `result` can be asked for: it has a tape not yet walked back."""
    nodes = reachable([] if result.node is None else [result.node])
    return bool(nodes) and not any(
        node.backward is None
        if isinstance(node, CustomNode)
        else type(node) is Node and node.saved is None
        for node in nodes
    )


def _argument(tracer: Tracer, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    tensor = make(tracer.graph.add_input(leaf.shape, leaf.dtype))
    tracer.arguments.append(tensor)
    if wants_grad(leaf):
        tensor.requires_grad_()._grad = leaf._grad
    return tensor


def wants_grad(tensor: Tensor) -> bool:
    """Whether the user has asked for gradients of `tensor`, not only a tape."""
    node = tensor.node
    return node is not None and not (type(node) is Leaf and node.automatic)
