"""`jit`: a Python function of tensors, compiled at its first call for each kind of arguments.

May import: the files of this room, base, core. Tensors that the function uses from outside are
read, and those it assigns written, in their own memory at every call, so a whole training step is
one call. Without llvmlite, or for a CPU it cannot serve, functions run eagerly.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import update_wrapper
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import CompileError, TraceError, message
from pierian.base.notice import notice
from pierian.compiler.guard import Guard, describe, names_read
from pierian.compiler.number import NUMBERS, as_inputs
from pierian.compiler.order import order_of
from pierian.core.graph import Graph, Symbol
from pierian.core.tensor import Tensor, as_tensor, leaked, mode
from pierian.core.trace import Traced, wants_grad

try:
    from pierian.compiler import explain as explaining
    from pierian.compiler.entry import Entry
    from pierian.compiler.llvm import target
    from pierian.compiler.program import Program

    missing = ""
except (ImportError, OSError) as error:
    missing = f"llvmlite cannot be loaded ({error})"

MANY_TRACES = 4  # traces of one function after which what changed is said aloud


class Tracing:
    """One trace at a time: while it runs, tensors from outside have symbols for values."""

    lock = threading.RLock()


def _after_fork() -> None:
    """The thread that held the lock may not be in the child."""
    Tracing.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Jit:
    """A compiled function; made by `jit`. What it lacks itself it takes from the function."""

    def __init__(
        self, fn: Callable[..., Any], static: Iterable[int | str] = (), pure: bool = False,
        name: str = "",
    ) -> None:  # fmt: skip
        self.fn, self.pure = fn, pure
        self.name = name or getattr(fn, "__name__", type(fn).__name__)
        self.arguments = _parameters(fn)
        self.static = _both_ways(static, self.arguments)
        self.entries: dict[Any, list[Entry]] = {}
        self.traces, self.told = 0, False
        self.reason = missing  # why it runs eagerly
        update_wrapper(self, fn, updated=())

    def __getattr__(self, name: str) -> Any:
        if name == "fn":  # not there yet: this one is being copied or unpickled
            raise AttributeError(name)
        return getattr(self.fn, name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else Method(self, instance)

    def __repr__(self) -> str:
        return f"jit({self.name})"

    def __reduce__(self) -> str:
        return str(self.__qualname__)  # pickled by name and copied as itself, as functions are

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if mode.tracer is not None or self.reason:  # inside another trace: part of that graph
            return self._eagerly(args, kwargs)
        leaves: list[Any] = []
        entry, arrays = self._find(self._key(args, kwargs, leaves), leaves, args, kwargs)
        if entry is None:
            return self._eagerly(args, kwargs)
        if entry.sources(leaves):
            return entry.result(entry.recorded(self.name, leaves, arrays, Jit))
        return entry.result(entry.run(leaves, arrays))

    def repeat(self, times: int, *args: Any, **kwargs: Any) -> Any:
        """Call the function `times` times; gives the result of the last call.

        One native call where nothing needs Python in between: no gradient appears or goes, and
        the result needs no tape.

        Raises:  ValueError unless times >= 1.

        >>> import pierian as pr
        >>> total = pr.zeros()
        >>> @pr.jit
        ... def add(x):
        ...     return total.add_(x) * 1
        >>> add.repeat(100, pr.tensor(2.0))
        tensor(200., dtype=float32)
        """
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            raise ValueError(
                message(f"jit({self.name}).repeat", "times counts calls", "a whole number >= 1",
                        times, "Leave the call out for none")
            )  # fmt: skip
        if times > 1 and mode.tracer is None and not self.reason:
            leaves: list[Any] = []
            entry, arrays = self._find(self._key(args, kwargs, leaves), leaves, args, kwargs)
            if entry is not None and entry.repeatable and not entry.sources(leaves):
                return entry.result(entry.run(leaves, arrays, times))
        for _ in range(times):
            result = self(*args, **kwargs)
        return result

    # What was compiled: for these arguments (compiled now if need be), or without any the last time

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """A table of kernels with what each costs here, memory, compile time; runs on copies."""
        return self._views().explain_function(self, args, kwargs)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph after all passes."""
        return self._views().entry_of(self, args, kwargs)[0].program.graph

    def llvm_ir(self, *args: Any, **kwargs: Any) -> str:
        """The generated code as LLVM IR."""
        return str(self._views().entry_of(self, args, kwargs)[0].program.module)

    def assembly(self, *args: Any, **kwargs: Any) -> str:
        """The generated code as assembly."""
        return self._views().assembly(self._views().entry_of(self, args, kwargs)[0].program)

    def _views(self) -> Any:
        """The module that looks at programs, where there can be any."""
        if missing:
            must, fix = "there must be code to look at", "Install llvmlite"
            raise CompileError(message(f"jit({self.name})", must, "llvmlite", missing, fix))
        return explaining

    def _eagerly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.reason:
            notice(f"jit: functions run eagerly, which is slower: {self.reason}")
        if any(isinstance(leaf, np.ndarray) for leaf in trees.leaves((args, kwargs))):
            args, kwargs = trees.map_tree(_tensor, (args, kwargs))
        return self.fn(*args, **kwargs)

    # Kinds of arguments

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> Any:
        """All that is not the value of a tensor or number; those go to `leaves`."""
        if self.static:
            kinds = [
                self._constant(value) if i in self.static else self._kind(value, leaves)
                for i, value in enumerate(args)
            ]
        else:
            kinds = [self._kind(value, leaves) for value in args]
        for name in sorted(kwargs):
            value = kwargs[name]
            fixed = name in self.static
            kinds += [name, self._constant(value) if fixed else self._kind(value, leaves)]
        return (mode.grad, mode.watch is None, len(args), *kinds)

    def _kind(self, value: Any, leaves: list[Any]) -> Any:
        kind = type(value)
        if isinstance(value, Tensor):
            array = value.value
            if type(array) is Symbol:
                raise leaked(f"jit({self.name})", array)
            leaves.append(value)
            return array.shape, array.dtype, value.node is not None and wants_grad(value)
        if value is None or kind is str or kind is bool:
            return value
        if isinstance(value, (list, tuple)):
            return (kind, *[self._kind(child, leaves) for child in value])
        if isinstance(value, dict):
            return (dict, tuple(value), *[self._kind(v, leaves) for v in value.values()])
        if isinstance(value, NUMBERS):
            leaves.append(value)
            return kind
        if isinstance(value, np.ndarray):
            return self._kind(as_tensor(value), leaves)
        return self._constant(value)

    def _constant(self, value: Any) -> Any:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                message(f"jit({self.name})", "an argument that is no tensor must be hashable",
                        "a number, string, tuple or object with __hash__", repr(value),
                        "Pass a tuple for a list, or tensors")
            ) from None  # fmt: skip
        # 1, 1.0 and True are equal, and so are 0.0 and -0.0, but not to the function
        return type(value), value, repr(value) if isinstance(value, (*NUMBERS, tuple)) else ""

    # Compiling

    def find(self, *args: Any, **kwargs: Any) -> tuple[Entry | None, list[np.ndarray]]:
        """The program for these arguments and the arrays to run it on; None: it runs eagerly."""
        leaves: list[Any] = []
        if self.reason:
            return None, leaves
        return self._find(self._key(args, kwargs, leaves), leaves, args, kwargs)

    def _find(
        self, key: Any, leaves: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Entry | None, list[np.ndarray]]:
        """The program for these arguments and the arrays to run it on; None: run eagerly."""
        known = self.entries.get(key, ())
        for entry in known:
            arrays = entry.fits(leaves)
            if not isinstance(arrays, str):
                return entry, arrays
        with Tracing.lock:
            found, why = self.entries.setdefault(key, []), ""
            for entry in found:  # another thread may just have finished a trace
                arrays = entry.fits(leaves)
                if not isinstance(arrays, str):
                    return entry, arrays
                why = arrays
            words = dict(self._words(args, kwargs))
            if self.traces >= MANY_TRACES:
                self._say_why(words, why)
            try:
                entry = self._compile(leaves, args, kwargs, words)
            except CompileError as error:
                self.reason = str(error)
                return None, []
            arrays = entry.fits(leaves)
            if isinstance(arrays, str):
                raise TraceError(
                    message(f"jit({self.name})", "what a function depends on must stay the same "
                            "while it is traced", "no change", arrays, "Change it outside")
                )  # fmt: skip
            found.insert(0, entry)
            self.traces += 1
            return entry, arrays

    def _compile(
        self,
        leaves: list[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        words: dict[str, str],
    ) -> Entry:
        fn, objects = self._of_leaves(args, kwargs)
        outside = names_read(self.fn, objects)
        own: dict[int, Tensor] = {}
        started = time.perf_counter()
        while True:
            traced, numbers = as_inputs(fn, leaves, own)
            written = [t.value for t in traced.updated]
            more = {
                i: leaf
                for i, leaf in enumerate(leaves)
                if isinstance(leaf, Tensor) and i not in own and _meets(leaf.value, written)
            }
            if not more:
                break
            own |= more
        if self.pure:
            del traced.graph.outputs[len(traced.open) :]
            traced = replace(traced, updated=[], grads=[], changes=[])
        seconds = time.perf_counter() - started
        program = _program(traced)
        program.seconds["trace"] = seconds
        given = [i for i, kind in enumerate(numbers) if kind is None and i not in own]
        return Entry(fn, traced, program, Guard(traced, outside, own, given), numbers, words)

    def _of_leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any]]:
        """The function as one of a list of tensors and numbers; the objects it gets besides."""
        static, moving = self._split(args, kwargs)
        values, structure = trees.flatten(moving)
        places = [i for i, value in enumerate(values) if _moves(value)]
        fixed = [None if _moves(value) else value for value in values]

        def of_leaves(leaves: list[Any]) -> Any:
            full = list(fixed)
            for i, leaf in zip(places, leaves, strict=True):
                full[i] = leaf
            positional, named = trees.unflatten(structure, full)
            positional = [static.get(i, value) for i, value in enumerate(positional)]
            return self.fn(*positional, **{**named, **_named(static)})

        return of_leaves, [*fixed, *static.values()]

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        static: dict[int | str, Any] = {i: a for i, a in enumerate(args) if i in self.static}
        static |= {name: a for name, a in kwargs.items() if name in self.static}
        positional = tuple(None if i in static else a for i, a in enumerate(args))
        named = {name: kwargs[name] for name in sorted(kwargs) if name not in static}
        return static, (positional, named)

    # Saying why

    def _words(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """The kind of each argument, leaf by leaf, for the reader."""
        names = [*self.arguments, *(f"argument {i}" for i in range(len(args)))]
        for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
            yield from _in_words(name, value)

    def _say_why(self, words: dict[str, str], guard: str) -> None:
        if self.told:
            return
        self.told = True
        last = next(reversed([e for entries in self.entries.values() for e in entries])).words
        changed = [
            f"{name} changed {last.get(name, 'nothing')} -> {words.get(name, 'nothing')}"
            for name in {**last, **words}
            if last.get(name) != words.get(name)
        ]
        what = guard or "; ".join(changed) or "the kind of the arguments changed"
        print(
            f"jit({self.name}): traced {self.traces + 1} times; {what}. Each kind is compiled for "
            "itself: pad tensors to one shape, pass numbers that change as tensors.",
            file=sys.stderr,
        )


def _program(traced: Traced) -> Program:
    """The native code of a trace, ready to run."""
    if not target().native:
        raise CompileError(
            message("jit", "the target must be this machine", "its own architecture",
                    target().triple, "Unset PIERIAN_TARGET_CPU to run compiled code")
        )  # fmt: skip
    first = len(traced.graph.inputs) - len(traced.captured)
    place = {id(t): first + i for i, t in enumerate(traced.captured)}
    results = len(traced.open)
    updates = {results + i: place[id(t)] for i, t in enumerate(traced.updated)}
    orders = {first + i: order_of(t.value) for i, t in enumerate(traced.captured)}
    program = Program(traced.graph, updates, orders={i: o for i, o in orders.items() if o})
    program.load()
    return program


class Method:
    """A compiled method of one object."""

    def __init__(self, compiled: Jit, instance: Any) -> None:
        self.compiled, self.instance = compiled, instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.compiled(self.instance, *args, **kwargs)

    def repeat(self, times: int, *args: Any, **kwargs: Any) -> Any:
        """As `Jit.repeat`."""
        return self.compiled.repeat(times, self.instance, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.compiled, name)


def _parameters(fn: Any) -> list[str]:
    """The names of the positional parameters of `fn`, as far as they can be known."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


def _both_ways(static: Iterable[int | str], names: list[str]) -> frozenset[int | str]:
    """Static arguments by number and by name: they may be passed either way."""
    found: set[int | str] = set()
    for one in static:
        if isinstance(one, int):
            one = one % len(names) if one < 0 and names else one
            found |= {one, *names[one : one + 1]}
        else:
            found |= {one, *([names.index(one)] if one in names else [])}
    return frozenset(found)


def _meets(array: np.ndarray, others: list[np.ndarray]) -> bool:
    """Whether `array` shares memory with one of `others`."""
    return any(np.may_share_memory(array, other) for other in others)


def _named(static: dict[int | str, Any]) -> dict[str, Any]:
    return {name: value for name, value in static.items() if isinstance(name, str)}


def _moves(value: Any) -> bool:
    """Whether an argument is a value of the program, and not part of it."""
    numbers = isinstance(value, NUMBERS) and not isinstance(value, bool)
    return numbers or isinstance(value, (Tensor, np.ndarray))


def _tensor(leaf: Any) -> Any:
    return as_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _in_words(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, (Tensor, np.ndarray)):
        grad = ", with gradient" if getattr(value, "requires_grad", False) else ""
        yield name, describe(value.shape, value.dtype) + grad
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _in_words(f"{name}[{key!r}]", child)
    elif isinstance(value, (list, tuple)):
        for i, child in enumerate(value):
            yield from _in_words(f"{name}[{i}]", child)
    else:
        yield name, repr(value)


def jit(
    fn: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Any:
    """`fn`, compiled: one native program for each kind of its arguments.

    The result, and what happens to tensors outside, is that of `fn` itself. A kind is the tree of
    the arguments, shapes and dtypes, strings, truth values and other objects, and what else the
    function was seen to depend on: modules in training or in use, which gradients there are, which
    objects its names stand for. A number is a value of the program, with the dtype that it takes
    beside tensors, unless Python needs it (as a shape, an axis, a count): then it is part of the
    kind. Arrays become tensors. What `fn` does besides computing (printing, appending to lists)
    happens when it is traced, not at each call.

    Args:    fn               a function, method or module; of trees of tensors, giving one. It may
                              call `backward`, update parameters, draw random numbers and assign to
                              tensors from outside.
             static_argnums   arguments that stay Python values, by position; each value, which
             static_argnames  must be hashable, is compiled for itself. The same by name.
    Raises:  TraceError where `fn` needs the value of a tensor in Python, TypeError for arguments
             that are neither tensors nor hashable.

    >>> import pierian as pr
    >>> @pr.jit
    ... def normalize(x):
    ...     return (x - x.mean()) / x.std()
    >>> normalize(pr.tensor([1.0, 2.0, 3.0]))
    tensor([-1.,  0.,  1.], dtype=float32)
    """
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    if fn is None:
        return lambda function: Jit(function, (*numbers, *names))
    return Jit(fn, (*numbers, *names))
