"""Tensor, the tape behind it, and `bind`, the one door through which anything is computed.

May import: base, primitive, graph. A tensor's `value` is a NumPy array, or a Symbol while a
graph is being traced; its `node` says how it was computed, for gradients. Operators and methods
are put on the class by the table in `ops/methods.py`; to add one, add a row there.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pierian.base.dtypes import as_dtype, complex64, float32, is_floating
from pierian.base.errors import DtypeError, GradError, ShapeError, TraceError, message
from pierian.core.graph import Symbol
from pierian.core.primitive import REGISTRY, Primitive, Rule

clock = itertools.count(1)  # one order for everything recorded and everything overwritten
_ndarray = np.ndarray
_new = object.__new__


class Mode(threading.local):
    """What holds in this thread: recording of gradients, the tracer, the open tapes."""

    grad: bool = True
    tracer: Any = None
    watch: Any = None
    reader: Any = None  # the trace that is told what Python state it depends on
    version: int = 0  # of the class, for all threads: when modules were last changed


mode = Mode()


class Leaf:
    """The end of the tape: a tensor that gradients are asked for. Holds it weakly."""

    __slots__ = ("tensor", "time", "automatic")
    parents: tuple[Any, ...] = ()

    def __init__(self, tensor: Tensor, automatic: bool = False) -> None:
        self.tensor = weakref.ref(tensor)
        self.time = next(clock)
        self.automatic = automatic  # watched by a tape, not asked for by the user


class Node:
    """One recorded operation: where its inputs came from and what its gradient rules need."""

    __slots__ = ("primitive", "params", "parents", "saved", "output", "time")
    primitive: Primitive
    params: dict[str, Any]
    parents: tuple[Any, ...]  # a Node, a Leaf, or None for an input without gradient
    saved: tuple[Any, ...] | None  # an array, or (shape, dtype) of one not needed; None: freed
    output: Any
    time: int

    @property
    def name(self) -> str:
        return self.primitive.name

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    Made by `pr.tensor`, `pr.asarray`, `pr.zeros` …; promotion, broadcasting and indexing are
    NumPy's (Array API), methods have PyTorch's names.
    """

    __slots__ = ("value", "node", "_grad", "base", "__weakref__")
    __array_priority__ = 1000  # makes `ndarray + tensor` come to us
    __hash__ = object.__hash__
    label = "tensor"  # what it is called in print

    value: Any
    node: Any
    _grad: Tensor | None
    base: Tensor | None  # the tensor that this one is the `.data` or `.detach()` of

    def __new__(cls, data: Any = (), dtype: Any = None) -> Self:
        tensor = _new(cls)
        tensor.value = constant(to_array(data, dtype)).value
        tensor.node = tensor._grad = tensor.base = None
        return tensor

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    @property
    def device(self) -> str:
        """Where the values live: always "cpu"."""
        return "cpu"

    def numel(self) -> int:
        """The number of elements."""
        return int(np.prod(self.value.shape, dtype=np.int64))

    def size(self, axis: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if axis is None else self.shape[axis]

    def dim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    # Gradients

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for gradients."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, flag: bool = True) -> Self:
        """Ask for gradients of this tensor (or no longer), in place.

        Raises:  DtypeError unless the dtype is floating; GradError for False on a result.
        """
        if flag and self.node is None:
            if not is_floating(self.dtype):
                raise DtypeError(
                    message("requires_grad_", "only real floating tensors have gradients",
                            "float16, float32 or float64", self.dtype, "Cast with .float() first")
                )  # fmt: skip
            self.node = Leaf(self)
        elif flag and type(self.node) is Leaf:
            self.node.automatic = False  # a tape has made it a leaf already
        elif not flag:
            if not self.is_leaf:
                raise GradError(
                    message("requires_grad_", "only a leaf can stop requiring gradients", "a leaf",
                            f"the result of {self.node.name}", "Use .detach()")
                )  # fmt: skip
            self.node = None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.node is None or type(self.node) is Leaf

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made this tensor, or None."""
        return None if self.is_leaf else self.node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has summed up here, or None."""
        if mode.reader is not None:
            mode.reader.note_grad(self, read=True)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise DtypeError(
                    message("grad", "must be a tensor or None", "Tensor", type(value).__name__,
                            "Wrap it with pr.tensor")
                )  # fmt: skip
            if value.shape != self.shape:
                raise ShapeError(
                    message("grad", "must have the shape of its tensor", self.shape, value.shape,
                            "Reshape it")
                )  # fmt: skip
        if mode.reader is not None:  # whoever gives a gradient may have looked at the old one
            mode.reader.note_grad(self, read=value is not None)
        self._grad = value

    @property
    def data(self) -> Tensor:
        """The same values outside the tape; changing it in place changes this tensor."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        new = as_tensor(value)
        if mode.tracer is None:
            self.value = new.value
        else:
            mode.tracer.assign(self, mode.tracer.lift(new), moved=True)

    def detach(self) -> Tensor:
        """A tensor with the same values (shared, not copied) and no history."""
        out = make(self.value)
        out.base = self
        return out

    # Values

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array that shares their memory."""
        return self._concrete("numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self._concrete("np.asarray")
        if copy is False and dtype is not None and value.dtype != dtype:
            raise ValueError("np.asarray: a cast needs a copy; expected copy=None or True.")
        return np.array(value, dtype=dtype, copy=copy) if copy or dtype else value

    def item(self) -> Any:
        """The only element, as a Python number."""
        value = self._concrete("item()")
        if value.size != 1:
            raise ShapeError(
                message("item", "needs exactly one element", "1 element",
                        f"shape {value.shape} with {value.size}",
                        "Index or reduce first, or use tolist()")
            )  # fmt: skip
        return value.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._concrete("tolist()").tolist()

    def __bool__(self) -> bool:
        if self.value.shape and self.numel() != 1:
            raise ShapeError(
                message("bool", "the truth of several elements is ambiguous", "1 element",
                        f"shape {self.shape}", "Use .any() or .all()")
            )  # fmt: skip
        return bool(self._concrete("bool()").item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub":
            raise DtypeError(
                message("index", "only an integer tensor can be an index", "an integer dtype",
                        self.dtype, "Cast it with .long()")
            )  # fmt: skip
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(  # by which matplotlib and others know that there is nothing to iterate
                message("len", "needs an axis", "at least 1 axis", "a 0-d tensor", "Use .item()")
            )
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[i] for i in range(len(self))])

    def __contains__(self, element: Any) -> bool:
        return bool(np.any(self._concrete("in") == np.asarray(element)))

    def _concrete(self, use: str) -> np.ndarray:
        # in a trace also a tensor from outside has no value: it may have another at the next run
        value = self.value if mode.tracer is None else mode.tracer.lift(self)
        if type(value) is Symbol:
            raise TraceError(
                message(f"trace ({user_line()})", f"{use} needs a value that is not there yet",
                        "operations on tensors only", f"{use} of a traced {value!r}",
                        "Use pr.where for a choice between values, or pass the number as a "
                        "static argument")
            )  # fmt: skip
        return value

    # Printing and copying

    def __repr__(self) -> str:
        kind = self.label
        if type(self.value) is Symbol:
            body, dtype = repr(self.value), ""
        else:
            body = np.array2string(self.value, separator=", ", prefix=f"{kind}(", threshold=1000)
            dtype = f", dtype={self.dtype}"
        if self.is_leaf:
            tail = ", requires_grad=True" if self.requires_grad else ""
        else:
            tail = f", grad_fn={self.node!r}"
        return f"{kind}({body}{dtype}{tail})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy = self._copy(self._concrete("deepcopy").copy(order="K"))
        if self._grad is not None:
            copy._grad = self._grad.__deepcopy__(memo)
        memo[id(self)] = copy
        return copy

    def __copy__(self) -> Tensor:
        return self._copy(self.value) if self.is_leaf else self[...]

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self._copy(self.value))  # refuses what cannot be copied
        return _restore, (kind, self._concrete("pickle"), self.requires_grad)

    def _copy(self, value: Any) -> Tensor:
        if not self.is_leaf:
            raise GradError(
                message("copy", "only leaves can be copied with their history", "a leaf",
                        f"the result of {self.node.name}", "Use .detach() or .clone()")
            )  # fmt: skip
        return _restore(type(self), value, self.requires_grad)

    if TYPE_CHECKING:  # what ops/methods.py installs, for type checkers

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __lshift__(self, other: Any) -> Tensor: ...
        def __rshift__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...


