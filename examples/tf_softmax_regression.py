"""Softmax regression: one linear layer from pixels to logits, on clothes and on digits."""

import pierian.compat.tensorflow as tf

TITLE = "Softmax regression"
NEEDS = ("mnist", "fashion-mnist")
GOALS = {"Fashion-MNIST": ">= 0.82", "MNIST": ">= 0.91"}
SEEDS = 3


def accuracy(data) -> float:
    (x_train, y_train), (x_test, y_test) = data.load_data()
    net = tf.keras.models.Sequential()
    net.add(tf.keras.layers.Flatten(input_shape=(28, 28)))
    net.add(tf.keras.layers.Dense(10))
    net.compile(
        optimizer=tf.keras.optimizers.SGD(learning_rate=0.1),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    net.fit(x_train / 255, y_train, epochs=10, batch_size=256, verbose=2)
    return net.evaluate(x_test / 255, y_test, verbose=0)[1]


def main(seed: int = 0) -> dict[str, float]:
    tf.random.set_seed(seed)
    sets = tf.keras.datasets
    return {"Fashion-MNIST": accuracy(sets.fashion_mnist), "MNIST": accuracy(sets.mnist)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
