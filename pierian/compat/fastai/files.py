"""What comes before the model: paths, the digits as a tree of pictures, tensors of them.

May import: base, core, ops, data. To add a data set: a row in `TREES`.
"""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import tempfile
import zlib
from typing import Any, ClassVar

import numpy as np

from pierian.base.errors import lookup, message
from pierian.base.file import cache_folder
from pierian.base.trees import map_tree
from pierian.compat.fastai.collection import L
from pierian.compat.fastai.later import Image
from pierian.core.tensor import Tensor
from pierian.data import mnist
from pierian.ops import creation
from pierian.ops.random import manual_seed

TREES: dict[str, tuple[tuple[str, str], tuple[int, ...]]] = {
    "mnist_sample": (("train", "valid"), (3, 7)),  # name -> folders of its two parts, digits
    "mnist_png": (("training", "testing"), tuple(range(10))),
}


class Path(type(pathlib.Path())):  # type: ignore[misc]  # the kind of path that this system has
    """A path that lists its folder: `Path("digits").ls()`.

    `Path.BASE_PATH = folder` makes paths below it print relative to it.
    """

    BASE_PATH: ClassVar[Any] = None

    def ls(self, n_max: int | None = None, file_exts: Any = None) -> L:
        """The paths in this folder, `n_max` at most; only those with these endings, if given."""
        endings = (file_exts,) if isinstance(file_exts, str) else tuple(file_exts or ("",))
        return L([path for path in self.iterdir() if path.name.endswith(endings)])[:n_max]

    def __repr__(self) -> str:
        base = self.BASE_PATH
        inside = base is not None and self.is_relative_to(base)
        return f"Path({(self.relative_to(base) if inside else self).as_posix()!r})"


class Known:
    """The data sets that `untar_data` takes, by fastai's names."""

    MNIST_SAMPLE = "mnist_sample"
    MNIST = "mnist_png"

    def __getattr__(self, name: str) -> str:
        raise AttributeError(
            message(f"URLs.{name}", "only what the local MNIST can be made into is there",
                    "URLs.MNIST_SAMPLE or URLs.MNIST", name,
                    "Unpack the files yourself and pass their folder to "
                    "ImageDataLoaders.from_folder, or use pierian.data.ImageFolder")
        )  # fmt: skip


URLs = Known()


def untar_data(url: str) -> Path:
    """The folder of a data set: a tree of PNG files, made once of the local MNIST and kept.

    `train/3/7.png` is the training image number 7, a three. Where `pierian.data.mnist` has the
    bundled sample only, the tree is of that.

    Args:    url  URLs.MNIST_SAMPLE, the 3s and 7s in train/ and valid/; or URLs.MNIST, all digits
                  in training/ and testing/.
    Raises:  ValueError for others; ImportError without Pillow.
    """
    (train, valid), digits = TREES[lookup("untar_data", "data set", url, TREES)]
    data = mnist()
    parts = {train: (data.x_train, data.y_train), valid: (data.x_test, data.y_test)}
    labels = zlib.crc32(data.y_train.tobytes() + data.y_test.tobytes())  # tells samples apart
    folder = Path(cache_folder() / "fastai" / f"{url}-{labels:08x}")
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
        for part, (images, classes) in parts.items():
            for digit in digits:
                (unfinished / part / str(digit)).mkdir(parents=True)
                for i in np.flatnonzero(classes == digit).tolist():
                    name = unfinished / part / str(digit) / f"{i}.png"
                    Image.fromarray(images[i]).save(name)
        try:
            os.rename(unfinished, folder)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return folder


array = np.array


def tensor(x: Any, *rest: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of numbers, lists, an array, a picture; tensor(1, 2, 3) is of these numbers.

    Shapes:  that of x; a picture (h, w) or (h, w, c).
    Dtypes:  as `pr.tensor`; arrays of float64 become float32, as in fastai.
    """
    made = creation.tensor((x, *rest) if rest else x, dtype)
    if dtype is None and made.dtype == np.float64:
        made = made.float()
    return made.requires_grad_() if requires_grad else made


def to_np(x: Any) -> Any:
    """Tensors, also in lists, tuples and dicts, as NumPy arrays."""
    return map_tree(np.asarray, x)


def set_seed(s: int, reproducible: bool = False) -> None:
    """Seed Python's, NumPy's and Pierian's generators; runs are reproducible in any case."""
    random.seed(s)
    np.random.seed(s % 2**32)
    manual_seed(s)