def make(value: Any) -> Tensor:
    """A tensor around an array or symbol, without history; no check, no copy."""
    tensor = _new(Tensor)
    tensor.value = value
    tensor.node = tensor._grad = tensor.base = None
    return tensor


def bind(name: str, *inputs: Tensor, **params: Any) -> Tensor:
    """Compute, or trace, one primitive, and record it when a gradient may be asked for.

    The only place where anything is computed. Tensors are positional, everything else is a
    keyword: plain Python values that a graph can print.
    """
    primitive = REGISTRY[name]
    tracer = mode.tracer
    if tracer is None:
        values = [tensor.value for tensor in inputs]
        try:
            value = primitive.run(*values, **params)
        except Exception:
            explain(primitive, values, params)
            raise
        if type(value) is not _ndarray:
            value = np.asarray(value)
    else:
        values = [tracer.lift(tensor) for tensor in inputs]
        value = tracer.add(name, values, params)
    out = _new(Tensor)
    out.value = value
    out.node = out._grad = out.base = None
    if mode.grad and primitive.rules:
        if mode.watch is not None:
            mode.watch(inputs)
        for tensor in inputs:
            if tensor.node is not None:
                if value.dtype.kind in "fc":  # whole numbers and bools have no slope
                    out.node = _record(primitive, params, inputs, values, value)
                break
    return out


