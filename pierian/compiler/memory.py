"""Memory plan: where each stored value of a program lives.

May import: core. Inputs, constants and results have memory of their own, one pointer each in the
table that a program hands to its code. All other values lie in one arena, where values that are
never needed at the same time share their place, so that a step allocates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pierian.core.graph import Symbol

LINE = 64  # bytes: values begin on a cache line


@dataclass(frozen=True)
class Life:
    """A value of the arena: its bytes, and the first and last kernel that touch it."""

    symbol: Symbol
    first: int
    last: int

    @property
    def bytes(self) -> int:
        return -(-nbytes(self.symbol) // LINE) * LINE

    def meets(self, other: Life) -> bool:
        """Whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Place:
    """Bytes start … stop-1 from the pointer in a slot of the table."""

    slot: int
    start: int
    stop: int

    def overlaps(self, other: Place) -> bool:
        return self.slot == other.slot and self.start < other.stop and other.start < self.stop


def arena(lives: Sequence[Life]) -> tuple[dict[Symbol, int], int]:
    """Where each value begins in the arena, and how many bytes it has in all.

    Largest first, each at the lowest place that is free while it lives: the method "greedy by
    size" of Pisarchyk and Lee 2020, arXiv:2001.03288.
    """
    placed: list[tuple[Life, int]] = []
    for life in sorted(lives, key=lambda life: (-life.bytes, life.first)):
        taken = sorted((at, at + other.bytes) for other, at in placed if life.meets(other))
        start = 0
        for low, high in taken:
            if start + life.bytes <= low:
                break
            start = max(start, high)
        placed.append((life, start))
    total = max((start + life.bytes for life, start in placed), default=0)
    return {life.symbol: start for life, start in placed}, total


def nbytes(symbol: Symbol) -> int:
    """Bytes of the values of `symbol`."""
    return math.prod(symbol.shape) * symbol.dtype.itemsize
