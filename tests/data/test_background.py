"""Work ahead of time: order, bounds, exceptions, and no thread that is left."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

from pierian.data import ArrayDataset, Compose, DataLoader, Mixup, RandomCrop
from pierian.data.background import AHEAD, ahead

WAIT = 30  # seconds after which a test that waits for a thread has failed


def names():
    return [thread.name for thread in threading.enumerate() if "pierian-data" in thread.name]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_results_come_in_order(workers, count):
    assert list(ahead(lambda i: i * i, range(count), workers)) == [i * i for i in range(count)]
    assert names() == []


def test_results_come_in_order_when_the_first_is_last_to_be_done():
    second = threading.Event()

    def work(i):
        if i == 0:
            assert second.wait(WAIT)
        if i == 1:
            second.set()
        return i

    assert list(ahead(work, range(4), workers=2)) == [0, 1, 2, 3]


def test_no_more_is_made_than_may_wait():
    asked = []
    results = ahead(lambda i: i, (asked.append(i) or i for i in range(100)), workers=2)
    assert (len(asked), next(results), len(asked)) == (0, 0, AHEAD * 2 + 1)
    assert (next(results), len(asked)) == (1, AHEAD * 2 + 2)
    results.close()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_exception_comes_where_its_result_would_have(workers):
    def work(i):
        if i >= 5:
            raise KeyError(i)
        return i

    seen = []
    with pytest.raises(KeyError, match="5"):
        for i in ahead(work, range(50), workers):
            seen.append(i)
    assert seen == [0, 1, 2, 3, 4]
    assert names() == []


def test_threads_end_when_iteration_is_left_early():
    results = ahead(lambda i: i, range(1000), workers=3)
    for i in results:
        assert names()
        if i == 2:
            break
    results.close()
    assert names() == []
    for _ in ahead(lambda i: i, range(1000), workers=3):
        break  # the iterator is dropped here
    assert names() == []


def test_iterator_collected_by_its_own_thread_does_not_wait_for_itself():
    started, going, done = threading.Event(), threading.Event(), threading.Event()

    def work(i):
        if i == 1:
            started.set()
            assert going.wait(WAIT)
            gc.collect()
            done.set()
        return i

    results = ahead(work, range(3), workers=1)
    assert next(results) == 0
    assert started.wait(WAIT)
    cycle = [results]
    cycle.append(cycle)
    gc.disable()
    try:
        del cycle, results
        thread = next(t for t in threading.enumerate() if "pierian-data" in t.name)
        going.set()
        assert done.wait(WAIT)  # pytest turns an exception in the finaliser into a failure
    finally:
        gc.enable()
    thread.join(WAIT)
    assert names() == []


def test_process_ends_in_the_middle_of_an_epoch():
    code = (
        "from pierian.data import DataLoader\n"
        "batches = iter(DataLoader(range(1000), 4, workers=2))\n"
        "print(next(batches).tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1, 2, 3]\n", "")


RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (50, 3, 8, 8), np.uint8)
Y = RNG.integers(0, 4, 50)


def same(one, two):
    for a, b in zip(one, two, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right, strict=True)
    return True


@pytest.mark.parametrize("shuffle", [False, True])
def test_loader_has_the_same_bits_with_any_number_of_workers(shuffle):
    def batches(workers, epoch):
        loader = DataLoader(
            ArrayDataset(X, Y), 8, shuffle, seed=3, workers=workers,
            transform=Compose([RandomCrop(padding=2), Mixup(4)]),
        )  # fmt: skip
        loader.epoch = epoch
        return list(loader)

    first = batches(0, 0)
    assert len(first) == 7
    for workers in (1, 2, 4):
        assert same(batches(workers, 0), first)
        assert same(batches(workers, 5), batches(0, 5))
    assert any((a[0] != b[0]).any() for a, b in zip(first, batches(0, 1), strict=True))
    assert names() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_goes_on_in_the_middle_of_an_epoch(workers):
    loader = DataLoader(
        ArrayDataset(X, Y), 8, True, seed=3, workers=workers, transform=RandomCrop(padding=2)
    )
    whole = list(loader.stream(4))
    for start in (0, 3, 6, 7):
        assert same(loader.stream(4, start), whole[start:])
    assert loader.epoch == 0


def test_loader_raises_what_a_row_raised_in_its_batch():
    class Rows:
        def __len__(self):
            return 10

        def __getitem__(self, i):
            if i == 7:
                raise OSError("row 7")
            return i

    batches = iter(DataLoader(Rows(), 2, workers=2))
    assert [next(batches).tolist() for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(OSError, match="row 7"):
        next(batches)
    assert names() == []
