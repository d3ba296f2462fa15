"""What was compiled: kernels with what they cost, memory, compile time; graph, IR and assembly.

May import: the files of this room, base, core. `explain` measures; everything else only looks. The
text of an `Explanation` is Markdown; `data()` gives the same as plain numbers.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from html import escape
from typing import Any

import numpy as np

from pierian.base.errors import CompileError, message
from pierian.base.table import Table
from pierian.compiler import contraction, llvm
from pierian.compiler.fuse import MOVEMENTS, OWN_LOOP, PRODUCTS, REDUCTIONS, Kernel
from pierian.compiler.matmul import contraction_of, terms
from pierian.compiler.measure import Peak, Timed, peak, shortest
from pierian.compiler.memory import Life, nbytes
from pierian.compiler.program import Call, Program, Segment
from pierian.compiler.threads import get_num_threads
from pierian.core.graph import Equation, Symbol

# Primitives that compute nothing: they move, choose, convert or count
FREE = {*MOVEMENTS, "where", "cast", "copy", "index", "arange", "full", "concat", "scatter"}


@dataclass(frozen=True)
class Row:
    """One kernel.

    kind        which way of generating code made it, or "host": a call of NumPy.
    operations  how often each primitive is in it.
    shape       what it goes through: rows × columns × inner axis of a product.
    flops       one per element and operation, two per multiply-add of a product; exp counts one.
    bytes       read and written, each value once, and no more than what is looked at.
    scratch     bytes that each thread has to itself.
    parallel    whether threads share it.
    share       of the measured peak, the one that is nearer: FLOP/s or bytes/s, says `bound`.
    """

    kind: str
    operations: dict[str, int]
    shape: str
    reads: list[str]
    writes: list[str]
    flops: int
    bytes: int
    scratch: int
    parallel: bool
    microseconds: float | None = None
    share: float | None = None
    bound: str = ""


@dataclass(frozen=True)
class Memory:
    """What a program needs beside its inputs and results, in bytes."""

    arena: int
    values: int  # how many live in the arena
    unshared: int  # what they would need if none shared its place with another
    inputs: int
    constants: int
    results: int


@dataclass(frozen=True)
class Explanation:
    """What `explain` gives; prints as Markdown.

    seconds       of compiling, by stage.
    cached        whether the code came from the cache on disk; None: not compiled yet.
    microseconds  of one run, of many in a row; None where it was not measured, which `note` says.
    others        how many other kinds of arguments the function has been compiled for.
    """

    name: str
    rows: list[Row]
    memory: Memory
    seconds: dict[str, float]
    cached: bool | None
    target: str
    threads: int
    peak: Peak | None
    microseconds: float | None
    others: int = 0
    note: str = ""

    def data(self) -> dict[str, Any]:
        """The same as dicts, lists, numbers and strings."""
        return asdict(self)

    def __str__(self) -> str:
        notes = "\n".join(f"- {note}" for note in self._notes())
        title = f"**{self.name}**: {self._about()}"
        return "\n\n".join([title, Table(HEADINGS, self._cells()).markdown(), notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        title = f"<p><b>{escape(self.name)}</b>: {escape(self._about())}</p>"
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        return f"{title}{Table(HEADINGS, self._cells())._repr_html_()}<ul>{notes}</ul>"

    def _about(self) -> str:
        kernels = f"{len(self.rows)} kernel" + "s" * (len(self.rows) != 1)
        threads = f"{self.threads} thread" + "s" * (self.threads != 1)
        return f"{kernels} for {self.target}, {threads}"

    def _cells(self) -> list[list[str]]:
        cells = []
        for number, row in enumerate(self.rows):
            names = (f"{n} ×{c}" if c > 1 else n for n, c in row.operations.items())
            time = "–" if row.microseconds is None else f"{row.microseconds:,.2f}"
            share = "–" if row.share is None else f"{row.share:.0%} {row.bound}"
            kind = row.kind if row.parallel or row.kind == "host" else f"{row.kind}, 1 thread"
            costs = [f"{row.flops:,}", f"{row.bytes:,}", f"{row.scratch:,}", time, share]
            cells.append([str(number), kind, ", ".join(names), row.shape, *costs])
        times = [row.microseconds for row in self.rows if row.microseconds is not None]
        flops, moved = sum(row.flops for row in self.rows), sum(row.bytes for row in self.rows)
        spent = f"{sum(times):,.2f}" if times else "–"
        return [*cells, ["", "total", "", "", f"{flops:,}", f"{moved:,}", "", spent, ""]]

    def _notes(self) -> list[str]:
        m = self.memory
        stages = ", ".join(f"{k} {v * 1e3:.1f}" for k, v in self.seconds.items())
        origin: dict[Any, str] = {
            True: "the cache on disk had the code",
            False: "the cache had no such code",
        }
        lines = [
            f"memory: an arena of {m.arena:,} bytes for {m.values} values ({m.unshared:,} if none "
            f"shared its place), inputs {m.inputs:,}, constants {m.constants:,}, results "
            f"{m.results:,}",
            f"compile time in ms: {stages}; {origin.get(self.cached, 'not compiled')}",
        ]
        if self.peak is not None:
            flops = ", ".join(f"{v / 1e9:,.0f} GFLOP/s float{8 * n}"
                              for n, v in self.peak.flops.items())  # fmt: skip
            rates = list(self.peak.bandwidth.items())
            shown = (f"{rate / 1e9:,.0f} ({_size(n)})" for n, rate in rates[:: len(rates) // 3])
            lines.append(f"measured peak: {flops}; GB/s {', '.join(shown)}")
        if self.microseconds is not None:
            lines.append(f"one run, of many in a row: {self.microseconds:,.2f} µs")
        if self.others:
            lines.append(f"compiled for {self.others} other kinds of arguments too")
        return [*lines, *filter(None, [self.note])]


STAGES = ("trace", "passes", "fusion", "code generation", "LLVM", "cache", "load")
RESOLUTION = 0.01  # microseconds: what is less than half a look at the clock cannot be told
HEADINGS = ("", "<kernel", "<operations", "<goes through", "FLOPs", "bytes", "scratch", "µs",
            "of peak")  # fmt: skip


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >> 20 else f"{count >> 10} KiB"


# From a program


def explain(
    program: Program, arrays: Sequence[np.ndarray] | None = None, name: str = "program"
) -> Explanation:
    """What `program` is made of, and what each part costs on this machine.

    Args:  arrays  inputs to measure with; they are copied and stay as they are. None: made up.
    """
    calls = {
        call.kernel: call
        for part in program.plan
        if isinstance(part, Segment)
        for call in part.calls
    }
    threads = get_num_threads() if any(call.parallel for call in calls.values()) else 1
    rows = [_row(program, kernel, calls.get(kernel)) for kernel in program.fusion.kernels]
    note, limits, took = "", None, None
    if not program.target.native:
        note = "not measured: the code is for another machine"
    else:
        given = [made_up(s) for s in program.graph.inputs] if arrays is None else arrays
        copies = [array.copy() for array in given]

        def restore() -> None:
            for array, value in zip(copies, given, strict=True):
                np.copyto(array, value)

        timed = Timed(program)
        try:
            took = shortest(partial(program.run, copies), restore) * 1e6
            shortest(partial(timed.run, copies), restore)
        except IndexError as error:
            note = f"not measured: {error}"
        else:
            limits, rows, note = _held_against_peak(program, rows, timed.microseconds(), threads)
    return Explanation(
        name, rows, _memory(program),
        {stage: program.seconds[stage] for stage in STAGES if stage in program.seconds},
        program.cached if program.target.native else None,
        f"{program.target.cpu} ({program.target.triple})", threads, limits, took, note=note,
    )  # fmt: skip


def made_up(symbol: Symbol) -> np.ndarray:
    """Something to compute with: numbers around 1, and zeros for what may be an index."""
    if symbol.dtype.kind not in "fc":
        return np.zeros(symbol.shape, symbol.dtype)
    return np.random.default_rng(0).uniform(0.5, 1.5, symbol.shape).astype(symbol.dtype)


def _row(program: Program, kernel: Kernel, call: Call | None) -> Row:
    inside = sorted(program._inside(kernel), key=lambda symbol: symbol.index)
    equations = [program.fusion.made[symbol] for symbol in inside]
    reads = sorted(kernel.reads - set(kernel.writes), key=lambda symbol: symbol.index)
    reads = [symbol for symbol in reads if symbol in program.places]
    writes = [symbol for symbol in kernel.writes if symbol in program.places]
    product = kernel.equation if kernel.kind == "matmul" else None
    return Row(
        kernel.kind,
        dict(Counter(equation.primitive for equation in equations)),
        _shape(kernel),
        list(map(repr, reads)),
        list(map(repr, writes)),
        sum(map(flops, equations)),
        _moved(program, kernel, reads, writes),
        contraction.scratch(contraction_of(product), program.target) if product else 0,
        call is not None and call.parallel,
    )


def _moved(program: Program, kernel: Kernel, reads: list[Symbol], writes: list[Symbol]) -> int:
    """Bytes read and written. Of a tensor that is changed in place only what changes."""
    equation, places = kernel.equation, program.places
    if equation is not None and equation.primitive.startswith("scatter"):
        old, values, *indices = equation.inputs
        if places.get(equation.output) == places.get(old):
            return 2 * nbytes(values) + sum(map(nbytes, indices))
    return sum(_looked_at(kernel, symbol) for symbol in reads) + sum(map(nbytes, writes))


def _looked_at(kernel: Kernel, symbol: Symbol) -> int:
    """Bytes of `symbol` that a kernel reads at most: of a large table only what it picks."""
    own = () if kernel.equation is None else kernel.equation.inputs
    if symbol in own and kernel.kind != "reduce":
        return nbytes(symbol)
    spaces = [kernel.space, *(s.shape for s in own)]
    return min(nbytes(symbol), max(map(math.prod, spaces)) * symbol.dtype.itemsize)


def flops(equation: Equation) -> int:
    """Floating-point operations: one per element, two per multiply-add."""
    name, output = equation.primitive, equation.output
    if name in PRODUCTS:
        return 2 * math.prod(output.shape) * terms(equation)
    floating = any(s.dtype.kind in "fc" for s in (*equation.inputs, output))
    if name in FREE or not floating:
        return 0
    through = equation.inputs[0] if name in REDUCTIONS | OWN_LOOP else output
    return math.prod(through.shape)


def _width(kernel: Kernel) -> int:
    """Bytes per element of what is computed, as far as there is a peak for it."""
    return 8 if any(symbol.dtype == np.float64 for symbol in kernel.writes) else 4


def _held_against_peak(
    program: Program, rows: list[Row], spent: dict[Kernel, float], threads: int
) -> tuple[Peak, list[Row], str]:
    """The limits, the rows with their times, and what is to be said of that.

    A kernel above the peak shows that threads were kept from their CPUs when it was measured.
    """

    def held(limits: Peak) -> list[Row]:
        pairs = zip(program.fusion.kernels, rows, strict=True)
        return [_with_time(row, spent[kernel], _width(kernel), limits) for kernel, row in pairs]

    limits = peak(program.target, threads)
    if any(map(_above, held(limits))):
        limits = peak(program.target, threads, again=True)
    if threads == 1 or not any(map(_above, held(limits))):
        return limits, held(limits), ""
    one = peak(program.target, 1).flops
    limits = limits.raised(replace(limits, flops={n: threads * one[n] for n in one}))
    note = f"the machine is busy: its peak FLOP/s are those of one thread, times {threads}"
    return limits, held(limits), note


def _above(row: Row) -> bool:
    """Whether a row has more FLOP/s than the peak that was measured."""
    return row.bound == "FLOP/s" and row.share is not None and row.share > 1


def _with_time(row: Row, microseconds: float, width: int, limits: Peak) -> Row:
    """The row with its time held against the nearer limit; calls of NumPy have no limit of ours."""
    seconds = microseconds / 1e6
    shares = {
        "FLOP/s": row.flops / limits.flops[width] / seconds,
        "bytes/s": row.bytes / limits.bytes_per_second(row.bytes) / seconds,
    }
    bound = max(shares, key=lambda name: shares[name])
    if row.kind == "host" or microseconds < RESOLUTION:
        return replace(row, microseconds=microseconds)
    return replace(row, microseconds=microseconds, share=shares[bound], bound=bound)


def _shape(kernel: Kernel) -> str:
    space = "×".join(map(str, kernel.space)) or "1"
    equation = kernel.equation
    if equation is not None and kernel.kind == "matmul":
        space += f"×{terms(equation)}"
    elif equation is not None and kernel.kind == "reduce":
        space = "×".join(map(str, equation.inputs[0].shape)) + f" → {space}"
    return f"{kernel.writes[0].dtype} {space}"


def _memory(program: Program) -> Memory:
    last = len(program.slots)
    shared = [s for s, place in program.places.items() if place.slot == last]
    unshared = sum(Life(symbol, 0, 0).bytes for symbol in shared)
    kinds = (program.graph.inputs, program.constants.values(), program.results)
    return Memory(
        program.arena, len(shared), unshared, *(sum(map(nbytes, symbols)) for symbols in kinds)
    )


# From a compiled function


def entry_of(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, list[np.ndarray]]:
    """What a `Jit` has compiled, or now compiles, for these arguments; and arrays to run it on.

    Without arguments: what it compiled last, with its captured tensors and made-up arguments.
    Raises:  CompileError when there is neither, or when the function cannot be compiled.
    """
    entries = [entry for found in function.entries.values() for entry in reversed(found)]
    if entries and not args and not kwargs:
        return entries[-1], _stand_ins(entries[-1])
    where = f"jit({function.name})"
    try:
        inspect.signature(function.fn).bind(*args, **kwargs)
    except TypeError as error:
        must, fix = (
            "what to look at must be known",
            "Pass the arguments of a call, or call it first",
        )
        expected = "arguments that the function takes, or a call before"
        raise CompileError(message(where, must, expected, error, fix)) from None
    leaves: list[Any] = []
    entry, arrays = function._find(function._key(args, kwargs, leaves), leaves, args, kwargs)
    if entry is None:
        must, got = "there must be code to look at", f"one that runs eagerly ({function.reason})"
        fix = "Call it as it is, or mend that"
        raise CompileError(message(where, must, "a function that compiles", got, fix))
    return entry, arrays


def _stand_ins(entry: Any) -> list[np.ndarray]:
    """The captured tensors as they are now, after made-up arguments."""
    inputs, captured = entry.program.graph.inputs, entry.traced.captured
    arrays = [made_up(symbol) for symbol in inputs]
    for i, tensor in enumerate(captured, len(inputs) - len(captured)):
        if (tensor.shape, tensor.dtype) == (arrays[i].shape, arrays[i].dtype):
            arrays[i] = tensor.value
    return arrays


def explain_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Explanation:
    """`explain` of a `Jit`, measured with these arguments and with what it captured."""
    entry, arrays = entry_of(function, args, kwargs)
    others = sum(map(len, function.entries.values())) - 1
    return replace(explain(entry.program, arrays, function.name), others=others)


def assembly(program: Program) -> str:
    """What LLVM makes of `program` for its CPU."""
    return llvm.assembly(program.module, program.target)
