"""The loader: a dataset in batches, in an order that a seed and an epoch number fix.

May import: base, numpy. To change how rows become a batch: pass `collate`; to make a dataset's
batches cheaper: give it a `gather` (see `dataset`); to change batches at random: `transform`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from pierian.base.errors import DataError, message
from pierian.data.background import ahead
from pierian.data.dataset import as_dataset, stacked
from pierian.data.order import generator, permute, whole


class DataLoader:
    """Batches of a dataset; each `for` over it is the next epoch.

    The order of epoch e is a pure function of `(seed, e)`, and what `transform` does to batch b of
    it one of `(seed, e, b)`: a run can be resumed by restoring `seed` and `epoch`, and has the same
    bits with any number of `workers`. `epoch` is the number of the epoch that the next `for` will
    start; it counts up when one starts, even if the loop is left early.

    Batches of arrays are fetched with one indexing call per array, and unshuffled ones are views
    of them: write to a copy. A list of tuples of arrays of one shape, like `list(zip(x, y))`, is
    stacked once, when the loader is made. What batches are taken from is `rows`.

    Shapes:  rows of shape s -> batches (b, *s), b = batch_size; the last may be smaller.
    Dtypes:  as in the dataset; rows are collated by `default_collate`.
    Args:    dataset     a Dataset, an array or tensor, or any sequence of rows, such as
                         `list(zip(x, y))`.
             batch_size  rows per batch, >= 1.
             shuffle     whether every epoch has a new random order.
             seed        of the orders, 0 <= seed < 2**64; None draws one, readable as `seed`.
             drop_last   whether a smaller last batch is left out.
             collate     makes a batch of a list of rows, in place of `default_collate`;
                         `collate_fn` is torch's name for it.
             transform   changes the batches: called as `x, y = transform(x, y, rng)` with arrays
                         of a batch and a `np.random.Generator` of its own (see `Compose`).
             workers     how many threads make batches ahead of time, two each; 0 makes a batch
                         when it is asked for. The dataset, `collate` and `transform` are then
                         called from several threads at once.
    Raises:  DataError when there would be no batch; TypeError or ValueError for other arguments
             that do not fit.

    >>> loader = DataLoader([(0.5, 0), (1.5, 1), (2.5, 0)], batch_size=2)
    >>> for x, y in loader:
    ...     print(x, y)
    [0.5 1.5] [0 1]
    [2.5] [0]
    >>> len(loader), loader.epoch
    (2, 1)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int | None = None,
        drop_last: bool = False,
        collate: Callable[[list[Any]], Any] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        transform: Callable[[Any, Any, np.random.Generator], tuple[Any, Any]] | None = None,
        workers: int = 0,
    ) -> None:
        where = "DataLoader"
        self.dataset = dataset
        fix = "Pass batch_size=32; arrays go together as ArrayDataset(x, y)"
        self.batch_size = whole(where, "batch_size", batch_size, least=1, fix=fix)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        if seed is None:
            seed = secrets.randbits(63)  # one that fits int64, as checkpoints store it
        self.seed = whole(where, "seed", seed, least=0, fix="Pass another seed or None")
        self.epoch = 0
        if collate is not None and collate_fn is not None:
            raise ValueError(
                message(where, "collate and collate_fn are one argument", "one of them", "both",
                        "Leave out collate_fn")
            )  # fmt: skip
        self.collate = collate if collate is not None else collate_fn
        self.rows = as_dataset(where, dataset if self.collate else stacked(dataset))
        if transform is not None and not callable(transform):
            raise TypeError(
                message(where, "transform must be a function of (x, y, rng)", "one callable",
                        f"a {type(transform).__name__}", "Put several into Compose([...])")
            )  # fmt: skip
        self.transform = transform
        self.workers = whole(where, "workers", workers, least=0, fix="Pass workers=0 for none")
        n = len(self.rows)
        if n == 0:
            raise DataError(
                message(where, "dataset must have rows", "at least 1", 0, "Check how it was made")
            )
        if len(self) == 0:
            raise DataError(
                message(where, "drop_last must leave a batch", f"at least {self.batch_size} rows",
                        n, f"Pass drop_last=False or batch_size <= {n}")
            )  # fmt: skip

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        n = len(self.rows)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.stream(epoch)

    def stream(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of `epoch` from number `start` on; changes no state."""
        seed, numbered = self.seed, enumerate(self.batches(epoch))

        def make(item: tuple[int, slice | np.ndarray]) -> Any:
            batch = self.gather(item[1])
            if self.transform is None:
                return batch
            fields = batch if isinstance(batch, tuple | list) else (batch,)
            x, y, *rest = (*fields, None) if len(fields) == 1 else fields
            x, y = self.transform(x, y, generator(seed, epoch, item[0]))
            return (x, y, *rest)[: len(fields)] if fields is batch else x

        return ahead(make, islice(numbered, start, None), self.workers)

    def one_batch(self) -> Any:
        """The first batch of the epoch that comes next, which does not change by it."""
        return next(self.stream(self.epoch))

    def order(self, epoch: int) -> np.ndarray:
        """The positions of all rows in the order of `epoch`, as int64; changes no state."""
        epoch = whole("DataLoader.order", "epoch", epoch, least=0, fix="Count epochs from 0")
        n = len(self.rows)
        return permute(n, self.seed, epoch=epoch) if self.shuffle else np.arange(n)

    def batches(self, epoch: int) -> Iterator[slice | np.ndarray]:
        """The positions of each batch of `epoch`: slices when unshuffled, else int64 arrays."""
        size, n = self.batch_size, len(self.rows)
        spans = (slice(i, min(i + size, n)) for i in range(0, len(self) * size, size))
        if not self.shuffle:
            return spans
        order = self.order(epoch)
        return (order[span] for span in spans)

    def gather(self, positions: slice | np.ndarray) -> Any:
        """The batch of the rows at `positions`, a slice or an array of ints; not transformed."""
        if self.collate is None:
            return self.rows.gather(positions)
        return self.collate(self.rows.rows(positions))

    def __repr__(self) -> str:
        return (
            f"DataLoader({len(self.rows)} rows, batch_size={self.batch_size}, "
            f"shuffle={self.shuffle}, seed={self.seed}, epoch={self.epoch})"
        )
