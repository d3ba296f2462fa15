"""Linear regression on made-up points: a Dense layer, a tape, and plain SGD."""

import numpy as np

import pierian.compat.tensorflow as tf

TITLE = "Linear regression"
GOALS = {"error of w": "<= 0.01", "error of b": "<= 0.01"}
SEEDS = 3
TRUE_W, TRUE_B = np.array([[2.0], [-3.4]], "float32"), 4.2


def main(seed: int = 0) -> dict[str, float]:
    tf.random.set_seed(seed)
    X = tf.random.normal((1000, 2))
    y = tf.matmul(X, TRUE_W) + TRUE_B + tf.random.normal((1000, 1), stddev=0.01)
    start = tf.initializers.RandomNormal(stddev=0.01)
    net = tf.keras.Sequential()
    net.add(tf.keras.layers.Dense(1, kernel_initializer=start))  # its input size comes from X
    loss = tf.keras.losses.MeanSquaredError()
    trainer = tf.keras.optimizers.SGD(learning_rate=0.03)
    rng = np.random.default_rng(0)
    for epoch in range(3):
        order = rng.permutation(1000)
        for rows in np.split(order, 100):
            with tf.GradientTape() as tape:
                error = loss(net(X[rows], training=True), y[rows])
            grads = tape.gradient(error, net.trainable_variables)
            trainer.apply_gradients(zip(grads, net.trainable_variables, strict=True))
        print(f"epoch {epoch + 1}, loss {loss(net(X), y):f}")
    w, b = net.get_weights()
    return {"error of w": abs(w - TRUE_W).max(), "error of b": abs(b - TRUE_B).max()}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
