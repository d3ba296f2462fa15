"""Contractions: code for matrix products, with whatever follows each sum written into it.

May import: llvm, control, element, base. C(i, j) = sum over p of A(i, p)·B(p, j), for sizes and
strides that are known when the code is written; or the sum of several such products, with A and B
at places that are found as the program runs (convolutions). C is computed in tiles in registers. A
tile is a work unit: threads share out C and never a sum, so the bits do not depend on their number.
To change how a shape is computed: `plan`, the one place that chooses, by comparing guesses of time.

The method is that of Goto and van de Geijn 2008, doi:10.1145/1356052.1356053, except that A is not
copied (fetching ahead hides its strides) and that tiles go to an epilogue instead of to memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pierian.base.dtypes import float32
from pierian.compiler import element as el
from pierian.compiler.control import loop
from pierian.compiler.element import I1, I32, I64
from pierian.compiler.llvm import Target, ir

# What the CPUs of the last ten years have in common. Only `plan` uses these, to compare plans. The
# costs were fitted to the times of 2,798 kernels on a Zen 5, with vectors of 512 and of 256 bits.
FMAS = 2  # multiply-adds a cycle
LOADS = 2  # loads a cycle
BESIDE = 1 / 8  # cycles that a load takes even so
LATENCY = 4  # cycles until a multiply-add can be used
LINE = 64  # bytes
CACHES = (24 << 10, 512 << 10, 8 << 20)  # bytes of an operand that stay in each one beside others
WAYS = 8  # lines that a cache keeps of those whose addresses differ by multiples of a way
WAY = (4 << 10, 64 << 10, 1 << 20)  # bytes of a way of each one
FETCH = (0.0, 0.25, 1.0, 2.0)  # cycles per line, beside other work, by the cache it comes from
TOUCH = (0, 1, 2, 40)  # cycles to begin with another row, as nothing fetches it ahead
LOST = (0, 5, 14, 34)  # cycles a step that the lines of a column of A take at least, if they
# compete for so few places that each tile has to fetch them from that cache again
TILE_COST = 3, 16  # cycles to begin and end a tile, without and with a loop
STORED = 3  # cycles to store a register of a tile and to load it in the epilogue's loop
SINGLE = 2  # cycles to copy one element
ADDING = 1.5  # cycles to add up the lanes of a register
STREAMS = 10  # places to read in turns, beyond which a CPU loses track

STEPS = 256, 800  # of k with one copy of B: fewest and most that are worth it
PARTIAL = 256 << 10  # bytes of unfinished tiles
INLINE = 4  # copies of the epilogue that may be written instead of a loop over a stored tile
STRAIGHT = 64  # multiply-adds written one after the other instead of a loop over k
PIECE = 16  # bytes within which every CPU can exchange lanes cheaply
TURNED = {2: (0, 1), 4: (0, 2, 1, 3)}  # row numbers with their bits in reverse

# How many products follow each other (i64, 0 or more), and elements from one A, one B to the next
Taps = Sequence[tuple[Any, int, int]]
# (builder, i, j, lanes, value): `value` is C(i, j … j+lanes-1), a scalar for one lane
Epilogue = Callable[[ir.IRBuilder, Any, Any, int, Any], None]


@dataclass(frozen=True)
class Contraction:
    """C = A @ B, C of m rows and n columns.

    Args:  m, n, k       sizes, all known now.
           a_row, a_col  elements of memory from A(i, p) to A(i+1, p), to A(i, p+1); any number.
           b_row, b_col  the same for B(p, j), B(p+1, j), B(p, j+1).
           dtype         float32 or float64.
           terms         how many products are added up, at most; 0 for the one at A and B.
    """

    m: int
    n: int
    k: int
    a_row: int
    a_col: int
    b_row: int
    b_col: int
    dtype: np.dtype = float32
    terms: int = 0

    @property
    def transposed(self) -> Contraction:
        """The same for the transpose of C: pass B for A and A for B.

        Vectors run along columns; where rows of C are not contiguous but columns are, ask for this.
        """
        strides = self.b_col, self.b_row, self.a_col, self.a_row
        return Contraction(self.n, self.m, self.k, *strides, self.dtype, self.terms)


@dataclass(frozen=True)
class Plan:
    """How to compute a contraction.

    Args:  rows, columns  of a tile. The last tiles are moved back to end where C ends.
           lanes          of a register.
           inner          lanes run along k and are added up at the end; else along columns.
           packed         B is read from a copy of a tile's columns.
           staged         the tile is stored in scratch and the epilogue is in a loop.
           block          steps of k between two copies of B.
           chains         sums that each element of C is split into, to hide latency.
           cost           guessed cycles.
    """

    rows: int
    columns: int
    lanes: int
    inner: bool = False
    packed: bool = False
    staged: bool = True
    block: int = 0
    chains: int = 1
    cost: float = 0.0

    @property
    def vectors(self) -> int:
        """Registers that a row of the tile needs."""
        return self.columns if self.inner else -(-self.columns // self.lanes)

    @property
    def stored(self) -> int:
        """Elements from one row of a stored tile to the next, or of copied B."""
        return self.columns if self.inner else self.vectors * self.lanes


def units(contraction: Contraction, target: Target) -> int:
    """How many work units there are: tiles of C, column by column."""
    c, p = planned(contraction, target)
    return -(-c.m // p.rows) * -(-c.n // p.columns) if c.m and c.n else 0


def scratch(contraction: Contraction, target: Target) -> int:
    """Bytes that each thread needs while it computes; best aligned to a cache line."""
    c, p = planned(contraction, target)
    return (_packed(p) + p.staged * _held(c, p) * p.rows * p.stored) * c.dtype.itemsize


def _packed(p: Plan) -> int:
    """Elements of B that are copied at a time."""
    return p.block * p.stored if p.packed else 0


def _held(c: Contraction, p: Plan) -> int:
    """Tiles that are unfinished at the same time."""
    if p.block >= c.k:
        return 1
    return min(-(-c.m // p.rows), max(PARTIAL // (p.rows * p.stored * c.dtype.itemsize), 1))


def emit(
    builder: ir.IRBuilder,
    contraction: Contraction,
    a: Any,
    b: Any,
    scratch: Any,
    begin: Any,
    end: Any,
    epilogue: Epilogue,
    target: Target,
    taps: Taps = (),
) -> None:
    """Write code that computes the work units begin … end-1 and hands them to `epilogue`.

    Args:  a, b      pointers to A(0, 0) and B(0, 0), of the dtype's type.
           scratch   pointer to the thread's own memory, of the same type.
           begin     i64, as `end`; any split of 0 … units gives the same bits.
           epilogue  is called with the builder to write what follows for C(i, j … j+lanes-1); i and
                     j are i64, the number of lanes is a Python int of at most a register's, and
                     need not be a power of two. It may be written several times, in loops; each
                     element of C gets there once, after its whole sum is known.
           taps      where there are several products: loops over them, the outer one first.
    """
    c, p = planned(contraction, target)
    if not (c.m and c.n):
        return
    if c is contraction:
        _Writer(builder, c, p, a, b, scratch, epilogue, taps).write(begin, end)
        return

    def turned(builder: ir.IRBuilder, _i: Any, j: Any, lanes: int, value: Any) -> None:
        for lane in range(lanes):
            one = value if lanes == 1 else builder.extract_element(value, I32(lane))
            epilogue(builder, builder.add(j, I64(lane)), I64(0), 1, one)

    taps = [(count, down, across) for count, across, down in taps]
    _Writer(builder, c, p, b, a, scratch, turned, taps, single=True).write(begin, end)


# Choosing


def planned(contraction: Contraction, target: Target) -> tuple[Contraction, Plan]:
    """What to compute and how: a column is computed as a row, where lanes can be used."""
    c = contraction.transposed if contraction.n == 1 < contraction.m else contraction
    return c, plan(c, target) if c.m and c.n else Plan(1, 1, 1)


@cache
def plan(c: Contraction, target: Target) -> Plan:
    """The cheapest way to compute `c`."""
    return min(_plans(c, target), key=lambda p: p.cost)


def _plans(c: Contraction, target: Target) -> Iterator[Plan]:
    widest = target.lanes(8 * c.dtype.itemsize)
    registers = _registers(target)
    lanes = min(widest, _power(c.n)) if c.b_col == 1 or not c.terms else 1
    for vectors in range(1, min(8, -(-c.n // lanes)) + 1):
        most = min((registers - vectors - 1) // vectors, c.m)
        for rows in {1, *_divisors(c.m, min(INLINE, most)), *range(max(most // 2, 1), most + 1)}:
            yield from _across(c, rows, min(vectors * lanes, c.n), lanes)
    if c.a_col == c.b_row == 1:
        lanes = min(widest, _power(c.k))
        for columns in range(1, min(c.n, lanes) + 1):
            most = min((registers - 2) // (columns + 1), c.m)
            for rows in range(1, most + 1):
                yield from _along(c, rows, columns, lanes)


def _registers(target: Target) -> int:
    """How many vector registers sums and operands can have.

    One is left for what the epilogue keeps in it: for want of it, LLVM would put a sum in memory.
    """
    if target.vector == 64 or not target.triple.startswith(("x86", "i")):
        return 31
    return 15 if target.vector == 32 else 14  # one holds products where there is no multiply-add


def _power(n: int) -> int:
    """The smallest power of two that is not below n."""
    return 1 << max(n - 1, 0).bit_length()


def _divisors(n: int, most: int) -> Iterator[int]:
    return (d for d in range(1, most + 1) if n % d == 0)


def _staged(c: Contraction, rows: int, columns: int, copies: int) -> Iterator[bool]:
    """Whether a tile of that size can or need not be staged."""
    yield True
    if copies <= INLINE and c.m % rows == 0 and c.n % columns == 0:
        yield False


def _across(c: Contraction, rows: int, columns: int, lanes: int) -> Iterator[Plan]:
    """Plans with lanes along columns."""
    vectors, size = -(-columns // lanes), c.dtype.itemsize
    tall, wide = -(-c.m // rows), -(-c.n // columns)
    chains = _chains(c.k, rows * vectors)
    terms = max(c.terms, 1)
    for packed in {True, c.b_col != 1} if not c.terms else {False}:
        block, row = c.k, c.b_row * size
        before = TOUCH[_level(c.k * c.n * size)] if c.b_col == 1 else 0.0
        if packed:
            before += vectors * _copy(c, lanes) + 1
            row = vectors * lanes * size
            if chains == 1 and c.k:
                most = min(max(_kept(c.a_col * size, WAY[1]), STEPS[0]), STEPS[1])
                block = -(-c.k // -(-c.k // most))
        step = _step(rows * vectors, vectors + rows, chains)
        step = max(step, _again(c, rows, block)) + _fetch_a(c, rows, wide)
        if tall > 1:
            step += vectors * FETCH[_level(block * vectors * lanes * size, row, block)]
        for staged in _staged(c, rows, columns, rows * vectors):
            if block < c.k and not staged:
                continue
            straight = not c.terms and c.k * rows * vectors <= STRAIGHT
            after = -(-c.k // max(block, 1)) * _finish(rows * vectors, straight, staged)
            each = c.k * step + LATENCY * (c.terms > 0)
            cost = wide * (terms * c.k * before + tall * (terms * each + after))
            yield Plan(rows, columns, lanes, False, packed, staged, block, chains, cost)


def _along(c: Contraction, rows: int, columns: int, lanes: int) -> Iterator[Plan]:
    """Plans with lanes along k."""
    tall, wide = -(-c.m // rows), -(-c.n // columns)
    steps, size = -(-c.k // lanes), c.dtype.itemsize
    chains = _chains(steps, rows * columns)
    step = _step(rows * columns, rows + columns, chains)
    step += max(rows + columns - STREAMS, 0)
    if tall > 1:
        step += columns * FETCH[_level(columns * c.k * size)]
    if wide > 1:
        step += rows * FETCH[_level(c.m * c.k * size)]
    straight = not c.terms and steps * rows * columns <= STRAIGHT
    terms = max(c.terms, 1)
    each = steps * step + LATENCY * (c.terms > 0)
    adding = rows * (_power(columns) * ADDING + 2 * LATENCY * (not straight))
    for staged in _staged(c, rows, columns, rows):
        cost = tall * wide * (terms * each + adding + _finish(rows, straight, staged))
        yield Plan(rows, columns, lanes, True, False, staged, c.k, chains, cost)


def _step(sums: int, loads: int, chains: int) -> float:
    """Cycles a step of k with everything in the first cache."""
    return max(sums / FMAS, loads / LOADS, LATENCY / chains) + loads * BESIDE


def _finish(registers: int, straight: bool, staged: bool) -> float:
    """Cycles for a tile beside its sums and the epilogue."""
    return TILE_COST[not straight or staged] + registers * STORED * staged


def _copy(c: Contraction, lanes: int) -> float:
    """Cycles to copy a register of B, on average over the steps of k."""
    if c.b_col == 1:
        return 1.0
    square = PIECE // c.dtype.itemsize
    whole = c.k // square * square / max(c.k, 1) if c.b_row == 1 else 0.0
    return lanes * (whole / square + (1 - whole) * SINGLE)


def _chains(steps: int, sums: int) -> int:
    """How many sums to split each one into, when there are so few that they wait for each other."""
    wanted = FMAS * LATENCY // sums
    return max(min(_power(steps), _power(wanted + 1) // 2), 1)


def _fetch_a(c: Contraction, rows: int, wide: int) -> float:
    """Cycles a step for what a tile reads of A."""
    size = c.dtype.itemsize
    along, down = abs(c.a_col) * size, abs(c.a_row) * size
    if rows > _kept(down, WAY[0]):
        return rows * FETCH[1]  # the lines are gone before the next step
    lines = rows * min(along, down, LINE) / LINE
    return lines * FETCH[_level(c.m * c.k * size, along, c.k)] if wide > 1 else 0.0


def _again(c: Contraction, rows: int, block: int) -> float:
    """Cycles a step for a column of A whose lines the tile before it has used, and lost."""
    size = c.dtype.itemsize
    along, down = abs(c.a_col) * size, abs(c.a_row) * size
    level = sum(block > _kept(along, way) for way in WAY)
    return LOST[level] * max(rows * down / LINE, 1) if down < LINE <= along else 0.0


def _level(bytes_: int, stride: int = 0, places: int = 0) -> int:
    """The cache that an operand of so many bytes stays in, or that keeps so many places of it
    `stride` bytes apart: 0 for the first, 3 for memory.
    """
    by_size = sum(bytes_ > cache for cache in CACHES)
    return max(by_size, sum(places > _kept(stride, way) for way in WAY))


def _kept(stride: int, way: int) -> int:
    """How many places `stride` bytes apart a cache keeps."""
    return WAYS * way // math.gcd(stride, way) if stride else WAYS * way


# Writing


class _Writer:
    """Code for one contraction; methods write at the builder's place and return values."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        contraction: Contraction,
        plan: Plan,
        a: Any,
        b: Any,
        scratch: Any,
        epilogue: Epilogue,
        taps: Taps,
        single: bool = False,
    ) -> None:
        self.builder, self.c, self.p = builder, contraction, plan
        self.a, self.b, self.packed = a, b, scratch
        self.epilogue, self.taps, self.single = epilogue, taps, single
        self.tile = self.at(scratch, I64(_packed(plan))) if plan.staged else None
        self.tall = -(-contraction.m // plan.rows)
        self.wide = -(-contraction.n // plan.columns)

    # Loops

    def write(self, begin: Any, end: Any) -> None:
        """All of it: down each column of tiles, one copy of a part of B after the other."""
        c, p, b = self.c, self.p, self.builder
        if self.tall * self.wide == 1:
            with b.if_then(b.icmp_signed("<", begin, end)):
                self.column(I64(0), I64(0), I64(1))
            return
        head, body, done = (b.function.append_basic_block() for _ in range(3))
        entry = b.block
        b.branch(head)
        b.position_at_end(head)
        unit = b.phi(I64)
        unit.add_incoming(begin, entry)
        b.cbranch(b.icmp_signed("<", unit, end), body, done)
        b.position_at_end(body)
        panel = b.udiv(unit, I64(self.tall))
        first = b.sub(unit, b.mul(panel, I64(self.tall)))
        last = self.least(b.add(first, b.sub(end, unit)), I64(self.tall))
        if p.block < c.k:
            last = self.least(last, b.add(first, I64(_held(c, p))))
        self.column(b.mul(panel, I64(p.columns)), first, last)
        unit.add_incoming(b.add(unit, b.sub(last, first)), b.block)
        b.branch(head)
        b.position_at_end(done)

    def column(self, j: Any, first: Any, last: Any) -> None:
        """The tiles first … last-1 of the column of tiles that begins at column j of C."""
        c, p = self.c, self.p
        left = self.clamped(j, c.n, p.columns)
        if p.block >= c.k:
            if p.packed:
                self.pack(left, I64(0), c.k)
            for row in self.loop(first, last):
                top, i = self.top(row)
                sums = self.sums(i, left, I64(0), c.k, None)
                if not p.staged:
                    self.finish_inline(i, left, sums)
                    continue
                self.store_tile(sums, self.tile)
                self.finish(top, i, j, left, self.tile)
            return
        for row in self.loop(first, last):
            zeros = [[el.constant(c.dtype, 0, p.lanes)] * p.vectors] * p.rows
            self.store_tile(zeros, self.tile_of(row, first))
        for start in self.loop(I64(0), I64(c.k), p.block):
            count = self.least(I64(p.block), self.builder.sub(I64(c.k), start))
            self.pack(left, start, count)
            for row in self.loop(first, last):
                tile = self.tile_of(row, first)
                sums = self.sums(self.top(row)[1], left, start, count, tile)
                self.store_tile(sums, tile)
        for row in self.loop(first, last):
            self.finish(*self.top(row), j, left, self.tile_of(row, first))

    def loop(self, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
        """`for i in range(start, stop, step)` of the written program; the body once in ours."""
        b = self.builder
        if _is_one(start, stop, step):
            yield start
            return
        with loop(b, start, stop, step) as i:
            yield i

    def top(self, row: Any) -> tuple[Any, Any]:
        """Where a tile's own rows begin, and its first row, which the tile above may have too."""
        top = self.builder.mul(row, I64(self.p.rows))
        return top, self.clamped(top, self.c.m, self.p.rows)

    def clamped(self, place: Any, size: int, tile: int) -> Any:
        """`place` moved back so far that a tile ends where C ends."""
        if size % tile == 0:
            return place
        return self.least(place, I64(size - tile)) if size > tile else I64(0)

    def least(self, x: Any, y: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def at(self, pointer: Any, *terms: Any) -> Any:
        """`pointer` moved by the sum of terms, each an i64 or a pair that is multiplied."""
        b = self.builder
        for term in terms:
            if isinstance(term, tuple):
                value, stride = term
                if stride == 0:
                    continue
                term = value if stride == 1 else b.mul(value, I64(stride))
            pointer = b.gep(pointer, [term])
        return pointer

    # Memory

    def load(self, pointer: Any, lanes: int, used: int) -> Any:
        """`used` neighbours, in a register of `lanes`."""
        if used == lanes:
            return el.load(self.builder, pointer, self.c.dtype, lanes)
        bits = [I1(lane < used) for lane in range(lanes)]
        mask = ir.Constant(ir.VectorType(I1, lanes), bits)
        return el.masked_load(self.builder, pointer, mask, self.c.dtype, lanes)

    def shuffle(self, x: Any, y: Any, order: Sequence[int]) -> Any:
        mask = ir.Constant(ir.VectorType(I32, len(order)), [I32(i) for i in order])
        return self.builder.shuffle_vector(x, y, mask)

    def cut(self, value: Any, used: int, first: int = 0) -> Any:
        """`used` lanes of `value` from lane `first` on."""
        if used == el.lanes_of(value):
            return value
        if used == 1:
            return self.builder.extract_element(value, I32(first))
        return self.shuffle(value, value, range(first, first + used))

    def pieces(self) -> Iterator[tuple[int, int, int]]:
        """The registers of a row of a tile: their number, first column and columns in use."""
        for v in range(self.p.vectors):
            first = v * self.p.lanes
            yield v, first, min(self.p.lanes, self.p.columns - first)

    def tile_of(self, row: Any, first: Any) -> Any:
        size = self.p.rows * self.p.stored
        return self.at(self.tile, (self.builder.sub(row, first), size))

    def store_tile(self, sums: list[list[Any]], tile: Any) -> None:
        p, width = self.p, 1 if self.p.inner else self.p.lanes
        for r, row in enumerate(sums):
            values = [self.added_up(row)] if p.inner else row
            for v, value in enumerate(values):
                place = self.at(tile, I64(r * p.stored + v * width))
                el.store(self.builder, value, place, self.c.dtype)

    # Copies of B

    def pack(self, left: Any, start: Any, count: Any) -> None:
        """Copy B(start … start+count-1, columns of the tile): row after row, whole registers."""
        c, p, b = self.c, self.p, self.builder
        source = self.at(self.b, (left, c.b_col), (start, c.b_row))
        if c.b_col == 1:
            for row in self.loop(I64(0), _i64(count)):
                place, into = self.at(source, (row, c.b_row)), self.at(self.packed, (row, p.stored))
                for _, first, used in self.pieces():
                    value = self.load(self.at(place, I64(first)), p.lanes, used)
                    el.store(b, value, self.at(into, I64(first)), c.dtype)
            return
        square = PIECE // c.dtype.itemsize
        done: Any = I64(0)
        if c.b_row == 1 and p.lanes >= square:
            done = b.and_(_i64(count), I64(-square))
            for first in self.loop(I64(0), I64(p.stored), p.lanes):
                for row in self.loop(I64(0), done, square):
                    self.pack_square(source, row, first, square)
        for row in self.loop(done, _i64(count)):
            for column in self.loop(I64(0), I64(p.stored)):
                place = self.at(source, (row, c.b_row), (self.inside(column), c.b_col))
                value = b.load(place)
                b.store(value, self.at(self.packed, (row, p.stored), column))

    def inside(self, column: Any) -> Any:
        """A column of a tile that exists, for one that may be beyond the right edge of C."""
        p = self.p
        return column if p.columns == p.stored else self.least(column, I64(p.columns - 1))

    def pack_square(self, source: Any, row: Any, first: Any, square: int) -> None:
        """Copy a register's columns of `square` rows, where columns are contiguous.

        Register r gets columns r, r + square, …; then the squares within pieces are transposed.
        """
        c, p, b = self.c, self.p, self.builder
        rows = []
        for r in range(square):
            parts = []
            for column in range(r, p.lanes, square):
                place = self.inside(b.add(first, I64(column)))
                place = self.at(source, row, (place, c.b_col))
                parts.append(el.load(b, place, c.dtype, square))
            while len(parts) > 1:
                order = range(2 * el.lanes_of(parts[0]))
                parts = [self.shuffle(x, y, order) for x, y in _pairs(parts)]
            rows.append(parts[0])
        width = 1
        while width < square:
            orders = _interleave(p.lanes, square, width)
            rows = [self.shuffle(x, y, order) for order in orders for x, y in _pairs(rows)]
            width *= 2
        for r, value in zip(TURNED[square], rows, strict=True):
            place = self.at(self.packed, (b.add(row, I64(r)), p.stored), first)
            el.store(b, value, place, c.dtype)

    # Sums

    def sums(self, i: Any, left: Any, start: Any, count: Any, tile: Any) -> list[list[Any]]:
        """The registers of the tile at (i, left): products of `count` steps from `start` on, added
        to what `tile` holds, if it is given.
        """
        c, p = self.c, self.p
        a = self.at(self.a, (i, c.a_row), (start, c.a_col))
        source = self.packed if p.packed else self.at(self.b, (left, c.b_col))
        size = p.rows * p.vectors
        zero = el.constant(c.dtype, 0, p.lanes)
        if c.k == 0:
            return [[zero] * p.vectors] * p.rows
        steps = c.k // p.lanes if p.inner else count
        straight = isinstance(steps, int) and steps * size <= STRAIGHT
        state: list[Any] = [None if straight and not self.taps else zero] * (size * p.chains)
        if tile is not None:
            places = [(r, v * p.lanes) for r in range(p.rows) for v in range(p.vectors)]
            state[:size] = [
                self.load(self.at(tile, I64(r * p.stored + first)), p.lanes, p.lanes)
                for r, first in places
            ]
        self.around(
            self.taps, a, source, state,
            lambda a, source: self.products(a, source, steps, straight, state),
        )  # fmt: skip
        chains = [state[at : at + size] for at in range(0, len(state), size)]
        while len(chains) > 1:
            chains = [
                [self.plus(x, y) for x, y in zip(*pair, strict=True)] for pair in _pairs(chains)
            ]
        return [chains[0][at : at + p.vectors] for at in range(0, size, p.vectors)]

    def around(
        self, taps: Taps, a: Any, source: Any, state: list[Any], body: Callable[[Any, Any], None]
    ) -> None:
        """`body` for the places of A and B of every product, in loops that carry `state`."""
        if not taps:
            body(a, source)
            return
        b = self.builder
        (count, down, across), *inner = taps
        entry, head, inside, done = b.block, *(b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        place, *phis = (b.phi(kind) for kind in (I64, *(value.type for value in state)))
        for phi, value in zip((place, *phis), (I64(0), *state), strict=True):
            phi.add_incoming(value, entry)
        b.cbranch(b.icmp_signed("<", place, count), inside, done)
        b.position_at_end(inside)
        state[:] = phis
        self.around(inner, self.at(a, (place, down)), self.at(source, (place, across)), state, body)
        for phi, value in zip((place, *phis), (b.add(place, I64(1)), *state), strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(done)
        state[:] = phis

    def products(self, a: Any, source: Any, steps: Any, straight: bool, state: list[Any]) -> None:
        """Add the products of `steps` steps of k (of a register's steps, when inner) to `state`."""
        c, p, b = self.c, self.p, self.builder
        size = p.rows * p.vectors

        def step(place: Any, chain: int, used: int = p.lanes) -> None:
            here = slice(chain * size, (chain + 1) * size)
            state[here] = self.step(a, source, place, state[here], used)

        whole: Any = 0
        if straight:
            for number in range(steps):
                step(I64(number), number % p.chains)
        else:
            whole = steps - steps % p.chains if isinstance(steps, int) else steps
            entry, body, done = b.block, *(b.function.append_basic_block() for _ in range(2))
            b.branch(body)
            b.position_at_end(body)
            place = b.phi(I64)
            place.add_incoming(I64(0), entry)
            phis = [b.phi(value.type) for value in state]
            for phi, value in zip(phis, state, strict=True):
                phi.add_incoming(value, entry)
            state[:] = phis
            for chain in range(p.chains):
                step(b.add(place, I64(chain)), chain)
            following = b.add(place, I64(p.chains))
            place.add_incoming(following, b.block)
            for phi, value in zip(phis, state, strict=True):
                phi.add_incoming(value, b.block)
            b.cbranch(b.icmp_signed("<", following, _i64(whole)), body, done)
            b.position_at_end(done)
            if isinstance(steps, int):
                for number in range(whole, steps):
                    step(I64(number), number - whole)
        if p.inner and c.k % p.lanes:
            step(I64(steps), 0, c.k % p.lanes)

    def plus(self, x: Any, y: Any) -> Any:
        return x if y is None else self.builder.fadd(x, y)

    def step(self, a: Any, source: Any, place: Any, sums: list[Any], used: int) -> list[Any]:
        """`sums` with the products of step `place` of k (of a register's steps, when inner)."""
        c, p, b = self.c, self.p, self.builder
        if p.inner:
            place = b.mul(place, I64(p.lanes))
        a = self.at(a, (place, c.a_col))
        if p.inner:
            source = self.at(source, place)
            across = [
                self.load(self.at(source, I64(j * c.b_col)), p.lanes, used)
                for j in range(p.columns)
            ]
        else:
            across = [self.across(source, place, first, n) for _, first, n in self.pieces()]
        result = []
        for r in range(p.rows):
            here = self.at(a, I64(r * c.a_row))
            if p.inner:
                down = self.load(here, p.lanes, used)
            else:
                down = el.splat(b, self.load(here, 1, 1), p.lanes)
            for v, value in enumerate(across):
                total = sums[r * p.vectors + v]
                result.append(
                    b.fmul(down, value) if total is None
                    else el.intrinsic(b, "llvm.fmuladd", down, value, total)
                )  # fmt: skip
        return result

    def across(self, source: Any, place: Any, first: int, used: int) -> Any:
        """A register of columns of row `place` of B."""
        c, p = self.c, self.p
        row, used = (p.stored, p.lanes) if p.packed else (c.b_row, used)
        apart = 1 if p.packed else c.b_col
        return self.load(self.at(source, (place, row), I64(first * apart)), p.lanes, used)

    def added_up(self, vectors: list[Any]) -> Any:
        """One register with the sum over the lanes of each vector."""
        p, c = self.p, self.c
        used = len(vectors)
        vectors = vectors + [el.constant(c.dtype, 0, p.lanes)] * (_power(used) - used)
        width, piece = 1, min(PIECE // c.dtype.itemsize, p.lanes)
        while len(vectors) > 1:
            low, high = _interleave(p.lanes, piece if width < piece else p.lanes, width)
            vectors = [
                self.builder.fadd(self.shuffle(x, y, low), self.shuffle(x, y, high))
                for x, y in _pairs(vectors)
            ]
            width *= 2
        value = vectors[0]
        for half in _halves(p.lanes, width):
            value = self.builder.fadd(self.cut(value, half), self.cut(value, half, half))
        return self.cut(value, used)

    # Epilogues

    def finish_inline(self, i: Any, j: Any, sums: list[list[Any]]) -> None:
        """The epilogue for each register of a tile."""
        b = self.builder
        for r, row in enumerate(sums):
            line = b.add(i, I64(r))
            if self.p.inner:
                self.epilogue(b, line, j, self.p.columns, self.added_up(row))
                continue
            for v, first, used in self.pieces():
                self.epilogue(b, line, b.add(j, I64(first)), used, self.cut(row[v], used))

    def finish(self, top: Any, i: Any, j: Any, left: Any, tile: Any) -> None:
        """The epilogue in a loop over what belongs to a stored tile: from row top, column j on."""
        c, p, b = self.c, self.p, self.builder
        lanes = 1 if self.single else min(p.lanes, p.columns) if not p.inner else p.columns
        rest = c.n % p.columns % lanes if self.wide > 1 else p.columns % lanes
        stop = b.add(left, I64(p.columns))
        whole = stop
        if rest:
            last = b.icmp_signed("==", stop, I64(c.n))
            whole = b.select(last, I64(c.n - rest), stop)
        for line in self.loop(top, b.add(i, I64(p.rows))):
            row = self.at(tile, (b.sub(line, i), p.stored))

            def hand_over(column: Any, count: int, line: Any = line, row: Any = row) -> None:
                place = self.at(row, b.sub(column, left))
                self.epilogue(b, line, column, count, el.load(b, place, c.dtype, count))

            for column in self.loop(j, whole, lanes):
                hand_over(column, lanes)
            if rest:
                with b.if_then(last):
                    hand_over(I64(c.n - rest), rest)


def _i64(n: Any) -> Any:
    return I64(n) if isinstance(n, int) else n


def _is_one(start: Any, stop: Any, step: int) -> bool:
    """Whether a loop is known to run exactly once."""
    if not (isinstance(start, ir.Constant) and isinstance(stop, ir.Constant)):
        return False
    return 0 < stop.constant - start.constant <= step


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


def _interleave(lanes: int, piece: int, width: int) -> tuple[list[int], list[int]]:
    """Orders that take turns between x and y, `width` lanes at a time: all of the first halves of
    their pieces, and all of the second halves.
    """
    orders: tuple[list[int], list[int]] = ([], [])
    for half, order in enumerate(orders):
        for base in range(0, lanes, piece):
            for part in range(half * piece // 2, (half + 1) * piece // 2, width):
                for side in (0, lanes):
                    order += range(side + base + part, side + base + part + width)
    return orders


def _halves(lanes: int, width: int) -> Iterator[int]:
    """lanes/2, lanes/4, … width."""
    while lanes > width:
        lanes //= 2
        yield lanes
