"""Tensors as nested lists: the text's helpers, and lists whose numbers live in an array.

May import: base, nn.functional, number. Helpers take nested lists or arrays and give nested lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from pierian.base.errors import DtypeError, ShapeError, message
from pierian.nn import functional as F

Tensor = list

# What lists can do without changing: done by a list made for the purpose.
READS = ("__add__", "__contains__", "__eq__", "__format__", "__ge__", "__gt__", "__le__", "__lt__",
         "__mul__", "__ne__", "__repr__", "__reversed__", "__rmul__", "copy", "count",
         "index")  # fmt: skip
RESIZES = ("__delitem__", "__iadd__", "__imul__", "append", "clear", "extend", "insert", "pop",
           "remove", "reverse", "sort")  # fmt: skip


class Values(list):
    """A list (of lists) of numbers that live in an array: reads and writes go there.

    It is a list to `isinstance`, `json`, `zip`, comparison and recursion; only its length is fixed.
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
        return iter(self.array.tolist() if self.array.ndim == 1 else map(Values, self.array))

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        if isinstance(index, slice):
            return [*Values(found)]
        return found.item() if found.ndim == 0 else Values(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        new, old = numbers("assignment", value), self.array[index]
        if new.shape != old.shape:
            raise ShapeError(
                message("assignment", "numbers of a layer keep their shape", [*old.shape],
                        [*new.shape], "Assign as many numbers, in as many rows, as there were")
            )  # fmt: skip
        self.array[index] = new

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype, copy=copy)

    def __radd__(self, other: Any) -> list[Any]:
        return [*other, *self]

    def __reduce__(self) -> tuple[Any, ...]:
        return plain, (self.tolist(),)


def _read(name: str) -> Callable[..., Any]:
    def read(self: Values, *args: Any) -> Any:
        return getattr(self.tolist(), name)(*map(plain, args))

    return read


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(self: Values, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            message(f"list.{name}", "numbers of a layer keep their places", "values[:] = new",
                    name, "Change a copy, made by list(values)")
        )  # fmt: skip

    return refuse


for name in READS:
    setattr(Values, name, _read(name))
for name in RESIZES:
    setattr(Values, name, _refuse(name))


def plain(tensor: Any) -> Any:
    """Arrays, and lists that live in one, as ordinary lists; all else as it is."""
    return tensor.tolist() if isinstance(tensor, (Values, np.ndarray, np.generic)) else tensor


def numbers(where: str, data: Any) -> np.ndarray:
    """Nested lists or an array as an array of float64, shared where it is one.

    Raises:  ShapeError for rows of unequal length, DtypeError for what is no number.
    """
    if type(data) is Values:
        return data.array
    if data is None:
        raise _no_number(where, data)
    try:
        return np.asarray(data, np.float64)
    except ValueError as error:
        if "inhomogeneous" not in str(error) and "sequence" not in str(error):
            raise _no_number(where, data) from None
        rows = sorted({len(row) if isinstance(row, list) else 0 for row in data})
        raise ShapeError(
            message(where, "all rows must be equally long", "rows of one length",
                    f"rows of lengths {', '.join(map(str, rows))}",
                    "Look for the row where a number is missing or too many")
        ) from None  # fmt: skip
    except TypeError:
        raise _no_number(where, data) from None


def _no_number(where: str, data: Any) -> DtypeError:
    must, fix = "everything must be a number", "Encode words as numbers; return what you computed"
    return DtypeError(message(where, must, "nested lists of numbers", repr(data)[:60], fix))


def shape(tensor: Any) -> list[int]:
    """The lengths of a nested list, outermost first.

    >>> shape([[1, 2], [3, 4], [5, 6]])
    [3, 2]
    """
    tensor = plain(tensor)
    sizes = []
    while isinstance(tensor, list):
        sizes.append(len(tensor))
        tensor = tensor[0] if tensor else None
    return sizes


def is_1d(tensor: Any) -> bool:
    """Whether a tensor is a list of numbers, not of lists."""
    return len(shape(tensor)) == 1


def tensor_sum(tensor: Any) -> float:
    """The sum of all numbers of a tensor.

    >>> tensor_sum([[1, 2], [3, 4]])
    10
    """
    tensor = plain(tensor)
    return sum(map(tensor_sum, tensor)) if isinstance(tensor, list) else tensor


def tensor_apply(f: Callable[[float], float], tensor: Any) -> Any:
    """`f` of every number.

    >>> tensor_apply(lambda x: x + 1, [[1, 2], [3]])
    [[2, 3], [4]]
    """
    tensor = plain(tensor)
    return [tensor_apply(f, x) for x in tensor] if isinstance(tensor, list) else f(tensor)


def zeros_like(tensor: Any) -> Any:
    """0.0 in the shape of a tensor."""
    return tensor_apply(lambda _: 0.0, tensor)


def tensor_combine(f: Callable[[float, float], float], t1: Any, t2: Any) -> Any:
    """`f` of the numbers that stand at the same place of two tensors of one shape.

    >>> tensor_combine(max, [1, 5], [3, 2])
    [3, 5]
    """
    t1, t2 = plain(t1), plain(t2)
    if not isinstance(t1, list) and not isinstance(t2, list):
        return f(t1, t2)
    if not isinstance(t1, list) or not isinstance(t2, list) or len(t1) != len(t2):
        raise ShapeError(
            message("tensor_combine", "both tensors must have one shape", shape(t1), shape(t2),
                    "Print shape(...) of both")
        )  # fmt: skip
    return [tensor_combine(f, x, y) for x, y in zip(t1, t2, strict=True)]


def dot(v: Any, w: Any) -> float:
    """The sum of the products of two lists of numbers.

    >>> dot([1, 2], [3, 4])
    11
    """
    return tensor_sum(tensor_combine(lambda x, y: x * y, v, w))


def softmax(tensor: Any) -> Any:
    """Along the last axis, numbers as probabilities.

    >>> softmax([[0.0, 0.0], [0.0, 1000.0]])
    [[0.5, 0.5], [0.0, 1.0]]
    """
    return F.softmax(numbers("softmax", tensor), axis=-1).tolist()


def argmax(xs: Any) -> int:
    """Where the largest number stands, the first one of equals.

    >>> argmax([0, -1, 10, 5])
    2
    """
    xs = [*plain(xs)]
    return xs.index(max(xs))


def one_hot_encode(i: int, num_labels: int = 10) -> list[float]:
    """1.0 at place `i`, else 0.0.

    Raises:  IndexError unless 0 <= i < num_labels.
    """
    if not 0 <= i < num_labels:
        raise IndexError(
            message("one_hot_encode", "a label counts from 0", f"0 ... {num_labels - 1}", i,
                    "Pass num_labels, the number of different labels")
        )  # fmt: skip
    return [1.0 if i == j else 0.0 for j in range(num_labels)]


def binary_encode(x: int) -> list[int]:
    """The ten lowest binary digits of a number, the lowest first.

    >>> binary_encode(6)
    [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    """
    return [x >> place & 1 for place in range(10)]


def fizz_buzz_encode(x: int) -> list[int]:
    """One of four classes, one-hot: the number itself, fizz, buzz, fizzbuzz.

    >>> fizz_buzz_encode(30)
    [0, 0, 0, 1]
    """
    kind = (x % 3 == 0, x % 5 == 0)
    return [int(kind == k) for k in ((False, False), (True, False), (False, True), (True, True))]
