"""The first network in the older spelling: `add`, RMSprop, one-hot labels."""

from pierian.compat import keras
from pierian.compat.keras import layers, models
from pierian.compat.keras.datasets import mnist
from pierian.compat.keras.utils import to_categorical

TITLE = "First network, older spelling"
NEEDS = ("mnist",)
GOALS = {"test accuracy": ">= 0.978"}
SAMPLE = {"test accuracy": ">= 0.93"}
SEEDS = 3


def main(seed: int = 0) -> dict[str, float]:
    keras.utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    network = models.Sequential()
    network.add(layers.Dense(512, activation="relu", input_shape=(28 * 28,)))
    network.add(layers.Dense(10, activation="softmax"))
    network.summary()
    network.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    pixels = x_train.reshape((-1, 28 * 28)).astype("float32") / 255
    network.fit(pixels, to_categorical(y_train), epochs=5, batch_size=128, verbose=2)
    loss, accuracy = network.evaluate(
        x_test.reshape((-1, 28 * 28)).astype("float32") / 255, to_categorical(y_test), verbose=2
    )
    print(f"loss {loss:.4f}")
    return {"test accuracy": accuracy}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
