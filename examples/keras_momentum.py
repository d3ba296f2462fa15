"""Momentum by hand, on a curve with a small dip before the deep one."""

from examples.pictures import at
from pierian import viz
from pierian.compat import tensorflow as tf

TITLE = "Momentum by hand"
NEEDS = ("matplotlib",)
GOALS = {"ends at, momentum 0.1": ">= 0.6", "ends at, momentum 0.9": "<= -0.6"}
STEP = 0.01


def curve(w):
    return w**4 - 1.5 * w**2 + 0.3 * w


def descend(momentum: float, start: float = 1.6) -> float:
    w, velocity = tf.Variable(start), 0.0
    for _ in range(500):
        with tf.GradientTape() as tape:
            loss = curve(w)
        gradient = float(tape.gradient(loss, w))
        velocity = velocity * momentum - STEP * gradient
        w.assign(w + velocity)
    return float(w)


def main() -> dict[str, float]:
    picture = at("momentum.png")
    viz.plot_descent(curve, 1.6, rates=(STEP,), momentum=(0.1, 0.9), steps=120, path=picture)
    ends = {momentum: descend(momentum) for momentum in (0.1, 0.9)}
    for momentum, end in ends.items():
        print(f"momentum {momentum}: ends at {end:.3f}, where the curve is {curve(end):.3f}")
    return {f"ends at, momentum {momentum}": end for momentum, end in ends.items()}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
