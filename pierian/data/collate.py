"""From rows to a batch.

May import: base, numpy. To collate one more kind of row: a branch in `default_collate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pierian.base.errors import DataError, DtypeError, ShapeError, message

OF_LISTS = {np.dtype("f8"): np.dtype("f4"), np.dtype("c16"): np.dtype("c8")}  # ours, not NumPy's


@runtime_checkable
class SupportsArray(Protocol):
    """Whatever NumPy can make an array of: arrays, NumPy scalars, tensors, data frames."""

    def __array__(self) -> np.ndarray: ...


def default_collate(rows: Sequence[Any]) -> Any:
    """One batch of a list of rows, by what a row is.

    Numbers become a vector, arrays are stacked on a new first axis, tuples, lists and dicts are
    collated field by field, strings stay a list. A row that is a list of numbers therefore gives
    a list of vectors, as in torch; make it an array to have one matrix.

    Shapes:  n rows of shape s -> (n, *s)
    Dtypes:  Python floats -> float32, ints -> int64; arrays and NumPy scalars keep theirs.
    Args:    rows  at least one row, all of the same kind.
    Raises:  ShapeError when arrays or fields of rows do not match; DtypeError for arrays of
             objects; TypeError for rows of another kind; DataError when there are none.

    >>> x, y = default_collate([(np.zeros(3), 1), (np.ones(3), 0)])
    >>> x.shape, y
    ((2, 3), array([1, 0]))
    """
    return _collate("default_collate", rows)


def as_array(where: str, value: Any) -> np.ndarray:
    """`value` as an array; NumPy's own dtypes are kept, lists of Python floats give float32.

    Raises:  ShapeError when nested lists are ragged; DtypeError for objects.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            message(where, "nested lists must be rectangular", "rows of one length",
                    "rows of several", "Pad them, or keep a list of rows as the dataset")
        ) from error  # fmt: skip
    if array.dtype == object:
        raise DtypeError(
            message(where, "arrays must hold numbers, bools or strings", "such a dtype",
                    "dtype object", "Convert it first, or keep a list of rows as the dataset")
        )  # fmt: skip
    if isinstance(value, np.ndarray | np.generic | SupportsArray):
        return array
    return array.astype(OF_LISTS.get(array.dtype, array.dtype), copy=False)


def _collate(where: str, rows: Sequence[Any]) -> Any:
    if len(rows) == 0:
        raise DataError(
            message(where, "a batch needs rows", "at least 1", 0, "Leave empty batches out")
        )
    first = rows[0]
    if isinstance(first, str | bytes):
        _check_kind(where, rows, (str, bytes))
        return list(rows)
    if isinstance(first, Mapping):
        _check_kind(where, rows, (Mapping,))
        _check_fields(where, [sorted(map(str, row)) for row in rows], "the same keys")
        return {key: _collate(f"{where}[{key!r}]", [row[key] for row in rows]) for key in first}
    if isinstance(first, tuple | list):
        _check_kind(where, rows, (tuple, list))
        _check_fields(where, [len(row) for row in rows], "as many fields")
        fields = [
            _collate(f"{where}[{i}]", field) for i, field in enumerate(zip(*rows, strict=True))
        ]
        if isinstance(first, list):
            return fields
        named = type(first) is not tuple  # a namedtuple, which takes its fields one by one
        return type(first)(*fields) if named else tuple(fields)
    _check_kind(where, rows, (SupportsArray, int, float, complex))
    if not any(issubclass(kind, SupportsArray) for kind in set(map(type, rows))):
        return as_array(where, rows)
    arrays = [as_array(where, row) for row in rows]
    _check_fields(where, [array.shape for array in arrays], "one shape")
    return np.stack(arrays)


def _check_kind(where: str, rows: Sequence[Any], kind: tuple[type, ...]) -> None:
    found: dict[type, int] = {}
    for i, row in enumerate(rows):
        found.setdefault(type(row), i)
    for other, i in found.items():
        if not issubclass(other, kind):
            first = "" if i == 0 else f" like row 0, {type(rows[0]).__name__}"
            raise TypeError(
                message(where, "rows must be of one kind that can be batched",
                        f"numbers, arrays, strings, tuples, lists or dicts{first}",
                        f"{other.__name__} in row {i}", "Convert the rows or pass collate=")
            )  # fmt: skip


def _check_fields(where: str, fields: Sequence[Any], what: str) -> None:
    for i, field in enumerate(fields):
        if field != fields[0]:
            raise ShapeError(
                message(where, f"rows of a batch must have {what}", f"{fields[0]} as in row 0",
                        f"{field} in row {i}", "Make the rows alike or pass collate=")
            )  # fmt: skip
