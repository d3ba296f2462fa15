"""The first network: 512 relu units and a softmax, five epochs of Adam."""

from pierian.compat import keras
from pierian.compat.keras import layers

TITLE = "First network"
NEEDS = ("mnist",)
GOALS = {"train accuracy": ">= 0.985", "test accuracy": ">= 0.978"}
SAMPLE = {"test accuracy": ">= 0.93"}
SEEDS = 20  # the last steps of Adam move a test accuracy by 0.002


def main(seed: int = 0) -> dict[str, float]:
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    x_train = x_train.reshape((len(x_train), 28 * 28)).astype("float32") / 255
    x_test = x_test.reshape((len(x_test), 28 * 28)).astype("float32") / 255
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, epochs=5, batch_size=128)
    first = model.predict(x_test[:10])[0]
    print(f"the first test digit is a {first.argmax()}, with probability {first.max():.4f}")
    _, accuracy = model.evaluate(x_test, y_test)
    return {"train accuracy": history.history["accuracy"][-1], "test accuracy": accuracy}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
