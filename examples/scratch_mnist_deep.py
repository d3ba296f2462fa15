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


def main() -> dict[str, float]:
    random.seed(0)
    (images, labels), (test_images, test_labels) = prepared()
    first, second = Dropout(0.1), Dropout(0.1)
    model = Sequential(
        [Linear(784, 30), first, Tanh(), Linear(30, 10), second, Tanh(), Linear(10, 10)]
    )
    loss = SoftmaxCrossEntropy()
    loop(model, images, labels, loss, Momentum(learning_rate=0.01, momentum=0.99))

    first.train = second.train = False
    _, accuracy = loop(model, test_images, test_labels, loss)
    return {"test accuracy": accuracy}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
