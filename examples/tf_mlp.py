"""A multilayer perceptron on clothes; and what its activations and their slopes look like."""

import numpy as np

import pierian.compat.tensorflow as tf
from examples.pictures import at
from pierian import viz

TITLE = "Multilayer perceptron"
NEEDS = ("fashion-mnist", "matplotlib")
GOALS = {"Fashion-MNIST": ">= 0.84", "slope of sigmoid at 0": "== 0.25"}
SEEDS = 3  # one alone is off by 0.02


def slopes(fn) -> np.ndarray:
    x = tf.Variable(np.linspace(-4, 4, 9, dtype="float32"))
    with tf.GradientTape() as tape:
        y = fn(x)
    print(f"{fn.__name__:8}", np.round(y.numpy(), 2))
    slope = tape.gradient(y, x).numpy()
    print("  slope ", np.round(slope, 2))
    return slope


def trained(seed: int) -> float:
    tf.random.set_seed(seed)
    (x_train, y_train), (x_test, y_test) = tf.keras.datasets.fashion_mnist.load_data()
    net = tf.keras.models.Sequential()
    net.add(tf.keras.layers.Flatten())
    net.add(tf.keras.layers.Dense(256, activation="relu"))
    net.add(tf.keras.layers.Dense(10))
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(tf.keras.optimizers.SGD(learning_rate=0.1), loss, metrics=["accuracy"])
    net.fit(x_train / 255, y_train, epochs=10, batch_size=256, verbose=2)
    return net.evaluate(x_test / 255, y_test, verbose=0)[1]


def main(seed: int = 0) -> dict[str, float]:
    activations = [tf.nn.relu, tf.nn.sigmoid, tf.nn.tanh]
    viz.plot_function(activations, -4, 4, path=at("activations.png"))
    middle = [slopes(fn)[4] for fn in activations]
    return {"Fashion-MNIST": trained(seed), "slope of sigmoid at 0": middle[1]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
