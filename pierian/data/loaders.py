"""Two loaders that belong together: one to train on, one to validate on.

May import: base, numpy, the files of data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pierian.base.errors import message
from pierian.data.dataset import ArrayDataset, random_split
from pierian.data.loader import DataLoader


class DataLoaders:
    """A loader to train on and one to validate on, as `Learner` takes them.

    Shapes:  batches as the loaders give them.
    Args:    train  a DataLoader, or any iterable of batches.
             valid  the same; None where nothing is held out.

    >>> import numpy as np
    >>> x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    >>> dls = DataLoaders.from_arrays(x, y, valid=0.2, batch_size=4, seed=0)
    >>> [len(part) for part in dls], dls.one_batch()[0].shape
    ([2, 1], (4, 2))
    """

    def __init__(self, train: Any, valid: Any = None) -> None:
        self.train, self.valid = train, valid

    @classmethod
    def from_dataset(
        cls, dataset: Any, valid: Any = 0.2, batch_size: int = 64, *, seed: int = 0,
        drop_last: bool = False,
    ) -> DataLoaders:  # fmt: skip
        """Loaders of a dataset, of which the share `valid`, drawn by `seed`, is held out.

        Args:  valid  a share in (0, 1), or a dataset of its own.
               batch_size  of both; what is trained on is shuffled anew in every epoch.
        """
        train = dataset
        if isinstance(valid, float):
            train, valid = random_split(dataset, [1 - valid, valid], seed=seed)
        return cls(
            DataLoader(train, batch_size, shuffle=True, seed=seed, drop_last=drop_last),
            None if valid is None else DataLoader(valid, batch_size),
        )

    @classmethod
    def from_arrays(
        cls, x: Any, y: Any, valid: Any = 0.2, batch_size: int = 64, *, seed: int = 0,
        drop_last: bool = False,
    ) -> DataLoaders:  # fmt: skip
        """Loaders of arrays, of which the share `valid` is held out; or valid=(x, y)."""
        data = ArrayDataset(x, y)
        if isinstance(valid, float):
            first, second = random_split(data, [1 - valid, valid], seed=seed)
            data, valid = ArrayDataset(*first[:]), ArrayDataset(*second[:])
        elif isinstance(valid, tuple):
            valid = ArrayDataset(*valid)
        return cls.from_dataset(data, valid, batch_size, seed=seed, drop_last=drop_last)

    def __iter__(self) -> Iterator[Any]:
        return iter([part for part in (self.train, self.valid) if part is not None])

    def __len__(self) -> int:
        return 1 if self.valid is None else 2

    def __getitem__(self, index: int) -> Any:
        return [self.train, self.valid][index]

    def one_batch(self) -> Any:
        """The first batch of an epoch; which epoch comes next does not change."""
        loader = self.train
        if isinstance(loader, DataLoader):
            return next(loader.stream(loader.epoch))
        if iter(loader) is loader:
            raise TypeError(
                message("one_batch", "the loader must be one that begins again", "a DataLoader",
                        f"a {type(loader).__name__}", "Pass a DataLoader")
            )  # fmt: skip
        return next(iter(loader))

    def __repr__(self) -> str:
        return f"DataLoaders(train={self.train!r}, valid={self.valid!r})"
