"""Handwritten digits by logistic regression, one example at a time, and the weights in a file."""

import random
import tempfile
from pathlib import Path

from pierian.compat.scratch import (
    Linear,
    Momentum,
    SoftmaxCrossEntropy,
    load_weights,
    loop,
    mnist,
    one_hot_encode,
    save_weights,
)

TITLE = "MNIST, logistic regression, from scratch"
NEEDS = ("mnist",)
GOALS = {"test accuracy": ">= 0.885", "after loading": "== 1"}
SAMPLE = {"test accuracy": ">= 0.84", "after loading": "== 1"}
SEEDS = 3


def prepared():
    """Images as centred rows, labels one-hot: train and test."""
    train, test = mnist.train_images(), mnist.test_images()
    average = train.mean()
    for images, labels in ((train, mnist.train_labels()), (test, mnist.test_labels())):
        rows = (images.reshape(len(images), -1) - average) / 256
        yield rows, [one_hot_encode(int(label)) for label in labels]


def main(seed: int = 0) -> dict[str, float]:
    random.seed(seed)
    (images, labels), (test_images, test_labels) = prepared()
    model, loss = Linear(784, 10), SoftmaxCrossEntropy()
    loop(model, images, labels, loss, Momentum(learning_rate=0.01, momentum=0.99))
    _, accuracy = loop(model, test_images, test_labels, loss)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "logistic.json"
        save_weights(model, file)
        copy = Linear(784, 10)
        load_weights(copy, file)
        print(f"{file.stat().st_size:,} bytes of weights as JSON")
    return {"test accuracy": accuracy, "after loading": copy.params() == model.params()}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
