"""What a compiled function depends on besides its arguments, looked at anew at every call.

May import: core. Captured tensors may get other memory, gradients come and go, modules change
between training and use, names are bound anew. To guard one more thing: another case of `Guard`.
"""

from __future__ import annotations

import dis
import functools
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from operator import call, is_
from typing import Any

import numpy as np

from pierian.compiler.order import order_of
from pierian.core.tensor import Mode, Tensor, memory, stamper
from pierian.core.trace import Traced, wants_grad

# globals and closures that are not guarded: nobody binds those anew in a running program
FIXED = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)
GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
PLAIN = (bool, int, float, complex, str, bytes)
MISSING = object()


class Guard:
    """Says whether a trace still stands for its function, and where its captured tensors are.

    Args:  outside  names the function reads, from `names_read` before the trace.
           own      arguments that the trace took for themselves, by number: those that share
                    memory with a tensor that is assigned to.
           given    the other tensors among the arguments, by number.
    """

    def __init__(
        self, traced: Traced, outside: list[Read], own: dict[int, Tensor], given: list[int]
    ) -> None:
        self.outside = [read for read in outside if not differ(read.now(), read.value)]
        self.own, self.given = own, given
        self.attributes = traced.reads
        self.captured = list(traced.captured)
        first = len(traced.graph.inputs) - len(self.captured)
        self.kinds = [(s.shape, s.dtype) for s in traced.graph.inputs[first:]]
        self.orders = [order_of(t.value) for t in self.captured]
        self.wanted = [wants_grad(t) for t in self.captured]
        place = {id(t): i for i, t in enumerate(self.captured)}
        self.updated = [place[id(t)] for t in traced.updated]
        self.grads = [(owner, old is not None, place.get(id(old))) for owner, old in traced.before]
        self.version = -1
        self.values: list[Any] = []
        self.nodes: list[Any] = []
        self.written: frozenset[int] = frozenset()  # the memory of updated tensors
        self.stamp: Callable[[], None] = stamper([])

    def check(self, leaves: list[Tensor]) -> list[np.ndarray] | str:
        """The values of the captured tensors; in words, what has changed when that forbids it."""
        for number, tensor in self.own.items():
            if leaves[number] is not tensor:
                return f"argument {number} is another tensor"
        for read in self.outside:
            if differ(read.now(), read.value):
                return f"{read.name} is another object"
        for owner, present, place in self.grads:
            grad = (leaves[owner] if isinstance(owner, int) else owner)._grad
            if (grad is not None) != present:
                return f"a gradient {'is gone' if present else 'is there'}"
            if grad is not None and place is not None and grad is not self.captured[place]:
                captured = [*self.captured]
                captured[place] = grad
                self.captured = captured
        captured = self.captured
        values = [t.value for t in captured]
        if not (
            self.version == Mode.version
            and all(map(is_, values, map(call, self.values)))
            and all(map(is_, [t.node for t in captured], self.nodes))
        ):
            changed = self._look(captured, values)
            if changed:
                return changed
        if self.written:
            for i in self.given:
                if id(memory(leaves[i].value)) in self.written:
                    return f"argument {i} shares memory with a tensor that is assigned to"
        return values

    def _look(self, captured: list[Tensor], values: list[Any]) -> str:
        """The long way: what has changed in a way that matters, or nothing."""
        version = Mode.version
        for state, name, value in self.attributes:
            if differ(state.get(name), value):
                return f"{name} changed {value!r} -> {state.get(name)!r}"
        for tensor, value, kind, order, wanted in zip(
            captured, values, self.kinds, self.orders, self.wanted, strict=True
        ):
            if type(value) is not np.ndarray or (value.shape, value.dtype) != kind:
                return f"a captured tensor changed {describe(*kind)} -> {value!r}"
            if order_of(value) != order:
                return "the memory of a captured tensor is laid out in another way"
            if wants_grad(tensor) != wanted:
                return f"requires_grad of a captured tensor changed {wanted} -> {not wanted}"
        written = [values[i] for i in self.updated]
        if not all(array.flags.writeable for array in written):
            return "a captured tensor cannot be written any more"
        self.nodes = [t.node for t in captured]
        self.values = [weakref.ref(value) for value in values]  # no data are kept alive
        self.written = frozenset(id(memory(array)) for array in written)
        self.stamp = stamper(written)
        self.version = version
        return ""


def describe(shape: tuple[int, ...], dtype: np.dtype) -> str:
    """A kind of tensor in words: float32[2, 3]."""
    return f"{dtype}{list(shape)}"


def differ(a: Any, b: Any) -> bool:
    """Whether two objects are not one, nor equal numbers or strings."""
    if a is b:
        return False
    return type(a) is not type(b) or type(a) not in PLAIN or repr(a) != repr(b)


class Read:
    """A place outside of a function where it finds an object: a name, a cell, an attribute."""

    __slots__ = ("name", "now", "value")

    def __init__(self, name: str, now: Callable[[], Any]) -> None:
        self.name, self.now, self.value = name, now, now()


def names_read(fn: Any, objects: Iterable[Any]) -> list[Read]:
    """What `fn`, and functions it names, find under global names, in closures, in attributes.

    Args:  objects  arguments whose attributes it may read, like the `self` of a method.
    """
    found: list[Read] = []
    names: set[str] = set()
    owners = list(objects)
    for function in _functions(fn, owners):
        own = set(_names(function.__code__, GLOBALS))
        names |= set(_names(function.__code__, ATTRIBUTES))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        places = [(name, functools.partial(_content, cell)) for name, cell in cells]
        bound = function.__globals__
        places += [(n, functools.partial(bound.get, n)) for n in sorted(own) if n in bound]
        found += [Read(name, now) for name, now in places]
    for owner in owners:
        state = getattr(owner, "__dict__", {})
        if type(state) is dict:
            found += [
                Read(f"{type(owner).__name__}.{name}", functools.partial(state.get, name))
                for name in sorted(names & state.keys())
            ]
    return [read for read in found if not isinstance(read.value, FIXED)]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty, until its function assigns to it
        return MISSING


def _names(code: types.CodeType, loads: tuple[str, ...]) -> Iterator[str]:
    """The names that the instructions `loads` of a function and those inside it are about."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in loads:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant, loads)


def _functions(fn: Any, owners: list[Any]) -> Iterator[types.FunctionType]:
    """The user's functions that `fn` leads to by name; objects whose methods they are."""
    seen: set[Any] = set()
    stack = [fn]
    while stack:
        found = stack.pop()
        if isinstance(found, functools.partial):
            stack.append(found.func)
        elif isinstance(found, types.MethodType):
            owners.append(found.__self__)
            stack.append(found.__func__)
        elif hasattr(found, "__wrapped__"):
            stack.append(found.__wrapped__)
        if not isinstance(found, types.FunctionType) or found in seen:
            continue
        seen.add(found)
        if found.__module__ is None or not found.__module__.startswith("pierian."):
            yield found
            bound = found.__globals__
            stack += [_content(cell) for cell in found.__closure__ or ()]
            named = set(_names(found.__code__, GLOBALS))
            stack += [bound[name] for name in named & bound.keys()]
