"""Loaders that give tensors, optimizers with fastai's settings, learners.

May import: base, core, data, models, optim, train. To add an optimizer: a function of (params,
lr) that makes one of `optim` with fastai's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from pierian import data, models, optim, train
from pierian.base.errors import message
from pierian.base.trees import map_tree
from pierian.core.tensor import Tensor, as_tensor
from pierian.ops.creation import tensor
from pierian.train.feed import draw_seed

__all__ = [
    "Adam", "DataLoader", "DataLoaders", "ImageDataLoaders", "Learner", "RMSProp", "SGD",
    "accuracy", "cnn_learner", "error_rate", "vision_learner",
]  # fmt: skip


class DataLoader(data.DataLoader):
    """`pierian.data.DataLoader` that gives tensors, and tuples of texts.

    Shapes, Dtypes, Raises:  as there.
    Args:    bs           rows per batch; `batch_size` is its other name.
             num_workers  threads that make batches ahead of time.
             options      those of `pierian.data.DataLoader`; the seed of the orders is drawn from
                          the generator that `set_seed` seeds.
    """

    def __init__(
        self, dataset: Any, bs: int | None = None, shuffle: bool = False, *,
        batch_size: int = 1, num_workers: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        options = {"seed": draw_seed() if shuffle else 0, "workers": num_workers} | options
        super().__init__(dataset, batch_size if bs is None else bs, shuffle, **options)

    def stream(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of `epoch` from number `start` on, as tensors; changes no state."""
        return map(_tensors, super().stream(epoch, start))

    bs = property(attrgetter("batch_size"), doc="Rows per batch.")


class DataLoaders(data.DataLoaders):
    """A loader to train on and one to validate on."""

    loader = DataLoader

    vocab = property(attrgetter("classes"), doc="The names of the classes, where they are known.")

    c = property(lambda self: self.classes and len(self.classes), doc="How many these are.")


class ImageDataLoaders(DataLoaders):
    """Loaders of pictures in folders; made by `from_folder`."""

    @classmethod
    def from_folder(  # type: ignore[override]
        cls, path: Any, train: str = "train", valid: str = "valid",
        valid_pct: float | None = None, seed: int | None = None, bs: int = 64,
        size: int | tuple[int, int] | None = None, num_workers: int = 2, **transforms: Any,
    ) -> ImageDataLoaders:  # fmt: skip
        """`pierian.data.DataLoaders.from_folder`; shapes, dtypes and errors as there.

        Args:    valid_pct  hold out this share of the pictures in `path` instead, drawn by `seed`.
        Raises:  ValueError for transforms, which are Pierian's own here.
        """
        if given := [name for name, value in transforms.items() if value is not None]:
            where, must = "ImageDataLoaders.from_folder", "transforms are those of pierian.data"
            fix = "Pass size=, or pierian.data.DataLoader(ImageFolder(path), transform=[...])"
            raise ValueError(message(where, must, "none", ", ".join(given), fix))
        return super().from_folder(
            path, train, valid if valid_pct is None else valid_pct, bs, drop_last=True,
            seed=draw_seed() if seed is None else seed, size=size, workers=num_workers,
        )  # fmt: skip


def _tensors(batch: Any) -> Any:
    """A batch as tensors with memory of their own; lists of texts as tuples."""
    if isinstance(batch, list) and isinstance(batch[0], str | bytes):
        return tuple(batch)
    if isinstance(batch, tuple):
        return tuple(map(_tensors, batch))
    return map_tree(tensor, batch)


# Optimizers


def SGD(params: Any, lr: float = 1e-3, mom: float = 0.0, wd: float = 0.0, **options: Any) -> Any:
    """`optim.SGD` with fastai's names; with momentum, decay enters it, unlike there."""
    return optim.SGD(params, lr, mom, **{"weight_decay": wd} | options)


def RMSProp(
    params: Any, lr: float = 1e-3, mom: float = 0.0, sqr_mom: float = 0.99, eps: float = 1e-8,
    wd: float = 0.0, **options: Any,
) -> Any:  # fmt: skip
    """`optim.RMSprop` with fastai's names and defaults."""
    settings: dict[str, Any] = {"alpha": sqr_mom, "eps": eps, "momentum": mom, "weight_decay": wd}
    return optim.RMSprop(params, lr, **settings | options)


def Adam(
    params: Any, lr: float = 1e-3, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-5,
    wd: float = 0.01, **options: Any,
) -> Any:  # fmt: skip
    """`optim.AdamW` with fastai's names and defaults: decay apart from the gradient."""
    settings: dict[str, Any] = {"betas": (mom, sqr_mom), "eps": eps, "weight_decay": wd}
    return optim.AdamW(params, lr, **settings | options)


# Learners


class Learner(train.Learner):
    """`pierian.train.Learner` with fastai's Adam."""

    usual_opt = staticmethod(Adam)


def cnn_learner(
    dls: Any, arch: Callable[..., Any], loss_func: Any = None, *, pretrained: bool = True,
    n_out: int | None = None, **options: Any,
) -> Learner:  # fmt: skip
    """A learner of a residual network up to its last images, with fastai's head after them.

    Args:    arch        resnet18 and the like, of `pierian.models`.
             pretrained  must be False: weights of other data are not at hand.
             n_out       outputs; the number of classes by default. `options` go to `Learner`.
    Raises:  ValueError for pretrained=True, or where the number of classes is not known.
    """
    where, classes = "cnn_learner", n_out or len(dls.classes or ())
    if pretrained:
        must = "there are no weights to begin with"
        fix = "Pass pretrained=False, or read a file of your own with learn.load(path)"
        raise ValueError(message(where, must, "pretrained=False", pretrained, fix))
    if not classes:
        must, got = "it must be known how many classes there are", "loaders without vocab"
        fix = "Pass n_out=, or use ImageDataLoaders.from_folder"
        raise ValueError(message(where, must, "n_out=10, say", got, fix))
    net = arch(in_channels=dls.one_batch()[0].shape[1])
    return Learner(dls, models.with_head(net, classes), loss_func, **options)


vision_learner = cnn_learner


def accuracy(inp: Any, targ: Any, axis: int = -1) -> Tensor:
    """How often the largest output is that of the class. Shapes: (b, c), (b,) or (b, 1) -> ()."""
    return (as_tensor(inp).argmax(axis).flatten() == as_tensor(targ).flatten()).float().mean()


def error_rate(inp: Any, targ: Any, axis: int = -1) -> Tensor:
    """How often it is that of another class. Shapes: (b, c), (b,) or (b, 1) -> ()."""
    return (as_tensor(inp).argmax(axis).flatten() != as_tensor(targ).flatten()).float().mean()
