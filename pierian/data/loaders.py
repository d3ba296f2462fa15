"""Two loaders that belong together: one to train on, one to validate on.

May import: base, numpy, the files of data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np

from pierian.base.errors import DataError, message
from pierian.data.dataset import ArrayDataset, Dataset, random_split
from pierian.data.loader import DataLoader

ROOM = 1 << 30  # bytes of pictures, as floats, that are read into memory at once


class DataLoaders:
    """A loader to train on and one to validate on, as `Learner` takes them.

    Shapes:  batches as the loaders give them.
    Args:    train  a DataLoader, or any iterable of batches.
             valid  the same; None where nothing is held out.

    `classes` has the names of the classes where `from_folder` found them; otherwise it is None.

    >>> import numpy as np
    >>> x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    >>> dls = DataLoaders.from_arrays(x, y, valid=0.2, batch_size=4, seed=0)
    >>> [len(part) for part in dls], dls.one_batch()[0].shape
    ([2, 1], (4, 2))
    """

    loader: ClassVar[type[DataLoader]] = DataLoader  # what makes the two
    classes: tuple[str, ...] | None = None

    def __init__(self, train: Any, valid: Any = None) -> None:
        self.train, self.valid = train, valid

    @classmethod
    def from_dataset(
        cls, dataset: Any, valid: Any = 0.2, batch_size: int = 64, *, seed: int = 0,
        drop_last: bool = False, **options: Any,
    ) -> Self:  # fmt: skip
        """Loaders of a dataset, of which the share `valid`, drawn by `seed`, is held out.

        Args:  valid  a share in (0, 1), or a dataset of its own.
               batch_size  of both; what is trained on is shuffled anew in every epoch.
               drop_last  whether a smaller last batch is not trained on.
               options  more of DataLoader's, for both: `workers`, or a `transform`.
        """
        train = dataset
        if isinstance(valid, float):
            train, valid = random_split(dataset, [1 - valid, valid], seed=seed)
        return cls(
            cls.loader(train, batch_size, shuffle=True, seed=seed, drop_last=drop_last, **options),
            None if valid is None else cls.loader(valid, batch_size, **options),
        )

    @classmethod
    def from_arrays(
        cls, x: Any, y: Any, valid: Any = 0.2, batch_size: int = 64, *, seed: int = 0,
        drop_last: bool = False,
    ) -> Self:  # fmt: skip
        """Loaders of arrays, of which the share `valid` is held out; or valid=(x, y)."""
        data = ArrayDataset(x, y)
        if isinstance(valid, float):
            first, second = random_split(data, [1 - valid, valid], seed=seed)
            data, valid = ArrayDataset(*first[:]), ArrayDataset(*second[:])
        elif isinstance(valid, tuple):
            valid = ArrayDataset(*valid)
        return cls.from_dataset(data, valid, batch_size, seed=seed, drop_last=drop_last)

    @classmethod
    def from_folder(
        cls, path: Any, train: str = "train", valid: Any = "valid", batch_size: int = 64, *,
        seed: int = 0, drop_last: bool = False, workers: int = 2, **options: Any,
    ) -> Self:  # fmt: skip
        """Loaders of pictures in path/train and path/valid, a folder for each class.

        They are read into memory at once where they fit, otherwise batch by batch.

        Shapes:  batches (b, 3, h, w) and (b,)
        Dtypes:  pictures float32 from 0 to 1, class numbers int64.
        Args:    valid     a folder; or a share in (0, 1) of the pictures in `path`, drawn by
                           `seed`, where that has a folder for each class itself; or None.
                 workers   threads that read pictures ahead of time.
                 options   those of `ImageFolder`: size=(28, 28), mode="L".
                 The others as in `from_dataset`; a smaller batch is kept where it is the only one.
        Raises:  DataError for folders or pictures that do not fit; ImportError without Pillow.
        """
        from pierian.data.image import ImageFolder  # few programs read pictures
        from pierian.data.transform import ToFloat

        drawn = isinstance(valid, float)
        folder = ImageFolder(path if drawn else f"{path}/{train}", **options)
        learnt: Any = folder
        if drawn:
            learnt, valid = folder.split(valid, seed)
        elif valid is not None:
            options["classes"] = folder.classes
            valid = ImageFolder(f"{path}/{valid}", **options)
            if valid.shape != folder.shape:
                must, fix = "pictures of both folders must have one size", "Pass size=(h, w)"
                where = f'from_folder("{path}")'
                raise DataError(message(where, must, folder.shape, valid.shape, fix))
        drop_last = drop_last and len(learnt) > batch_size
        rest: dict[str, Any] = {"seed": seed, "drop_last": drop_last}
        if len(folder) * math.prod(folder.shape) * np.dtype(np.float32).itemsize <= ROOM:
            learnt, valid = (part and _read(part, ToFloat()) for part in (learnt, valid))
        else:
            rest |= {"workers": workers, "transform": ToFloat()}
        loaders = cls.from_dataset(learnt, valid, batch_size, **rest)
        loaders.classes = folder.classes
        return loaders

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
            return loader.one_batch()
        if iter(loader) is loader:
            raise TypeError(
                message("one_batch", "the loader must be one that begins again", "a DataLoader",
                        f"a {type(loader).__name__}", "Pass a DataLoader")
            )  # fmt: skip
        return next(iter(loader))

    def __repr__(self) -> str:
        return f"DataLoaders(train={self.train!r}, valid={self.valid!r})"


def _read(part: Dataset, transform: Any) -> ArrayDataset:
    """All rows of a dataset of pictures, in memory."""
    return ArrayDataset(*transform(*part.gather(slice(None))))
