"""Lists whose numbers live in an array: held against ordinary lists."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pierian.base.errors import DtypeError, ShapeError
from pierian.base.lists import ListView, numbers, plain

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
SAME: list[Callable[[Any], Any]] = [
    len, bool, repr, format, list, sorted, max,
    lambda rows: [*reversed(rows)],
    lambda rows: [*zip(*rows, strict=True)],
    lambda rows: [rows[1], rows[-1][0], rows[1:], rows[::-2], rows[0][:1]],
    lambda rows: [rows + [7], [7] + rows, rows * 2, 2 * rows],
    lambda rows: [rows == ROWS, rows != ROWS, [*ROWS] == rows, rows < [[2]], rows >= ROWS],
    lambda rows: [[3, 4] in rows, rows.index([3, 4]), rows.count([1, 2]), rows.copy()],
    lambda rows: [sum(row) for row in rows],
    lambda rows: json.dumps(rows),
    lambda rows: json.dumps(rows, indent=1),
    lambda rows: pickle.loads(pickle.dumps(rows)),
    lambda rows: [type(row).__name__ for row in copy.deepcopy(rows)],
    lambda rows: type(copy.copy(rows)),
    lambda rows: np.asarray(rows).tolist(),
    lambda rows: isinstance(rows, list) and isinstance(rows[0], list) and type(rows[0][0]),
]  # fmt: skip


@pytest.mark.parametrize("look", SAME)
def test_looking_at_a_view_is_looking_at_a_list(look: Callable[[Any], Any]) -> None:
    assert look(ListView(np.array(ROWS))) == look(copy.deepcopy(ROWS))


def fill(rows: Any) -> None:
    rows[:] = [[6, 5], [4, 3], [2, 1]]


def fill_rows(rows: Any) -> None:
    rows[0], rows[1:] = [7, 7], [[8, 8], [9, 9]]


def fill_places(rows: Any) -> None:
    rows[0][1] = 10
    for row in rows:
        row[-1] += 1


@pytest.mark.parametrize("change", [fill, fill_rows, fill_places])
def test_what_is_assigned_to_a_view_is_in_the_array(change: Callable[[Any], None]) -> None:
    array, rows = np.array(ROWS), copy.deepcopy(ROWS)
    change(ListView(array))
    change(rows)
    assert array.tolist() == rows


def test_a_view_shows_what_is_assigned_to_the_array() -> None:
    array = np.array(ROWS)
    row = ListView(array)[1]
    array[1] = 0
    assert row == [0, 0]


REFUSED: list[Callable[[Any], Any]] = [
    lambda rows: rows.append([1, 2]),
    lambda rows: rows.extend([[1, 2]]),
    lambda rows: rows.insert(0, [1, 2]),
    lambda rows: rows.remove([1, 2]),
    lambda rows: rows.sort(reverse=True),
    lambda rows: rows.__delitem__(0),
    lambda rows: rows.__iadd__([[1, 2]]),
    lambda rows: rows.__imul__(2),
    *(lambda rows, name=name: getattr(rows, name)() for name in ("clear", "pop", "reverse")),
]


@pytest.mark.parametrize("change", REFUSED)
def test_a_view_keeps_its_length_and_order(change: Callable[[Any], Any]) -> None:
    rows = ListView(np.array(ROWS))
    with pytest.raises(TypeError, match="Change a copy"):
        change(rows)
    assert rows == ROWS


@pytest.mark.parametrize("new", [[], [[1, 2]], [1, 2, 3], 0])
def test_a_view_keeps_its_shape(new: Any) -> None:
    rows = ListView(np.array(ROWS))
    with pytest.raises(ShapeError, match="as many"):
        rows[:] = new
    assert rows == ROWS


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([[1, 2], [3, 4]], (2, 2)),
        (3, ()),
        (np.ones(2, np.float32), (2,)),
        ([ListView(np.ones(2))], (1, 2)),
    ],
)
def test_numbers_are_float64(data: Any, shape: tuple[int, ...]) -> None:
    found = numbers("here", data)
    assert found.dtype == np.float64 and found.shape == shape and found.tolist() == plain(data)


def test_numbers_of_a_view_share_its_memory() -> None:
    array = np.array(ROWS)
    assert numbers("here", ListView(array)) is array


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ([[1, 2], [3]], ShapeError, "lengths 1, 2"),
        ([1, [2]], ShapeError, "lengths 0, 1"),
        ([np.zeros(2), np.zeros(3)], ShapeError, "lengths 2, 3"),
        (["a"], DtypeError, "Encode words"),
        ([{}], DtypeError, "Encode words"),
        (None, DtypeError, "return what"),
    ],
)
def test_what_are_no_numbers_is_said(data: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=f"here: .*{words}"):
        numbers("here", data)
