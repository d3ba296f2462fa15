"""Datasets: things with a length and rows; and the ways to cut one into parts.

May import: base, numpy. To add one: a subclass of `Dataset` with `__len__` and `__getitem__`,
and `gather` when it can fetch a whole batch faster than row by row.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pierian.base.errors import DataError, DtypeError, ShapeError, message
from pierian.data.collate import SupportsArray, as_array, default_collate
from pierian.data.order import permute, whole


class Dataset(ABC):
    """Base of datasets: subclasses define `__len__` and `__getitem__(i)`.

    It is a convenience: lists, ranges, arrays and any object with these two methods are accepted
    wherever a dataset is.

    Shapes:  n rows, n = len(self); all of one shape if they are to be batched.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, i):
    ...         return float(i), float(i * i)
    >>> Squares().gather(slice(2, 4))
    (array([2., 3.], dtype=float32), array([4., 9.], dtype=float32))
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def __getitem__(self, index: Any) -> Any:
        """The row at `index`, an int."""

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def gather(self, positions: slice | np.ndarray) -> Any:
        """The batch at `positions`, a slice or an array of ints: its rows, collated."""
        return default_collate(self.rows(positions))

    def rows(self, positions: slice | np.ndarray) -> list[Any]:
        """The rows at `positions`, a slice or an array of ints."""
        if isinstance(positions, slice):
            return [self[i] for i in range(len(self))[positions]]
        return [self[i] for i in np.asarray(positions).tolist()]


class ArrayDataset(Dataset):
    """Arrays of equal length, read together; row i is the tuple of their i-th rows.

    An int gives one row; a slice or an array of ints gives a batch, in one indexing call per
    array. Slices are views: write to a copy of them.

    Shapes:  arrays (n, ...) each; [int] -> (...) each; [slice or (k,)] -> (k, ...) each.
    Dtypes:  kept; lists of Python floats become float32, of ints int64.
    Args:    arrays  one or more arrays, tensors or nested lists, all with n rows.
    Raises:  ShapeError when lengths differ or an array has no axis; DataError without arrays.

    >>> ArrayDataset([[1.0], [2.0], [3.0]], [0, 1, 0])[1:]
    (array([[2.],
           [3.]], dtype=float32), array([1, 0]))
    """

    def __init__(self, *arrays: Any) -> None:
        where = "ArrayDataset"
        if not arrays:
            raise DataError(
                message(where, "a dataset needs data", "at least 1 array", "none",
                        "Pass the arrays one by one, as in ArrayDataset(x, y)")
            )  # fmt: skip
        self.arrays = tuple(as_array(where, array) for array in arrays)
        for i, array in enumerate(self.arrays):
            if array.ndim == 0:
                raise ShapeError(
                    message(where, "arrays must have an axis of rows", "shape (n, ...)",
                            f"shape () in argument {i}", "Pass an array of all rows")
                )  # fmt: skip
            if len(array) != len(self.arrays[0]):
                raise ShapeError(
                    message(where, "arrays must have equal lengths",
                            f"{len(self.arrays[0])} rows as in argument 0",
                            f"shape {array.shape} in argument {i}",
                            "Pass one row of every array per example")
                )  # fmt: skip

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(array[index] for array in self.arrays)

    def gather(self, positions: slice | np.ndarray) -> tuple[np.ndarray, ...]:
        return self[positions]

    def __repr__(self) -> str:
        return f"ArrayDataset({', '.join(f'{a.dtype}{a.shape}' for a in self.arrays)})"


TensorDataset = ArrayDataset  # torch's name


