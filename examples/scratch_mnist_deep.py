"""Handwritten digits by a network of three layers with dropout, one example at a time."""

import random

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

TITLE = "MNIST, three layers with dropout, from scratch"
NEEDS = ("mnist",)
GOALS = {"test accuracy": ">= 0.91"}
SAMPLE = {"test accuracy": ">= 0.84"}
SEEDS = 3


def main(seed: int = 0) -> dict[str, float]:
    train, test = prepared()
    random.seed(seed)
    first, second = Dropout(0.1), Dropout(0.1)
    model = Sequential(
        [Linear(784, 30), first, Tanh(), Linear(30, 10), second, Tanh(), Linear(10, 10)]
    )
    loss = SoftmaxCrossEntropy()
    loop(model, *train, loss, Momentum(learning_rate=0.01, momentum=0.99))

    first.train = second.train = False
    return {"test accuracy": loop(model, *test, loss)[1]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
