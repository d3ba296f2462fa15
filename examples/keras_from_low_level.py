"""The first network from tensors, a tape and assignments: no layer and no fit."""

import math

from pierian.compat import keras
from pierian.compat import tensorflow as tf
from pierian.compat.keras import ops, optimizers
from pierian.compat.keras.datasets import mnist

TITLE = "From low level"
NEEDS = ("mnist",)
GOALS = {"test accuracy": ">= 0.82"}
SAMPLE = {"test accuracy": ">= 0.3"}
SEEDS = 3


class OwnDense:
    def __init__(self, inputs, outputs, activation):
        self.W = keras.Variable(shape=(inputs, outputs), initializer="uniform")
        self.b = keras.Variable(shape=(outputs,), initializer="zeros")
        self.activation = activation

    def __call__(self, x):
        return self.activation(ops.matmul(x, self.W) + self.b)


class OwnSequence:
    def __init__(self, parts):
        self.parts = parts
        self.weights = [weight for part in parts for weight in (part.W, part.b)]

    def __call__(self, x):
        for part in self.parts:
            x = part(x)
        return x


def batches(x, y, size=128):
    for n in range(math.ceil(len(x) / size)):
        yield x[n * size : (n + 1) * size], y[n * size : (n + 1) * size]


def main(seed: int = 0) -> dict[str, float]:
    keras.utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    x_train, x_test = (x.reshape(-1, 784).astype("float32") / 255 for x in (x_train, x_test))
    model = OwnSequence([OwnDense(784, 512, ops.relu), OwnDense(512, 10, ops.softmax)])
    optimizer = optimizers.SGD(learning_rate=1e-3)
    for epoch in range(10):
        for images, labels in batches(x_train, y_train):
            with tf.GradientTape() as tape:
                loss = ops.mean(ops.sparse_categorical_crossentropy(labels, model(images)))
            gradients = tape.gradient(loss, model.weights)
            optimizer.apply_gradients(zip(gradients, model.weights, strict=True))
        print(f"epoch {epoch + 1}: loss {loss:.3f}")
    matches = ops.argmax(model(x_test), axis=1) == y_test
    return {"test accuracy": float(ops.mean(matches))}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
