"""DataLoader: batches, orders and epochs."""

from __future__ import annotations

import numpy as np
import pytest

import pierian as pr
from pierian.base.errors import DataError, ShapeError
from pierian.data import ArrayDataset, DataLoader, Dataset, Subset

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10, dtype=np.uint8)
PAIRS = ArrayDataset(X, Y)


def ys(loader):
    return [y.tolist() for _, y in loader]


SIZES = [  # rows, batch size, drop_last -> sizes of the batches
    (10, 1, False, [1] * 10),
    (10, 4, False, [4, 4, 2]),
    (10, 4, True, [4, 4]),
    (10, 5, True, [5, 5]),
    (10, 10, False, [10]),
    (10, 64, False, [10]),
]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("n", "size", "drop", "sizes"), SIZES)
def test_loader_cuts_batches(n, size, drop, sizes, shuffle):
    loader = DataLoader(PAIRS, size, shuffle, seed=1, drop_last=drop)
    batches = ys(loader)
    assert [len(batch) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    rows = [row for batch in batches for row in batch]
    assert rows == (loader.order(0)[: sum(sizes)].tolist() if shuffle else list(range(sum(sizes))))
    assert len(set(rows)) == len(rows)


SAME = {  # datasets of one content; bare arrays have no y
    "arrays": PAIRS,
    "pairs": list(zip(X, Y, strict=True)),
    "tuple of pairs": tuple(zip(X, Y, strict=True)),
    "subset": Subset(ArrayDataset(X[::-1], Y[::-1]), range(9, -1, -1)),
    "subset of pairs": Subset(list(zip(X, Y, strict=True)), range(10)),
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", SAME)
def test_loader_gives_the_same_batches_whatever_holds_the_rows(name, shuffle):
    want = list(DataLoader(PAIRS, 3, shuffle, seed=7))
    got = list(DataLoader(SAME[name], 3, shuffle, seed=7))
    for (a, b), (x, y) in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, x, strict=True)
        np.testing.assert_array_equal(b, y, strict=True)


def test_loader_of_one_array_gives_bare_batches():
    first, *_ = DataLoader(X, 4)
    np.testing.assert_array_equal(first, X[:4])
    numbers = list(DataLoader(range(5), 2))
    assert [batch.tolist() for batch in numbers] == [[0, 1], [2, 3], [4]]
    (ints, words), *_ = DataLoader([(1, "one"), (2, "two")], 2)
    assert (ints.tolist(), words) == ([1, 2], ["one", "two"])


@pytest.mark.parametrize("dataset", [PAIRS, Subset(PAIRS, range(2, 10)), X])
def test_loader_gives_views_when_unshuffled(dataset):
    for batch in DataLoader(dataset, 3):
        assert np.shares_memory(batch if isinstance(batch, np.ndarray) else batch[0], X)


def test_loader_never_asks_arrays_for_single_rows():
    class Gathering(Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            raise AssertionError("asked for one row")

        def gather(self, positions):
            return Y[positions]

    for shuffle in (False, True):
        rows = [int(y) for batch in DataLoader(Gathering(), 4, shuffle, seed=0) for y in batch]
        assert sorted(rows) == list(range(10))


def test_loader_order_is_a_function_of_seed_and_epoch():
    loader = DataLoader(PAIRS, 4, True, seed=11)
    first, second = ys(loader), ys(loader)
    assert first != second
    assert loader.epoch == 2
    again = DataLoader(PAIRS, 4, True, seed=11)
    assert sum(first, []) == again.order(0).tolist()
    again.epoch = 1
    assert ys(again) == second
    assert ys(DataLoader(PAIRS, 4, True, seed=12)) != first
    assert DataLoader(PAIRS, 4, seed=11).order(5).tolist() == list(range(10))


def test_loader_batches_name_the_rows_of_each_batch_and_change_nothing():
    loader = DataLoader(PAIRS, 4, True, seed=2)
    positions = list(loader.batches(3))
    assert np.concatenate(positions).tolist() == loader.order(3).tolist()
    assert all(p.dtype == np.int64 for p in positions)
    assert loader.gather(positions[0])[1].tolist() == positions[0].tolist()
    assert list(DataLoader(PAIRS, 4).batches(0)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert loader.epoch == 0


def test_loader_counts_an_epoch_when_it_starts():
    loader = DataLoader(PAIRS, 4, True, seed=2)
    one, two = iter(loader), iter(loader)
    assert loader.epoch == 2
    assert next(one)[1].tolist() == loader.order(0)[:4].tolist()
    assert next(two)[1].tolist() == loader.order(1)[:4].tolist()


def test_loader_draws_a_seed_and_tells_it():
    one, two = DataLoader(PAIRS, shuffle=True), DataLoader(PAIRS, shuffle=True)
    assert one.seed != two.seed
    assert ys(DataLoader(PAIRS, shuffle=True, seed=one.seed)) == ys(one)


@pytest.mark.parametrize("name", ["collate", "collate_fn"])
def test_loader_hands_rows_to_collate(name):
    loader = DataLoader(PAIRS, 4, **{name: lambda rows: [int(y) for _, y in rows]})
    assert list(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = DataLoader(Y, 10, True, seed=3, **{name: list})
    assert [list(map(int, rows)) for rows in shuffled] == [shuffled.order(0).tolist()]


def test_loader_stacks_a_list_of_alike_rows_once():
    pairs = [(pr.tensor(x), y) for x, y in zip(X, Y, strict=True)]  # tensors count as arrays
    loader = DataLoader(pairs, 4)
    assert isinstance(loader.rows, ArrayDataset) and loader.dataset is pairs
    assert all(np.shares_memory(x, loader.rows.arrays[0]) for x, _ in loader)
    kept = [(np.ones(2), 1)], [(np.ones(2), np.ones(1)), (np.ones(3), np.ones(1))], [()]
    assert not any(isinstance(DataLoader(rows, 1).rows, ArrayDataset) for rows in kept)
    assert not isinstance(DataLoader(pairs, 4, collate=list).rows, ArrayDataset)


def test_loader_names_ragged_rows_when_they_come():
    loader = DataLoader([np.ones(2), np.ones(3)], 2)
    with pytest.raises(ShapeError, match=r"expected \(2,\) as in row 0, got \(3,\) in row 1"):
        list(loader)


def test_loader_shows_what_it_does():
    loader = DataLoader(PAIRS, 4, True, seed=5)
    assert repr(loader) == "DataLoader(10 rows, batch_size=4, shuffle=True, seed=5, epoch=0)"


SIZE = "Pass batch_size=32; arrays go together as ArrayDataset(x, y)."
WRONG = [
    (lambda: DataLoader([]), DataError,
     "DataLoader: dataset must have rows; expected at least 1, got 0. Check how it was made."),
    (lambda: DataLoader(X[:0]), DataError,
     "DataLoader: dataset must have rows; expected at least 1, got 0. Check how it was made."),
    (lambda: DataLoader(PAIRS, 11, drop_last=True), DataError,
     "DataLoader: drop_last must leave a batch; expected at least 11 rows, got 10. "
     "Pass drop_last=False or batch_size <= 10."),
    (lambda: DataLoader(PAIRS, 0), ValueError,
     f"DataLoader: batch_size must be at least 1; expected batch_size >= 1, got 0. {SIZE}"),
    (lambda: DataLoader(PAIRS, -4), ValueError,
     f"DataLoader: batch_size must be at least 1; expected batch_size >= 1, got -4. {SIZE}"),
    (lambda: DataLoader(PAIRS, None), TypeError,
     "DataLoader: batch_size must be an int; expected an int >= 1, got None of type NoneType. "
     f"{SIZE}"),
    (lambda: DataLoader(X, Y), TypeError,
     "DataLoader: batch_size must be an int; expected an int >= 1, got an array of shape (10,). "
     f"{SIZE}"),
    (lambda: DataLoader(PAIRS, seed=-1), ValueError,
     "DataLoader: seed must be at least 0; expected seed >= 0, got -1. Pass another seed or None."),
    (lambda: DataLoader(PAIRS, collate=list, collate_fn=list), ValueError,
     "DataLoader: collate and collate_fn are one argument; expected one of them, got both. "
     "Leave out collate_fn."),
    (lambda: DataLoader((X, Y)), TypeError,
     "DataLoader: dataset must have a length and rows numbered from 0; expected a Dataset, "
     "a list of rows or an array, got a tuple of 2 arrays. "
     "Pass ArrayDataset(x, y) instead of (x, y)."),
    (lambda: DataLoader(x for x in X), TypeError,
     "DataLoader: dataset must have a length and rows numbered from 0; expected a Dataset, "
     "a list of rows or an array, got generator. "
     "Pass list(…) of the rows, or ArrayDataset(x, y)."),
    (lambda: DataLoader(PAIRS).order(-1), ValueError,
     "DataLoader.order: epoch must be at least 0; expected epoch >= 0, got -1. "
     "Count epochs from 0."),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "says"), WRONG)
def test_loader_rejects(make, kind, says):
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == says
