"""The first network: 512 relu units and a softmax, five epochs of Adam; means of twenty seeds."""

from pierian.compat import keras
from pierian.compat.keras import layers

TITLE = "First network"
NEEDS = ("mnist",)
GOALS = {"train accuracy": ">= 0.985", "test accuracy": ">= 0.978"}
SAMPLE = {"test accuracy": ">= 0.93"}
SEEDS = 20


def trained(seed: int, train, test) -> tuple[float, float]:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(*train, epochs=5, batch_size=128)
    first = model.predict(test[0][:10])[0]
    print(f"the first test digit is a {first.argmax()}, with probability {first.max():.4f}")
    _, accuracy = model.evaluate(*test)
    return history.history["accuracy"][-1], accuracy


def main() -> dict[str, float]:
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    x_train = x_train.reshape((len(x_train), 28 * 28)).astype("float32") / 255
    x_test = x_test.reshape((len(x_test), 28 * 28)).astype("float32") / 255
    results = [trained(seed, (x_train, y_train), (x_test, y_test)) for seed in range(SEEDS)]
    means = [sum(column) / SEEDS for column in zip(*results, strict=True)]
    return {"train accuracy": means[0], "test accuracy": means[1]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
