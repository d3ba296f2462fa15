"""Data: sets of examples, and loaders that hand them out in batches.

May import: base, numpy; pooch inside the one function that downloads, and Pillow inside the one
that hands it out. Batches are NumPy arrays, never tensors; anything with `__array__` (a tensor too)
is taken as an array. To add one more data set, see `source`; one more kind of dataset, `dataset`; a
file format, a file like `idx`; a change to batches of images, `transform`.

    digits = data.mnist()
    train, valid = data.random_split(data.ArrayDataset(digits.x_train, digits.y_train), [0.9, 0.1])
    for x, y in data.DataLoader(train, batch_size=128, shuffle=True, seed=0):
        ...
"""

from typing import Any as _Any

from pierian.data.collate import default_collate
from pierian.data.dataset import (
    ArrayDataset,
    Dataset,
    Subset,
    TensorDataset,
    k_fold,
    random_split,
)
from pierian.data.idx import read_idx
from pierian.data.loader import DataLoader
from pierian.data.loaders import DataLoaders
from pierian.data.source import ImageData, fashion_mnist, mnist

# What few programs use is imported when it is first asked for, since it is much to read
_OF_CIFAR = {"cifar10", "read_cifar10"}
_OF_IMAGE = {"ImageFolder", "read_image", "write_image_folder"}


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module 'pierian.data' has no attribute {name!r}")
    if name in _OF_CIFAR:
        from pierian.data import cifar as part
    elif name in _OF_IMAGE:
        from pierian.data import image as part  # type: ignore[no-redef]
    else:
        from pierian.data import transform as part  # type: ignore[no-redef]
    return getattr(part, name)


__all__ = [
    "ArrayDataset",
    "CenterCrop",
    "Compose",
    "CutMix",
    "Cutout",
    "DataLoader",
    "DataLoaders",
    "Dataset",
    "ImageData",
    "ImageFolder",
    "Mixup",
    "Normalize",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "Subset",
    "TensorDataset",
    "ToFloat",
    "Transform",
    "channel_stats",
    "cifar10",
    "default_collate",
    "fashion_mnist",
    "k_fold",
    "mnist",
    "random_split",
    "read_cifar10",
    "read_idx",
    "read_image",
    "write_image_folder",
]
