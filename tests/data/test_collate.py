"""default_collate: by what a row is."""

from __future__ import annotations

import dataclasses
from collections import namedtuple

import numpy as np
import pytest

from pierian.base.errors import DataError, DtypeError, ShapeError
from pierian.data import default_collate

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Wrapped:
    """Stands for a tensor: all NumPy knows of it is `__array__`."""

    value: np.ndarray

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.value, dtype)


f4, f8, i8 = np.float32, np.float64, np.int64
ZERO, ONE = np.zeros((2, 3), f4), np.ones((2, 3), f4)
ODD, EVEN = np.array([1, 3], i8), np.array([2, 4], i8)
LIKE = {  # rows -> the batch
    "ints": ([1, 2], np.array([1, 2], i8)),
    "floats": ([1.0, 2.5], np.array([1, 2.5], f4)),
    "ints and floats": ([1, 2.5], np.array([1, 2.5], f4)),
    "bools": ([True, False], np.array([True, False])),
    "complex": ([1j, 2.0], np.array([1j, 2], np.complex64)),
    "numpy scalars": ([f8(1), f8(2)], np.array([1, 2], f8)),
    "uint8 scalars": ([np.uint8(1), np.uint8(2)], np.array([1, 2], np.uint8)),
    "arrays": ([ZERO, ONE], np.stack([ZERO, ONE])),
    "array-likes": ([Wrapped(np.array([1, 2])), np.array([3, 4])], np.array([[1, 2], [3, 4]])),
    "strings": (["a", "b"], ["a", "b"]),
    "bytes": ([b"a", b"b"], [b"a", b"b"]),
    "pairs": ([(1.0, 2), (3.0, 4)], (ODD.astype(f4), EVEN)),
    "lists": ([[1, 2], [3, 4]], [ODD, EVEN]),
    "named": ([Point(1, "a"), Point(2, "b")], Point(np.array([1, 2], i8), ["a", "b"])),
    "dicts": ([{"x": 1, "y": (2,)}, {"y": (4,), "x": 3}], {"x": ODD, "y": (EVEN,)}),
    "one row": ([(np.zeros(2, f4), 1)], (np.zeros((1, 2), f4), np.array([1], i8))),
}  # fmt: skip


def check_same(got, want):
    assert type(got) is type(want)
    if isinstance(want, np.ndarray):
        np.testing.assert_array_equal(got, want, strict=True)
    elif isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            check_same(got[key], want[key])
    elif isinstance(want, tuple | list):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            check_same(a, b)
    else:
        assert got == want


@pytest.mark.parametrize("name", LIKE)
def test_default_collate_gives(name):
    rows, batch = LIKE[name]
    check_same(default_collate(rows), batch)


KIND = (
    "rows must be of one kind that can be batched; "
    "expected numbers, arrays, strings, tuples, lists or dicts"
)
ALIKE = "Make the rows alike or pass collate=."
CONVERT = "Convert the rows or pass collate=."
OBJECTS = (
    "arrays must hold numbers, bools or strings; expected such a dtype, got dtype object. "
    "Convert it first, or keep a list of rows as the dataset."
)
ROW = "rows of a batch must have"
WRONG = [  # rows -> the error, and what it says after its place in the rows
    ([], DataError, "", "a batch needs rows; expected at least 1, got 0. Leave empty batches out."),
    ([np.ones(3), np.ones(3), np.ones(4)], ShapeError, "",
     f"{ROW} one shape; expected (3,) as in row 0, got (4,) in row 2. {ALIKE}"),
    ([np.ones(3), 1.0], ShapeError, "",
     f"{ROW} one shape; expected (3,) as in row 0, got () in row 1. {ALIKE}"),
    ([(np.ones(3), 1), (np.ones(2), 1)], ShapeError, "[0]",
     f"{ROW} one shape; expected (3,) as in row 0, got (2,) in row 1. {ALIKE}"),
    ([{"x": (1, 2)}, {"x": (1,)}], ShapeError, "['x']",
     f"{ROW} as many fields; expected 2 as in row 0, got 1 in row 1. {ALIKE}"),
    ([{"x": 1}, {"y": 1}], ShapeError, "",
     f"{ROW} the same keys; expected ['x'] as in row 0, got ['y'] in row 1. {ALIKE}"),
    ([None, 1], TypeError, "", f"{KIND}, got NoneType in row 0. {CONVERT}"),
    ([1, "a"], TypeError, "", f"{KIND} like row 0, int, got str in row 1. {CONVERT}"),
    (["a", 1], TypeError, "", f"{KIND} like row 0, str, got int in row 1. {CONVERT}"),
    ([(1, 2), 3], TypeError, "", f"{KIND} like row 0, tuple, got int in row 1. {CONVERT}"),
    ([{}, 3], TypeError, "", f"{KIND} like row 0, dict, got int in row 1. {CONVERT}"),
    ([np.array([None])], DtypeError, "", OBJECTS),
    ([2**70], DtypeError, "", OBJECTS),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "kind", "place", "says"), WRONG)
def test_default_collate_rejects(rows, kind, place, says):
    with pytest.raises(kind) as caught:
        default_collate(rows)
    assert str(caught.value) == f"default_collate{place}: {says}"
