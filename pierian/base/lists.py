"""Nested lists of numbers whose memory is an array, and what is between lists and arrays.

May import: errors. For programs that work on plain lists while the arithmetic runs on arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from pierian.base.errors import DtypeError, ShapeError, message

# What lists can do without changing: done by a list made for the purpose.
READS = ("__add__", "__contains__", "__eq__", "__format__", "__ge__", "__gt__", "__le__", "__lt__",
         "__mul__", "__ne__", "__repr__", "__reversed__", "__rmul__", "copy", "count",
         "index")  # fmt: skip


class ListView(list):
    """A list (of lists) of numbers that live in an array: reads and writes go there.

    It is a list to `isinstance`, `json`, `zip`, comparison and recursion; only its length is fixed.

    Shapes:  array (n, ...).
    Raises:  ShapeError when other numbers than there were are assigned; TypeError for what would
             change the length.

    >>> array = np.zeros((2, 2))
    >>> rows = ListView(array)
    >>> rows[0][1], rows[1] = 7, [8, 9]
    >>> rows == [[0, 7], [8, 9]], array.sum()
    (True, np.float64(24.0))
    """

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def tolist(self) -> Any:
        """An ordinary nested list of the numbers as they are now."""
        return self.array.tolist()

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array.tolist() if self.array.ndim == 1 else map(ListView, self.array))

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        if isinstance(index, slice):
            return [*ListView(found)]
        return found.item() if found.ndim == 0 else ListView(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        new, old = numbers("assignment", value), self.array[index]
        if new.shape != old.shape:
            raise ShapeError(
                message("assignment", "the numbers of an array keep their shape", [*old.shape],
                        [*new.shape], "Assign as many numbers, in as many rows, as there were")
            )  # fmt: skip
        self.array[index] = new

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype, copy=copy)

    def __radd__(self, other: Any) -> list[Any]:
        return [*other, *self]

    def __reduce__(self) -> tuple[Any, ...]:
        return plain, (self.tolist(),)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            message("list", "the numbers of an array keep their places", "values[:] = new",
                    "a change of length or order", "Change a copy, made by list(values)")
        )  # fmt: skip

    append = clear = extend = insert = pop = remove = reverse = sort = _refuse
    __delitem__ = __iadd__ = __imul__ = _refuse


def _read(name: str) -> Callable[..., Any]:
    def read(self: ListView, *args: Any) -> Any:
        return getattr(self.tolist(), name)(*map(plain, args))

    return read


for name in READS:
    setattr(ListView, name, _read(name))


def plain(data: Any) -> Any:
    """Arrays, and lists that live in one, as ordinary lists; all else as it is."""
    return data.tolist() if isinstance(data, (ListView, np.ndarray, np.generic)) else data


def numbers(where: str, data: Any) -> np.ndarray:
    """Nested lists or an array as an array of float64, shared where it is one.

    Raises:  ShapeError for rows of unequal length, DtypeError for what is no number.

    >>> numbers("here", [[1, 2], [3]])
    Traceback (most recent call last):
    ...
    pierian.base.errors.ShapeError: here: all rows must be equally long; expected rows of one \
length, got rows of lengths 1, 2. Look for the row where a number is missing or too many.
    """
    if type(data) is ListView:
        return data.array
    uneven = False
    try:
        if data is not None:  # which NumPy takes for nan
            return np.asarray(data, np.float64)
    except (TypeError, ValueError) as error:
        uneven = "inhomogeneous" in str(error)
    if uneven:
        rows = sorted({len(row) if isinstance(row, (list, np.ndarray)) else 0 for row in data})
        raise ShapeError(
            message(where, "all rows must be equally long", "rows of one length",
                    f"rows of lengths {', '.join(map(str, rows))}",
                    "Look for the row where a number is missing or too many")
        )  # fmt: skip
    must, fix = "everything must be a number", "Encode words as numbers; return what you computed"
    raise DtypeError(message(where, must, "nested lists of numbers", repr(data)[:60], fix))
