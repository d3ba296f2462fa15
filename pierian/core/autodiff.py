"""Reverse-mode differentiation: one walk back over the tape, for every way of asking.

May import: base, primitive, tensor. `pullback` is the only walk; `backward`, `grad`, `vjp`, tapes
and Jacobians all call it. Gradient rules are Tensor operations, so with `create_graph` the walk
is recorded itself and can be differentiated again. Broadcasting is undone here and nowhere else.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from pierian.base.dtypes import is_floating
from pierian.base.errors import DtypeError, GradError, ShapeError, message
from pierian.base.notice import notice
from pierian.core.graph import Symbol
from pierian.core.primitive import REGISTRY
from pierian.core.tensor import (
    Leaf,
    Node,
    Tensor,
    as_tensor,
    assign,
    bind,
    clock,
    make,
    mode,
    written_after,
)


class set_grad_enabled(contextlib.ContextDecorator):
    """Record operations for gradients, or not, in a `with` block or a decorated function.

    >>> import pierian as pr
    >>> x = pr.tensor([1.0], requires_grad=True)
    >>> with pr.set_grad_enabled(False):
    ...     (2 * x).requires_grad
    False
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.before: list[bool] = []

    def _recreate_cm(self) -> set_grad_enabled:
        return set_grad_enabled(self.enabled)  # each call of a decorated function has its own

    def __enter__(self) -> None:
        self.before.append(mode.grad)
        mode.grad = self.enabled

    def __exit__(self, *error: object) -> None:
        mode.grad = self.before.pop()


class no_grad(set_grad_enabled):
    """Do not record operations in this block: for evaluation and for updates of parameters."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Record operations again inside a `no_grad` block."""

    def __init__(self) -> None:
        super().__init__(True)


def is_grad_enabled() -> bool:
    """Whether operations are recorded for gradients now."""
    return mode.grad


