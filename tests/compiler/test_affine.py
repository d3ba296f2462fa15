"""Index arithmetic against plain numbers, over every value of the loop variables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pierian.compiler.affine import Affine, Quotient, Remainder, Var, divide, reshape, variable


def value(a: Affine, at: dict[Var, int]) -> int:
    def atom(x: object) -> int:
        if isinstance(x, Quotient):
            return value(x.of, at) // x.by
        if isinstance(x, Remainder):
            return value(x.of, at) % x.by
        return at[x]

    return a.const + sum(c * atom(x) for x, c in a.terms)


def points(variables: list[Var]) -> list[dict[Var, int]]:
    ranges = [range(v.extent) for v in variables]
    return [dict(zip(variables, at, strict=True)) for at in itertools.product(*ranges)]


RESHAPES = [
    ((2, 3, 4), (6, 4)), ((6, 4), (2, 3, 4)), ((24,), (2, 3, 4)), ((2, 12), (3, 8)), ((5,), (5, 1)),
    ((1, 1), ()), ((4, 6), (3, 8)), ((2, 3, 5, 7), (6, 35)), ((6, 35), (3, 2, 7, 5)), ((), (1,)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "source"), RESHAPES)
def test_reshape_finds_the_same_element(shape: tuple[int, ...], source: tuple[int, ...]) -> None:
    variables = [Var(f"v{i}", n) for i, n in enumerate(shape)]
    indices = reshape(tuple(map(variable, variables)), shape, source)
    numbers = np.arange(int(np.prod(shape)))
    for at in points(variables):
        here = numbers.reshape(shape)[tuple(at.values())]
        assert numbers.reshape(source)[tuple(value(i, at) for i in indices)] == here


def test_reshape_there_and_back_is_nothing() -> None:
    i, j, k = (variable(Var(name, n)) for name, n in [("i", 4), ("j", 5), ("k", 6)])
    flat = reshape((i, j, k), (4, 5, 6), (20, 6))
    assert reshape(flat, (20, 6), (4, 5, 6)) == (i, j, k)


def test_divide_is_exact_and_bounds_hold() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        variables = [Var(f"v{i}", int(n)) for i, n in enumerate(rng.integers(1, 6, 3))]
        a = Affine((), int(rng.integers(-9, 9)))
        for v in variables:
            a = a + variable(v) * int(rng.integers(-6, 7))
        by = int(rng.integers(1, 9))
        quotient, remainder = divide(a, by)
        for at in points(variables):
            expected = divmod(value(a, at), by)
            assert (value(quotient, at), value(remainder, at)) == expected
            assert a.bounds[0] <= value(a, at) <= a.bounds[1]
            assert remainder.bounds[0] <= expected[1] <= remainder.bounds[1]


def test_stride_tells_contiguous_from_constant_from_irregular() -> None:
    i, j = Var("i", 6), Var("j", 5)
    a = variable(i) * 10 + variable(j) + 3
    assert (a.stride(i), a.stride(j)) == (10, 1)
    assert divide(variable(i) + 1, 4)[0].stride(i) is None
    assert divide(variable(i) + 1, 4)[0].stride(j) == 0
