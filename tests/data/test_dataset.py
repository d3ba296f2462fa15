"""Datasets and the ways to cut them."""

from __future__ import annotations

import numpy as np
import pytest

from pierian.base.errors import DataError, DtypeError, ShapeError
from pierian.data import ArrayDataset, Dataset, Subset, TensorDataset, k_fold, random_split

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1], np.uint8)
PAIRS = ArrayDataset(X, Y)


class Squares(Dataset):
    """A dataset that knows rows only."""

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return i * i


class Alike:
    """What NumPy can make an array of, as a tensor is."""

    def __array__(self, dtype=None, copy=None):
        return np.asarray(X, dtype)


INDEXED = [
    (2, [4.0, 5.0], 0),
    (-1, [10.0, 11.0], 1),
    (np.int64(1), [2.0, 3.0], 1),
    (slice(1, 3), [[2.0, 3.0], [4.0, 5.0]], [1, 0]),
    (slice(None, None, -3), [[10.0, 11.0], [4.0, 5.0]], [1, 0]),
    ([5, 0], [[10.0, 11.0], [0.0, 1.0]], [1, 0]),
    (np.array([0, 0]), [[0.0, 1.0], [0.0, 1.0]], [0, 0]),
]


@pytest.mark.parametrize(("index", "x", "y"), INDEXED)
def test_array_dataset_indexes_all_its_arrays(index, x, y):
    got = PAIRS[index]
    assert [part.tolist() for part in got] == [x, y]
    whole = Subset(PAIRS, range(6))
    assert [part.tolist() for part in whole[index]] == [x, y]


def test_array_dataset_keeps_dtypes_and_narrows_lists_of_floats():
    made = ArrayDataset(X, Y, [0.5] * 6, [1] * 6, Alike(), ["a"] * 6)
    kinds = ["float64", "uint8", "float32", "int64", "float64", "<U1"]
    assert [str(array.dtype) for array in made.arrays] == kinds
    assert made.arrays[0] is X
    assert len(made) == 6
    assert repr(PAIRS) == "ArrayDataset(float64(6, 2), uint8(6,))"
    assert TensorDataset is ArrayDataset


def test_array_dataset_slices_are_views():
    assert np.shares_memory(PAIRS[1:3][0], X)
    assert np.shares_memory(Subset(PAIRS, [2, 3, 4])[:2][0], X)
    assert np.shares_memory(Subset(PAIRS, [0, 2, 3, 5]).gather(np.array([1, 2]))[0], X)
    assert not np.shares_memory(Subset(PAIRS, [2, 4])[:][0], X)


def test_array_dataset_fetches_a_batch_in_one_call():
    class Counting(np.ndarray):
        calls = 0

        def __getitem__(self, index):
            Counting.calls += 1
            return np.asarray(self)[index]

    counted = ArrayDataset([0])
    counted.arrays = (X.view(Counting),)
    nested = Subset(Subset(counted, [5, 3, 1, 0]), [3, 0, 2])
    assert nested.gather(np.array([2, 0]))[0].tolist() == [[2.0, 3.0], [0.0, 1.0]]
    assert Counting.calls == 1


def test_dataset_iterates_and_collates_rows():
    squares = Squares()
    assert list(squares) == [0, 1, 4, 9, 16]
    assert list(PAIRS)[1][0].tolist() == [2.0, 3.0]
    assert squares.gather(slice(3, 9)).tolist() == [9, 16]
    assert squares.rows(np.array([4, 0])) == [16, 0]
    with pytest.raises(TypeError, match="abstract"):
        Dataset()


SEQUENCES = {  # dataset -> its rows 3 and 1
    "list": ([(i, str(i)) for i in range(5)], [(3, "3"), (1, "1")]),
    "range": (range(5), [3, 1]),
    "tuple": ((0, 1, 2, 3), [3, 1]),
    "dataset": (Squares(), [9, 1]),
    "array": (np.arange(5) * 2, [6, 2]),
    "array-like": (Alike(), [[6.0, 7.0], [2.0, 3.0]]),
    "zip": (list(zip(X, Y, strict=True)), [([6.0, 7.0], 1), ([2.0, 3.0], 1)]),
}


def plain(row):
    if isinstance(row, tuple):
        return tuple(map(plain, row))
    return row.tolist() if isinstance(row, np.ndarray | np.generic) else row


