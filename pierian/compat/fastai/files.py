"""What comes before the model: paths, the digits as a tree of pictures, tensors of them.

May import: base, core, ops, data. To add a data set: a row in `TREES`.
"""

from __future__ import annotations

import pathlib
from typing import Any, ClassVar

import numpy as np

from pierian.base.errors import lookup, message
from pierian.base.file import cache_folder
from pierian.base.trees import map_tree
from pierian.compat.fastai.collection import L
from pierian.core.tensor import Tensor
from pierian.data import mnist
from pierian.ops import creation
from pierian.ops.random import seed_everything

__all__ = ["Path", "URLs", "array", "set_seed", "tensor", "to_np", "untar_data"]

TREES = {
    "mnist_sample": (("train", "valid"), (3, 7)),  # name -> folders of its two parts, digits
    "mnist_png": (("training", "testing"), range(10)),
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
        must, expected = "only what MNIST can be made into is there", "URLs.MNIST_SAMPLE or MNIST"
        fix = "Unpack the files yourself, and use ImageDataLoaders.from_folder(their folder)"
        raise AttributeError(message(f"URLs.{name}", must, expected, name, fix))


URLs = Known()


def untar_data(url: str) -> Path:
    """The folder of a data set: a tree of PNG files, made once of the local MNIST and kept.

    `train/3/7.png` is the training image number 7, a three. Where `pierian.data.mnist` has the
    bundled sample only, the tree is of that.

    Args:    url  URLs.MNIST_SAMPLE, the 3s and 7s in train/ and valid/; or URLs.MNIST, all digits
                  in training/ and testing/.
    Raises:  ValueError for others; ImportError without Pillow.
    """
    parts, digits = TREES[lookup("untar_data", "data set", url, TREES)]
    images = mnist()
    folder = cache_folder() / "fastai" / f"{url}-{images.checksum}"  # the sample has another
    return Path(images.write_folder(folder, parts, digits))


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
    seed_everything(s)
