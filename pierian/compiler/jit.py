"""`jit`: a Python function of tensors, compiled at its first call for each kind of arguments.

May import: the files of this room, base, core. Tensors that the function uses from outside are
read, and those it assigns written, in their own memory at every call, so a whole training step is
one call. Without llvmlite, or for a CPU it cannot serve, functions run eagerly.
"""

from __future__ import annotations

import contextlib
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
from pierian.base.dtypes import is_floating
from pierian.base.errors import CompileError, GradError, TraceError, message
from pierian.compiler.guard import Guard, describe, names_read
from pierian.compiler.number import NUMBERS, as_inputs
from pierian.core.autodiff import alias, enable_grad, guard_saved, pullback, record_custom
from pierian.core.graph import Graph, Symbol
from pierian.core.tensor import Tensor, as_tensor, bind, leaked, make, mode
from pierian.core.trace import Traced, wants_grad

try:
    from pierian.compiler import explain as explaining
    from pierian.compiler.llvm import target
    from pierian.compiler.program import Program

    missing = ""
except (ImportError, OSError) as error:
    missing = f"llvmlite cannot be loaded ({error})"

MANY_TRACES = 4  # traces of one function after which what changed is said aloud
_said: set[str] = set()


class Tracing:
    """One trace at a time: while it runs, tensors from outside have symbols for values."""

    lock = threading.RLock()


def _after_fork() -> None:
    """The thread that held the lock may not be in the child."""
    Tracing.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Entry:
    """What was compiled for one kind of arguments, and how to run it.

    Args:  fn       the function of the arguments, a list of tensors and numbers.
           numbers  for each argument the dtype that a number has in the program, None for a
                    tensor; a str, how it prints, for a number that is part of the program.
           words    the kind of each argument in words.
    """

    def __init__(
        self, fn: Callable[[list[Any]], Any], traced: Traced, guard: Guard,
        numbers: list[Any], words: dict[str, str],
    ) -> None:  # fmt: skip
        self.fn, self.traced, self.guard = fn, traced, guard
        self.words, self.numbers = words, numbers
        self.plain = not guard.own and all(kind is None for kind in numbers)
        self.inside = [isinstance(kind, str) or i in guard.own for i, kind in enumerate(numbers)]
        kept = len(traced.graph.outputs) - len(traced.updated)
        self.grads = sum(present for _, present in traced.grads)
        self.results = kept - self.grads
        place = {id(t): len(traced.graph.inputs) - len(traced.captured) + i
                 for i, t in enumerate(traced.captured)}  # fmt: skip
        updates = {self.results + i: place[id(t)] for i, t in enumerate(traced.updated)}
        if not target().native:
            raise CompileError(
                message("jit", "the target must be this machine", "its own architecture",
                        target().triple, "Unset PIERIAN_TARGET_CPU to run compiled code")
            )  # fmt: skip
        self.program = Program(traced.graph, updates)
        self.program.load()
        self.backwards: dict[Any, Jit] = {}
        # whether calls in a row do the same, and the last one leaves what all leave together
        looked_at = [id(owner) for owner, _ in traced.before]
        asked = [(id(state), name) for state, name, _ in traced.reads]
        self.repeatable = not any(id(owner) in looked_at for owner, _ in traced.grads)
        self.repeatable &= not any((id(state), name) in asked for state, name, _ in traced.changes)

    def fits(self, leaves: list[Any]) -> list[np.ndarray] | str:
        """The arrays to run on; in words, what does not fit."""
        if not self.plain:
            for kind, leaf in zip(self.numbers, leaves, strict=True):
                if isinstance(kind, str) and repr(leaf) != kind:
                    return f"a number changed {kind} -> {leaf!r}"
        found = self.guard.check(leaves)
        if isinstance(found, str):
            return found
        if self.plain:
            return [leaf.value for leaf in leaves] + found
        try:
            given = [
                leaf.value if kind is None else np.array(leaf, kind)
                for kind, leaf, inside in zip(self.numbers, leaves, self.inside, strict=True)
                if not inside
            ]
        except OverflowError:
            return "a number does not fit its dtype"
        return given + found

    def run(self, leaves: list[Any], arrays: list[np.ndarray], times: int = 1) -> list[Tensor]:
        """The leaves of the result; effects as if the function itself had run."""
        traced = self.traced
        for owner, _ in traced.grads:
            if isinstance(owner, int) and not leaves[owner].is_leaf:
                raise GradError(
                    message("jit", "backward inside stops at the arguments", "arguments that are "
                            "leaves", f"the result of {leaves[owner].node.name}",
                            "Detach the argument, or call backward outside")
                )  # fmt: skip
        values = self.program.run(arrays, times=times)
        if self.guard.updated:
            self.guard.stamp()
        results = [make(array) for array in values]
        if traced.grads or traced.changes:
            traced.leave(leaves, results[self.results :])
            del results[self.results :]
        return results

    def result(self, results: list[Tensor]) -> Any:
        """The result as the function gives it."""
        structure = self.traced.structure
        return results[0] if structure is trees.LEAF else trees.unflatten(structure, results)

    def open(self) -> list[bool]:
        """Of each leaf of the result, whether it may have a history."""
        taped = mode.watch is not None and not self.traced.grads
        return [taped or flag for flag in self.traced.open]

    def sources(self, leaves: list[Any]) -> bool:
        """Whether gradients of the result may be asked for after this call."""
        if not (mode.grad and any(self.open())):
            return False
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)] + self.guard.captured
        if mode.watch is not None:
            mode.watch(tensors)
        return any(t.node is not None for t in tensors)

    def recorded(self, name: str, leaves: list[Any], arrays: list[np.ndarray]) -> list[Tensor]:
        """As `run`, with the call on the tape; its gradient is a compiled function of its own."""
        guard = self.guard
        inputs = [_kept(t, t.value) if isinstance(t, Tensor) else t for t in leaves]
        count, updated = len(leaves), set(guard.updated)
        values = arrays[len(arrays) - len(guard.captured) :]
        for i, (tensor, value) in enumerate(zip(guard.captured, values, strict=True)):
            inputs.append(_kept(tensor, value.copy() if i in updated else value))
        results = self.run(leaves, arrays)
        wanted = [
            i
            for i, t in enumerate(inputs)
            if isinstance(t, Tensor) and t.node is not None and i not in guard.own
        ]
        opened = [
            flag and is_floating(y.dtype) for flag, y in zip(self.open(), results, strict=True)
        ]
        key = (*wanted, *opened)
        back = self.backwards.get(key)
        if back is None:
            back = Jit(self._backward(count, wanted, opened), pure=True, name=f"{name}, backward")
            self.backwards[key] = back
        tensors = [t for t in inputs if isinstance(t, Tensor)]
        check = guard_saved(name, tensors)

        def pull(grads: list[Tensor]) -> list[Tensor]:
            check()
            return back(inputs, grads)

        outputs = [y for y, flag in zip(results, opened, strict=True) if flag]
        record_custom(name, [inputs[i] for i in wanted], outputs, pull)
        return results

    def _backward(self, count: int, wanted: list[int], opened: list[bool]) -> Callable[..., Any]:
        """(arguments and captured tensors, gradients of open results) -> gradients of `wanted`."""

        def backward(inputs: list[Any], grads: list[Tensor]) -> list[Tensor]:
            points = [alias(t) if i in wanted else t for i, t in enumerate(inputs)]
            for i, tensor in self.guard.own.items():
                points[i] = tensor
            with _as_traced(self.guard, points[count:]), enable_grad():
                outputs = trees.leaves(self.fn(points[:count]))
                ends = [y.node for y, flag in zip(outputs, opened, strict=True) if flag]
            pairs = [(end, g) for end, g in zip(ends, grads, strict=True) if end is not None]
            nodes = [points[i].node for i in wanted]
            found = pullback(pairs, set(nodes), create_graph=True, retain=True)
            return [
                found[node] if node in found
                else bind("full", shape=inputs[i].shape, value=0.0, dtype=inputs[i].dtype)
                for i, node in zip(wanted, nodes, strict=True)
            ]  # fmt: skip

        return backward