@pytest.mark.parametrize("name", SEQUENCES)
def test_subset_takes_rows_of_anything(name):
    dataset, rows = SEQUENCES[name]
    subset = Subset(dataset, [3, 1])
    assert subset.dataset is dataset
    assert len(subset) == 2
    assert [plain(row) for row in subset] == rows


def test_subset_counts_negative_indices_from_the_end():
    subset = Subset(range(10, 20), np.array([-1, 0, -10], np.int8))
    assert subset.indices.tolist() == [9, 0, 0]
    assert subset.indices.dtype == np.int64
    assert subset[:].tolist() == [19, 10, 10]
    assert subset[-1] == 10
    assert len(Subset(range(3), [])) == 0
    assert repr(subset) == "Subset(3 of 10 rows)"


SPLITS = [
    (10, [7, 3], [7, 3]),
    (10, [10], [10]),
    (10, [0, 10], [0, 10]),
    (10, [0.75, 0.25], [8, 2]),
    (10, (0.7, 0.2, 0.1), [7, 2, 1]),
    (11, [0.5, 0.25, 0.25], [6, 3, 2]),
    (1, [1.0], [1]),
    (100, np.array([0.29, 0.71]), [29, 71]),
]


@pytest.mark.parametrize(("n", "lengths", "sizes"), SPLITS)
def test_random_split_parts_cover_all_rows_once(n, lengths, sizes):
    parts = random_split(range(n), lengths, seed=3)
    assert [len(part) for part in parts] == sizes
    assert sorted(row for part in parts for row in part) == list(range(n))


def test_random_split_depends_on_the_seed_alone():
    def rows(seed):
        return [list(part) for part in random_split(range(50), [0.8, 0.2], seed=seed)]

    assert rows(1) == rows(1) != rows(2)
    default = [list(part) for part in random_split(range(50), [0.8, 0.2])]
    assert default == rows(0)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("n", "k"), [(10, 2), (10, 3), (5, 5), (103, 10)])
