"""Threads: persistent native workers that run a segment together, each on its share of the outputs.

May import: llvm, base. A worker spins for a while after its last job and then sleeps in short naps,
so that steps in a row start at once and an idle process costs nothing to speak of. Barriers give
way to other processes (sched_yield), which keeps a busy neighbour from stalling everybody.
"""

from __future__ import annotations

import atexit
import ctypes
import itertools
import os
import threading
from typing import Any

from pierian.compiler.llvm import ir, load, object_code, target

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
WORD = I64.as_pointer()
TABLE = I8.as_pointer().as_pointer()
VOID = ir.VoidType()
# (table of pointers, error words, number of this thread, number of threads, barrier words, times)
SEGMENT = ir.FunctionType(VOID, [TABLE, WORD, I64, I64, WORD, I64])

LINE = 8  # words in a cache line of 64 bytes; each field has its own, so that none slows another
GENERATION, FUNCTION, ARGUMENTS, ERROR, TIMES, DONE, QUIT, ARRIVED, PASSED = (
    LINE * i for i in range(9)
)
WORDS = LINE * 9
MOST_THREADS = (1 << 16) - 1  # these bits of GENERATION say how many, those above count the jobs
SPINS = 5_000  # looks at a word before giving way: some microseconds
YIELDS = 200  # times of giving way before sleeping: about a tenth of a millisecond
NAP = 50  # microseconds
STACK = 8 << 20  # bytes per worker: kernels keep their tiles and copied panels there


def field(b: ir.IRBuilder, control: Any, offset: int) -> Any:
    """The address of a field of the control block."""
    return b.gep(control, [ir.Constant(I64, offset)])


def wait_until_changed(b: ir.IRBuilder, word: Any, old: Any, may_sleep: bool) -> None:
    """Wait until `word` differs from `old`: spin, then give way, then (if allowed) nap."""
    function = b.function
    head, again, slow, nap, done = (
        function.append_basic_block(name) for name in ("wait", "again", "slow", "nap", "done")
    )
    entry = b.block
    b.branch(head)
    b.position_at_end(head)
    turns = b.phi(I64)
    turns.add_incoming(ir.Constant(I64, 0), entry)
    value = b.load_atomic(word, "acquire", 8)
    b.cbranch(b.icmp_unsigned("==", value, old), again, done)
    b.position_at_end(again)
    turn = b.add(turns, ir.Constant(I64, 1))
    turns.add_incoming(turn, again)
    b.cbranch(b.icmp_unsigned("<", turn, ir.Constant(I64, SPINS)), head, slow)
    b.position_at_end(slow)
    give_way = declared(b.module, "sched_yield", ir.FunctionType(I32, []))
    b.call(give_way, [])
    turns.add_incoming(turn, slow)
    tired = b.icmp_unsigned(">", turn, ir.Constant(I64, SPINS + YIELDS))
    b.cbranch(b.and_(tired, ir.Constant(ir.IntType(1), int(may_sleep))), nap, head)
    b.position_at_end(nap)
    sleep = declared(b.module, "usleep", ir.FunctionType(I32, [I32]))
    b.call(sleep, [ir.Constant(I32, NAP)])
    turns.add_incoming(turn, nap)
    b.branch(head)
    b.position_at_end(done)


def declared(module: ir.Module, name: str, kind: ir.FunctionType) -> Any:
    """The function `name`, declared once."""
    known = module.globals.get(name)
    return ir.Function(module, kind, name) if known is None else known


def barrier(b: ir.IRBuilder, control: Any, threads: Any) -> None:
    """Go on when all threads have come here; nothing for a single one."""
    with b.if_then(b.icmp_unsigned(">", threads, ir.Constant(I64, 1))):
        passed = field(b, control, PASSED)
        arrived = field(b, control, ARRIVED)
        before = b.load_atomic(passed, "acquire", 8)
        count = b.atomic_rmw("add", arrived, ir.Constant(I64, 1), "acq_rel")
        last = b.icmp_unsigned("==", b.add(count, ir.Constant(I64, 1)), threads)
        with b.if_else(last) as (then, otherwise):
            with then:
                b.store_atomic(ir.Constant(I64, 0), arrived, "release", 8)
                b.store_atomic(b.add(before, ir.Constant(I64, 1)), passed, "release", 8)
            with otherwise:
                wait_until_changed(b, passed, before, may_sleep=False)


