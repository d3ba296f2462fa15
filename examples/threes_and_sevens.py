"""Threes and sevens of MNIST: ResNet-18 from scratch, one epoch of one cycle at 0.1.

fastai's first network, with its optimizer and settings. MNIST is looked for where `pierian info`
says; without the full set there is a sample of it, on which the accuracy is another.

    python examples/threes_and_sevens.py [seed ...]
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np

import pierian as pr
from pierian import data, models, optim, train

CLASSES = (3, 7)
ADAM = partial(optim.AdamW, betas=(0.9, 0.99), eps=1e-5)  # what fastai calls Adam


def digits(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images of the two digits, (n, 1, 28, 28) from 0 to 1, and which of the two each is."""
    chosen = np.isin(y, CLASSES)
    return x[chosen][:, None].astype(np.float32) / 255, np.searchsorted(CLASSES, y[chosen])


def accuracy(mnist: data.ImageData, seed: int) -> float:
    """Trains once; gives the share of the test digits that are told apart."""
    pr.manual_seed(seed)
    held_out = digits(mnist.x_test, mnist.y_test)
    dls = data.DataLoaders.from_arrays(
        *digits(mnist.x_train, mnist.y_train), valid=held_out, batch_size=64, seed=seed,
        drop_last=True,
    )  # fmt: skip
    model = models.resnet18(num_classes=len(CLASSES), in_channels=1)
    learn = train.Learner(dls, model, "cross_entropy", ADAM, metrics="accuracy", wd=0.01)
    learn.fit_one_cycle(1, 0.1)
    return learn.recorder.values[-1][-1]


def main(words: list[str]) -> None:
    """Trains with each seed."""
    mnist = data.mnist()
    print(f"data: {mnist.source}")
    found = []
    for seed in map(int, words or ["0", "1", "2"]):
        started = time.perf_counter()
        found.append(accuracy(mnist, seed))
        took = time.perf_counter() - started
        print(f"seed {seed}: accuracy {found[-1]:.4f} in {took:.1f} s")
    print(f"mean: {np.mean(found):.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
