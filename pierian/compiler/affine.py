"""Index arithmetic: whole-number sums of loop variables, their quotients and remainders.

May import: nothing of ours. Movement primitives become substitutions in these expressions, so that
no reshape, permute, slice or flip is ever a copy; `divide` is the one place that simplifies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Var:
    """A loop variable, 0 <= v < extent."""

    name: str
    extent: int

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, self.extent - 1


@dataclass(frozen=True)
class Quotient:
    """`of` // `by`, where that does not simplify."""

    of: Affine
    by: int

    @property
    def bounds(self) -> tuple[int, int]:
        low, high = self.of.bounds
        return low // self.by, high // self.by


@dataclass(frozen=True)
class Remainder:
    """`of` % `by`, where that does not simplify."""

    of: Affine
    by: int

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, self.by - 1


Atom = Var | Quotient | Remainder


@dataclass(frozen=True)
class Affine:
    """const + Σ coefficient · atom, each atom once, in the order they came."""

    terms: tuple[tuple[Atom, int], ...] = ()
    const: int = 0

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest value it can take."""
        low = high = self.const
        for atom, c in self.terms:
            ends = [c * end for end in atom.bounds]
            low, high = low + min(ends), high + max(ends)
        return low, high

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.const + other)
        total = dict(self.terms)
        for atom, c in other.terms:
            total[atom] = total.get(atom, 0) + c
        kept = tuple((atom, c) for atom, c in total.items() if c)
        return Affine(kept, self.const + other.const)

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine()
        return Affine(tuple((atom, c * factor) for atom, c in self.terms), self.const * factor)

    def stride(self, v: Var) -> int | None:
        """How much it grows when `v` grows by one; None where that is not always the same."""
        if any(not isinstance(atom, Var) and atom.of.uses(v) for atom, _ in self.terms):
            return None
        return dict(self.terms).get(v, 0)

    def uses(self, v: Var) -> bool:
        """Whether its value depends on `v`."""
        return any(
            atom == v if isinstance(atom, Var) else atom.of.uses(v) for atom, _ in self.terms
        )


def variable(v: Var) -> Affine:
    """`v` as an expression; 0 when it can take no other value."""
    return Affine(((v, 1),)) if v.extent > 1 else Affine()


def divide(a: Affine, by: int) -> tuple[Affine, Affine]:
    """Quotient and remainder of `a` by a number > 0, simplified by what is known of the range.

    >>> i, j = Var("i", 3), Var("j", 4)
    >>> flat = variable(i) * 4 + variable(j)
    >>> divide(flat, 4) == (variable(i), variable(j))
    True
    """
    whole = Affine(tuple((atom, c // by) for atom, c in a.terms if c % by == 0), a.const // by)
    rest = Affine(tuple((atom, c) for atom, c in a.terms if c % by), a.const % by)
    low, high = rest.bounds
    if low // by == high // by:
        return whole + low // by, rest + -(low // by) * by
    return whole + Affine(((Quotient(rest, by), 1),)), Affine(((Remainder(rest, by), 1),))


def flatten(indices: Iterable[Affine], shape: Iterable[int]) -> Affine:
    """The row-major position of `indices` in `shape`."""
    total = Affine()
    for index, n in zip(indices, shape, strict=True):
        total = total * n + index
    return total


def unflatten(position: Affine, shape: tuple[int, ...]) -> tuple[Affine, ...]:
    """The indices in `shape` of a row-major position."""
    indices: list[Affine] = []
    for n in reversed(shape[1:]):
        position, index = divide(position, max(n, 1))
        indices.append(index)
    return (position, *reversed(indices)) if shape else ()


def reshape(indices: tuple[Affine, ...], shape: tuple[int, ...], source: tuple[int, ...]) -> (
    tuple[Affine, ...]
):  # fmt: skip
    """Indices into `source` of the element at `indices` of its reshape to `shape`.

    >>> i, j = variable(Var("i", 6)), variable(Var("j", 4))
    >>> reshape((i, j), (6, 4), (2, 3, 4))[2] == j
    True
    """
    return unflatten(flatten(indices, shape), source)


def linear(indices: tuple[Affine, ...], strides: tuple[int, ...]) -> Affine:
    """Σ index · stride."""
    total = Affine()
    for index, stride in zip(indices, strides, strict=True):
        total = total + index * stride
    return total


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of an array without gaps."""
    strides = [1]
    for n in reversed(shape[1:]):
        strides.append(strides[-1] * n)
    return tuple(reversed(strides)) if shape else ()
