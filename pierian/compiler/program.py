"""A program: kernels in native code, memory for their values, and NumPy for the rest.

May import: the files of this room, base, core. The generated code is one function per kernel, with
pointers that are known not to overlap, and one function per run of kernels between two host calls.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.compiler import cache
from pierian.compiler import element as el
from pierian.compiler.element import I64
from pierian.compiler.fuse import Fusion, Kernel
from pierian.compiler.llvm import Library, Target, ir, load, object_code, target, versions
from pierian.compiler.matmul import emit_matmul, matmul_units
from pierian.compiler.nest import Scope, emit_nest, emit_reduce, nest_units, number, reduce_units
from pierian.compiler.own_loop import EMIT_OWN
from pierian.compiler.passes import optimize
from pierian.compiler.runtime import SEGMENT, barrier, get_num_threads, pool
from pierian.compiler.stages import Stages
from pierian.core.graph import Graph, Symbol
from pierian.core.primitive import REGISTRY

EMITTERS: dict[str, Any] = {
    "nest": emit_nest,
    "reduce": emit_reduce,
    "matmul": emit_matmul,
    **EMIT_OWN,
}
UNITS: dict[str, Any] = {"nest": nest_units, "reduce": reduce_units, "matmul": matmul_units}
_labels = itertools.count()
PARALLEL = 1 << 15  # element operations that are worth a barrier, some microseconds' work


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel as a function: its arguments, and how it is shared out."""

    name: str
    kernel: Kernel
    touched: list[Symbol]  # all stored symbols that it reads or writes
    symbols: list[Symbol]  # those whose memory it is: an update stands for what it replaces
    units: int
    parallel: bool
    may_fail: bool  # may meet an index outside of its axis


@dataclass(frozen=True, eq=False)
class Segment:
    """Kernels that run one after the other without Python in between."""

    name: str
    calls: list[Call]


def work(kernel: Kernel) -> int:
    """Elements that a kernel goes through."""
    sizes = [math.prod(kernel.space)]
    if kernel.equation is not None:
        sizes += [math.prod(s.shape) for s in kernel.equation.inputs]
    if kernel.kind == "matmul" and kernel.equation is not None:
        inner = kernel.equation.inputs[0].shape[-2 if kernel.equation.params["ta"] else -1]
        return math.prod(kernel.space) * inner
    return max(sizes)


