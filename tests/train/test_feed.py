"""The feed: where it stands is kept and gone to exactly, whatever gives the batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import data
from pierian.train.feed import Feed, Form, open_feed

ROWS = 22
X = np.arange(ROWS, dtype=np.float32)[:, None]
Y = np.arange(ROWS)


def form() -> Form:
    return Form("test", np.dtype(np.float32))


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An endless generator."""
    start = 0
    while True:
        yield X[start : start + 3], Y[start : start + 3]
        start = (start + 3) % (ROWS - 3)


class Own(data.Dataset):
    """Rows that are not in memory."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: int) -> Any:
        return X[index], Y[index]


# what is given -> (a new one of it, options)
FEEDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "arrays": (lambda: X, {"y": Y, "batch_size": 4}),
    "arrays, shuffled": (lambda: X, {"y": Y, "batch_size": 4, "shuffle": True}),
    "arrays, in part": (lambda: X, {"y": Y, "batch_size": 4, "shuffle": True, "steps": 4}),
    "dataset": (Own, {"batch_size": 5, "shuffle": True}),
    "loader": (lambda: data.DataLoader(data.ArrayDataset(X, Y), 4, True, seed=3), {}),
    "loader, whole batches": (
        lambda: data.DataLoader(data.ArrayDataset(X, Y), 4, True, seed=3, drop_last=True), {}
    ),
    "loader, collating": (
        lambda: data.DataLoader(Own(), 4, True, seed=3, collate=data.default_collate), {}
    ),
    "loader, in part": (
        lambda: data.DataLoader(data.ArrayDataset(X, Y), 4, True, seed=3), {"steps": 5}
    ),
    "list": (lambda: [(X[i : i + 5], Y[i : i + 5]) for i in range(0, ROWS, 5)], {}),
    "generator": (batches, {"steps": 4}),
}  # fmt: skip


def opened(name: str) -> Feed:
    make, options = FEEDS[name]
    return open_feed(form(), make(), **options)


def epoch(feed: Feed, begun: bool = False, limit: float = 1) -> list[list[int]]:
    """The labels of each batch of what is left of an epoch."""
    found: list[list[int]] = []
    if not begun:
        feed.begin()
    while part := feed.take(limit):
        found += [rows.y.tolist() for rows in part.batches()]
    return found


@pytest.mark.parametrize("name", FEEDS)
def test_where_it_stands_is_gone_to_exactly(name: str) -> None:
    """After any number of batches, by a feed that is new or has given its first batch."""
    pr.manual_seed(4)
    whole = opened(name)
    epochs = [epoch(whole) for _ in range(4)]
    for stop in range(1, sum(map(len, epochs[:3])) + 1):
        pr.manual_seed(4)
        feed, left = opened(name), stop
        while left:
            feed.begin()
            while left and feed.take():
                left -= 1
        saved = json.loads(json.dumps(feed.state_dict()))
        for peeks in (False, True):
            again = opened(name)
            if peeks:
                again.first()
            again.load_state_dict(saved)
            number, seen = again.number, again.seen
            assert epoch(again, begun=True) == epochs[number - 1][seen:], stop
            assert epoch(again) == epochs[number], stop


@pytest.mark.parametrize("name", FEEDS)
def test_between_epochs(name: str) -> None:
    pr.manual_seed(4)
    whole = opened(name)
    epochs = [epoch(whole) for _ in range(3)]
    pr.manual_seed(4)
    feed = opened(name)
    feed.first()
    assert epoch(feed) == epochs[0]
    for peeks in (False, True):
        again = opened(name)
        if peeks:
            again.first()
        again.load_state_dict(feed.state_dict())
        assert [epoch(again), epoch(again)] == epochs[1:]


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize("limit", [2, 3, np.inf])
def test_batches_are_the_same_however_many_are_taken(name: str, limit: float) -> None:
    pr.manual_seed(4)
    expected = [epoch(one := opened(name)), epoch(one)]
    pr.manual_seed(4)
    feed = opened(name)
    assert [epoch(feed, limit=limit), epoch(feed, limit=limit)] == expected


def test_a_list_of_pairs_is_kept_in_memory() -> None:
    feed = open_feed(form(), data.DataLoader(list(zip(X, Y, strict=True)), 4))
    part = feed.take(3)
    assert part is not None and part.resident and len(part.positions) == 3


def test_an_epoch_has_every_row_once() -> None:
    for name in ("arrays", "arrays, shuffled", "dataset", "loader", "loader, collating", "list"):
        assert sorted(sum(epoch(opened(name)), [])) == Y.tolist(), name


KINDS: dict[str, tuple[Any, Any, Any]] = {
    "arrays": (ROWS, 4, 6), "arrays, in part": (ROWS, 4, 4), "dataset": (ROWS, 5, 5),
    "loader": (ROWS, 4, 6), "loader, whole batches": (ROWS, 4, 5), "list": (None, None, 5),
    "generator": (None, None, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_kind_says_how_much_there_is(name: str) -> None:
    rows, size, steps = KINDS[name]
    assert opened(name).kind() == {"rows": rows, "batch_size": size, "batches": steps}
