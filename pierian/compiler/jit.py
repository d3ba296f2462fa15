"""`jit`: a Python function of tensors, compiled at its first call for each kind of arguments.

May import: the files of this room, base, core. Tensors that the function uses from outside are
read, and those it assigns written, in their own memory at every call, so a whole training step is
one call. Without llvmlite, or for a CPU it cannot serve, the function runs eagerly.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import is_floating
from pierian.compiler import explain as explaining
from pierian.compiler.program import Program
from pierian.core.autodiff import alias, enable_grad, no_grad, pullback, record_custom
from pierian.core.graph import Graph
from pierian.core.tensor import Tensor, as_tensor, make, mode, stamp
from pierian.core.trace import Traced, trace

NUMBERS = (bool, int, float, complex, np.generic)
MANY_TRACES = 4  # traces of one function after which what changed is said aloud


@dataclass(frozen=True, eq=False)
class Entry:
    """What was compiled for one kind of arguments."""

    traced: Traced
    program: Program

    def __call__(self, leaves: list[Tensor]) -> Any:
        """Run on the tensors among the arguments; effects as if the function itself had run."""
        traced = self.traced
        captured = [tensor.value for tensor in traced.captured]
        results = self.program.run([leaf.value for leaf in leaves] + captured)
        for tensor in traced.updated:
            stamp(tensor.value)
        values = iter([make(array) for array in results])
        count = len(results) - sum(present for _, present in traced.grads)
        outputs = [next(values) for _ in range(count)]
        for tensor, present in traced.grads:
            tensor.grad = next(values) if present else None
        return trees.unflatten(traced.structure, outputs)


class Jit:
    """A compiled function; made by `jit`."""

    def __init__(self, fn: Callable[..., Any], static: frozenset[int | str]) -> None:
        self.fn, self.static = fn, static
        self.entries: dict[Any, Entry] = {}
        self.backwards: dict[Any, Jit] = {}
        self.name = getattr(fn, "__name__", "function")
        update_wrapper(self, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if mode.tracer is not None:  # inside another trace: part of that graph
            return self.fn(*args, **kwargs)
        leaves, structure, key, rebuild = self._read(args, kwargs)
        entry = self.entries.get(key)
        if entry is None:
            entry = self._compile(key, leaves, rebuild)
        needs = mode.grad and not entry.traced.updated and not entry.traced.grads
        if needs:
            if mode.watch is not None:
                mode.watch([*leaves, *entry.traced.captured])
            sources = [t for t in (*leaves, *entry.traced.captured) if t.node is not None]
            if sources:
                return self._recorded(entry, leaves, key, rebuild)
        return entry(leaves)

    # What was compiled: for these arguments (compiled now if need be), or without any the last time

    def explain(self, *args: Any, **kwargs: Any) -> explaining.Explanation:
        """A table of kernels with what each costs here, memory, compile time; runs on copies."""
        return explaining.explain_function(self, args, kwargs)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph after all passes."""
        return explaining.graph_of(self, args, kwargs)

    def llvm_ir(self, *args: Any, **kwargs: Any) -> str:
        """The generated code as LLVM IR."""
        return explaining.ir_of(self, args, kwargs)

    def assembly(self, *args: Any, **kwargs: Any) -> str:
        """The generated code as assembly."""
        return explaining.assembly_of(self, args, kwargs)

    def entry(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Entry, list[Tensor]]:
        """What is compiled for these arguments, and the tensors among them."""
        leaves, _, key, rebuild = self._read(args, kwargs)
        return self.entries.get(key) or self._compile(key, leaves, rebuild), leaves

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The tensors among the arguments, and a key of all that is not their values."""
        fixed: dict[Any, Any] = {name: kwargs[name] for name in kwargs if name in self.static}
        fixed |= {i: args[i] for i in range(len(args)) if i in self.static}
        moving = (
            tuple(None if i in self.static else a for i, a in enumerate(args)),
            {name: value for name, value in kwargs.items() if name not in self.static},
        )
        values, structure = trees.flatten(moving)
        leaves, kinds = [], []
        for value in values:
            if isinstance(value, (Tensor, np.ndarray, *NUMBERS)):
                tensor = as_tensor(value)
                leaves.append(tensor)
                kinds.append((tensor.shape, tensor.dtype.str, tensor.requires_grad))
            else:
                kinds.append(value)
        key = (structure, tuple(kinds), tuple(sorted(fixed.items(), key=lambda x: str(x[0]))))

        def rebuild(tensors: Iterable[Tensor]) -> tuple[Any, Any]:
            given = iter(tensors)
            full = [next(given) if isinstance(kind, tuple) else kind for kind in kinds]
            positional, named = trees.unflatten(structure, full)
            positional = [fixed.get(i, a) for i, a in enumerate(positional)]
            return positional, {**named, **{n: v for n, v in fixed.items() if isinstance(n, str)}}

        return leaves, structure, key, rebuild

    def _compile(self, key: Any, leaves: list[Tensor], rebuild: Any) -> Entry:
        def of_leaves(*tensors: Tensor) -> Any:
            args, kwargs = rebuild(tensors)
            return self.fn(*args, **kwargs)

        if len(self.entries) >= MANY_TRACES:
            self._report(key)
        started = time.perf_counter()
        traced = trace(of_leaves, *leaves)
        seconds = time.perf_counter() - started
        count = len(traced.graph.outputs) - len(traced.updated)
        count -= sum(present for _, present in traced.grads)
        place = {id(tensor): len(leaves) + i for i, tensor in enumerate(traced.captured)}
        updates = {count + i: place[id(t)] for i, t in enumerate(traced.updated)}
        entry = self.entries[key] = Entry(traced, Program(traced.graph, updates))
        entry.program.seconds["trace"] = seconds
        return entry

    def _report(self, key: Any) -> None:
        """Say once more which argument made this trace necessary."""
        last = list(self.entries)[-1]
        changed = [
            f"argument {i} changed {old} -> {new}"
            for i, (old, new) in enumerate(zip(last[1], key[1], strict=False))
            if old != new
        ]
        what = changed[0] if changed else "the structure or a static argument changed"
        print(
            f"jit({self.name}): traced {len(self.entries) + 1} times; {what}. "
            "Pad the arguments to one shape, or pass numbers as tensors.",
            file=sys.stderr,
        )

    def _recorded(self, entry: Entry, leaves: list[Tensor], key: Any, rebuild: Any) -> Any:
        """The result on the tape; its gradient is a compiled function of its own."""
        captured = entry.traced.captured
        sources = [t for t in leaves if t.node is not None]
        sources += [t for t in captured if t.node is not None and is_floating(t.dtype)]
        with no_grad():
            result = entry(leaves)
        outputs, structure = trees.flatten(result)
        back = self.backwards.get(key)
        if back is None:
            back = self.backwards[key] = Jit(self._backward(rebuild, captured), frozenset())
        flags = [t.node is not None for t in leaves]

        def pull(grads: list[Tensor]) -> list[Any]:
            found = back(leaves, grads)
            own = [g for g, wanted in zip(found[: len(leaves)], flags, strict=True) if wanted]
            rest = zip(captured, found[len(leaves) :], strict=True)
            return own + [g for t, g in rest if t.node is not None and is_floating(t.dtype)]

        record_custom(self.name, sources, outputs, pull)
        return trees.unflatten(structure, outputs)

    def _backward(self, rebuild: Any, captured: list[Tensor]) -> Callable[..., Any]:
        """(arguments, gradients of the results) -> gradients of arguments and captured tensors."""

        def backward(leaves: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
            inputs = [alias(t) if is_floating(t.dtype) else t for t in leaves]
            with enable_grad():
                args, kwargs = rebuild(inputs)
                outputs = trees.leaves(self.fn(*args, **kwargs))
            pairs = [(y.node, g) for y, g in zip(outputs, grads, strict=True) if y.node is not None]
            wanted = [t.node for t in (*inputs, *captured)]
            targets = {node for node in wanted if node is not None}
            found = pullback(pairs, targets, create_graph=True, retain=True)
            return [
                found[node] if node in found else make_zeros(t)
                for node, t in zip(wanted, (*inputs, *captured), strict=True)
            ]

        return backward


def make_zeros(t: Tensor) -> Tensor:
    """Zeros like `t`, inside a trace."""
    return as_tensor(np.zeros(t.shape, t.dtype))


def jit(
    fn: Callable[..., Any] | None = None,
    *,
    static_argnums: Iterable[int] = (),
    static_argnames: Iterable[str] = (),
) -> Any:
    """`fn`, compiled: one native program for each kind (shapes, dtypes) of its arguments.

    Args:    fn               a function of trees of tensors; arrays and numbers become tensors,
                              other arguments are part of the kind. It may call `backward`, update
                              parameters, draw random numbers and assign to outside tensors.
             static_argnums   arguments that stay Python values, by position; each value is
             static_argnames  compiled for itself. The same by name.
    Raises:  TraceError where `fn` needs the value of a tensor in Python.
    """
    static: frozenset[int | str] = frozenset([*static_argnums, *static_argnames])
    if fn is None:
        return lambda function: Jit(function, static)
    return Jit(fn, static)