def test_k_fold_validates_every_row_once(n, k, shuffle):
    pairs = list(k_fold(n, k, shuffle, seed=4))
    assert len(pairs) == k
    sizes = [len(valid) for _, valid in pairs]
    assert sizes == [n // k + 1] * (n % k) + [n // k] * (k - n % k)
    for train, valid in pairs:
        assert sorted([*train, *valid]) == list(range(n))
        assert (np.diff(train) > 0).all()
        assert (np.diff(valid) > 0).all()
    together = np.concatenate([valid for _, valid in pairs])
    assert sorted(together) == list(range(n))
    assert shuffle or together.tolist() == list(range(n))


def test_k_fold_of_a_dataset_gives_the_same_rows_as_subsets():
    counted = list(k_fold(6, 3, seed=1))
    subsets = list(k_fold(PAIRS, 3, seed=1))
    for (train, valid), (a, b) in zip(counted, subsets, strict=True):
        assert a.indices.tolist() == train.tolist()
        assert b[:][0].tolist() == X[valid].tolist()
    again = [valid.tolist() for _, valid in k_fold(6, 3, seed=1)]
    other = [valid.tolist() for _, valid in k_fold(6, 3, seed=2)]
    assert again == [valid.tolist() for _, valid in counted] != other


ROWS = "dataset must have a length and rows numbered from 0"
WANT = f"{ROWS}; expected a Dataset, a list of rows or an array, got "
LISTS = "Pass list(…) of the rows, or ArrayDataset(x, y)."
SUMS = "Pass counts that sum to 10 or fractions that sum to 1, e.g. [0.8, 0.2]."
TEN = range(10)
WRONG = [
    (lambda: ArrayDataset(), DataError,
     "ArrayDataset: a dataset needs data; expected at least 1 array, got none. "
     "Pass the arrays one by one, as in ArrayDataset(x, y)."),
    (lambda: ArrayDataset(X, Y[:5]), ShapeError,
     "ArrayDataset: arrays must have equal lengths; expected 6 rows as in argument 0, "
     "got shape (5,) in argument 1. Pass one row of every array per example."),
    (lambda: ArrayDataset(3.0), ShapeError,
     "ArrayDataset: arrays must have an axis of rows; expected shape (n, ...), "
     "got shape () in argument 0. Pass an array of all rows."),
    (lambda: ArrayDataset([[1], [1, 2]]), ShapeError,
     "ArrayDataset: nested lists must be rectangular; expected rows of one length, "
     "got rows of several. Pad them, or keep a list of rows as the dataset."),
    (lambda: ArrayDataset([None]), DtypeError,
     "ArrayDataset: arrays must hold numbers, bools or strings; expected such a dtype, "
     "got dtype object. Convert it first, or keep a list of rows as the dataset."),
    (lambda: Subset(TEN, [0, 10, -11]), IndexError,
     "Subset: indices must name rows of the dataset; expected -10 <= index < 10, got 10. "
     "Leave out the 2 indices beyond its 10 rows."),
    (lambda: Subset(TEN, [[0]]), ShapeError,
     "Subset: indices must be a vector; expected shape (m,), got shape (1, 1). "
     "Pass a list of row numbers."),
    (lambda: Subset(TEN, [True, False]), DtypeError,
     "Subset: indices must be integers; expected an integer dtype, got bool. "
     "Pass row numbers; np.flatnonzero(mask) makes them of a mask."),
    (lambda: Subset({"x": 1}, [0]), TypeError, f"Subset: {WANT}dict. {LISTS}"),
    (lambda: Subset("abc", [0]), TypeError, f"Subset: {WANT}str. {LISTS}"),
    (lambda: Subset({1, 2}, [0]), TypeError, f"Subset: {WANT}set. {LISTS}"),
    (lambda: Subset(zip(X, Y, strict=True), [0]), TypeError, f"Subset: {WANT}zip. {LISTS}"),
    (lambda: Subset((X, Y), [0]), TypeError,
     f"Subset: {WANT}a tuple of 2 arrays. Pass ArrayDataset(x, y) instead of (x, y)."),
    (lambda: Subset(np.array(1), [0]), TypeError,
     f"Subset: {WANT}an array of shape (). Pass an array of all rows."),
    (lambda: random_split(TEN, [7, 4]), ValueError,
     f"random_split: counts must sum to the number of rows; expected 10, got 11 of [7, 4]. {SUMS}"),
    (lambda: random_split(TEN, [0.5, 0.6]), ValueError,
     f"random_split: fractions must sum to 1; expected 1, got 1.1 of [0.5, 0.6]. {SUMS}"),
    (lambda: random_split(TEN, [11, -1]), ValueError,
     f"random_split: lengths must not be negative; expected >= 0, got [11, -1]. {SUMS}"),
    (lambda: random_split(TEN, [1.5, -0.5]), ValueError,
     f"random_split: lengths must not be negative; expected >= 0, got [1.5, -0.5]. {SUMS}"),
    (lambda: random_split(TEN, [5, 0.5]), TypeError,
     "random_split: lengths must be all counts or all fractions; expected ints or floats, "
     f"got [5, 0.5]. {SUMS}"),
    (lambda: random_split(TEN, []), ValueError,
     f"random_split: counts must sum to the number of rows; expected 10, got 0 of []. {SUMS}"),
    (lambda: random_split(TEN, [10], seed=-1), ValueError,
     "random_split: seed must be at least 0; expected seed >= 0, got -1. Pass another seed."),
    (lambda: random_split(5, [5]), TypeError, f"random_split: {WANT}int. {LISTS}"),
    (lambda: k_fold(TEN, 1), ValueError,
     "k_fold: k must be at least 2; expected k >= 2, got 1. "
     "Pass k=5, or random_split for one split."),
    (lambda: k_fold(TEN, 11), ValueError,
     "k_fold: k must not exceed the number of rows; expected k <= 10, got 11. Pass a smaller k."),
    (lambda: k_fold(-3, 2), ValueError,
     "k_fold: number of rows must be at least 0; expected number of rows >= 0, got -3. "
     "Pass the dataset or its length."),
    (lambda: k_fold(10, 2.0), TypeError,
     "k_fold: k must be an int; expected an int >= 2, got 2.0 of type float. "
     "Pass k=5, or random_split for one split."),
    (lambda: k_fold(10, 2, seed=0.5), TypeError,
     "k_fold: seed must be an int; expected an int >= 0, got 0.5 of type float. "
     "Pass another seed."),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "says"), WRONG)
def test_datasets_reject(make, kind, says):
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == says
