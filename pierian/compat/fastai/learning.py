"""Loaders that give tensors, optimizers with fastai's settings, learners.

May import: base, core, data, nn, optim, train, files. To add an optimizer: a function of (params,
lr) that makes one of `optim` with fastai's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pierian import data, models, nn, optim, train
from pierian.base.errors import GradError, message
from pierian.base.trees import map_tree
from pierian.core.tensor import Tensor, as_tensor
from pierian.ops.creation import tensor
from pierian.ops.elementwise import eq, ne
from pierian.ops.movement import concat
from pierian.ops.reduction import argmax
from pierian.train.feed import draw_seed

ROOM = 1 << 30  # bytes of pictures that are read into memory at once


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
        batch_size: int | None = None, num_workers: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        size = batch_size if bs is None else bs
        options = {"seed": draw_seed() if shuffle else 0, "workers": num_workers} | options
        super().__init__(dataset, 1 if size is None else size, shuffle, **options)

    def __iter__(self) -> Iterator[Any]:
        return map(_tensors, super().__iter__())

    @property
    def bs(self) -> int:
        """Rows per batch."""
        return self.batch_size

    def one_batch(self) -> Any:
        """The first batch of an epoch; which epoch comes next does not change."""
        return _tensors(next(self.stream(self.epoch)))


class DataLoaders(data.DataLoaders):
    """A loader to train on and one to validate on, whose `one_batch` gives tensors.

    `vocab` has the names of the classes, `c` their number, where they are known.
    """

    def __init__(self, train: Any, valid: Any = None, vocab: Any = None) -> None:
        super().__init__(train, valid)
        self.vocab = vocab
        self.c = None if vocab is None else len(vocab)

    def one_batch(self) -> Any:
        """The first batch of an epoch, as tensors; which epoch comes next does not change."""
        return _tensors(super().one_batch())


class ImageDataLoaders(DataLoaders):
    """Loaders of pictures in folders; made by `from_folder`."""

    @classmethod
    def from_folder(
        cls, path: Any, train: str = "train", valid: str = "valid",
        valid_pct: float | None = None, seed: int | None = None, bs: int = 64,
        size: int | tuple[int, int] | None = None, num_workers: int = 2, **transforms: Any,
    ) -> ImageDataLoaders:  # fmt: skip
        """Loaders of the pictures in path/train and path/valid, a folder for each class.

        Shapes:  batches (bs, 3, h, w) and (bs,)
        Dtypes:  pictures float32 from 0 to 1, class numbers int64.
        Args:    valid_pct  hold out this share of the pictures in `path` instead, drawn by `seed`.
                 size       (h, w), or one int for a square, that pictures are resized to.
        Raises:  ValueError for transforms, which are Pierian's own here; DataError for folders
                 or pictures that do not fit.
        """
        if given := [name for name, value in transforms.items() if value is not None]:
            fix = "Pass size=, or pierian.data.DataLoader(ImageFolder(path), transform=[...])"
            must = "transforms are those of pierian.data"
            where = "ImageDataLoaders.from_folder"
            raise ValueError(message(where, must, "none", ", ".join(given), fix))
        if valid_pct is None:
            first = data.ImageFolder(f"{path}/{train}", size)
            held: Any = data.ImageFolder(f"{path}/{valid}", size, classes=first.classes)
            learnt: Any = first
        else:
            first = data.ImageFolder(path, size)
            learnt, held = first.split(valid_pct, draw_seed() if seed is None else seed)
        load = partial(_pictures, bs=bs, workers=num_workers)
        return cls(load(learnt, True), load(held, False), first.classes)


def _pictures(folder: Any, training: bool, bs: int, workers: int) -> DataLoader:
    """A loader of pictures: of floats in memory, where there is room for them."""
    options: dict[str, Any] = {"shuffle": training, "drop_last": training and len(folder) > bs}
    if len(folder) * folder[0][0].size * np.dtype(np.float32).itemsize > ROOM:
        return DataLoader(folder, bs, transform=data.ToFloat(), num_workers=workers, **options)
    whole = data.DataLoader(folder, len(folder), transform=data.ToFloat(), seed=0)
    return DataLoader(data.ArrayDataset(*next(iter(whole))), bs, **options)


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


class Own(optim.Optimizer):
    """An optimizer of the user's own: kind(params, lr) with `step()` and `zero_grad()`.

    It runs in Python, so the steps of such a fit are not compiled. Its `lr` follows schedules.
    """

    def __init__(self, kind: Callable[..., Any], params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})
        self.own = kind(self._parameters(), lr)
        if missing := [name for name in ("step", "zero_grad") if not hasattr(self.own, name)]:
            must = f"{type(self.own).__name__} must update parameters"
            fix = f"Write def {missing[0]}(self)"
            raise TypeError(
                message("opt_func", must, "methods step and zero_grad", f"no {missing[0]}", fix)
            )

    def step(self, closure: Any = None, *, when: Tensor | None = None) -> None:
        """A step of the user's."""
        for group in self.param_groups:
            self._begin(group, [p for p in group["params"] if p.grad is not None])
        if hasattr(self.own, "lr"):
            self.own.lr = float(self.lr)
        self.own.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """The user's way to forget gradients; raises GradError when it does not."""
        self.own.zero_grad()
        if any(p.grad is not None and bool(p.grad.any()) for p in self._parameters()):
            raise GradError(
                message(f"{type(self.own).__name__}.zero_grad", "it must forget the gradients, "
                        "which would add up", "None or zeros", "gradients of the last step",
                        "Write p.grad = None for each parameter")
            )  # fmt: skip


