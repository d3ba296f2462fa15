"""Arithmetic on shapes and axes, held against NumPy's."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from pierian.base.errors import ShapeError
from pierian.base.shapes import (
    as_shape,
    broadcast,
    normalize_axes,
    normalize_axis,
    reduce_shape,
    reshape,
)

SHAPES = [(), (1,), (3,), (0,), (2, 3), (1, 3), (2, 1), (4, 1, 3), (2, 0), (1, 1, 1)]


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_broadcast_is_numpys(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(ShapeError, match=r"^add: shapes must be equal or broadcast"):
            broadcast("add", a, b)
    else:
        assert broadcast("add", a, b) == expected


def test_broadcast_of_none_one_and_many() -> None:
    assert broadcast("f") == ()
    assert broadcast("f", (2, 3)) == (2, 3)
    assert broadcast("f", (2, 1), (3,), (4, 1, 1)) == (4, 2, 3)
    with pytest.raises(ShapeError, match=r"got \(2,\) and \(3,\) and \(2,\)"):
        broadcast("f", (2,), (3,), (2,))


def test_axes() -> None:
    assert [normalize_axis("f", a, 3) for a in (-3, -1, 0, 2, np.int64(1))] == [0, 2, 0, 2, 1]
    assert normalize_axes("f", None, 3) == (0, 1, 2)
    assert normalize_axes("f", (), 3) == ()
    assert normalize_axes("f", [2, -3], 3) == (0, 2)
    assert normalize_axes("f", -1, 2) == (1,)


@pytest.mark.parametrize(
    ("axis", "rank", "text"),
    [(3, 3, "axis must exist; expected -3 <= axis < 3, got axis 3 of 3 axes"),
     (-4, 3, "got axis -4 of 3 axes"), (0, 0, "expected a tensor with at least one axis"),
     (1.0, 3, "axis must be an integer; expected an int, got 1.0"), ("0", 3, "must be an integer"),
     ((0, -3), 3, "axes must be distinct; expected each axis once"), ((0, 3), 3, "must exist")],
)  # fmt: skip
def test_bad_axes(axis: Any, rank: int, text: str) -> None:
    with pytest.raises(ShapeError, match=text):
        normalize_axes("f", axis, rank)


def test_reduce_shape_is_that_of_numpys_sum() -> None:
    shape = (2, 3, 4)
    for count in range(4):
        for axes in itertools.combinations(range(3), count):
            for keepdims in (False, True):
                expected = np.zeros(shape).sum(axes, keepdims=keepdims).shape
                assert reduce_shape(shape, axes, keepdims) == expected


TARGETS = [
    (),
    (1,),
    (-1,),
    (6,),
    (2, 3),
    (3, -1),
    (-1, 2, 1),
    (0, -1),
    (0,),
    (-1, -1),
    (4,),
    (-2, 3),
]


@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (0,), (0, 3), (1, 1)])
@pytest.mark.parametrize("target", TARGETS)
def test_reshape_is_numpys(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    try:
        expected = np.zeros(shape).reshape(target).shape
        assert -2 not in target
    except (ValueError, AssertionError):
        with pytest.raises(ShapeError, match="the number of elements must stay the same"):
            reshape("reshape", shape, target)
    else:
        assert reshape("reshape", shape, target) == expected
        assert math.prod(expected) == math.prod(shape)


def test_as_shape() -> None:
    assert as_shape("zeros", (2, 3)) == (2, 3)
    assert as_shape("zeros", ((2, 3),)) == (2, 3)
    assert as_shape("zeros", ([2],)) == (2,)
    assert as_shape("zeros", ()) == as_shape("zeros", ((),)) == ()
    assert as_shape("zeros", (np.int64(2), 0)) == (2, 0)
    for bad in ((-1,), (1.5,), ("a",), ((2, None),), (None,)):
        with pytest.raises(ShapeError, match="zeros: sizes must be whole numbers"):
            as_shape("zeros", bad)
