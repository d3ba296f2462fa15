"""Blocks: models as classes, nested in each other, with a layer of our own and no backward."""

import pierian.compat.tensorflow as tf

TITLE = "Blocks"
NEEDS = ("mnist",)
GOALS = {"test accuracy": ">= 0.95"}
SAMPLE = {"test accuracy": ">= 0.85"}
SEEDS = 3


class Centered(tf.keras.layers.Layer):
    def call(self, X):
        return X - tf.reduce_mean(X, axis=-1, keepdims=True)


class Scaled(tf.keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, X):
        return X * self.scale


class MLP(tf.keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden = tf.keras.layers.Dense(units, activation=tf.nn.relu)
        self.out = tf.keras.layers.Dense(units)

    def call(self, X):
        return self.out(self.hidden(X))


class Nest(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.first = tf.keras.Sequential([tf.keras.layers.Flatten(), MLP(128), Scaled()])
        self.steps = [Centered(), MLP(64)]
        self.last = tf.keras.layers.Dense(10)

    def call(self, X):
        X = self.first(X)
        for step in self.steps:
            X = step(X)
        return self.last(X)


def main(seed: int = 0) -> dict[str, float]:
    tf.random.set_seed(seed)
    (x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
    net = Nest()
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    net.fit(x_train / 255, y_train, epochs=2, batch_size=128, verbose=2)
    net.summary()
    return {"test accuracy": net.evaluate(x_test / 255, y_test, verbose=0)[1]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