def _record(
    primitive: Primitive, params: dict[str, Any], inputs: Any, values: list[Any], output: Any
) -> Node:
    node = _new(Node)
    node.primitive = primitive
    node.params = params
    node.parents = parents = tuple([tensor.node for tensor in inputs])
    pattern = (primitive, *[parent is None for parent in parents])
    plan = _plans.get(pattern)
    if plan is None:
        plan = _plans[pattern] = _plan(primitive, parents)
    keep_output, keep = plan
    node.output = output if keep_output else (output.shape, output.dtype)
    node.saved = tuple(
        [v if kept else (v.shape, v.dtype) for v, kept in zip(values, keep, strict=True)]
    )
    node.time = next(clock)
    return node


_plans: dict[Any, tuple[bool, tuple[bool, ...]]] = {}


def _plan(primitive: Primitive, parents: tuple[Any, ...]) -> tuple[bool, tuple[bool, ...]]:
    """Whether the output, and which inputs, the rules of the inputs with a parent need."""
    rules = [primitive.rule(i) for i, parent in enumerate(parents) if parent is not None]
    used = [rule for rule in rules if rule is not None]
    return (
        any(rule.keeps_output for rule in used),
        tuple(any(_keeps(rule, i) for rule in used) for i in range(len(parents))),
    )


def _keeps(rule: Rule, position: int) -> bool:
    return rule.keeps[position] if position < len(rule.keeps) else rule.keeps_rest


def explain(primitive: Primitive, values: list[Any], params: dict[str, Any]) -> None:
    """Raise the shape rule's error for what NumPy refused; return when the rule is content."""
    for value in values:
        if type(value) is Symbol:
            raise leaked(primitive.name, value) from None
    primitive.shape(*values, **params)


def leaked(where: str, symbol: Symbol) -> TraceError:
    """What to raise for a traced tensor that is used where its trace is not running."""
    return TraceError(
        message(f"{where} ({user_line()})", "a traced tensor lives only in its own trace",
                "a tensor with values", repr(symbol),
                "Return it from the traced function instead of keeping it")
    )  # fmt: skip


OURS = ("pierian.", "contextlib")  # modules whose frames are not the user's; `no_grad` wraps


def user_line() -> str:
    """The file and line outside Pierian that is running now."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(OURS):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "unknown line"


# From Python data to tensors


def constant(array: np.ndarray) -> Tensor:
    """A tensor of `array` itself; inside a trace, a constant of the graph."""
    tracer = mode.tracer
    return make(array if tracer is None else tracer.constant(array))


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a tensor, shared where possible: how operations read their arguments."""
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == dtype else bind("cast", data, dtype=dtype)
    return constant(to_array(data, dtype))


