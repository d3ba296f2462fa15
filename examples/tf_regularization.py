"""Dropout, weight decay and early stopping, each against the gap to the held-out loss."""

import pierian.compat.tensorflow as tf

TITLE = "Dropout, validation, early stopping"
NEEDS = ("mnist",)
GOALS = {"gap of dropout / plain": "<= 0.9", "gap of stopping / plain": "<= 0.9",
         "gap of decay / plain": "<= 0.9"}  # fmt: skip
SAMPLE = {"gap of dropout / plain": "<= 0.9"}
SEEDS = 3


def gap(seed, x, y, drop=0.0, optimizer="adam", callbacks=()) -> float:
    """How much larger the held-out loss is than that of the training rows, both in use."""
    tf.random.set_seed(seed)
    layers = tf.keras.layers
    net = tf.keras.Sequential([layers.Flatten()])
    for width in (256, 256):
        net.add(layers.Dense(width, activation="relu"))
        net.add(layers.Dropout(drop))
    net.add(layers.Dense(10, activation="softmax"))
    net.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    training, held = slice(None, 1600), slice(1600, None)
    history = net.fit(
        x[training], y[training], epochs=40, batch_size=64, verbose=0,
        validation_data=(x[held], y[held]), callbacks=list(callbacks),
    )  # fmt: skip
    seen, unseen = (net.evaluate(x[r], y[r], verbose=0) for r in (training, held))
    epochs = len(history.history["loss"])
    print(f"{epochs:2} epochs, loss {seen[0]:.3f} | {unseen[0]:.3f}, accuracy {unseen[1]:.3f}")
    return unseen[0] - seen[0]


def main(seed: int = 0) -> dict[str, float]:
    (x, y), _ = tf.keras.datasets.mnist.load_data()
    x, y = x[:2000] / 255, y[:2000]
    stop = tf.keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    decay = tf.keras.optimizers.AdamW(weight_decay=1.0)
    plain = gap(seed, x, y)
    return {
        "gap of dropout / plain": gap(seed, x, y, drop=0.5) / plain,
        "gap of stopping / plain": gap(seed, x, y, callbacks=[stop]) / plain,
        "gap of decay / plain": gap(seed, x, y, optimizer=decay) / plain,
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