# Learners


class Learner(train.Learner):
    """`pierian.train.Learner` with fastai's Adam; `opt_func` may be a class of the user's own.

    Such a class is made as opt_func(params, lr); it has `step()` and `zero_grad()`.
    """

    def __init__(
        self, dls: Any, model: Any, loss_func: Any = None, opt_func: Any = Adam,
        *args: Any, **options: Any,
    ) -> None:  # fmt: skip
        if isinstance(opt_func, optim.Optimizer):
            raise TypeError(
                message("Learner", "opt_func makes the optimizer", "opt_func=SGD", opt_func,
                        "Pass what makes it, and its settings as partial(SGD, mom=0.9)")
            )  # fmt: skip
        if isinstance(opt_func, type) and not issubclass(opt_func, optim.Optimizer):
            opt_func = partial(Own, opt_func)
            options = {"jit": False} | options
        super().__init__(dls, model, loss_func, opt_func, *args, **options)


@nn.register
class AdaptiveConcatPool2d(nn.Module):
    """The largest and the mean of each channel. Shapes: (b, c, h, w) -> (b, 2·c, 1, 1)."""

    def __init__(self) -> None:
        self.ap, self.mp = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return concat([self.mp(x), self.ap(x)], 1)


def create_head(nf: int, n_out: int) -> nn.Sequential:
    """fastai's layers from `nf` channels of an image to `n_out` numbers."""
    wide, narrow = nn.Linear(2 * nf, 512, bias=False), nn.Linear(512, n_out, bias=False)
    for layer in (wide, narrow):
        nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(
        AdaptiveConcatPool2d(), nn.Flatten(), nn.BatchNorm1d(2 * nf), nn.Dropout(0.25), wide,
        nn.ReLU(), nn.BatchNorm1d(512), nn.Dropout(0.5), narrow,
    )  # fmt: skip


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
    where, classes = "cnn_learner", n_out or getattr(dls, "c", None)
    if pretrained:
        raise ValueError(
            message(where, "there are no weights to begin with", "pretrained=False", pretrained,
                    "Pass pretrained=False, or read a file of your own with learn.load(path)")
        )  # fmt: skip
    if classes is None:
        raise ValueError(
            message(where, "it must be known how many classes there are", "n_out=10, say",
                    "loaders without vocab", "Pass n_out=, or use ImageDataLoaders.from_folder")
        )  # fmt: skip
    net = arch(in_channels=dls.one_batch()[0].shape[1])
    if not isinstance(net, models.ResNet):
        raise TypeError(
            message(where, "arch must be one of the residual networks", "resnet18 or the like",
                    type(net).__name__, "Pass Learner(dls, model) your own model")
        )  # fmt: skip
    layers = [getattr(net, f"layer{i}") for i in range(1, 5)]
    body = nn.Sequential(net.conv1, net.bn1, nn.ReLU(), net.maxpool, *layers)
    model = nn.Sequential(body, create_head(net.fc.in_features, classes))
    return Learner(dls, model, loss_func, **options)


vision_learner = cnn_learner


def accuracy(inp: Any, targ: Any, axis: int = -1) -> Tensor:
    """How often the largest output is that of the class. Shapes: (b, c), (b,) -> ()."""
    return eq(argmax(as_tensor(inp), axis), targ).float().mean()


def error_rate(inp: Any, targ: Any, axis: int = -1) -> Tensor:
    """How often it is that of another class. Shapes: (b, c), (b,) -> ()."""
    return ne(argmax(as_tensor(inp), axis), targ).float().mean()
