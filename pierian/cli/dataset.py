"""The data sets that the command line knows, and how their pictures reach a network.

May import: base, data, this room's settings. To add one: a name in `DATASETS` of `settings`, and a
row in `KNOWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pierian import data
from pierian.cli.settings import Settings
from pierian.data.image import SPLITS
from pierian.data.order import permute
from pierian.data.source import ImageData

Shape = tuple[int, ...]  # of a picture: (channels, height, width)

SHARE = 0.2  # of a folder that is its own test set when it has no parts
WORKERS = 2  # threads that make batches while the step before runs


@dataclass(frozen=True, eq=False, repr=False)
class Pictures(ImageData):
    """A data set that may have pictures of its own to validate on, beside the test set."""

    valid: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class Known:
    """A data set: how people call it, how it is read, and what it looks like.

    look     the shape of a picture and the number of classes, without reading all.
    augment  what --augment does to pictures.
    """

    title: Callable[[Settings], str]
    load: Callable[[Settings], ImageData]
    look: Callable[[Settings], tuple[Shape, int]]
    augment: tuple[data.Transform, ...]


def folder_parts(settings: Settings) -> dict[str, data.ImageFolder]:
    """The parts of a folder of pictures, none of them read: train, and valid and test if it has."""
    root = Path(settings.path or "")
    height, _, width = (settings.size or "").partition("x")
    sides = (int(height), int(width)) if settings.size else None
    if any((root / name).is_dir() for name in SPLITS["train"]):
        return data.ImageFolder.splits(root, sides)
    return {"train": data.ImageFolder(root, sides)}


def folder_look(settings: Settings) -> tuple[Shape, int]:
    """What pictures in a folder have in common."""
    part = folder_parts(settings)["train"]
    return part.shape, len(part.classes)


def folder(settings: Settings) -> Pictures:
    """A folder of pictures, in memory as bytes and mixed, always in the same way.

    Its test set is test/, or valid/, or else a share of all pictures.
    """
    found = folder_parts(settings)
    classes, shape = found["train"].classes, found["train"].shape
    arrays: dict[str, Any] = {name: part.load(WORKERS).arrays for name, part in found.items()}
    x, y = arrays.pop("train")
    order = permute(len(x), 0, epoch=0)
    if not arrays:
        cut = max(1, round(len(x) * SHARE))
        arrays["valid"], order = (x[order[:cut]], y[order[:cut]]), order[cut:]
    x_test, y_test = arrays.pop("test" if "test" in arrays else "valid")
    sizes = f"{len(order):,} + {len(x_test):,} pictures of {shape[1]}×{shape[2]}"
    line = f"{sizes}, {len(classes)} classes, from {settings.path}"
    return Pictures(x[order], y[order], x_test, y_test, classes, line, arrays.get("valid"))


def fixed(
    title: str, load: Callable[..., ImageData], shape: Shape, *augment: data.Transform
) -> Known:
    """A data set of ten classes that is the same everywhere."""
    return Known(lambda _: title, lambda s: load(source=s.source), lambda _: (shape, 10), augment)


FLIP = data.RandomHorizontalFlip()
KNOWN = {
    "mnist": fixed(
        "MNIST", data.mnist, (1, 28, 28), data.RandomCrop(2), data.RandomRotation(10)
    ),
    "fashion_mnist": fixed(
        "Fashion-MNIST", data.fashion_mnist, (1, 28, 28), data.RandomCrop(2), FLIP
    ),
    "cifar10": fixed("CIFAR-10", data.cifar10, (3, 32, 32), data.RandomCrop(4), FLIP),
    "folder": Known(
        lambda s: Path(s.path or "").name, folder, folder_look, (data.RandomCrop(4), FLIP)
    ),
}  # fmt: skip


def load(settings: Settings) -> ImageData:
    """The data set of these settings."""
    return KNOWN[settings.dataset].load(settings)


def look(settings: Settings) -> tuple[Shape, int]:
    """The shape of its pictures, and how many classes there are."""
    return KNOWN[settings.dataset].look(settings)


def planes(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w) or (n, c, h, w) with their axis of channels."""
    return images[:, None] if images.ndim == 3 else images


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels 0 … 255 as networks take them: float32 from 0 to 1, (n, c, h, w)."""
    return planes(images).astype(np.float32) / 255


def feed(
    x: np.ndarray, y: np.ndarray, settings: Settings, training: bool = False
) -> tuple[Any, ...]:
    """What `fit` and `evaluate` take: (x, y), or (loader,).

    Grey pictures that stay as they are become arrays of floats, which train without Python in
    between; others stay bytes, four times smaller, until they are in a batch.
    """
    pictures = planes(x)
    augment = KNOWN[settings.dataset].augment if training and settings.augment else ()
    if pictures.shape[1] == 1 and not augment:
        return scaled(x), y
    loader = data.DataLoader(
        data.ArrayDataset(pictures, y), settings.batch_size, training, seed=settings.seed,
        transform=data.Compose([*augment, data.ToFloat()]), workers=WORKERS,
    )  # fmt: skip
    return (loader,)
