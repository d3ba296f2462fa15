"""A program: kernels in native code, memory for their values, and NumPy for the rest.

May import: the files of this room, base, core. The generated code is one function per kernel, with
pointers that are known not to overlap, and one function per run of kernels between two host calls.
A program that needs no host call runs any number of times in one native call.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.compiler import cache
from pierian.compiler import element as el
from pierian.compiler.control import loop, number
from pierian.compiler.element import I64
from pierian.compiler.fuse import Fusion, Kernel
from pierian.compiler.layout import relayout, reorder
from pierian.compiler.llvm import Library, Target, ir, load, object_code, target, versions
from pierian.compiler.matmul import emit_matmul, matmul_units, terms
from pierian.compiler.memory import LINE, Life, Place, arena, nbytes
from pierian.compiler.nest import Scope, emit_nest, emit_reduce, nest_units, reduce_units
from pierian.compiler.own_loop import OWN, emit_own
from pierian.compiler.passes import drop_dead, optimize
from pierian.compiler.pooling import emit_pool, pool_units, through_relu
from pierian.compiler.runtime import SEGMENT, barrier, pool
from pierian.compiler.split import split
from pierian.compiler.stages import Stages
from pierian.compiler.threads import get_num_threads
from pierian.core.graph import Equation, Graph, Symbol
from pierian.core.primitive import REGISTRY

EMITTERS: dict[str, Any] = {
    "nest": emit_nest,
    "reduce": emit_reduce,
    "matmul": emit_matmul,
    "pixels_pool_grad": emit_pool,
    **dict.fromkeys(OWN, emit_own),
}
UNITS: dict[str, Any] = {
    "nest": nest_units,
    "reduce": reduce_units,
    "matmul": matmul_units,
    "pixels_pool_grad": pool_units,
}
CHECKED = ("index", "scatter", "scatter_add")  # primitives that follow indices from data
INLINED = 32  # kernels of a segment that LLVM may write into it: beyond, compiling takes long
SITE = 8  # error words of a kernel: whether, index, length of the axis
ENTRY = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
    ctypes.c_int64,
)  # a segment on one thread  # fmt: skip
# What one thread does in a nanosecond, roughly: multiply-adds, element operations, bytes moved.
SPEED = (64, 32, 40)
WORTH = 2_000  # nanoseconds of a kernel that are worth a barrier
TOGETHER = 20_000  # of all kernels, that are worth values in the caches of several CPUs
_labels = itertools.count()


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel as a function: its arguments, and how it is shared out."""

    name: str
    kernel: Kernel
    touched: list[Symbol]  # all symbols in memory that it reads or writes
    symbols: list[Symbol]  # those whose memory it is: an update stands for what it replaces
    units: int
    time: float  # nanoseconds on one thread, a guess
    parallel: bool
    checked: list[Equation]  # those that may meet an index outside of its axis


@dataclass(frozen=True, eq=False)
class Segment:
    """Kernels that run one after the other without Python in between."""

    name: str
    calls: list[Call]

    @property
    def parallel(self) -> bool:
        return any(call.parallel for call in self.calls)