class Subset(Dataset):
    """Some rows of another dataset, in the order of `indices`.

    An int gives a row; a slice or an array of ints gives a batch, fetched from the dataset below
    in one call (and as a view where the rows lie side by side).

    Shapes:  indices (m,); rows as in the dataset.
    Dtypes:  indices of integers; rows as in the dataset.
    Args:    dataset  any dataset or sequence of rows.
             indices  which rows; negative ones count from the end.
    Raises:  IndexError when an index is out of range; DtypeError or ShapeError when `indices` is
             not a vector of integers; TypeError when `dataset` is none.

    >>> list(Subset("abc-def-ghi".split("-"), [2, 0]))
    ['ghi', 'abc']
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        where = "Subset"
        self.dataset = dataset
        self._below = as_dataset(where, dataset)
        chosen = np.asarray(indices)
        if chosen.ndim != 1:
            raise ShapeError(
                message(where, "indices must be a vector", "shape (m,)", f"shape {chosen.shape}",
                        "Pass a list of row numbers")
            )  # fmt: skip
        if chosen.size and not np.issubdtype(chosen.dtype, np.integer):
            raise DtypeError(
                message(where, "indices must be integers", "an integer dtype", chosen.dtype,
                        "Pass row numbers; np.flatnonzero(mask) makes them of a mask")
            )  # fmt: skip
        n = len(self._below)
        wrong = chosen[(chosen < -n) | (chosen >= n)] if chosen.size else chosen
        if wrong.size:
            raise IndexError(
                message(where, "indices must name rows of the dataset", f"-{n} <= index < {n}",
                        wrong[0], f"Leave out the {wrong.size} indices beyond its {n} rows")
            )  # fmt: skip
        self.indices = np.where(chosen < 0, chosen + n, chosen).astype(np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            return self._below[int(self.indices[index])]
        return self.gather(index)

    def gather(self, positions: slice | np.ndarray) -> Any:
        chosen = self.indices[positions]
        if len(chosen) and (np.diff(chosen) == 1).all():
            return self._below.gather(slice(int(chosen[0]), int(chosen[-1]) + 1))
        return self._below.gather(chosen)

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {len(self._below)} rows)"


def random_split(dataset: Any, lengths: Sequence[float], *, seed: int = 0) -> list[Subset]:
    """The dataset cut at random into parts that share no row and leave none out.

    Shapes:  n rows -> parts of `lengths` rows.
    Args:    dataset  any dataset or sequence of rows.
             lengths  row counts that sum to n, or fractions that sum to 1: each part then gets
                      floor(n * fraction) rows, and the rows left over go one by one to the first
                      parts (as in torch).
             seed     which split, 0 <= seed < 2**64; the default always gives the same one.
    Raises:  ValueError when lengths are negative or do not sum up; TypeError for other types.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    where = "random_split"
    below = as_dataset(where, dataset)
    n = len(below)
    seed = whole(where, "seed", seed, least=0, fix="Pass another seed")
    sizes = _sizes(where, n, list(lengths))
    order = permute(n, seed, stream="split")
    ends = np.cumsum(sizes).tolist()
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def k_fold(dataset: Any, k: int, shuffle: bool = True, seed: int = 0) -> Iterator[tuple[Any, Any]]:
    """k pairs (train, valid): every row is in exactly one valid part, and in the other trains.

    Shapes:  n rows -> valid parts of n // k rows, one more in the first n % k; train the rest.
    Dtypes:  of a number of rows: -> int64 index vectors, ascending.
    Args:    dataset  any dataset or sequence of rows, for pairs of `Subset`; or the number of
                      rows, for pairs of index vectors.
             k        how many folds, 2 <= k <= n.
             shuffle  whether rows are dealt at random; otherwise folds are runs of rows.
             seed     which dealing, 0 <= seed < 2**64.
    Raises:  ValueError when k does not fit; TypeError for other types.

    >>> for train, valid in k_fold(5, 2, shuffle=False):
    ...     print(train, valid)
    [3 4] [0 1 2]
    [0 1 2] [3 4]
    """
    where = "k_fold"
    counted = isinstance(dataset, int | np.integer)
    if counted:
        n = whole(where, "number of rows", dataset, least=0, fix="Pass the dataset or its length")
    else:
        n = len(as_dataset(where, dataset))
    seed = whole(where, "seed", seed, least=0, fix="Pass another seed")
    k = whole(where, "k", k, least=2, fix="Pass k=5, or random_split for one split")
    if k > n:
        raise ValueError(
            message(where, "k must not exceed the number of rows", f"k <= {n}", k,
                    "Pass a smaller k")
        )  # fmt: skip
    order = permute(n, seed, stream="fold") if shuffle else np.arange(n)
    folds = np.array_split(order, k)
    parts = [
        (np.sort(np.concatenate(folds[:i] + folds[i + 1 :])), np.sort(fold))
        for i, fold in enumerate(folds)
    ]
    if counted:
        return iter(parts)
    return ((Subset(dataset, train), Subset(dataset, valid)) for train, valid in parts)


