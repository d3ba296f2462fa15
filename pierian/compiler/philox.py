"""Random bits in compiled code, the same as those of base/rng.py.

May import: llvm, lanes, base. To draw numbers: the counter of an element is the offset of the draw
plus the place of the element, divided by the words it needs (see `rng.bits` and its callers).
"""

from __future__ import annotations

from pierian.base import rng
from pierian.compiler.lanes import Lanes, shaped, splat
from pierian.compiler.llvm import ir

LOW = int(rng.LOW)


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
