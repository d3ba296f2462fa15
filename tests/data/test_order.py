"""permute: the orders themselves are a promise, so some are written down here."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pierian.data.order import STREAMS, permute, whole

KEPT = {  # (n, seed, epoch, stream) -> order, on every machine and for good
    (0, 0, 0, "epoch"): [],
    (1, 0, 0, "epoch"): [0],
    (8, 0, 0, "epoch"): [0, 2, 1, 5, 4, 3, 6, 7],
    (8, 0, 1, "epoch"): [5, 3, 7, 2, 4, 1, 0, 6],
    (8, 2**64 - 1, 2**64 - 1, "epoch"): [6, 4, 5, 0, 1, 7, 3, 2],
    (8, 0, 0, "split"): [7, 4, 2, 6, 5, 0, 1, 3],
    (8, 0, 0, "fold"): [6, 7, 5, 1, 4, 3, 0, 2],
}


@pytest.mark.parametrize("case", KEPT)
def test_permute_keeps_its_orders(case):
    n, seed, epoch, stream = case
    got = permute(n, seed, epoch=epoch, stream=stream)
    assert got.dtype == np.int64
    assert got.tolist() == KEPT[case]


def test_permute_is_the_order_of_philox_words():
    words = np.random.Philox(key=np.array([3, 5], np.uint64)).random_raw(1000)
    np.testing.assert_array_equal(permute(1000, 3, epoch=5), np.argsort(words))


def test_permute_gives_every_order_equally_often():
    counts = Counter(tuple(permute(4, seed).tolist()) for seed in range(4800))
    assert len(counts) == 24
    # chi squared with 23 degrees of freedom exceeds 49.7 once in a thousand
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 49.7


def test_permute_differs_by_seed_epoch_and_stream():
    cases = [(s, e, stream) for s in range(3) for e in range(3) for stream in STREAMS]
    orders = {tuple(permute(50, s, epoch=e, stream=stream).tolist()) for s, e, stream in cases}
    assert len(orders) == len(cases)


WRONG = [
    (True, TypeError, "k must be an int; expected an int >= 2, got True of type bool."),
    (2.0, TypeError, "k must be an int; expected an int >= 2, got 2.0 of type float."),
    (np.ones(3), TypeError, "k must be an int; expected an int >= 2, got an array of shape (3,)."),
    (-1, ValueError, "k must be at least 2; expected k >= 2, got -1."),
    (2**64, ValueError, f"k must fit 64 bits; expected k < 2**64, got {2**64}."),
]


@pytest.mark.parametrize(("value", "kind", "says"), WRONG)
def test_whole_rejects(value, kind, says):
    with pytest.raises(kind) as caught:
        whole("here", "k", value, least=2, fix="Do so")
    assert str(caught.value) == f"here: {says} Do so."


def test_whole_takes_numpy_ints():
    assert type(whole("here", "k", np.int32(7), least=1, fix="")) is int