@runtime_checkable
class _Rows(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...


class _Sequence(Dataset):
    """The rows of any Python object with a length and rows."""

    def __init__(self, source: _Rows) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Any:
        return self.source[index]


class _Array(_Sequence):
    """The rows of one array, bare: batches are arrays too, not tuples of one."""

    def gather(self, positions: slice | np.ndarray) -> Any:
        return self.source[positions]


def as_dataset(where: str, source: Any) -> Dataset:
    """`source` as a `Dataset`: itself, or a thin wrap of an array or a sequence of rows.

    Raises:  TypeError when it has no rows that can be numbered.
    """
    if isinstance(source, Dataset):
        return source
    if isinstance(source, SupportsArray):
        array = as_array(where, source)
        if array.ndim:
            return _Array(array)
        got, fix = "an array of shape ()", "Pass an array of all rows"
    elif isinstance(source, tuple) and source and isinstance(source[0], SupportsArray):
        got, fix = f"a tuple of {len(source)} arrays", "Pass ArrayDataset(x, y) instead of (x, y)"
    elif isinstance(source, str | bytes | Mapping) or not isinstance(source, _Rows):
        got, fix = type(source).__name__, "Pass list(…) of the rows, or ArrayDataset(x, y)"
    else:
        return _Sequence(source)
    raise TypeError(
        message(where, "dataset must have a length and rows numbered from 0",
                "a Dataset, a list of rows or an array", got, fix)
    )  # fmt: skip


def stacked(source: Any) -> Any:
    """`source`; a list of tuples of arrays, where they can be stacked, as an `ArrayDataset`.

    Stacking once is much faster than collating each batch anew. Rows that are not alike are left
    as they are: the batch that has them says so.

    >>> stacked([(np.zeros(3), np.ones(1)), (np.ones(3), np.zeros(1))])
    ArrayDataset(float64(2, 3), float64(2, 1))
    """
    first = source[0] if isinstance(source, list) and source else None
    if not isinstance(first, tuple) or not all(isinstance(x, SupportsArray) for x in first):
        return source
    try:
        return ArrayDataset(*default_collate(source))
    except (DataError, DtypeError, ShapeError, TypeError):
        return source


def _sizes(where: str, n: int, lengths: list[Any]) -> list[int]:
    """Row counts that sum to n, from counts or fractions."""
    fix = f"Pass counts that sum to {n} or fractions that sum to 1, e.g. [0.8, 0.2]"
    counts = all(isinstance(x, int | np.integer) for x in lengths)
    if not counts and not all(isinstance(x, float | np.floating) for x in lengths):
        raise TypeError(
            message(where, "lengths must be all counts or all fractions", "ints or floats",
                    lengths, fix)
        )  # fmt: skip
    if any(not x >= 0 for x in lengths):
        raise ValueError(message(where, "lengths must not be negative", ">= 0", lengths, fix))
    total = sum(lengths)
    if counts and total != n:
        raise ValueError(
            message(where, "counts must sum to the number of rows", n, f"{total} of {lengths}", fix)
        )
    if not counts and not math.isclose(total, 1):
        raise ValueError(
            message(where, "fractions must sum to 1", 1, f"{total:.6g} of {lengths}", fix)
        )
    if counts:
        return [int(x) for x in lengths]
    sizes = [math.floor(n * x) for x in lengths]
    for i in range(n - sum(sizes)):
        sizes[i % len(sizes)] += 1
    return sizes