def _module() -> ir.Module:
    """`worker(control, number)` and `launch(control, segment, table, error, threads, times)`."""
    module = ir.Module("pierian.runtime")
    worker = ir.Function(module, ir.FunctionType(VOID, [WORD, I64]), "worker")
    control, index = worker.args
    b = ir.IRBuilder(worker.append_basic_block("entry"))
    seen = b.alloca(I64)
    b.store(ir.Constant(I64, 0), seen)
    again = worker.append_basic_block("again")
    leave = worker.append_basic_block("leave")
    work = worker.append_basic_block("work")
    b.branch(again)
    b.position_at_end(again)
    generation = field(b, control, GENERATION)
    wait_until_changed(b, generation, b.load(seen), may_sleep=True)
    word = b.load_atomic(generation, "acquire", 8)
    b.store(word, seen)
    quit_ = b.load_atomic(field(b, control, QUIT), "acquire", 8)
    b.cbranch(b.icmp_unsigned("!=", quit_, ir.Constant(I64, 0)), leave, work)
    b.position_at_end(work)
    # of the word that woke it: the fields may be those of a job that has not begun
    threads = b.and_(word, ir.Constant(I64, MOST_THREADS))
    with b.if_then(b.icmp_unsigned("<", index, threads)):
        segment = b.inttoptr(b.load(field(b, control, FUNCTION)), SEGMENT.as_pointer())
        table = b.inttoptr(b.load(field(b, control, ARGUMENTS)), TABLE)
        error = b.inttoptr(b.load(field(b, control, ERROR)), WORD)
        times = b.load(field(b, control, TIMES))
        b.call(segment, [table, error, index, threads, control, times])
        b.atomic_rmw("add", field(b, control, DONE), ir.Constant(I64, 1), "acq_rel")
    b.branch(again)
    b.position_at_end(leave)
    b.ret_void()

    kind = ir.FunctionType(VOID, [WORD, SEGMENT.as_pointer(), TABLE, WORD, I64, I64])
    launch = ir.Function(module, kind, "launch")
    control, segment, table, error, threads, times = launch.args
    b = ir.IRBuilder(launch.append_basic_block("entry"))
    for offset, value in [(FUNCTION, segment), (ARGUMENTS, table), (ERROR, error)]:
        b.store(b.ptrtoint(value, I64), field(b, control, offset))
    b.store(times, field(b, control, TIMES))
    done = field(b, control, DONE)
    b.store_atomic(ir.Constant(I64, 0), done, "release", 8)
    generation = field(b, control, GENERATION)
    count = b.and_(b.load(generation), ir.Constant(I64, ~MOST_THREADS))
    count = b.add(count, ir.Constant(I64, MOST_THREADS + 1))
    b.store_atomic(b.or_(count, threads), generation, "seq_cst", 8)
    b.call(segment, [table, error, ir.Constant(I64, 0), threads, control, times])
    wait = launch.append_basic_block("join")
    out = launch.append_basic_block("out")
    others = b.sub(threads, ir.Constant(I64, 1))
    b.branch(wait)
    b.position_at_end(wait)
    finished = b.load_atomic(done, "acquire", 8)
    rest = launch.append_basic_block("rest")
    b.cbranch(b.icmp_unsigned("==", finished, others), out, rest)
    b.position_at_end(rest)
    wait_until_changed(b, done, finished, may_sleep=False)
    b.branch(wait)
    b.position_at_end(out)
    b.ret_void()
    return module


class Pool:
    """The workers of this process."""

    def __init__(self) -> None:
        library = load(object_code(_module(), target()), ["worker", "launch"],
                       f"pierian.runtime.{next(_pools)}")  # fmt: skip
        pointer = ctypes.c_void_p
        self.library = library
        worker = ctypes.CFUNCTYPE(None, pointer, ctypes.c_int64)
        word = ctypes.c_int64
        launch = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, pointer, word, word)
        self._worker = worker(library.addresses["worker"])
        self._launch = launch(library.addresses["launch"])
        self._memory = (ctypes.c_int64 * (WORDS + LINE))()
        start = ctypes.addressof(self._memory)
        self.control = -(-start // 64) * 64
        self.workers = 0
        self.lock = threading.Lock()

    def run(self, segment: int, table: Any, error: Any, threads: int, times: int) -> None:
        """Call the segment at that address on `threads` threads, this one included."""
        with self.lock:
            if self.workers < threads - 1:
                self._grow(threads - 1)
            self._launch(self.control, segment, table, error, threads, times)

    def _grow(self, workers: int) -> None:
        before = threading.stack_size(STACK)
        try:
            while self.workers < workers:
                self.workers += 1
                arguments = (self.control, self.workers)
                threading.Thread(target=self._worker, args=arguments, daemon=True).start()
        finally:
            threading.stack_size(before)

    def stop(self) -> None:
        """Let the workers return; at the end of the process."""
        words = (ctypes.c_int64 * WORDS).from_address(self.control)
        words[QUIT] = 1
        words[GENERATION] += MOST_THREADS + 1


_pools = itertools.count()
_pool: list[Pool] = []
_pool_lock = threading.Lock()


def pool() -> Pool:
    """The workers of this process, made at the first call."""
    with _pool_lock:
        if not _pool:
            _pool.append(Pool())
            atexit.register(_pool[0].stop)
        return _pool[0]


def _forget() -> None:
    """A forked child has no workers."""
    _pool.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
