"""Random bits in compiled code, the same as those of base/rng.py.

May import: llvm, lanes, base. An element that needs `per` words takes those from per · its place
on; `words` makes them for a register of neighbours, block by block, so that nothing is drawn twice,
and `words_at` for elements anywhere.
"""

from __future__ import annotations

from typing import Any

from pierian.base import rng
from pierian.compiler.lanes import Lanes, choose, shaped, splat
from pierian.compiler.llvm import ir

LOW = int(rng.LOW)
I32, I64 = ir.IntType(32), ir.IntType(64)


def philox(builder: ir.IRBuilder, counter: ir.Value, seed: ir.Value) -> list[ir.Value]:
    """The four words of the blocks `counter` of stream `seed`: `rng.bits(seed, counter, 4)`.

    Args:     counter  i64, or a vector of them.
              seed     i64.
    Returns:  four i32, or vectors of them.
    """
    half = int(rng.HALF)
    first, second = map(int, rng.MULTIPLIERS)
    blocks = Lanes(builder, counter)
    stream = Lanes(builder, seed)
    c0, c1 = blocks & LOW, blocks.shifted_in_zeros(half)
    c2 = c3 = blocks.like(0)
    k0, k1 = stream & LOW, stream.shifted_in_zeros(half)
    for _ in range(rng.ROUNDS):
        p0 = c0 * first
        p1 = c2 * second
        c0 = p1.shifted_in_zeros(half) ^ c1 ^ splat(k0, blocks)
        c2 = p0.shifted_in_zeros(half) ^ c3 ^ splat(k1, blocks)
        c1, c3 = p1 & LOW, p0 & LOW
        k0 = (k0 + rng.WEYL[0]) & LOW
        k1 = (k1 + rng.WEYL[1]) & LOW
    word = shaped(ir.IntType(32), counter.type)
    return [builder.trunc(c.value, word) for c in (c0, c1, c2, c3)]


def words_at(
    b: ir.IRBuilder, seed: ir.Value, start: ir.Value, place: ir.Value, per: int = 1
) -> list[ir.Value]:
    """The `per` words of the elements at `place`, of the draw that begins with block `start`.

    Args:     seed   i64; `start` i64.
              place  i64, or a vector of them.
              per    1 or 2.
    Returns:  `per` i32, or vectors of them.
    """
    first = Lanes(b, place) * per
    blocks = splat(Lanes(b, start), first) + first.shifted_in_zeros(2)
    four = [Lanes(b, word) for word in philox(b, blocks.value, seed)]
    within = Lanes(b, b.trunc((first & (rng.WORDS - 1)).value, four[0].type))
    found = four[:per]
    for k in range(per, rng.WORDS, per):
        found = [choose(within == k, four[k + i], found[i]) for i in range(per)]
    return [word.value for word in found]


def words(
    b: ir.IRBuilder, seed: ir.Value, start: ir.Value, first: ir.Value, lanes: int, per: int = 1
) -> list[ir.Value]:
    """As `words_at`, of `lanes` neighbours from the place `first`, an i64, on."""
    if lanes == 1:
        return words_at(b, seed, start, first, per)
    draw = _neighbours(b.module, lanes, per)
    together = b.call(draw, [seed, start, first])
    return [_picked(b, together, range(k, lanes * per, per)) for k in range(per)]


def _neighbours(module: ir.Module, lanes: int, per: int) -> ir.Function:
    """The function of `module` that draws lanes · per words in a row."""
    name = f"words.{lanes}.{per}"
    if name in module.globals:
        return module.globals[name]
    result = ir.VectorType(I32, lanes * per)
    function = ir.Function(module, ir.FunctionType(result, [I64, I64, I64]), name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block())
    seed, start, first = function.args
    word = b.mul(first, I64(per))
    begins = b.icmp_unsigned("==", b.and_(word, I64(rng.WORDS - 1)), I64(0))  # with a whole block
    with b.if_then(begins, likely=True):
        count = rng.blocks(lanes * per)
        block = _counting(b, b.add(start, b.lshr(word, I64(2))), count)
        b.ret(_interleaved(b, philox(b, block, seed), lanes * per))
    each = words_at(b, seed, start, _counting(b, word, lanes * per))
    b.ret(each[0])
    return function


def _counting(b: ir.IRBuilder, first: ir.Value, count: int) -> ir.Value:
    """first, first + 1, … as `count` lanes."""
    if count == 1:
        return first
    kind = ir.VectorType(I64, count)
    empty = Lanes(b, ir.Constant(kind, ir.Undefined))
    steps = Lanes(b, ir.Constant(kind, [I64(i) for i in range(count)]))
    return (splat(Lanes(b, first), empty) + steps).value


def _interleaved(b: ir.IRBuilder, four: list[ir.Value], count: int) -> ir.Value:
    """`count` words in the order they are drawn: the four of the first block, of the second, …"""
    blocks = rng.blocks(count)
    if blocks == 1:
        row = ir.Constant(ir.VectorType(I32, rng.WORDS), ir.Undefined)
        for i, word in enumerate(four):
            row = b.insert_element(row, word, I32(i))
        return row if count == rng.WORDS else _picked(b, row, range(count))
    halves = [_joined(b, four[0], four[1]), _joined(b, four[2], four[3])]
    order = [i % rng.WORDS * blocks + i // rng.WORDS for i in range(count)]
    return _shuffled(b, halves[0], halves[1], order)


def _joined(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return _shuffled(b, x, y, range(2 * x.type.count))


def _picked(b: ir.IRBuilder, x: ir.Value, lanes: Any) -> ir.Value:
    if len(lanes) == x.type.count:
        return x
    return _shuffled(b, x, ir.Constant(x.type, ir.Undefined), lanes)


def _shuffled(b: ir.IRBuilder, x: ir.Value, y: ir.Value, order: Any) -> ir.Value:
    kind = ir.VectorType(I32, len(order))
    return b.shuffle_vector(x, y, ir.Constant(kind, [I32(i) for i in order]))