def backward(
    tensor: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradients of `tensor` to the `.grad` of every leaf that requires them.

    Shapes:  tensor (...), gradient the same; it may be left out when tensor has one element.
    Args:    gradient      the gradient of the final result with respect to `tensor`; 1 if None.
             retain_graph  keep the tape for another call; by default only with create_graph.
             create_graph  record the gradients' own computation, for higher derivatives.
    Raises:  GradError when nothing requires a gradient, when the tape has been freed, or when a
             value it needs was changed in place.

    >>> import pierian as pr
    >>> x = pr.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.], dtype=float32)
    """
    if tensor.node is None:
        raise GradError(
            message("backward", "the tensor must depend on one that requires gradients",
                    "a result of recorded operations", "a tensor without history",
                    "Call requires_grad_() on the inputs, and look for no_grad or detach")
        )  # fmt: skip
    start = seed("backward", tensor, gradient)
    retain = create_graph if retain_graph is None else retain_graph
    found = pullback([(tensor.node, start)], None, create_graph, retain)
    taken = {id(start.value)}
    with set_grad_enabled(create_graph):
        for node, g in found.items():
            leaf = node.tensor()
            if leaf is not None and not node.automatic:
                _accumulate(leaf, g, taken)


def seed(where: str, tensor: Tensor, gradient: Any) -> Tensor:
    """`gradient` as what a walk back from `tensor` starts with; 1 for None."""
    if gradient is None:
        if tensor.numel() != 1:
            raise GradError(
                message(where, "only a single number has a gradient without further word",
                        "1 element", f"shape {tensor.shape}",
                        "Reduce to a loss with .sum() or .mean(), or pass gradient=")
            )  # fmt: skip
        return bind("full", shape=tensor.shape, value=1.0, dtype=tensor.dtype)
    start = as_tensor(gradient, tensor.dtype)
    if start.shape != tensor.shape:
        raise ShapeError(
            message(where, "gradient must have the shape of the tensor", tensor.shape, start.shape,
                    "Pass one number per element")
        )  # fmt: skip
    return start


class Use:
    """That a step of an optimizer has used a gradient; whether backward has then added to it.

    Optimizers note it, so that one who forgets `zero_grad` is told. Only while nothing is traced.
    """

    def __init__(self, gradient: Tensor) -> None:
        key = id(gradient)
        self.gradient = weakref.ref(gradient, lambda _: used.pop(key, None))

    def renew(self, added: bool) -> None:
        """Something was done with the gradient now."""
        self.time, self.added = next(clock), added


used: dict[int, Use] = {}  # by the id of the gradient


def use_of(gradient: Tensor) -> Use | None:
    """What is known of a gradient, unless somebody has filled it with zeros since then."""
    use = used.get(id(gradient))
    if use is not None and written_after(gradient.value, use.time):
        del used[id(gradient)]
        return None
    return use


def note_use(where: str, gradient: Tensor) -> None:
    """A step uses `gradient`; says so once when it holds the sum of those of several steps."""
    if mode.tracer is not None:
        return
    use = use_of(gradient)
    if use is None:
        use = used[id(gradient)] = Use(gradient)
    elif use.added:
        notice(f"{where}: gradients of the last step are still in those of this one. Call "
               "optimizer.zero_grad() before backward().")  # fmt: skip
    use.renew(added=False)


def _accumulate(leaf: Tensor, g: Tensor, taken: set[int]) -> None:
    """Add `g` to `leaf.grad`; memory that someone else may hold is copied first."""
    value = g.value
    if leaf._grad is not None:
        use = use_of(leaf._grad)
        total = bind("add", leaf._grad, g)
        if mode.grad:
            leaf.grad = total
        else:
            assign(leaf._grad, total, "backward")
            if use is not None:
                use.renew(added=True)
        return
    shared = value in mode.tracer.views if type(value) is Symbol else value.base is not None
    if shared or id(value) in taken:
        g = bind("copy", g)
    taken.add(id(value))
    leaf.grad = g if mode.grad else make(g.value)


def pullback(
    seeds: Iterable[tuple[Any, Tensor]],
    targets: set[Any] | None,
    create_graph: bool,
    retain: bool,
) -> dict[Any, Tensor]:
    """Carry the gradients `seeds` back over the tape.

    Args:     seeds    (node, gradient) pairs to start from.
              targets  the nodes to give gradients for; None for every leaf.
    Returns:  the gradient of each target that was reached. Linear in the length of the tape.
    """
    pending: dict[Any, Any] = {}
    with set_grad_enabled(create_graph):
        for node, g in seeds:
            pending[node] = pending[node] + g if node in pending else g
        order = reachable(pending)
        needed = None if targets is None else _leading_to(order, targets)
        found: dict[Any, Tensor] = {}
        for node in order:
            g = pending.pop(node, None)
            if g is None:
                continue
            if type(node) is Leaf or (targets is not None and node in targets):
                if targets is None or node in targets:
                    found[node] = g
                if type(node) is Leaf:
                    continue
            wanted = [
                parent is not None and (needed is None or parent in needed)
                for parent in node.parents
            ]
            if True not in wanted:
                continue
            grads = node.pull(g) if isinstance(node, CustomNode) else _pull(node, g, wanted)
            for parent, wants, gx in zip(node.parents, wanted, grads, strict=True):
                if wants and gx is not None:
                    known = pending.get(parent)
                    pending[parent] = gx if known is None else known + gx
            if not retain:
                _free(node)
    return found


def reachable(nodes: Iterable[Any]) -> list[Any]:
    """`nodes` and everything they were computed from, latest first; no recursion."""
    seen = set(nodes)
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.time, reverse=True)


def _leading_to(order: list[Any], targets: set[Any]) -> set[Any]:
    needed = set(targets)
    for node in reversed(order):
        if any(parent in needed for parent in node.parents):
            needed.add(node)
    return needed


def _pull(node: Node, g: Tensor, wanted: list[bool]) -> list[Any]:
    """The gradient of each wanted input of `node`, from the gradient of its output."""
    saved = node.saved
    if saved is None:
        raise _freed(node.name)
    time, params, primitive = node.time, node.params, node.primitive
    y = _rebuild(node.output, node, node.name, time)
    inputs = [
        _rebuild(entry, parent, node.name, time)
        for entry, parent in zip(saved, node.parents, strict=True)
    ]
    grads: list[Any] = []
    for position, wants in enumerate(wanted):
        rule = primitive.rule(position) if wants else None
        if rule is None:
            grads.append(None)
            continue
        extra = {"position": position} if primitive.variadic else {}
        gx = rule.fn(g, y, *inputs, **params, **extra)
        grads.append(None if gx is None else sum_to(gx, inputs[position].shape))
    return grads


def _rebuild(entry: Any, node: Any, name: str, time: int) -> Tensor:
    """A kept value as a tensor with its history, or a stand-in for one that was not kept."""
    if type(entry) is tuple:
        return _stand_in(*entry)
    if written_after(entry, time):
        raise GradError(
            message(name, "values needed for a gradient must stay as they were",
                    "the values of the forward pass",
                    f"an array of shape {entry.shape} that was changed in place since",
                    "Change a .clone(), or call backward() before the change")
        )  # fmt: skip
    tensor = make(entry)
    tensor.node = node
    return tensor


def _stand_in(shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
    return make(_hollow(shape, dtype))


@lru_cache(maxsize=256)
def _hollow(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A read-only array of any shape in the memory of one element."""
    fill = np.full((), np.nan if dtype.kind in "fc" else 0, dtype)
    return np.broadcast_to(fill, shape)