class Program:
    """`graph`, compiled. `run` takes and gives arrays in the order of its inputs and outputs.

    Args:  updates  which output replaces the value of which input, by number: it is written into
                    the input's own memory. The others get fresh memory.
           chosen   the CPU to generate code for, if it is not this one.
           orders   of inputs whose rows in memory are not along their last axis: `order_of` them.
    """

    def __init__(
        self, graph: Graph, updates: dict[int, int] | None = None, chosen: Target | None = None,
        orders: dict[int, tuple[int, ...]] | None = None,
    ) -> None:  # fmt: skip
        self.seconds = Stages()
        self.updates, self.orders = updates or {}, orders or {}
        self._turned: dict[
            int, tuple[Any, Any]
        ] = {}  # slot -> an input, and it as the code sees it
        self.target = chosen or target()
        with self.seconds.timed("passes"):
            graph = reorder(graph, self.updates, self.orders)
            graph = through_relu(optimize(relayout(optimize(graph))))
            self.graph = _settled(split(drop_dead(graph)))
        with self.seconds.timed("fusion"):
            self.fusion = Fusion(self.graph)
            self.memory = self._update_in_place()
            self._lay_out()
            self.plan = self._segments()
        self.library = Library({}, None)
        self.cached = False
        self._loaded = False

    # Memory

    def _update_in_place(self) -> dict[Symbol, Symbol]:
        """Every update with the input whose memory it is written to.

        One that is computed while the old value is still needed is written elsewhere, and copied
        into its place by a last kernel.
        """
        found: dict[Symbol, Symbol] = {}
        late: list[tuple[int, Symbol, Symbol]] = []
        for out, into in self.updates.items():
            new, old = self.graph.outputs[out], self.graph.inputs[into]
            if self._last_read(old, new):
                found[new] = old
            else:
                late.append((out, new, old))
        for out, new, old in late:
            self.graph.outputs[out] = self.graph.add("copy", [new], {})
            found[self.fusion.append_copy(self.graph.equations[-1])] = old
        return found

    def _last_read(self, old: Symbol, new: Symbol) -> bool:
        """Whether nothing reads `old` once `new` is being written."""
        home = self.fusion.home[new]
        for place, kernel in enumerate(self.fusion.kernels):
            if old not in kernel.reads or place < home:
                continue
            own: Sequence[Symbol] = ()
            if kernel.equation is not None:
                own = self.fusion.memory_read(kernel.equation)
            if kernel.kind in ("scatter", "scatter_add") and place == home:
                if own[0] is not old or old in own[1:]:
                    return False
                continue  # only the chosen elements change
            if place > home or old in own or kernel.kind not in ("nest", "matmul"):
                return False
            reads = [pair for root in kernel.roots for pair in self.fusion.leaves(root)]
            if (old, False) in reads:
                return False
        return True

    def _lay_out(self) -> None:
        """The place of every stored value: a slot of the table, or bytes of the arena."""
        kernels, outputs = self.fusion.kernels, self.graph.outputs
        constants = [s for s in self.graph.constants if s in self.fusion.stored]
        self.results = [s for s in outputs if s not in self.memory]
        self.slots = [*self.graph.inputs, *constants, *self.results]
        self.constants = dict(enumerate(constants, len(self.graph.inputs)))
        passing = self.fusion.passing()
        lives = [
            Life(s, at, max([at, *(i for i, k in enumerate(kernels) if s in k.reads)]))
            for at, kernel in enumerate(kernels)
            for s in kernel.writes
            if s not in passing and s not in outputs
        ]
        starts, self.arena = arena(lives)
        self.places = {s: Place(i, 0, nbytes(s)) for i, s in enumerate(self.slots)}
        last = len(self.slots)
        self.places |= {s: Place(last, at, at + nbytes(s)) for s, at in starts.items()}
        self.places |= {new: self.places[old] for new, old in self.memory.items()}

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
        for part in plan:
            if isinstance(part, Segment) and sum(call.time for call in part.calls) < TOGETHER:
                part.calls[:] = [replace(call, parallel=False) for call in part.calls]
        return plan

    # Code

    def _call_of(self, kernel: Kernel, name: str) -> Call:
        touched = self._touched(kernel)
        symbols = list(dict.fromkeys(self.memory.get(s, s) for s in touched))
        units = UNITS.get(kernel.kind, lambda *_: 1)(self._scope(dict.fromkeys(touched)), kernel)
        made = [self.fusion.made[s] for s in self._inside(kernel)]
        time = nanoseconds(kernel, made, symbols)
        checked = [e for e in made if e.primitive in CHECKED]
        parallel = units > 1 and time >= WORTH
        return Call(name, kernel, touched, symbols, units, time, parallel, checked)

    def _scope(self, pointers: dict[Symbol, Any], error: Any = None) -> Scope:
        return Scope(self.graph, self.fusion.made, pointers, error, self.target)

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
        reads = [s for s in kernel.reads if s in self.places and s not in kernel.writes]
        writes = [s for s in kernel.writes if s in self.places]
        return sorted(reads, key=lambda s: s.index) + writes

    @functools.cached_property
    def module(self) -> ir.Module:
        """The LLVM IR of all segments."""
        module = ir.Module("pierian")
        known: dict[str, Any] = {}
        with self.seconds.timed("code generation"):
            for segment in self.plan:
                if isinstance(segment, Segment):
                    functions = [self._kernel(module, call, known) for call in segment.calls]
                    if len(functions) > INLINED:
                        for function in functions:
                            function.attributes.add("noinline")
                    self._segment(module, segment, functions)
        return module

    def _kernel(self, module: ir.Module, call: Call, known: dict[str, Any]) -> Any:
        """The function of a kernel: pointers that do not overlap, work units, error words.

        Kernels of equal code, as in layers of equal sizes, are one function.
        """
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
        code = str(function).replace(f'"{call.name}"', "", 1)
        if code in known:
            del module.globals[call.name]
        return known.setdefault(code, function)

    def _segment(self, module: ir.Module, segment: Segment, functions: list[Any]) -> None:
        """The kernels in order, each on this thread's share, as many times as wanted."""
        function = ir.Function(module, SEGMENT, segment.name)
        table, errors, thread, threads, control, times = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        known = {
            symbol: self._pointer(b, table, symbol)
            for symbol in dict.fromkeys(s for call in segment.calls for s in call.symbols)
        }
        first = b.icmp_unsigned("==", thread, number(0))
        with loop(b, number(0), times):
            shares = Shares(self.places)
            unsure: list[Any] = []  # error words that nobody has looked at
            for call, kernel in zip(segment.calls, functions, strict=True):
                check = bool(unsure) and self._replaces(call)
                if shares.meet(call, check):
                    barrier(b, control, threads)
                if check:
                    _leave_if_failed(b, unsure)
                arguments = [known[s] for s in call.symbols]
                error = b.gep(errors, [number(SITE * self.sites.get(call, 0))])
                total = number(call.units)
                if call.parallel:
                    begin = b.udiv(b.mul(total, thread), threads)
                    end = b.udiv(b.mul(total, b.add(thread, number(1))), threads)
                    b.call(kernel, [*arguments, begin, end, error])
                else:
                    with b.if_then(first):
                        b.call(kernel, [*arguments, number(0), total, error])
                if call.checked:  # each kernel has error words of its own: all threads agree
                    unsure.append(error)
                self._after(b, call, function.args)
            barrier(b, control, threads)
            _leave_if_failed(b, unsure)
        b.ret_void()

    def _replaces(self, call: Call) -> bool:
        """Whether a kernel writes over an input, which it must not after an error."""
        return any(s in self.memory for s in call.kernel.writes)

    def _after(self, b: ir.IRBuilder, call: Call, arguments: Any) -> None:
        """What else to do after a kernel: nothing, unless it is measured."""

    def _pointer(self, b: ir.IRBuilder, table: Any, symbol: Symbol) -> Any:
        """Where a value is, as a pointer to its elements."""
        place = self.places[symbol]
        start = b.load(b.gep(table, [number(place.slot)]))
        start = b.gep(start, [number(place.start)]) if place.start else start
        return b.bitcast(start, el.memory_type(symbol.dtype).as_pointer())

    @functools.cached_property
    def sites(self) -> dict[Call, int]:
        """The kernels that may fail, numbered."""
        segments = [part for part in self.plan if isinstance(part, Segment)]
        checked = [call for segment in segments for call in segment.calls if call.checked]
        return {call: i for i, call in enumerate(checked)}

    def _object_code(self) -> bytes:
        """The code from the cache, or made now and kept there."""
        with self.seconds.timed("cache"):
            key = self._key()
            code = cache.get(key)
        self.cached = code is not None
        if code is None:
            module = self.module
            with self.seconds.timed("LLVM"):
                code = object_code(module, self.target)
            with self.seconds.timed("cache"):
                cache.put(key, code)
        return code

    def _key(self) -> str:
        large = [value.tobytes() for value in self.graph.constants.values()]
        constants = hashlib.sha256(b"".join(large)).hexdigest()
        program = f"{self.graph}\n{constants}\n{sorted(self.updates.items())}\n{self.target}"
        return cache.key(program, versions())

    # Running

    def load(self) -> None:
        """Compile and link, and make the memory that all runs share; done by the first `run`."""
        segments = [part for part in self.plan if isinstance(part, Segment)]
        if segments:
            code = self._object_code()
            names = [segment.name for segment in segments]
            with self.seconds.timed("load"):
                self.library = load(code, names, f"pierian{next(_labels)}")
        self._lock = threading.Lock()
        self._errors = (ctypes.c_int64 * (SITE * max(len(self.sites), 1)))()
        self._table = (ctypes.c_void_p * (len(self.slots) + 1))()
        self._bytes = np.empty(self.arena + LINE, np.uint8)
        start = -address(self._bytes) % LINE
        self._bytes = self._bytes[start : start + self.arena]
        self._table[len(self.slots)] = address(self._bytes)
        self._values: list[Any] = [None] * len(self.slots)  # arrays behind the slots, while it runs
        for slot, symbol in self.constants.items():
            self._hold(slot, self.graph.constants[symbol])
        self._replaced = set(self.updates.values())
        self._given: list[Any] = [_nothing] * len(self.graph.inputs)  # the last run's, if alive
        self._copied: set[int] = set()  # those of them that kernels cannot work on
        self._entries = {
            part: ENTRY(self.library.addresses[part.name])
            for part in self.plan
            if isinstance(part, Segment)
        }
        self._loaded = True

    def _hold(self, slot: int, array: np.ndarray) -> None:
        self._values[slot] = array
        self._table[slot] = address(array)

    def run(self, arrays: Sequence[np.ndarray], times: int = 1) -> list[np.ndarray]:
        """The outputs for these inputs, without those that replaced an input.

        Args:    times  runs, one after the other, each on the inputs as the one before left them;
                        the outputs are those of the last one.
        Raises:  IndexError when the program met an index outside of its axis; then no input has
                 been replaced, except those that do not depend on it.
        """
        if not self._loaded:
            self.load()
        with self._lock:
            arrays = self._take(arrays)
            first = len(self.slots) - len(self.results)
            for slot, symbol in enumerate(self.results, first):
                self._hold(slot, np.empty(symbol.shape, symbol.dtype))
            if len(self.plan) == 1 and isinstance(self.plan[0], Segment):
                self._launch(self.plan[0], times)
            else:
                for _ in range(times):
                    for part in self.plan:
                        if isinstance(part, Segment):
                            self._launch(part, 1)
                        else:
                            self._host(part)
            for slot in self._copied & self._replaced:
                np.copyto(arrays[slot], self._values[slot])
            results = self._values[first:]
            self._values[: len(arrays)] = [None] * len(arrays)
            self._values[first:] = [None] * len(results)
            return results

    def bound(self, arrays: Sequence[np.ndarray]) -> Callable[[], list[np.ndarray]]:
        """`run` on these arrays alone, without looking at anything: a fraction of the time.

        Their memory must stay where it is, the outputs are in the same memory after every call,
        and until the last one nobody else may run this program, in no thread.
        """
        if not self._loaded:
            self.load()
        part = self.plan[0] if len(self.plan) == 1 else None
        if not isinstance(part, Segment) or part.parallel or self.sites:
            return functools.partial(self.run, arrays)
        with self._lock:
            self._take(arrays)
        if self._copied:
            return functools.partial(self.run, arrays)
        first = len(self.slots) - len(self.results)
        for slot, symbol in enumerate(self.results, first):
            self._hold(slot, np.empty(symbol.shape, symbol.dtype))
        enter = functools.partial(self._entries[part], self._table, self._errors, 0, 1, None, 1)

        def run() -> list[np.ndarray]:
            enter()
            return self._values[first:]

        return run

    def _take(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Point the table at the inputs, or at copies; gives the inputs as the code sees them.

        Kernels rely on rows without gaps, and on memory that is replaced being nobody else's.
        """
        given = self._given
        if self.orders:
            arrays = self._as_ordered(arrays)
        self._values[: len(arrays)] = arrays
        for slot, array in enumerate(arrays):
            if array is given[slot]():
                continue
            given[slot] = weakref.ref(array)
            self._table[slot] = address(array)
            others = range(len(given)) if slot in self._replaced else self._replaced
            plain = array.flags.c_contiguous and array.flags.aligned
            if plain and not any(self._meet(slot, array, other) for other in others):
                self._copied.discard(slot)
            else:
                self._copied.add(slot)
        for slot in self._copied:
            self._hold(slot, np.array(arrays[slot], order="C"))
        return arrays

    def _as_ordered(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The inputs, with their axes in the order in which they are in memory."""
        found = list(arrays)
        for slot, axes in self.orders.items():
            known = self._turned.get(slot)
            if known is None or known[0]() is not arrays[slot]:
                known = weakref.ref(arrays[slot]), arrays[slot].transpose(axes)
                self._turned[slot] = known
            found[slot] = known[1]
        return found

    def _meet(self, slot: int, array: np.ndarray, other: int) -> bool:
        """Whether the array in a slot shares memory with that in another one."""
        found = self._given[other]() if other != slot else None
        return found is not None and np.may_share_memory(array, found)

    def _launch(self, segment: Segment, times: int) -> None:
        threads = get_num_threads() if segment.parallel else 1
        if threads > 1:
            entry = self.library.addresses[segment.name]
            pool().run(entry, self._table, self._errors, threads, times)
        else:
            self._entries[segment](self._table, self._errors, 0, 1, None, times)
        if self.sites:
            self._raise_if_failed()

    def _raise_if_failed(self) -> None:
        words = self._errors[:]
        for call, site in self.sites.items():
            failed, index, length = words[SITE * site : SITE * site + 3]
            if failed:
                ctypes.memset(self._errors, 0, ctypes.sizeof(self._errors))
                names = ", ".join(sorted({equation.primitive for equation in call.checked}))
                raise IndexError(
                    message("jit", f"indices must lie inside their axis ({names})",
                            f"{-length} <= index < {length}", index,
                            "Run without jit to see which line it was")
                )  # fmt: skip

    def _host(self, kernel: Kernel) -> None:
        """Have NumPy compute a kernel."""
        equation = kernel.equation
        if equation is not None:
            inputs = [self._view(symbol) for symbol in equation.inputs]
            result = REGISTRY[equation.primitive].run(*inputs, **equation.params)
            np.copyto(self._view(equation.output), result)

    def _view(self, symbol: Symbol) -> np.ndarray:
        """The values of a symbol, in the memory where they are."""
        place = self.places.get(symbol)
        if place is None:
            return self.graph.constants[symbol]
        if place.slot < len(self.slots):
            return self._values[place.slot]
        return self._bytes[place.start : place.stop].view(symbol.dtype).reshape(symbol.shape)


class Shares:
    """What threads have touched since they last met, each its own share."""

    def __init__(self, places: dict[Symbol, Place]) -> None:
        self.places = places
        self._forget()

    def _forget(self) -> None:
        self.reads: set[Place] = set()
        self.writes: set[Place] = set()
        self.serial = True  # whether the first thread did it all

    def meet(self, call: Call, must: bool) -> bool:
        """Whether they wait for each other before `call`, which comes next: where shares clash,
        and where they must.
        """
        reads, writes = (
            {self.places[s] for s in symbols if s in self.places}
            for symbols in (call.kernel.reads, call.kernel.writes)
        )
        clash = _overlap(self.writes, reads | writes) or _overlap(self.reads, writes)
        wait = must or (clash and not (self.serial and not call.parallel))
        if wait:
            self._forget()
        self.reads |= reads
        self.writes |= writes
        self.serial = self.serial and not call.parallel
        return wait


def _overlap(some: set[Place], others: set[Place]) -> bool:
    return any(place.overlaps(other) for place in some for other in others)


def _leave_if_failed(b: ir.IRBuilder, errors: list[Any]) -> None:
    """Return when one of these words is set; forgets them."""
    if errors:
        words = [b.load(error) for error in errors]
        failed = functools.reduce(b.or_, words)
        with b.if_then(b.icmp_unsigned("!=", failed, number(0)), likely=False):
            b.ret_void()
        errors.clear()


def _settled(graph: Graph) -> Graph:
    """`graph` with outputs that are values of their own: no inputs, no constants, none twice."""
    computed = {equation.output for equation in graph.equations}
    for i, symbol in enumerate(graph.outputs):
        if symbol not in computed or symbol in graph.outputs[:i]:
            graph.outputs[i] = graph.add("copy", [symbol], {})
    return graph


def nanoseconds(kernel: Kernel, made: Sequence[Equation], symbols: Sequence[Symbol]) -> float:
    """About how long one thread needs for a kernel that computes `made` and touches `symbols`."""
    equation, elements = kernel.equation, math.prod(kernel.space)
    products = 0
    if equation is not None:
        elements = max([elements, *(math.prod(s.shape) for s in equation.inputs)])
        if kernel.kind == "matmul":
            products = math.prod(kernel.space) * terms(equation)
            elements = math.prod(kernel.space)
    costs = (products, elements * len(made), sum(map(nbytes, symbols)))
    return max(cost / speed for cost, speed in zip(costs, SPEED, strict=True))


def _nothing() -> None:
    """A weak reference to an array that is gone."""


def address(array: np.ndarray) -> int:
    """Where the first element is."""
    return int(array.__array_interface__["data"][0])