def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """`data` as a NumPy array of a number type, shared where possible.

    Arrays keep their dtype; Python numbers and lists of them become bool, int64, float32 or
    complex64.

    Raises:  ShapeError for ragged lists, DtypeError for what is not numbers.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(
            message("tensor", "rows must have equal lengths", "a rectangular nest of numbers",
                    f"{type(data).__name__} ({error})", "Pad the rows or use a list of tensors")
        ) from None  # fmt: skip
    found = as_dtype(array.dtype)
    if wanted is None:
        wanted = found
        if isinstance(data, (list, tuple, float, complex)) and not isinstance(data, np.generic):
            wanted = _default(data, found)
    return array if array.dtype == wanted and array.dtype.isnative else array.astype(wanted)


def _default(data: Any, found: np.dtype) -> np.dtype:
    """The dtype for Python data: float32 for its floats, unless it is a list of arrays."""
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, (np.ndarray, np.generic, Tensor)):
        return found
    return {"f": float32, "c": complex64}.get(found.kind, found)


def _restore(kind: type, value: Any, requires_grad: bool) -> Tensor:
    tensor: Tensor = _new(kind)
    tensor.value = value
    tensor.node = tensor._grad = tensor.base = None
    return tensor.requires_grad_() if requires_grad else tensor


# In place

_writes: dict[int, tuple[Any, int]] = {}  # memory block -> (weak reference, time of last write)


def assign(target: Tensor, new: Tensor, where: str = "assign") -> Tensor:
    """Replace the value of `target` by `new`, which has its shape and dtype: every in-place change.

    A plain tensor is overwritten in its own memory, so that views, `.data` and NumPy arrays
    that share it see the change. The result of a recorded operation gets new memory and a new
    history instead: what the tape has kept of it stays right. `new` is given away: nothing else
    may hold its memory.
    """
    check_assignable(target, where)
    automatic = type(target.node) is Leaf and target.node.automatic
    recorded = mode.grad and (new.node is not None or (target.node is not None and not automatic))
    if mode.tracer is not None:
        mode.tracer.assign(target, mode.tracer.lift(new), moved=recorded)
    elif recorded:
        target.value = new.value
    else:
        np.copyto(target.value, new.value)
        stamp(target.value)
    if recorded:
        target.node = new.node
    return target


def check_assignable(target: Tensor, where: str) -> None:
    """Refuse in-place changes that would lose or corrupt a gradient."""
    node = target.node
    if mode.tracer is None and type(target.value) is Symbol:
        raise leaked(where, target.value)
    if not mode.grad or node is None:
        if type(target.value) is _ndarray and not target.value.flags.writeable:
            raise GradError(
                message(where, "the memory must be writable", "memory of its own",
                        "a read-only or broadcast array", "Call .clone() first")
            )  # fmt: skip
        return
    if type(node) is Leaf and not node.automatic:
        raise GradError(
            message(where, "a leaf that requires gradients cannot change in place",
                    "a change under pr.no_grad() or of .data", "a recorded change",
                    "Write `with pr.no_grad(): ...`")
        )  # fmt: skip


def check_reaches(target: Tensor, new: Tensor, where: str) -> None:
    """Refuse to change a view when the change would not reach the tensor that it views.

    Not for operators: after `x[i] += 1` Python itself assigns the changed view to x[i].
    """
    value, node = target.value, target.node
    traced = type(value) is Symbol
    if traced:
        lost = mode.tracer is not None and value in mode.tracer.views
    elif not mode.grad or (node is None and new.node is None):
        return  # written to the shared memory
    elif node is None and isinstance(value.base, _ndarray):
        root = memory(value)
        lost = sys.getrefcount(root) > 3  # by `value`, `root` and the call: nobody else
    else:
        lost = isinstance(node, Node) and node.primitive.view
    if lost:
        raise (TraceError if traced else GradError)(
            message(where, "a change of a view must reach the tensor that it views",
                    "a tensor with memory of its own", "a view, like x[i] or x.T",
                    "Assign through the original, like x[i, j] = ..., or .clone() first")
        )  # fmt: skip


def stamp(array: np.ndarray) -> None:
    """Note that the memory of `array` has changed now."""
    stamper([array])()


def stamper(arrays: Iterable[np.ndarray]) -> Callable[[], None]:
    """What notes that the memory of `arrays`, which must stay alive, has changed now."""
    known = [(id(root), _reference(root)) for root in map(memory, arrays)]

    def note() -> None:
        time = next(clock)
        for key, reference in known:
            _writes[key] = (reference, time)

    return note


def _reference(root: np.ndarray) -> Any:
    key = id(root)
    known = _writes.get(key)
    return known[0] if known else weakref.ref(root, lambda _: _writes.pop(key, None))


def memory(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of `array`."""
    while isinstance(array.base, _ndarray):
        array = array.base
    return array


def written_after(array: np.ndarray, time: int) -> bool:
    """Whether the memory of `array` has changed since `time`; a symbol has none."""
    if not _writes or type(array) is Symbol:
        return False
    return _writes.get(id(memory(array)), (None, 0))[1] > time