def _free(node: Any) -> None:
    if isinstance(node, CustomNode):
        node.backward = None
    elif node.saved and any(type(entry) is not tuple for entry in (*node.saved, node.output)):
        node.saved = node.output = None


def _freed(name: str) -> GradError:
    return GradError(
        message(name, "the tape can be walked back once", "a fresh forward pass",
                "a second backward over freed values",
                "Pass retain_graph=True to the first backward()")
    )  # fmt: skip


def sum_to(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo broadcasting: `g` summed over the axes along which `shape` was stretched to it."""
    if g.shape == shape:
        return g
    lead = g.ndim - len(shape)
    axes = tuple(i for i, n in enumerate(g.shape) if i < lead or (shape[i - lead] == 1 and n != 1))
    g = bind("sum", g, axes=axes, keepdims=False)
    return g if g.shape == shape else bind("reshape", g, shape=shape)


def alias(tensor: Tensor) -> Tensor:
    """The same values as a new point of the tape, connected to the old one."""
    if not is_floating(tensor.dtype):
        raise DtypeError(
            message("grad", "only real floating tensors have gradients",
                    "float16, float32 or float64", tensor.dtype, "Cast with .float() first")
        )  # fmt: skip
    out = make(tensor.value)
    out.base = tensor  # whose memory may be another one when a trace of this is run
    if tensor.node is None:
        return out.requires_grad_()
    node = Node()
    node.primitive, node.params = REGISTRY["copy"], {}
    node.parents, node.time = (tensor.node,), next(clock)
    node.saved, node.output = ((tensor.shape, tensor.dtype),), (tensor.shape, tensor.dtype)
    out.node = node
    return out


# Gradients that users define


class Parts(dict[int, Tensor]):
    """The gradients of some outputs of a function with several; adds up like a gradient."""

    def __add__(self, other: Parts) -> Parts:
        total = Parts(self)
        for i, g in other.items():
            total[i] = total[i] + g if i in total else g
        return total


class CustomNode:
    """A recorded call whose gradient is a Python function of all the outputs' gradients."""

    __slots__ = ("name", "parents", "time", "backward", "shapes", "__weakref__")

    def __init__(self, name: str, parents: tuple[Any, ...], backward: Any, shapes: Any) -> None:
        self.name, self.parents, self.backward, self.shapes = name, parents, backward, shapes
        self.time = next(clock)

    def pull(self, g: Any) -> list[Any]:
        """One gradient (or None) per parent."""
        if self.backward is None:
            raise _freed(self.name)
        grads = self.backward(g)
        for shape, gx in zip(self.shapes or (), grads, strict=bool(self.shapes)):
            if gx is not None and gx.shape != shape:
                raise ShapeError(
                    message(self.name, "a gradient must have the shape of its argument", shape,
                            gx.shape, "Sum over the broadcast axes in the backward function")
                )  # fmt: skip
        return grads

    def __repr__(self) -> str:
        return f"<{self.name}>"


def record_custom(
    name: str, inputs: list[Tensor], outputs: list[Tensor], backward: Any
) -> CustomNode:
    """Put a call on the tape: `backward(gradients of outputs)` gives those of `inputs`.

    `backward` gets a list with a tensor per output (zeros where no gradient came).
    """

    def joined(parts: Parts) -> list[Any]:
        zeros = [
            bind("full", shape=y_shape, value=0.0, dtype=y_dtype) for y_shape, y_dtype in specs
        ]
        return backward([parts.get(i, zero) for i, zero in enumerate(zeros)])

    specs = [(y.shape, y.dtype) for y in outputs]
    hub = CustomNode(name, tuple(t.node for t in inputs), joined, [t.shape for t in inputs])
    for i, y in enumerate(outputs):
        if is_floating(y.dtype):
            y.node = output_node(hub, i)
    return hub


def output_node(hub: CustomNode, i: int) -> CustomNode:
    """The node of output `i` of the call `hub`."""
    return CustomNode(hub.name, (hub,), lambda g: [Parts({i: g})], None)


def guard_saved(name: str, tensors: Iterable[Tensor]) -> Any:
    """A check, to be called later, that none of `tensors` has been changed in place since."""
    time = next(clock)
    arrays = [t.value for t in tensors if type(t.value) is not Symbol]

    def check() -> None:
        for array in arrays:
            _rebuild(array, None, name, time)

    return check
