"""Mistakes that readers of the chapter make: each message leads to what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from pierian.base import notice
from pierian.base.errors import GradError
from pierian.compat.fastai import (
    SGD,
    DataLoader,
    DataLoaders,
    F,
    ImageDataLoaders,
    Learner,
    URLs,
    cnn_learner,
    nn,
    resnet18,
    show_image,
    tensor,
    torch,
    untar_data,
)

X = torch.ones(8, 784)
Y = tensor([1, 0] * 4)
COLUMN = Y.unsqueeze(1)
ROWS = list(zip(X, COLUMN, strict=True))
DLS = DataLoaders(DataLoader(ROWS, 4), DataLoader(ROWS, 4))


def mnist_loss(predictions: Any, targets: Any) -> Any:
    p = predictions.sigmoid()
    return torch.where(targets == 1, 1 - p, p).mean()


def leaf() -> Any:
    return torch.ones(784, 1).requires_grad_()


def in_place() -> None:
    w = leaf()
    w -= 0.1 * torch.ones(784, 1)


def twice() -> None:
    loss = mnist_loss(X @ leaf(), COLUMN)
    loss.backward()
    loss.backward()


def halve_integers() -> None:
    y = Y.clone()
    y /= 2


class Forgetful:
    """An optimizer that never forgets gradients, which is to forget the wrong thing."""

    def __init__(self, params: Any, lr: float) -> None:
        self.params = list(params)

    def step(self) -> None:
        for p in self.params:
            p.data -= p.grad * 0.1

    def zero_grad(self) -> None:
        pass


class Half:
    """One without zero_grad."""

    def __init__(self, params: Any, lr: float) -> None:
        pass

    def step(self) -> None:
        pass


def learn(model: Any = None, opt: Any = SGD, loss: Any = mnist_loss, dls: Any = DLS) -> Any:
    return Learner(dls, model or nn.Linear(784, 1), opt_func=opt, loss_func=loss, verbose=0)


# mistake -> (what the reader writes, what kind of error, what leads on)
MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "no requires_grad_": (
        lambda: mnist_loss(X @ torch.ones(784, 1), COLUMN).backward(), GradError, "requires_grad_"
    ),
    "gradients of integers": (lambda: tensor(3).requires_grad_(), TypeError, r"\.float\(\)"),
    "a leaf changed in place": (in_place, GradError, r"no_grad"),
    "backward of many numbers": (lambda: (X @ leaf()).backward(), GradError, r"\.mean\(\)"),
    "backward twice": (twice, GradError, "fresh forward pass"),
    "images not flattened": (
        lambda: torch.ones(8, 28, 28) @ leaf(), ValueError, r"\(8, 28, 28\) @ \(784, 1\)"
    ),
    "images into Linear": (
        lambda: nn.Linear(784, 1)(torch.ones(8, 28, 28)), ValueError, r"nn.Flatten\(\)"
    ),
    "a column meets a row": (
        lambda: F.mse_loss(X @ leaf(), Y), ValueError, r"target.reshape\(8, 1\)"
    ),
    "classes in a column": (
        lambda: F.cross_entropy(torch.ones(8, 2), COLUMN), ValueError, r"reshape\(8\)"
    ),
    "classes of floats": (
        lambda: F.cross_entropy(torch.ones(8, 2), Y.float()), TypeError, r"\.long\(\)"
    ),
    "too few outputs": (lambda: learn(loss=F.cross_entropy).fit(1), ValueError, "more outputs"),
    "integers divided in place": (halve_integers, TypeError, r"\.float\(\) first"),
    "pictures of two sizes": (
        lambda: torch.stack([torch.ones(2, 2), torch.ones(3, 3)]), ValueError, "one shape"
    ),
    "rows of two lengths": (lambda: tensor([[1, 2], [3]]), ValueError, "Pad the rows"),
    "the truth of many": (lambda: bool(X > 0), ValueError, r"\.any\(\) or \.all\(\)"),
    "item of many": (lambda: X.item(), ValueError, "reduce first"),
    "pairs not zipped": (lambda: DataLoader((X, Y), batch_size=4), TypeError, r"ArrayDataset\(x, "),
    "zip without list": (lambda: DataLoader(zip(X, Y, strict=True), 4), TypeError, r"list\("),
    "a loader for loaders": (lambda: learn(dls=DLS.train), TypeError, r"DataLoaders\(train, valid"),
    "a tensor for a model": (lambda: learn(model=leaf), TypeError, "expected Module"),
    "an optimizer for a maker": (
        lambda: learn(opt=SGD(nn.Linear(1, 1).parameters(), 1.0)), TypeError, "opt_func=SGD"
    ),
    "zero_grad forgotten": (
        lambda: learn(opt=Forgetful, loss=F.mse_loss).fit(1), GradError, "p.grad = None"
    ),
    "zero_grad not written": (lambda: learn(opt=Half).fit(1), TypeError, "Write def zero_grad"),
    "weights wanted": (lambda: cnn_learner(DLS, resnet18), ValueError, "pretrained=False"),
    "classes not known": (
        lambda: cnn_learner(DLS, resnet18, pretrained=False), ValueError, "n_out="
    ),
    "another net": (
        lambda: cnn_learner(
            DLS, lambda in_channels: nn.Linear(in_channels, 2), pretrained=False, n_out=2
        ),
        TypeError,
        r"Learner\(dls, model\)",
    ),
    "transforms": (
        lambda: ImageDataLoaders.from_folder("x", item_tfms=[1]), ValueError, "Pass size="
    ),
    "no such folder": (lambda: ImageDataLoaders.from_folder("no/such"), Exception, "no/such/train"),
    "another data set": (lambda: URLs.PETS, AttributeError, "URLs.MNIST_SAMPLE"),
    "an address": (lambda: untar_data("https://x"), ValueError, "mnist_sample"),
    "a flat image": (lambda: show_image(X[0]), ValueError, r"view\(28, 28\)"),
    "a GPU": (lambda: torch.cuda.is_available(), AttributeError, "everything runs on the CPU"),
    "onto a GPU": (lambda: X.cuda(), TypeError, "Leave the call out"),
    "an unknown name": (lambda: torch.narwhal, AttributeError, r"dir\(pierian\)"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_led_on(mistake: str) -> None:
    do, kind, advice = MISTAKES[mistake]
    with pytest.raises(kind, match=advice):
        do()


def test_a_column_that_meets_a_row_in_the_readers_own_loss_is_noticed(capfd: Any) -> None:
    notice.said.clear()
    rows = DataLoader(list(zip(X, Y, strict=True)), 4)
    learn(dls=DataLoaders(rows, rows)).fit(1)
    said = capfd.readouterr().err
    assert "(4, 1)" in said and "(4, 4)" in said and "unsqueeze(1)" in said
    learn().fit(1)
    assert not capfd.readouterr().err
