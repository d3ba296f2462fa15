"""Handwritten digits by a network of three layers with dropout, one example at a time."""

import random
from statistics import fmean

from examples.scratch_mnist_logistic import prepared
from pierian.compat.scratch import (
    Dropout,
    Linear,
    Momentum,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    loop,
)

TITLE = "MNIST, three layers with dropout, from scratch, mean of three seeds"
NEEDS = ("mnist",)
GOALS = {"test accuracy": ">= 0.91"}
SAMPLE = {"test accuracy": ">= 0.84"}
SEEDS = (0, 1, 2)


def accuracy(seed, train, test):
    random.seed(seed)
    first, second = Dropout(0.1), Dropout(0.1)
    model = Sequential(
        [Linear(784, 30), first, Tanh(), Linear(30, 10), second, Tanh(), Linear(10, 10)]
    )
    loss = SoftmaxCrossEntropy()
    loop(model, *train, loss, Momentum(learning_rate=0.01, momentum=0.99))

    first.train = second.train = False
    return loop(model, *test, loss)[1]


def main() -> dict[str, float]:
    train, test = prepared()
    found = [accuracy(seed, train, test) for seed in SEEDS]
    print(f"test accuracy from seeds {SEEDS}: {found}")
    return {"test accuracy": fmean(found)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