def _kept(tensor: Tensor, value: np.ndarray) -> Tensor:
    """`value` with the history of `tensor`."""
    kept = make(value)
    kept.node = tensor.node
    return kept


@contextlib.contextmanager
def _as_traced(guard: Guard, values: list[Tensor]) -> Iterator[None]:
    """The outside as the trace found it, its tensors with the values and history of `values`."""
    before = [(t, t.value, t.node, t._grad, t.base) for t in guard.captured]
    moved = [(state, name, value, state.get(name)) for state, name, value in guard.attributes
             if state.get(name) is not value]  # fmt: skip
    try:
        for tensor, new in zip(guard.captured, values, strict=True):
            tensor.value, tensor.node, tensor.base = new.value, new.node, None
        for state, name, value, _ in moved:
            state[name] = value
        yield
    finally:
        for tensor, *rest in before:
            tensor.value, tensor.node, tensor._grad, tensor.base = rest
        for state, name, _, value in moved:
            state[name] = value


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
            return entry.result(entry.recorded(self.name, leaves, arrays))
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
            say_once(f"jit: functions run eagerly, which is slower: {self.reason}")
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
        given = [i for i, kind in enumerate(numbers) if kind is None and i not in own]
        entry = Entry(fn, traced, Guard(traced, outside, own, given), numbers, words)
        entry.program.seconds["trace"] = seconds
        return entry

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


def say_once(line: str) -> None:
    """Print a line on stderr; the same one not again in this process."""
    if line not in _said:
        _said.add(line)
        print(line, file=sys.stderr)


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
