"""Variables keep their identity; a loop beside one vector addition; the length of a vector."""

import time

import pierian.compat.tensorflow as tf

TITLE = "Variables"
GOALS = {"norm of (3, -4)": "== 5", "identity kept": "== 1", "loop / vector time": ">= 100"}
SAMPLE = {"norm of (3, -4)": "== 5", "identity kept": "== 1"}  # CI does not time


def main() -> dict[str, float]:
    c = tf.Variable(tf.zeros([3, 6]))
    before = id(c)
    c.assign(tf.ones([3, 6]) * 2)
    c[1].assign(tf.fill([6], 7.0))
    c[0, 1].assign(9)
    print(c.numpy(), "the same object:", id(c) == before)
    n = 10_000
    a, b, total = tf.ones(n), tf.ones(n), tf.Variable(tf.zeros(n))
    begun = time.perf_counter()
    for i in range(n):
        total[i].assign(a[i] + b[i])
    middle = time.perf_counter()
    fast = a + b
    end = time.perf_counter()
    print(f"one by one {middle - begun:.4f} s, at once {end - middle:.6f} s")
    print("equal:", bool(tf.reduce_all(fast == total)))
    return {
        "norm of (3, -4)": tf.norm(tf.constant([3.0, -4.0])).numpy(),
        "identity kept": id(c) == before,
        "loop / vector time": (middle - begun) / (end - middle),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