class Program:
    """`graph`, compiled. `run` takes and gives arrays in the order of its inputs and outputs.

    Args:  updates  which output replaces the value of which input, by number: it is written into
                    the input's own memory. The others get fresh memory.
    """

    def __init__(
        self, graph: Graph, updates: dict[int, int] | None = None, chosen: Target | None = None
    ) -> None:
        self.seconds = Stages()
        self.target = chosen or target()
        self.updates = updates or {}
        with self.seconds.timed("passes"):
            self.graph = optimize(graph)
        with self.seconds.timed("fusion"):
            self.fusion = Fusion(self.graph)
            self.memory = self._in_place()
            self.stored = self._table()
            self.slot = {symbol: i for i, symbol in enumerate(self.stored)}
            self.plan = self._segments()
        self.library = Library({}, None)
        self.cached = False
        self._loaded = False

    def _in_place(self) -> dict[Symbol, Symbol]:
        """Updates that can be written over the old value while the program runs: new -> old."""
        found: dict[Symbol, Symbol] = {}
        outputs = self.graph.outputs
        for out, into in self.updates.items():
            new, old = outputs[out], self.graph.inputs[into]
            once = outputs.count(new) == 1 and old not in outputs
            if once and new in self.fusion.home and self._last_read(old, new):
                found[new] = old
        return found

    def _last_read(self, old: Symbol, new: Symbol) -> bool:
        """Whether nothing reads `old` once `new` is being written."""
        home = self.fusion.home[new]
        for number_, kernel in enumerate(self.fusion.kernels):
            if old not in kernel.reads or number_ < home:
                continue
            own = kernel.equation.inputs if kernel.equation is not None else ()
            if number_ > home or old in own or kernel.kind not in ("nest", "matmul"):
                return False
            reads = [pair for root in kernel.roots for pair in self.fusion.leaves(root)]
            if (old, False) in reads:
                return False
        return True

    def _table(self) -> list[Symbol]:
        constants = [s for s in self.graph.constants if s in self.fusion.stored]
        passing = self.fusion.passing()
        made = [s for kernel in self.fusion.kernels for s in kernel.writes if s not in passing]
        return [*self.graph.inputs, *constants, *made]

    def _segments(self) -> list[Segment | Kernel]:
        plan: list[Segment | Kernel] = []
        segment: Segment | None = None
        for kernel in self.fusion.kernels:
            if kernel.kind == "host":
                plan.append(kernel)
                segment = None
                continue
            if segment is None:
                segment = Segment(f"segment{len(plan)}", [])
                plan.append(segment)
            name = f"{segment.name}_{len(segment.calls)}_{kernel.kind}"
            segment.calls.append(self._call_of(kernel, name))
        return plan

    # Code

    def _call_of(self, kernel: Kernel, name: str) -> Call:
        touched = self._touched(kernel)
        symbols = list(dict.fromkeys(self.memory.get(s, s) for s in touched))
        scope = self._scope(dict.fromkeys(touched), None)
        units = UNITS.get(kernel.kind, lambda *_: 1)(scope, kernel)
        made = [self.fusion.made[s] for s in self._inside(kernel)]
        parallel = units > 1 and work(kernel) * max(len(made), 1) >= PARALLEL
        may_fail = any(e.primitive in ("index", "scatter", "scatter_add") for e in made)
        return Call(name, kernel, touched, symbols, units, parallel, may_fail)

    def _scope(self, pointers: dict[Symbol, Any], error: Any) -> Scope:
        return Scope(self.graph, self.fusion.made, pointers, error, self.target)

    @cached_property
    def module(self) -> ir.Module:
        """The LLVM IR of all segments."""
        module = ir.Module("pierian")
        for segment in self.plan:
            if isinstance(segment, Segment):
                functions = [self._kernel(module, call) for call in segment.calls]
                self._segment(module, segment, functions)
        return module

    def _kernel(self, module: ir.Module, call: Call) -> Any:
        """The function of a kernel: pointers that do not overlap, work units, the error word."""
        kinds = [el.memory_type(s.dtype).as_pointer() for s in call.symbols]
        kind = ir.FunctionType(ir.VoidType(), [*kinds, I64, I64, I64.as_pointer()])
        function = ir.Function(module, kind, call.name)
        function.linkage = "internal"
        *pointers, begin, end, error = function.args
        for argument in [*pointers, error]:
            argument.add_attribute("noalias")
        b = ir.IRBuilder(function.append_basic_block("entry"))
        argument_of = dict(zip(call.symbols, pointers, strict=True))
        places = {s: argument_of[self.memory.get(s, s)] for s in call.touched}
        EMITTERS[call.kernel.kind](b, self._scope(places, error), call.kernel, begin, end)
        b.ret_void()
        return function

    def _inside(self, kernel: Kernel) -> set[Symbol]:
        """What a kernel computes, in registers or to memory."""
        found = set(kernel.writes)
        stack = list(found)
        while stack:
            for symbol in self.fusion.made[stack.pop()].inputs:
                if symbol in self.fusion.made and symbol not in self.fusion.stored | found:
                    found.add(symbol)
                    stack.append(symbol)
        return found

    def _touched(self, kernel: Kernel) -> list[Symbol]:
        reads = [s for s in kernel.reads if s in self.slot and s not in kernel.writes]
        writes = [s for s in kernel.writes if s in self.slot]
        return sorted(reads, key=lambda s: self.slot[s]) + writes

    def _segment(self, module: ir.Module, segment: Segment, functions: list[Any]) -> None:
        """The kernels in order, each on this thread's share; a barrier where shares meet."""
        function = ir.Function(module, SEGMENT, segment.name)
        pointers, error, thread, threads, control = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        known: dict[Symbol, Any] = {}
        for symbol in dict.fromkeys(s for call in segment.calls for s in call.symbols):
            place = b.load(b.gep(pointers, [number(self.slot[symbol])]))
            known[symbol] = b.bitcast(place, el.memory_type(symbol.dtype).as_pointer())
        first = b.icmp_unsigned("==", thread, number(0))
        open_reads: set[Symbol] = set()
        open_writes: set[Symbol] = set()
        serial = True  # whether everything since the last barrier ran on the first thread alone
        for call, kernel in zip(segment.calls, functions, strict=True):
            reads, writes = self._memory_of(call.kernel)
            clash = open_writes & (reads | writes) or open_reads & writes
            if clash and not (serial and not call.parallel):
                barrier(b, control, threads)
                open_reads, open_writes, serial = set(), set(), True
            open_reads |= reads
            open_writes |= writes
            serial = serial and not call.parallel
            arguments = [known[s] for s in call.symbols]
            total = number(call.units)
            if call.parallel:
                begin = b.udiv(b.mul(total, thread), threads)
                end = b.udiv(b.mul(total, b.add(thread, number(1))), threads)
                b.call(kernel, [*arguments, begin, end, error])
            else:
                with b.if_then(first):
                    b.call(kernel, [*arguments, number(0), total, error])
            if call.may_fail:
                barrier(b, control, threads)
                open_reads, open_writes, serial = set(), set(), True
                bad = b.icmp_unsigned("!=", b.load(error), number(0))
                with b.if_then(bad, likely=False):
                    b.ret_void()
        b.ret_void()

    def _memory_of(self, kernel: Kernel) -> tuple[set[Symbol], set[Symbol]]:
        """The memory that a kernel reads and writes."""
        reads = {self.memory.get(s, s) for s in kernel.reads}
        return reads, {self.memory.get(s, s) for s in kernel.writes}

    # Running

    def load(self) -> None:
        """Compile and link, and make the memory that all runs share; done by the first `run`."""
        segments = [segment for segment in self.plan if isinstance(segment, Segment)]
        if segments:
            code = self._object_code()
            names = [segment.name for segment in segments]
            with self.seconds.timed("load"):
                self.library = load(code, names, f"pierian{next(_labels)}")
        self._parallel = any(call.parallel for segment in segments for call in segment.calls)
        fixed = dict(self.graph.constants)  # copies in row-major order, see `add_constant`
        kept = set(self.graph.outputs) | set(self.graph.inputs) | set(self.memory)
        for symbol in self.stored:
            if symbol not in kept and symbol not in fixed:
                fixed[symbol] = np.empty(symbol.shape, symbol.dtype)
        self._fixed = [(i, fixed[s]) for i, s in enumerate(self.stored) if s in fixed]
        self._table_ = (ctypes.c_void_p * len(self.stored))()
        for i, array in self._fixed:
            self._table_[i] = address(array)
        self._error = ctypes.c_int64(0)
        self._lock = threading.Lock()
        self._loaded = True

    def _object_code(self) -> bytes:
        """The code from the cache, or made now and kept there."""
        with self.seconds.timed("cache"):
            key, code = self._cached_code()
        self.cached = code is not None
        if code is None:
            with self.seconds.timed("code generation"):
                module = self.module
            with self.seconds.timed("LLVM"):
                code = object_code(module, self.target)
            with self.seconds.timed("cache"):
                cache.put(key, code)
        return code

    def _cached_code(self) -> tuple[str, bytes | None]:
        large = [value.tobytes() for value in self.graph.constants.values()]
        constants = hashlib.sha256(b"".join(large)).hexdigest()
        program = f"{self.graph}\n{constants}\n{sorted(self.updates.items())}\n{self.target}"
        key = cache.key(program, versions())
        return key, cache.get(key)

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for these inputs, without those that replaced an input.

        Raises:  IndexError when the program met an index outside of its axis; then no input has
                 been replaced, except those that do not depend on it.
        """
        if not self._loaded:
            self.load()
        with self._lock:
            return self._run(arrays)

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        table = self._table_
        threads = get_num_threads() if self._parallel else 1
        values: list[Any] = [None] * len(self.stored)
        for i, array in self._fixed:
            values[i] = array
        for i, array in enumerate(arrays):
            values[i] = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        for i, symbol in enumerate(self.stored):
            if values[i] is None:
                old = self.memory.get(symbol)
                if old is None:
                    values[i] = np.empty(symbol.shape, symbol.dtype)
                else:
                    values[i] = values[self.slot[old]]
                table[i] = address(values[i])
            elif i < len(arrays):
                table[i] = address(values[i])
        for segment in self.plan:
            if isinstance(segment, Segment):
                entry = self.library.addresses[segment.name]
                pool().run(entry, table, ctypes.byref(self._error), threads)
                if self._error.value:
                    self._error.value = 0
                    raise IndexError(
                        message("jit", "indices must lie inside their axis",
                                "-size <= index < size", "one that does not",
                                "Run with jit=False to see which operation it was")
                    )  # fmt: skip
            else:
                self._host(segment, values)
        return self._results(arrays, values)

    def _results(self, arrays: Sequence[np.ndarray], values: list[Any]) -> list[np.ndarray]:
        results, given = [], set()
        for i, symbol in enumerate(self.graph.outputs):
            value = self._value(symbol, values)
            into = self.updates.get(i)
            if into is not None:
                if value is not arrays[into]:
                    np.copyto(arrays[into], value)
                continue
            shared = symbol in given or symbol not in self.fusion.home
            given.add(symbol)
            results.append(value.copy() if shared else value)
        return results

    def _host(self, kernel: Kernel, values: list[Any]) -> None:
        equation = kernel.equation
        if equation is None:
            return
        inputs = [self._value(s, values) for s in equation.inputs]
        result = REGISTRY[equation.primitive].run(*inputs, **equation.params)
        np.copyto(values[self.slot[equation.output]], result)

    def _value(self, symbol: Symbol, values: list[Any]) -> Any:
        slot = self.slot.get(symbol)
        return self.graph.constants[symbol] if slot is None else values[slot]


def address(array: np.ndarray) -> int:
    """Where the first element is."""
    return int(array.__array_interface__["data"][0])
