"""What kernels cost and what the machine can do, measured by generated code.

May import: the files of this room. `Timed` is a program that looks at the clock after each of its
kernels; `peak` runs loops that do nothing but multiply and add, or add one array to another.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pierian.compiler import element as el
from pierian.compiler.control import loop, number
from pierian.compiler.element import I32, I64
from pierian.compiler.fuse import Kernel
from pierian.compiler.llvm import Target, ir, load, object_code
from pierian.compiler.program import Call, Program, Segment, address
from pierian.compiler.runtime import SEGMENT, barrier, declared, pool
from pierian.compiler.stages import Stages

CLOCK = int(getattr(time, "CLOCK_MONOTONIC", 0))  # as `clock_gettime` numbers it here
LONG = 0.25  # seconds of runs of one program: enough to meet quiet moments of a busy machine
PARTS = 100  # into which that time is cut, short enough for some to be undisturbed
FEWEST = 5  # measurements, however long they take
_labels = itertools.count()


class Timed(Program):
    """A program made anew with memory of its own, whose runs note the shortest time per kernel.

    Args:  program  one that need not have been loaded; it is left as it is.
    """

    def __init__(self, program: Program) -> None:
        vars(self).update({k: v for k, v in vars(program).items() if k != "module"})
        self.seconds = Stages()
        self._loaded = False
        segments = [part for part in self.plan if isinstance(part, Segment)]
        self.order = {call: i for i, call in enumerate(c for s in segments for c in s.calls)}
        # per call, then how long a look at the clock takes, then the time of the last one
        self.clock = np.full(len(self.order) + 2, np.iinfo(np.int64).max)
        self.clock[-1] = 0
        self.host: dict[Kernel, float] = {}

    def _object_code(self) -> bytes:
        return object_code(self.module, self.target)  # holds an address: not for the cache

    def _after(self, b: ir.IRBuilder, call: Call, arguments: Any) -> None:
        """The first thread notes the time since it was here last."""
        _, _, thread, threads, control, _ = arguments
        if call.parallel:
            barrier(b, control, threads)
        words = b.inttoptr(number(address(self.clock)), I64.as_pointer())
        count = len(self.order)
        own, look, last = (b.gep(words, [number(i)]) for i in (self.order[call], count, count + 1))
        with b.if_then(b.icmp_unsigned("==", thread, number(0))):
            now = nanoseconds(b)
            _keep_less(b, own, b.sub(now, b.load(last)))
            again = nanoseconds(b)
            _keep_less(b, look, b.sub(again, now))
            b.store(again, last)

    def _launch(self, segment: Segment, times: int) -> None:
        """Twice at least: the first kernel's time counts from the end of a run before."""
        super()._launch(segment, max(times, 2))

    def _host(self, kernel: Kernel) -> None:
        started = time.perf_counter()
        super()._host(kernel)
        took = time.perf_counter() - started
        self.host[kernel] = min(took, self.host.get(kernel, math.inf))

    def microseconds(self) -> dict[Kernel, float]:
        """The shortest time of each kernel so far."""
        looked = int(self.clock[-2])
        native = {
            call.kernel: max(int(self.clock[i]) - looked, 1) / 1e3 for call, i in self.order.items()
        }
        return native | {kernel: seconds * 1e6 for kernel, seconds in self.host.items()}


def _keep_less(b: ir.IRBuilder, place: Any, value: Any) -> None:
    old = b.load(place)
    b.store(b.select(b.icmp_signed("<", value, old), value, old), place)


def nanoseconds(b: ir.IRBuilder) -> Any:
    """The system's clock, read by generated code."""
    with b.goto_entry_block():
        pair = b.alloca(I64, 2)  # struct timespec: seconds, nanoseconds
    clock = declared(b.module, "clock_gettime", ir.FunctionType(I32, [I32, I64.as_pointer()]))
    b.call(clock, [ir.Constant(I32, CLOCK), pair])
    seconds, rest = b.load(pair), b.load(b.gep(pair, [number(1)]))
    return b.add(b.mul(seconds, number(10**9)), rest)


def shortest(
    run: Callable[[int], Any], before: Callable[[], Any] = int, least: float | None = None
) -> float:
    """Seconds of one of the runs that `run(times)` makes in a row, where it was quickest.

    Args:    before  called ahead of every such row, outside of the time.
             least   how long to go on measuring, in seconds; LONG when None.
    Raises:  IndexError when even the first run of a row meets an index outside of its axis: one
             that counts the runs limits how many are in a row.
    """
    least = LONG if least is None else least
    times, longer, found, begun = 1, True, list[float](), time.perf_counter()
    while len(found) < FEWEST or time.perf_counter() - begun < least:
        before()
        started = time.perf_counter()
        try:
            run(times)
        except IndexError:
            if times == 1:
                raise
            times, longer = times // 2, False
            continue
        took = time.perf_counter() - started
        found.append(took / times)
        if longer and took < least / PARTS:
            times *= 2
    return min(found)


# What the machine can do


