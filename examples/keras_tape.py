"""What a tape gives: gradients of numbers, of nested tensors, of what is not connected."""

from pierian.compat import tensorflow as tf
from pierian.compat.keras import ops

TITLE = "Tape basics"
GOALS = {
    "slope of 2x + 3": "== 2", "slope of a matrix": "== 3", "second slope": "== 9.8",
    "not connected is None": "== 1",
}  # fmt: skip


def main() -> dict[str, float]:
    x = tf.zeros(shape=())
    with tf.GradientTape() as tape:
        y = 2 * x + 3
    slope = tape.gradient(y, x)
    print("2x + 3 at 0:", slope)
    parts = {"W": tf.Variable(tf.ones((2, 2))), "both": [tf.Variable(1.0), tf.Variable(2.0)]}
    lonely = tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        total = ops.sum(3 * parts["W"]) + parts["both"][0] * parts["both"][1]
    gradients = tape.gradient(total, parts)
    print("as nested as what was asked for:", gradients)
    print("of a variable that was not used:", tape.gradient(total, lonely))
    time = tf.Variable(0.5)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            position = 4.9 * time**2
        speed = inner.gradient(position, time)
    acceleration = outer.gradient(speed, time)
    print(f"a fall: speed {speed:.2f}, acceleration {acceleration:.2f}")
    return {
        "slope of 2x + 3": float(slope),
        "slope of a matrix": float(gradients["W"][0, 0]),
        "second slope": round(float(acceleration), 4),
        "not connected is None": tape.gradient(total, lonely) is None,
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