CHAINS = 12  # sums that do not wait for each other: as many as fit into 16 registers
UNROLLED = 4  # registers per turn of the loop
LEVELS = tuple(1 << n for n in range(14, 28, 2))  # bytes: from an L1 cache to memory
LIMITS = 0.05  # seconds per limit
FLOATS: dict[int, np.dtype] = {4: np.dtype("float32"), 8: np.dtype("float64")}


@dataclass(frozen=True)
class Peak:
    """Measured limits: FLOP/s by bytes per element, bytes/s by bytes that are gone through."""

    flops: dict[int, float]
    bandwidth: dict[int, float]

    def bytes_per_second(self, size: int) -> float:
        """What can be read and written per second, where the data are that large."""
        return self.bandwidth[next((n for n in LEVELS if size <= n), LEVELS[-1])]

    def raised(self, other: Peak) -> Peak:
        """The higher of both, limit by limit."""
        return Peak(
            {n: max(rate, other.flops[n]) for n, rate in self.flops.items()},
            {n: max(rate, other.bandwidth[n]) for n, rate in self.bandwidth.items()},
        )


_known: dict[tuple[Target, int], Peak] = {}


def peak(target: Target, threads: int, again: bool = False) -> Peak:
    """The limits of this machine on `threads` threads with the instructions of `target`.

    Measured once per process; `again` measures once more and keeps the higher of each, for when
    the machine was busy with other things before.
    """
    known = _known.get((target, threads))
    if known is None or again:
        found = _limits(target, threads)
        _known[target, threads] = found if known is None else known.raised(found)
    return _known[target, threads]


def _limits(target: Target, threads: int) -> Peak:
    module = ir.Module("pierian.peak")
    for size, dtype in FLOATS.items():
        _multiply_add(ir.Function(module, SEGMENT, f"fma{size}"), dtype, target)
    _stream(ir.Function(module, SEGMENT, "stream"), target)
    names = [function.name for function in module.functions if not function.is_declaration]
    library = load(object_code(module, target), names, f"pierian.peak{next(_labels)}")
    arrays = [np.zeros(LEVELS[-1] // 12 + 64, np.float32) for _ in range(2)]
    table = (ctypes.c_void_p * 3)(*map(address, arrays))

    errors = (ctypes.c_int64 * 1)()

    def seconds(name: str) -> float:
        """Of one turn."""
        entry = library.addresses[name]
        run = partial(pool().run, entry, table, errors, threads)
        return shortest(run, least=LIMITS)

    flops = {n: 2 * CHAINS * target.lanes(8 * n) * threads / seconds(f"fma{n}") for n in FLOATS}
    bandwidth = {}
    for level in LEVELS:
        table[2] = level // 12
        bandwidth[level] = level / seconds("stream")
    return Peak(flops, bandwidth)


def _multiply_add(function: ir.Function, dtype: np.dtype, target: Target) -> None:
    """sum = sum · x + y, in as many sums as it takes to keep the machine busy."""
    table, _, thread, _, _, times = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = target.lanes(8 * dtype.itemsize)
    start = b.bitcast(b.load(table), el.scalar_type(dtype).as_pointer())
    x = el.load(b, start, dtype, lanes)  # zeros, but the code does not know
    entry, head, done = b.block, *(function.append_basic_block() for _ in range(2))
    b.branch(head)
    b.position_at_end(head)
    turn = b.phi(I64)
    sums = [b.phi(x.type) for _ in range(CHAINS)]
    turn.add_incoming(number(0), entry)
    following = b.add(turn, number(1))
    turn.add_incoming(following, head)
    after = [el.intrinsic(b, "llvm.fmuladd", value, x, x) for value in sums]
    for value, new in zip(sums, after, strict=True):
        value.add_incoming(x, entry)
        value.add_incoming(new, head)
    b.cbranch(b.icmp_signed("<", following, times), head, done)
    b.position_at_end(done)
    total = after[0]
    for value in after[1:]:
        total = b.fadd(total, value)
    el.store(b, total, b.gep(start, [b.mul(thread, number(lanes))]), dtype)
    b.ret_void()


def _stream(function: ir.Function, target: Target) -> None:
    """a += b, each thread on its share."""
    table, _, thread, threads, _, times = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    dtype = FLOATS[4]
    lanes = target.lanes(32)
    step = lanes * UNROLLED
    kind = el.scalar_type(dtype).as_pointer()
    left, right = (b.bitcast(b.load(b.gep(table, [number(i)])), kind) for i in range(2))
    total = b.udiv(b.ptrtoint(b.load(b.gep(table, [number(2)])), I64), number(step))
    begin, end = (b.mul(b.udiv(b.mul(total, t), threads), number(step))
                  for t in (thread, b.add(thread, number(1))))  # fmt: skip
    with loop(b, number(0), times), loop(b, begin, end, step) as i:
        for part in range(UNROLLED):
            place = b.add(i, number(part * lanes))
            x, y = (el.load(b, b.gep(p, [place]), dtype, lanes) for p in (left, right))
            el.store(b, b.fadd(x, y), b.gep(left, [place]), dtype)
    b.ret_void()
